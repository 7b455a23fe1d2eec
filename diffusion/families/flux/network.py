"""FLUX's network, Black Forest Labs 2024: double blocks of two streams, then single blocks of one.

diffusers' class computes it; here are its sizes, read off a file, and the way from a latent to its tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.hooks import Hooks
from diffusion.images import to_batch
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.spots import Spot, spots
from diffusion.networks.zoo import Blocks, Visit, Zoo, built, patches, unpatched, wrapped
from diffusion.weights.entries import Weights

HEAD = 128  # channels of an attention head
AXES = (16, 56, 56)  # of a head, turned by index, row and column
PATCH = 2
POINTS = frozenset({"block.call", "text.tokens", "attention.self.attend"})
"""Hook points inside the network."""
THOUSAND = 1000.0  # the network's clock runs a thousand times as fast as sigma
GUIDANCE = 3.5  # what the distilled model is told where nothing is said


@dataclass(frozen=True)
class FluxSizes:
    """Read off a file under its original names; channels are of the latent, not of its patches."""

    width: int
    in_channels: int
    out_channels: int
    text: int
    vector: int
    doubles: int
    singles: int
    guidance: bool

    @property
    def heads(self) -> int:
        """Attention heads."""
        return self.width // HEAD


def flux_sizes(weights: Weights) -> FluxSizes:
    """The sizes of a file's network."""
    width, tokens = weights["img_in.weight"].shape
    return FluxSizes(
        width=width,
        in_channels=tokens // PATCH**2,
        out_channels=weights["final_layer.linear.weight"].shape[0] // PATCH**2,
        text=weights["txt_in.weight"].shape[1],
        vector=weights["vector_in.in_layer.weight"].shape[1],
        doubles=_count(weights, "double_blocks."),
        singles=_count(weights, "single_blocks."),
        guidance="guidance_in.in_layer.weight" in weights,
    )


def _count(weights: Weights, prefix: str) -> int:
    return len({name[len(prefix) :].partition(".")[0] for name in weights if name.startswith(prefix)})


class Depths(Protocol):
    """How many blocks of each kind a network has."""

    @property
    def doubles(self) -> int:
        """Blocks of two streams."""

    @property
    def singles(self) -> int:
        """Blocks of one."""


class Flux(Zoo):
    """The backbone. See `inputs` for what it is given beside the latent."""

    blocks = (Blocks("double", "transformer_blocks"), Blocks("single", "single_transformer_blocks"))
    constant = ("pos_embed",)

    def __init__(self, sizes: FluxSizes) -> None:
        self.sizes = sizes
        super().__init__(
            built(
                "transformers.transformer_flux",
                "FluxTransformer2DModel",
                in_channels=sizes.in_channels * PATCH**2,
                out_channels=sizes.out_channels * PATCH**2,
                num_layers=sizes.doubles,
                num_single_layers=sizes.singles,
                attention_head_dim=HEAD,
                num_attention_heads=sizes.heads,
                joint_attention_dim=sizes.text,
                pooled_projection_dim=sizes.vector,
                guidance_embeds=sizes.guidance,
                axes_dims_rope=AXES,
            )
        )
        self.project: Callable[[Tensor], Tensor] = self.get_submodule("context_embedder").forward
        self.instead("context_embedder", ready)
        self.instead("time_text_embed", embedded)
        if sizes.guidance:
            self.instead("time_text_embed.guidance_embedder", guided)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, H, W]; timesteps [B] are sigmas."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.proj_out.weight.dtype  # type: ignore[union-attr, assignment]
        padded = wrapped(x, PATCH)
        rows, columns = padded.shape[-2] // PATCH, padded.shape[-1] // PATCH
        references = [to_batch(each, len(x)) for each in _listed(inputs.tensors.get("references"))]
        method = str(inputs.tensors.get("method", ""))
        placed = spots(rows, columns, [(each.shape[-2], each.shape[-1]) for each in references], method)
        pictures = (padded, *(wrapped(each, PATCH) for each in references))
        tokens = torch.cat([patches(each) for each in pictures], dim=1).to(dtype)
        guidance = inputs.tensor("guidance")
        with self.visited(x, inputs, hooks, time=timesteps.float() * THOUSAND) as visit:
            text = self._text(visit, inputs.context.to(dtype))
            visit.facts |= {"text": text}
            if guidance is not None:
                visit.facts |= {"guidance": guidance.float() * THOUSAND}
            out: Tensor = self.called(
                hidden_states=tokens,
                encoder_hidden_states=text,
                pooled_projections=pooled(inputs, len(x), self.sizes.vector, text),
                timestep=timesteps,
                img_ids=torch.cat([spot.ids(x.device) for spot in placed]),
                txt_ids=torch.zeros(text.shape[1], len(AXES), device=x.device),
                guidance=timesteps if self.sizes.guidance else None,
                joint_attention_kwargs=masked(inputs, placed, text),
                return_dict=False,
                **controlled(inputs.control, self.sizes, tokens.shape[1]),
            )[0]
        return unpatched(out[:, : rows * columns], height, width, PATCH)

    def _text(self, visit: Visit, context: Tensor) -> Tensor:
        """The text as tokens of the network's width, once a run, and what hooks make of it."""
        kept = visit.kept
        tokens = None if kept is None else kept.get("text")
        if tokens is None:
            tokens = self.project(context)
            if kept is not None:
                kept["text"] = tokens
        changed: Tensor = visit.hooks.change("text.tokens", visit.inputs.call, tokens)
        return changed


