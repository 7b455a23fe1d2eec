"""Qwen-Image's network (Wu et al. 2025, arXiv 2508.02324): blocks of two streams, text and picture.

diffusers' class computes it. Where tokens lie is told here: places count from the middle of each picture,
text lies on the diagonal beyond, and pictures to look at (Edit) have layers of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.conditioning import Entry, Setting
from diffusion.errors import Mismatch
from diffusion.hooks import Hooks
from diffusion.images import to_batch
from diffusion.networks.backbone import Control, Inputs, Value
from diffusion.networks.spots import Spot, spots, turns
from diffusion.networks.zoo import Blocks, Visit, Zoo, built, patches, unpatched, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

HEAD = 128  # channels of an attention head
AXES = (16, 56, 56)  # of a head, turned by layer, row and column
PATCH = 2
METHODS = ("index", "offset")
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class QwenSizes:
    """Read off a file; channels are of the latent, not of its patches."""

    width: int
    in_channels: int
    out_channels: int
    text: int
    depth: int

    @property
    def heads(self) -> int:
        """Attention heads."""
        return self.width // HEAD


def qwen_sizes(weights: Weights) -> QwenSizes:
    """The sizes of a file's network."""
    width, tokens = weights["img_in.weight"].shape
    return QwenSizes(
        width=width,
        in_channels=tokens // PATCH**2,
        out_channels=weights["proj_out.weight"].shape[0] // PATCH**2,
        text=weights["txt_norm.weight"].shape[0],
        depth=counted(weights, "transformer_blocks.{}.attn.to_q.weight"),
    )


def qwen_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`references`: latents [B, C, h, w] of pictures that are looked at; `method`: where they lie."""
    given = entry.options.get("reference_latents") or ()
    if not given:
        return {}
    into = setting.model.latent_format.into
    frames = [frame for each in given for frame in _frames(into(each.to(setting.latent)))]
    method = entry.options.get("reference_latents_method", METHODS[0])
    return {"references": frames, "method": method if method in METHODS else "offset"}


def _frames(latent: Tensor) -> Sequence[Tensor]:
    """A latent [B, C, (T,) h, w] picture by picture."""
    return latent.unbind(2) if latent.ndim == 5 else (latent,)


def still(x: Tensor) -> Tensor:
    """A clip [B, C, 1, H, W] as a picture [B, C, H, W].

    Raises:
        Mismatch: it has more frames.
    """
    if x.shape[2] != 1:
        problem = f"Qwen-Image draws pictures, and this latent has {x.shape[2]} frames."
        raise Mismatch(problem, "Begin with an empty latent of one frame; several pictures are a batch.")
    return x[:, :, 0]


class QwenImage(Zoo):
    """The backbone. See `qwen_inputs` for what it is given beside latent, time and text."""

    blocks = (Blocks("double", "transformer_blocks"),)
    constant = ("txt_norm", "txt_in")

    def __init__(self, sizes: QwenSizes) -> None:
        self.sizes = sizes
        super().__init__(
            built(
                "transformers.transformer_qwenimage",
                "QwenImageTransformer2DModel",
                in_channels=sizes.in_channels * PATCH**2,
                out_channels=sizes.out_channels,
                num_layers=sizes.depth,
                attention_head_dim=HEAD,
                num_attention_heads=sizes.heads,
                joint_attention_dim=sizes.text,
                axes_dims_rope=AXES,
            )
        )
        told_places_and_time(self)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, 1, H, W]; timesteps [B] are sigmas."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.proj_out.weight.dtype  # type: ignore[union-attr, assignment]
        given: Any = inputs.tensors.get("references") or ()
        references = [to_batch(each, len(x)) for each in given]
        pictures = [wrapped(each, PATCH) for each in (still(x), *references)]
        placed = places(pictures[0], references, str(inputs.tensors.get("method", METHODS[0])))
        tokens = torch.cat([patches(each, PATCH) for each in pictures], dim=1).to(dtype)
        seen = placed[0].rows * placed[0].columns
        with self.visited(x, inputs, hooks, time=timesteps.float(), placed=placed):
            out: Tensor = self.called(
                hidden_states=tokens,
                encoder_hidden_states=inputs.context.to(dtype),
                timestep=timesteps,
                controlnet_block_samples=controlled(inputs.control, self.sizes.depth, tokens.shape[1]),
                return_dict=False,
            )[0]
        return unpatched(out[:, :seen], height, width, PATCH)[:, :, None]


def places(picture: Tensor, references: Sequence[Tensor], method: str) -> list[Spot]:
    """Where a padded picture [B, C, H, W] and those that are looked at lie, each about its own middle."""
    sizes = [(int(each.shape[-2]), int(each.shape[-1])) for each in references]
    placed = spots(picture.shape[-2] // PATCH, picture.shape[-1] // PATCH, sizes, method)
    return [spot.centred() for spot in placed]


def told_places_and_time(network: Zoo) -> None:
    """Where tokens lie is computed from the visit's `placed`, and the time is its `time` in float32.

    The class would count odd sides otherwise, and round the time to the weights' type.
    """
    network.instead("pos_embed", turned)
    network.instead("time_text_embed.time_proj", exact)


def exact(visit: Visit, forward: Callable[[Tensor], Tensor], time: Tensor) -> Tensor:
    """The waves of the time as it was given."""
    return forward(visit.facts["time"])


def turned(
    visit: Visit, forward: object, shapes: object, *, max_txt_seq_len: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The turns of all pictures' tokens and of the text's: complex [N, 64] and [T, 64]."""
    placed: Sequence[Spot] = visit.facts["placed"]
    key = "turns", tuple(placed), int(max_txt_seq_len), device
    kept = {} if visit.kept is None else visit.kept
    if key not in kept:
        pictures = torch.cat([spot.ids(device) for spot in placed])
        first = max(placed[0].rows, placed[0].columns) // 2
        words = torch.arange(first, first + int(max_txt_seq_len), device=device)
        kept[key] = turns(pictures, AXES), turns(words[:, None].expand(-1, len(AXES)), AXES)
    found: tuple[Tensor, Tensor] = kept[key]
    return found


def controlled(control: Control | None, depth: int, tokens: int) -> list[Tensor | float] | None:
    """What control networks add behind each block, for the class; references are left alone."""
    if control is None or not control.input:
        return None
    added = control.input
    return [
        F.pad(added[i], (0, 0, 0, tokens - added[i].shape[1])) if i in added else 0.0 for i in range(depth)
    ]
