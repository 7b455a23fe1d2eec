"""HiDream's network (Cai et al. 2025, 2505.22705): blocks of two streams, then of one, of four experts.

The text is T5's and LLaMA's last words, carried from block to block; beside them every block sees the words
of LLaMA's layer of its own number. diffusers' class computes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import IMAGE, TEXT, Blocks, Zoo, built, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

HEAD = 128  # channels of an attention head
PATCH = 2
AXES = (64, 32, 32)  # of a head's channels: those turned by nothing, by the row, by the column
LAYERS = 32  # of LLaMA; blocks beyond see the last
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class HiDreamSizes:
    """Read off a file; channels are of the latent, not of its patches. `text` is T5's width."""

    width: int
    in_channels: int
    out_channels: int
    text: int
    llama: int
    pooled: int
    doubles: int
    singles: int


def hidream_sizes(weights: Weights) -> HiDreamSizes:
    """The sizes of a file's network."""
    width, tokens = weights["x_embedder.proj.weight"].shape
    doubles = counted(weights, "double_stream_blocks.{}.block.attn1.to_q.weight")
    singles = counted(weights, "single_stream_blocks.{}.block.attn1.to_q.weight")
    return HiDreamSizes(
        width=width,
        in_channels=tokens // PATCH**2,
        out_channels=weights["final_layer.linear.weight"].shape[0] // PATCH**2,
        text=weights[f"caption_projection.{doubles + singles}.linear.weight"].shape[1],
        llama=weights["caption_projection.0.linear.weight"].shape[1],
        pooled=weights["p_embedder.pooled_embedder.linear_1.weight"].shape[1],
        doubles=doubles,
        singles=singles,
    )


class HiDream(Zoo):
    """The backbone. See `hidream_inputs` for what it is given beside latent, time and text."""

    blocks = (
        Blocks("double", "double_stream_blocks", gives=(IMAGE, TEXT), text_first=False),
        Blocks("single", "single_stream_blocks", (IMAGE,)),
    )
    constant = ("pe_embedder",)

    def __init__(self, sizes: HiDreamSizes) -> None:
        depth = sizes.doubles + sizes.singles
        super().__init__(
            built(
                "transformers.transformer_hidream_image",
                "HiDreamImageTransformer2DModel",
                patch_size=PATCH,
                in_channels=sizes.in_channels,
                out_channels=sizes.out_channels,
                num_layers=sizes.doubles,
                num_single_layers=sizes.singles,
                attention_head_dim=HEAD,
                num_attention_heads=sizes.width // HEAD,
                caption_channels=[sizes.text, sizes.llama],
                text_emb_dim=sizes.pooled,
                axes_dims_rope=AXES,
                llama_layers=[min(block, LAYERS - 1) for block in range(depth)],
            )
        )
        self.channels = sizes.in_channels
        for block in range(depth + 1):
            self._keep(f"caption_projection.{block}")

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C or 2 C, H, W]; timesteps [B] are 0…1000. The network gives its negative.

        A picture that is edited, behind the latent in x, is shown to the right of it.
        """
        dtype: torch.dtype = self.x_embedder.proj.weight.dtype  # type: ignore[union-attr, assignment]
        height, width = x.shape[-2:]
        shown = wrapped(torch.cat(torch.split(x, self.channels, dim=1), dim=-1), PATCH)
        rows, columns = shown.shape[-2] // PATCH, shown.shape[-1] // PATCH
        llama, pooled = inputs.tensor("llama"), inputs.tensor("pooled")
        assert llama is not None, "hidream_inputs gives it"
        assert pooled is not None, "hidream_inputs gives it"
        with self.visited(x, inputs, hooks):
            out: Tensor = self.called(
                hidden_states=channels_last_tokens(shown).to(dtype),
                hidden_states_masks=torch.ones(len(x), rows * columns, dtype=dtype, device=x.device),
                img_ids=places(rows, columns, x.device).expand(len(x), -1, -1),
                img_sizes=[(rows, columns)] * len(x),
                timesteps=timesteps.float(),
                encoder_hidden_states_t5=inputs.context.to(dtype),
                encoder_hidden_states_llama3=llama.movedim(1, 0).to(dtype),
                pooled_embeds=pooled.to(dtype),
                return_dict=False,
            )[0]
        return -out[..., :height, :width]


def channels_last_tokens(x: Tensor) -> Tensor:
    """[B, C, H, W] → tokens [B, H/p·W/p, p·p·C], channels fastest inside a token."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // PATCH, PATCH, width // PATCH, PATCH)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, PATCH * PATCH * channels)


def places(rows: int, columns: int, device: torch.device) -> Tensor:
    """Where tokens lie: [1, N, 3] of nothing, row and column."""
    grid = torch.zeros(rows, columns, 3, device=device)
    grid[..., 1] = torch.arange(rows, device=device)[:, None]
    grid[..., 2] = torch.arange(columns, device=device)[None, :]
    return grid.reshape(1, rows * columns, 3)
