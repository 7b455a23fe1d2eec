"""What models that start from a picture are given beside the latent: noised pictures, facts as vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.images import like, to_batch
from diffusion.networks.blocks import timestep_embedding
from diffusion.noise.clocks import scaled_linear_sigmas
from diffusion.weights.entries import Entry, Weights

Options = Mapping[str, Any]

# The x4 upscaler's, as published with it.
UPSCALER_BETAS = (0.0001, 0.02)
MOST_NOISE = 350  # of 1000 levels, to which its picture is noised at a noise augmentation of 1
AWAY_FROM_SEED = 10  # the picture's noise is drawn from a seed so far below the run's


def noise_level(options: Options) -> Tensor:
    """The class an upscaler is told: how much its small picture was noised. [1]"""
    return torch.tensor([round(MOST_NOISE * float(options.get("noise_augmentation", 0.0)))])


def low_resolution(options: Options, latent: Tensor, seed: int) -> Tensor:
    """The small picture [B, 3, H, W], −1…1, that an upscaler sees beside a latent of the same size."""
    picture = options.get("concat_image")
    if picture is None:
        return torch.zeros_like(latent[:, :3])
    if picture.shape[-2:] != latent.shape[-2:]:
        picture = like(picture, latent, repeat=False)
    picture = picture.to(latent)
    level = int(noise_level(options))
    if options.get("noise_augmentation", 0.0) > 0:
        sigma = scaled_linear_sigmas(*UPSCALER_BETAS)[level].item()
        generator = torch.Generator().manual_seed((seed - AWAY_FROM_SEED) % 2**64)
        noise = torch.randn(picture.shape, generator=generator).to(picture)
        picture = (picture + sigma * noise) / (1 + sigma**2) ** 0.5
    return like(picture, latent[:, :3])


CAMERA = ("cc_projection.weight", "cc_projection.bias")
NUMBER_WIDTH = 256  # of the embedding of one number
ANGLE_WIDTH = 512  # of the embedding of an angle


def video_vector(options: Options) -> Tensor:
    """What Stable Video Diffusion is told: frames a second less one, motion, the picture's noise. [1, 768]"""
    facts = (
        options.get("fps", 6) - 1,
        options.get("motion_bucket_id", 127),
        options.get("augmentation_level", 0.0),
    )
    return timestep_embedding(torch.tensor(facts, dtype=torch.float32), NUMBER_WIDTH).flatten()[None]


def orbit_vector(options: Options) -> Tensor:
    """What the Stable Video 3D of a fixed orbit is told: the picture's noise. [1, 256]"""
    noise = float(options.get("augmentation_level", 0.0))
    return timestep_embedding(torch.tensor([noise]), NUMBER_WIDTH)


def posed_orbit_vector(options: Options) -> Tensor:
    """What the other Stable Video 3D is told: the noise, and where the camera is by frame. [T, 1280]

    Voleti et al. 2024, https://arxiv.org/abs/2403.12008. Angles are in degrees.
    """
    elevation, azimuth = (
        torch.tensor(options.get(name, 0.0), dtype=torch.float32).reshape(-1)
        for name in ("elevation", "azimuth")
    )
    angles = [
        timestep_embedding(angle.fmod(360.0).deg2rad(), ANGLE_WIDTH) for angle in (90.0 - elevation, azimuth)
    ]
    frames = max(map(len, angles))
    return torch.cat([to_batch(part, frames) for part in (orbit_vector(options), *angles)], dim=1)


@dataclass(frozen=True, eq=False)
class CameraProjection:
    """How Zero123 joins what it sees of a picture and where the camera goes into one embedding.

    Liu et al. 2023, https://arxiv.org/abs/2303.11328.
    """

    weight: Entry
    bias: Entry

    def __call__(self, embedding: Tensor) -> Tensor:
        """[…, P + 4] → […, P]; an embedding without a camera is left as it is."""
        if embedding.shape[-1] != self.weight.shape[1]:
            return embedding
        return F.linear(embedding.float(), self.weight.read().float(), self.bias.read().float())


def camera_projection(unet: Weights) -> CameraProjection | None:
    """The projection beside a UNet, None if there is none."""
    weight, bias = (unet.get(name) for name in CAMERA)
    return CameraProjection(weight, bias) if weight is not None and bias is not None else None


def camera_position(elevation: float, azimuth: float) -> Tensor:
    """Zero123's four numbers for a camera moved from the picture's, seen level; angles in degrees. [4]"""
    up, around = math.radians(elevation), math.radians(azimuth)
    return torch.tensor([-up, math.sin(around), math.cos(around), math.pi / 2])
