"""Autoencoders in files: which kind one is, and Stable Diffusion's under its own names, with its sizes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from diffusion.latents.autoencoder import VAE
from diffusion.latents.hunyuan_vae import SIGN as HUNYUAN_SIGN
from diffusion.latents.hunyuan_vae import HunyuanVAE, hunyuan_vae_sizes
from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.latents.wan_vae import DOWNSCALE, LAYOUT, SIGN, WanVAE, native, wan_sizes
from diffusion.residency.budget import Residency, resident_of
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.kinds import unknown
from diffusion.weights.names import Rule, numbers_behind, ruled
from diffusion.weights.shapes import Unlike, counted, multiple, shape_of, stated

PREFIXES = ("first_stage_model.", "vae.", "")
"""Where autoencoders stand in files."""

VAE_RULES: tuple[Rule, ...] = (
    (r"spatial_res_block\.", ""),
    (r"temporal_res_block\.norm1\.", "time_stack.in_layers.0."),
    (r"temporal_res_block\.conv1\.", "time_stack.in_layers.2."),
    (r"temporal_res_block\.norm2\.", "time_stack.out_layers.0."),
    (r"temporal_res_block\.conv2\.", "time_stack.out_layers.3."),
    (r"time_mixer\.mix_factor", "mix_factor"),
    (r"time_conv_out\.", "conv_out.time_mix_conv."),
    (r"conv_norm_out", "norm_out"),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.", "mid.attn_1."),
    (r"attn_1\.group_norm\.", "attn_1.norm."),
    (r"attn_1\.(?:to_)?q(?:uery)?\.", "attn_1.q."),
    (r"attn_1\.(?:to_)?k(?:ey)?\.", "attn_1.k."),
    (r"attn_1\.(?:to_)?v(?:alue)?\.", "attn_1.v."),
    (r"attn_1\.(?:to_out\.0|proj_attn)\.", "attn_1.proj_out."),
    (r"conv_shortcut\.", "nin_shortcut."),
    (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
)


@dataclass(frozen=True)
class Kind:
    """One kind of autoencoder: the tensor that tells it, what brings files to its own names, what makes it.

    `make` may raise Unlike.
    """

    sign: str
    own: Callable[[Weights], Weights]
    make: Callable[[Weights, Residency], VAE]


def vae_part(weights: Weights) -> Weights | None:
    """The VAE's tensors in a file, under the names of its kind; None if it has none."""
    for prefix in PREFIXES:
        inner = weights.under(prefix)
        for kind in KINDS:
            own = kind.own(inner)
            if kind.sign in own:
                return own
    return None


def vae_from(weights: Weights, residency: Residency) -> VAE:
    """The VAE of an autoencoder's tensors under the names of its kind."""
    kind = next(each for each in KINDS if each.sign in weights)
    try:
        return kind.make(weights, residency)
    except Unlike as error:
        raise unknown(weights, f"Its VAE cannot be read: {error}.") from None


def _stable_diffusion(weights: Weights, residency: Residency) -> VAE:
    sizes = vae_sizes(weights)
    resident = resident_of(residency, "vae", weights, lambda: AutoencoderKL(sizes), channels_last=True)
    return VAE(resident, sizes.latent_channels, sizes.downscale, video=sizes.video)


def _wan(weights: Weights, residency: Residency) -> VAE:
    sizes = wan_sizes(weights)
    shapes = {name: tuple(each.shape) for name, each in WanVAE(sizes).state_dict().items()}
    own = LAYOUT.read(weights, shapes)
    resident = resident_of(residency, "vae", own, lambda: WanVAE(sizes))
    return VAE(resident, sizes.channels, DOWNSCALE, clips=True)


def ldm_vae(weights: Weights) -> Weights:
    """An autoencoder in diffusers' layout under the original names; any other layout unchanged."""
    if not any(name.startswith(("encoder.down_blocks.", "decoder.up_blocks.")) for name in weights):
        return weights
    last = max(numbers_behind(weights, "decoder.up_blocks."), default=0)
    entries = {}
    for name in weights:
        ours = ruled(_flipped_ups(name, last), VAE_RULES)
        entries[ours] = _as_convolution(weights[name]) if ".attn_1." in ours else weights[name]
    return weights.having(entries)


def _as_convolution(entry: Entry) -> Entry:
    """A linear weight [out, in] as that of a 1×1 convolution."""
    if len(entry.shape) != 2:
        return entry
    return entry.taking((*entry.shape, 1, 1), lambda t: t[:, :, None, None])


def _flipped_ups(name: str, last: int) -> str:
    """diffusers numbers the decoder's levels as they run, we from the finest."""
    name = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{last - int(m[1])}.block.", name)
    return re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{last - int(m[1])}.upsample.", name)


def vae_sizes(weights: Weights) -> VAESizes:
    """The sizes of an autoencoder given under its own names. Unlike says what does not fit."""
    first = shape_of(weights, "encoder.conv_in.weight", 4)
    levels = counted(weights, "encoder.down.{}.block.0.conv1.weight")
    if not levels:
        raise Unlike("encoder.down.0.block.0.conv1.weight is missing")
    widths = [
        shape_of(weights, f"encoder.down.{level}.block.0.conv1.weight", 4)[0] for level in range(levels)
    ]
    before, behind = "quant_conv.weight" in weights, "post_quant_conv.weight" in weights
    return VAESizes(
        image_channels=first[1],
        latent_channels=shape_of(weights, "decoder.conv_in.weight", 4)[1],
        channels=first[0],
        multipliers=tuple(multiple(width, first[0]) for width in widths),
        blocks=counted(weights, "encoder.down.0.block.{}.conv1.weight"),
        norm_groups=stated(weights, "vae").number("norm_groups") or 32,
        quantised=before,
        dequantised=behind if behind != before else None,
        video="decoder.mid.block_1.time_stack.in_layers.2.weight" in weights,
    )


def _hunyuan(weights: Weights, residency: Residency) -> VAE:
    sizes = hunyuan_vae_sizes(weights)
    resident = resident_of(residency, "vae", weights, lambda: HunyuanVAE(sizes))
    return VAE(resident, sizes.latent_channels, sizes.downscale)


KINDS = (
    Kind(HUNYUAN_SIGN, lambda weights: weights, _hunyuan),
    Kind(SIGN, native, _wan),
    Kind("decoder.conv_in.weight", ldm_vae, _stable_diffusion),
)
"""The kinds of autoencoders that files hold, in the order in which they are tried."""
