"""What the UNets of Stable Diffusion's kin are given beside latent, time and text.

The vector y of pooled text, sizes or facts, and further input channels: masks, pictures around them, pictures
to edit or to enlarge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from diffusion.conditioning import Entry, Options, Setting
from diffusion.errors import Mismatch
from diffusion.families.sd.pictures import (
    camera_projection,
    low_resolution,
    noise_level,
    orbit_vector,
    posed_orbit_vector,
    video_vector,
)
from diffusion.families.sd.unclip import image_noise, unclip_vector
from diffusion.family import Inputs
from diffusion.images import like
from diffusion.networks.backbone import Value
from diffusion.networks.blocks import timestep_embedding

Vector = Callable[[Entry, str, Setting], Tensor]
Channels = Callable[[Options, Setting], Tensor]

SIZE_WIDTH = 256  # of the sinusoidal embedding of one number
GREY = (0.8223, -0.6876, 0.6364, 0.1380)  # SD 1.x's scaled latent of a mid-grey picture
BEYOND_LATENT: Mapping[int, tuple[str, ...]] = {4: (), 8: ("image",), 9: ("mask", "masked_image")}
"""Input channels of a network → what is laid behind the latent, in this order."""


def unet_inputs(vector: Vector | None = None, channels: Sequence[str] | None = None) -> Inputs:
    """The inputs of a UNet with this vector y and these channels; None: those its input channels tell."""

    def given(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
        found: dict[str, Value] = {}
        if vector is not None:
            found["y"] = vector(entry, name, setting)
        laid = BEYOND_LATENT[setting.model.sizes.in_channels] if channels is None else channels
        if laid:
            found["channels"] = torch.cat([CHANNELS[each](entry.options, setting) for each in laid], dim=1)
        return found

    return given


def turning_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """Zero123's: the picture, and what it sees of it with where the camera goes as one embedding."""
    camera = camera_projection(setting.model.backbone.weights)
    found = dict(unet_inputs()(entry, name, setting))
    return {**found, "context": camera(entry.embedding)} if camera else found


# The vector y


def sdxl_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """Podell et al. 2023, section 2.2: pooled text, then the original size, the crop and the target size."""
    size = _sizes(entry.options, setting)
    numbers = (*size, entry.options.get("target_height", size[0]), entry.options.get("target_width", size[1]))
    return _with_numbers(entry, numbers)


def sdxl_refiner_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """The refiner's: pooled text, the original size, the crop and an aesthetic score."""
    score = entry.options.get("aesthetic_score", 2.5 if name == "negative" else 6.0)
    return _with_numbers(entry, (*_sizes(entry.options, setting), score))


def picture_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """unCLIP's: the embeddings of pictures, noised as the file says."""
    noise = image_noise(setting.model.backbone.weights, setting.model.sizes.vector)
    return unclip_vector(entry.options, noise, setting.seed)


def noise_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """The upscaler's: the level of noise in its small picture."""
    return noise_level(entry.options)


def clip_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """Stable Video Diffusion's: rate, motion and noise."""
    return video_vector(entry.options)


def turn_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """The noise of the picture an orbit begins with."""
    return orbit_vector(entry.options)


def posed_turn_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """The same, and where the camera is in each frame."""
    return posed_orbit_vector(entry.options)


def _sizes(options: Options, setting: Setting) -> tuple[float, float, float, float]:
    """Height, width, top and left of the crop, in pixels of the picture."""
    scale = setting.model.latent_format.downscale
    height, width = (side * scale for side in setting.latent.shape[-2:])
    return (
        options.get("height", height),
        options.get("width", width),
        options.get("crop_h", 0),
        options.get("crop_w", 0),
    )


def _with_numbers(entry: Entry, numbers: Sequence[float]) -> Tensor:
    embedded = timestep_embedding(torch.tensor(numbers, dtype=torch.float32), SIZE_WIDTH).flatten()
    pooled = entry.options.get("pooled_output")
    if pooled is None:
        advice = "Encode the text with the text encoder of the same checkpoint."
        raise Mismatch("This model needs conditioning with pooled text, and there is none.", advice)
    pooled = pooled.float()
    return torch.cat([pooled, embedded.to(pooled).expand(len(pooled), -1)], dim=1)


# Extra input channels


def mask_channel(options: Options, setting: Setting) -> Tensor:
    """Where an inpainting model paints: 1, elsewhere 0; everywhere if nothing says. [B, 1, H, W]"""
    mask = options.get("concat_mask", setting.noise_mask)
    if mask is None:
        return setting.latent.new_ones(setting.latent.shape[0], 1, *setting.latent.shape[-2:])
    mask = mask.to(setting.latent).reshape(-1, 1, *mask.shape[-2:])
    return like(mask, setting.latent[:, :1]).round()


def masked_image_channels(options: Options, setting: Setting) -> Tensor:
    """The picture around the mask, as a scaled latent. [B, C, H, W]"""
    picture = options.get("concat_latent_image")
    if picture is not None:
        return like(setting.model.latent_format.into(picture.to(setting.latent)), setting.latent)
    if "concat_mask" in options or setting.noise_mask is not None:
        return setting.latent
    grey = setting.latent.new_tensor(GREY).view(1, -1, 1, 1)
    return grey.expand_as(setting.latent)


def image_channels(options: Options, setting: Setting) -> Tensor:
    """The picture an instruction edits (InstructPix2Pix), as an unscaled latent. [B, C, H, W]"""
    picture = options.get("concat_latent_image")
    if picture is None:
        return torch.zeros_like(setting.latent)
    return like(picture.to(setting.latent), setting.latent)


def small_picture_channels(options: Options, setting: Setting) -> Tensor:
    """The small picture that an upscaler enlarges. [B, 3, H, W]"""
    return low_resolution(options, setting.latent, setting.seed)


CHANNELS: Mapping[str, Channels] = {
    "mask": mask_channel,
    "masked_image": masked_image_channels,
    "image": image_channels,
    "low_resolution": small_picture_channels,
}
