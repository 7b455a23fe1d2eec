"""What FLUX is given beside the latent, from a conditioning's options: once a run."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from diffusion.conditioning import Entry, Options, Setting
from diffusion.families.flux.network import GUIDANCE, PATCH
from diffusion.images import resize, to_batch
from diffusion.model import Model
from diffusion.networks.backbone import Value

PIXELS = 8  # of a picture, for each place of the latent
FIRST_LAYER = "x_embedder.weight"


def flux_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """The network's inputs by name:

    - `pooled` [B, V]: the first text encoder's sentence;
    - `guidance` [B]: what distilled models and control networks are told; missing where it was taken away;
    - `channels`: pictures beside the latent, of models and control LoRAs that look at one;
    - `references`: latents whose tokens are appended, and `method`, which says where they lie;
    - `attention_mask` [B, N, N] of text and picture, and `mask_shape` of the picture's part.
    """
    options, latent = entry.options, setting.latent
    found: dict[str, Value] = {}
    if options.get("pooled_output") is not None:
        found["pooled"] = options["pooled_output"].to(latent)
    guidance = options.get("guidance", GUIDANCE)
    if guidance is not None:
        found["guidance"] = latent.new_full((len(latent),), float(guidance))
    channels = beside(options, setting)
    if channels is not None:
        found["channels"] = channels
    references = options.get("reference_latents") or []
    if references:
        into = setting.model.latent_format.into
        found["references"] = [into(each.to(latent)) for each in references]
        found["method"] = options.get("reference_latents_method", "offset")
    if options.get("attention_mask") is not None:
        found["attention_mask"] = options["attention_mask"].to(latent.device)
        found["mask_shape"] = options.get("attention_mask_img_shape", (1, 1))
    return found


def seen_channels(model: Model) -> int:
    """The channels that the network sees; a control LoRA may have widened its first layer."""
    own: int = model.sizes.in_channels
    widened = [
        getattr(patch, "columns", 0) // PATCH**2 for patch in model.weight_patches.get(FIRST_LAYER, ())
    ]
    return max([own, *widened])


def beside(options: Options, setting: Setting) -> Tensor | None:
    """The picture's latent and the mask that stand behind the noise: [B, C, H, W], or None."""
    out, channels = setting.model.sizes.out_channels, seen_channels(setting.model)
    if channels <= out:
        return None
    picture = picture_channels(options, setting)
    if channels <= 2 * out:
        return picture
    return torch.cat([picture, mask_channels(options, setting)], dim=1)


def picture_channels(options: Options, setting: Setting) -> Tensor:
    """The latent of a picture at the run's size, scaled; that of nothing where there is none."""
    latent, image = setting.latent, options.get("concat_latent_image")
    if image is None:
        image = torch.zeros_like(latent)
    image = image.to(latent)
    if image.shape[-2:] != latent.shape[-2:]:
        image = resize(image, latent.shape[-1], latent.shape[-2], "bilinear", "center")
    return to_batch(setting.model.latent_format.into(image), len(latent))


def mask_channels(options: Options, setting: Setting) -> Tensor:
    """Where to paint, in pixels: the 8 × 8 of each place of the latent as channels."""
    latent = setting.latent
    mask = options.get("concat_mask", setting.noise_mask)
    height, width = latent.shape[-2:]
    if mask is None:
        mask = latent.new_ones(len(latent), 1, height, width)
    mask = mask.to(latent)
    mask = mask.mean(dim=1, keepdim=True) if mask.ndim == 4 else mask.reshape(-1, 1, *mask.shape[-2:])
    mask = resize(mask, width * PIXELS, height * PIXELS, "bilinear", "center")
    blocks = mask.reshape(-1, height, PIXELS, width, PIXELS).permute(0, 2, 4, 1, 3)
    return to_batch(blocks.reshape(-1, PIXELS**2, height, width), len(latent))
