"""What HiDream is given beside latent, time and T5's text, from a conditioning's options: once a run."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from diffusion.conditioning import Entry, Setting
from diffusion.errors import Mismatch
from diffusion.images import resize, to_batch
from diffusion.networks.backbone import Value


def hidream_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """The network's inputs by name:

    - `llama` [B, L, T, C]: what LLaMA says of the text, layer by layer;
    - `pooled` [B, V]: the sentences of both CLIPs;
    - `channels` [B, C, H, W]: the picture that is edited, if there is one.
    """
    options, latent = entry.options, setting.latent
    llama = options.get("conditioning_llama3")
    if llama is None:
        advice = "Load its text encoders with QuadrupleCLIPLoader, or with the type hidream."
        raise Mismatch("This model needs conditioning that LLaMA 3.1 has read, and there is none.", advice)
    width = setting.model.sizes.llama
    if llama.shape[-1] != width:
        problem = f"This model reads LLaMA's text in {width} channels, not {llama.shape[-1]}."
        raise Mismatch(problem, "Load the LLaMA 3.1 that belongs to it.")
    pooled = options.get("pooled_output")
    if pooled is None:
        pooled = latent.new_zeros(len(llama), setting.model.sizes.pooled)
    found: dict[str, Value] = {"llama": llama.to(latent), "pooled": pooled.to(latent)}
    picture = options.get("concat_latent_image")
    if picture is not None:
        found["channels"] = edited(picture, setting)
    return found


def edited(picture: Tensor, setting: Setting) -> Tensor:
    """The latent of the picture that is edited, scaled, at the run's size."""
    latent = setting.latent
    picture = picture.to(latent)
    if picture.shape[-2:] != latent.shape[-2:]:
        picture = resize(picture, latent.shape[-1], latent.shape[-2], "bilinear", "center")
    return to_batch(setting.model.latent_format.into(picture), len(latent))