def embedded(visit: Visit, forward: Callable[..., Tensor], timestep: Tensor, *others: Tensor) -> Tensor:
    """Time and guidance in float32: the class would round them to the weights' type first."""
    time = visit.facts["time"]
    if len(others) == 1:
        return forward(time, *others)
    return forward(time, visit.facts.get("guidance", time), others[-1])


def guided(visit: Visit, forward: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """The embedding of guidance; nothing where guidance was taken away."""
    out = forward(*given)
    return out if "guidance" in visit.facts else torch.zeros_like(out)


def ready(visit: Visit, forward: Callable[..., Tensor], context: Tensor) -> Tensor:
    """The text's tokens, made before the pass."""
    tokens: Tensor = visit.facts["text"]
    return tokens


def pooled(inputs: Inputs, rows: int, width: int, like: Tensor) -> Tensor:
    """The sentence cut to the network's width, zeros without one: [rows, width]."""
    given = inputs.tensor("pooled")
    if given is None:
        return like.new_zeros(rows, width)
    return given[:, :width].to(like)


def controlled(control: Control | None, sizes: Depths, tokens: int) -> dict[str, list[Tensor | float]]:
    """What control networks add behind each block, for the class; references are left alone."""
    if control is None:
        return {}
    names = ("controlnet_block_samples", control.input, sizes.doubles)
    single = ("controlnet_single_block_samples", control.output, sizes.singles)
    return {
        name: [_reaching(added[i], tokens) if i in added else 0.0 for i in range(count)]
        for name, added, count in (names, single)
        if added
    }


def _reaching(added: Tensor, tokens: int) -> Tensor:
    """With zeros for the tokens behind the image's."""
    return F.pad(added, (0, 0, 0, tokens - added.shape[1]))


def masked(inputs: Inputs, placed: Sequence[Spot], text: Tensor) -> dict[str, Tensor] | None:
    """The additive mask of text and pictures [B, 1, N, N], spread from its own grid to the tokens."""
    mask = inputs.tensor("attention_mask")
    if mask is None:
        return None
    grid = tuple(inputs.tensors["mask_shape"])  # type: ignore[arg-type]
    mask = mask.reshape(-1, *mask.shape[-2:]).to(text.dtype).clamp(min=torch.finfo(text.dtype).min / 2)
    words = mask.shape[-1] - grid[0] * grid[1]
    for _ in range(2):  # what is looked at, then what looks
        mask = spread(mask, words, grid, placed).transpose(-2, -1)
    more = text.shape[1] - words  # put in front of the text
    return {"attention_mask": F.pad(mask, (more, 0, more, 0))[:, None]}


def spread(mask: Tensor, words: int, grid: Sequence[int], placed: Sequence[Spot]) -> Tensor:
    """[B, N, words + cells] → [B, N, words + tokens of all pictures]."""
    cells = mask[..., words:].reshape(*mask.shape[:-1], *grid)
    parts = [F.interpolate(cells, (spot.rows, spot.columns), mode="bilinear").flatten(2) for spot in placed]
    return torch.cat([mask[..., :words], *parts], dim=-1)


def _listed(value: Any) -> Sequence[Tensor]:
    return () if value is None else value
