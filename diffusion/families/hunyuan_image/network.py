"""HunyuanImage's network: text refined by itself, then FLUX's blocks over latents of 32 pixels a place.

diffusers' class computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from diffusion.conditioning import Entry, Setting
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs, Value
from diffusion.networks.zoo import IMAGE, TEXT, Blocks, Visit, Zoo, built
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

HEAD = 128  # channels of an attention head
GUIDANCE = 6.0  # what the distilled model is told where nothing is said
THOUSAND = 1000.0
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class HunyuanImageSizes:
    """Read off a file under its original names. `glyphs` are the widths of what reads letters, if it does."""

    width: int
    in_channels: int
    out_channels: int
    patch: tuple[int, ...]
    text: int
    doubles: int
    singles: int
    refiners: int
    glyphs: tuple[int, ...] = ()
    guidance: bool = False
    next_time: bool = False


def hunyuan_image_sizes(weights: Weights) -> HunyuanImageSizes:
    """The sizes of a file's network."""
    width, channels, *patch = weights["img_in.proj.weight"].shape
    glyphs: tuple[int, ...] = ()
    if "byt5_in.fc1.weight" in weights:
        hidden, given = weights["byt5_in.fc1.weight"].shape
        glyphs = given, hidden, weights["byt5_in.fc2.weight"].shape[0]
    return HunyuanImageSizes(
        width=width,
        in_channels=channels,
        out_channels=weights["final_layer.linear.weight"].shape[0] // prod(patch),
        patch=tuple(patch),
        text=weights["txt_in.input_embedder.weight"].shape[1],
        doubles=counted(weights, "double_blocks.{}.img_attn.qkv.weight"),
        singles=counted(weights, "single_blocks.{}.linear1.weight"),
        refiners=counted(weights, "txt_in.individual_token_refiner.blocks.{}.norm1.weight"),
        glyphs=glyphs,
        guidance="guidance_in.in_layer.weight" in weights,
        next_time="time_r_in.in_layer.weight" in weights,
    )


def hunyuan_image_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`glyphs` [B, T, C], what shall be written, as ByT5 says it; `guidance` [B]; `attention_mask` [B, T].

    A mask of ones is left out, so that texts share a call.
    """
    options, latent = entry.options, setting.latent
    found: dict[str, Value] = {}
    glyphs = options.get("conditioning_byt5small")
    if glyphs is not None and setting.model.sizes.glyphs:
        found["glyphs"] = glyphs.to(latent)
    if setting.model.sizes.guidance:
        found["guidance"] = latent.new_full((len(latent),), float(options.get("guidance") or GUIDANCE))
    mask = options.get("attention_mask")
    if mask is not None and not bool(torch.as_tensor(mask).all()):
        found["attention_mask"] = mask.to(latent.device)
    return found


class HunyuanImage(Zoo):
    """The backbone. See `hunyuan_image_inputs` for what it is given beside latent, time and text."""

    blocks = (
        Blocks("double", "transformer_blocks", (IMAGE, TEXT), text_first=False),
        Blocks("single", "single_transformer_blocks", (IMAGE, TEXT), text_first=False),
    )

    def __init__(self, sizes: HunyuanImageSizes) -> None:
        network = built(
            "transformers.transformer_hunyuanimage",
            "HunyuanImageTransformer2DModel",
            in_channels=sizes.in_channels,
            out_channels=sizes.out_channels,
            num_attention_heads=sizes.width // HEAD,
            attention_head_dim=HEAD,
            num_layers=sizes.doubles,
            num_single_layers=sizes.singles,
            num_refiner_layers=sizes.refiners,
            patch_size=sizes.patch,
            guidance_embeds=sizes.guidance,
            text_embed_dim=sizes.text,
            text_embed_2_dim=sizes.glyphs[0] if sizes.glyphs else None,
            use_meanflow=sizes.next_time,
        )
        if sizes.glyphs:
            widths = *sizes.glyphs, sizes.width
            for number, (inward, outward) in enumerate(pairwise(widths), 1):
                linear = nn.Linear(inward, outward, device="meta").requires_grad_(False)
                setattr(network.get_submodule("context_embedder_2"), f"linear_{number}", linear)
        super().__init__(network)
        self.sizes = sizes
        for name in ("timestep_embedder", "timestep_embedder_r", "guidance_embedder"):
            if getattr(network.get_submodule("time_guidance_embed"), name) is not None:
                self.instead(f"time_guidance_embed.{name}", exactly_timed)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, H, W]; timesteps [B] are 0…1000."""
        dtype: torch.dtype = self.proj_out.weight.dtype  # type: ignore[union-attr, assignment]
        mask, glyphs = inputs.tensor("attention_mask"), inputs.tensor("glyphs")
        if mask is None:
            mask = torch.ones(inputs.context.shape[:2], device=x.device)
        guidance, behind = inputs.tensor("guidance"), self._next(timesteps, inputs)
        with self.visited(x, inputs, hooks, dtype=dtype):
            out: Tensor = self.called(
                hidden_states=x.to(dtype),
                timestep=timesteps.float(),
                timestep_r=behind,
                guidance=None if guidance is None else guidance.float() * THOUSAND,
                encoder_hidden_states=inputs.context.to(dtype),
                encoder_attention_mask=mask,
                encoder_hidden_states_2=None if glyphs is None else glyphs.to(dtype),
                encoder_attention_mask_2=None if glyphs is None else torch.ones_like(glyphs[..., 0]),
                return_dict=False,
            )[0]
        return out

    def _next(self, timesteps: Tensor, inputs: Inputs) -> Tensor | None:
        """The time of the schedule's next level, for models of mean flow; none between its levels."""
        if not self.sizes.next_time:
            return None
        schedule, sigmas = inputs.call.get("schedule"), inputs.call.get("sigmas")
        if schedule is None or sigmas is None:
            return None
        found = (schedule[:-1].to(sigmas) == sigmas[0]).nonzero()
        if not len(found):
            return None
        return torch.full_like(timesteps, float(schedule[int(found[0]) + 1]) * THOUSAND).float()


def exactly_timed(visit: Visit, forward: Callable[..., Tensor], waves: Tensor) -> Tensor:
    """A time's sines, made in float32, rounded to the weights' type only here."""
    return forward(waves.to(visit.facts["dtype"]))
