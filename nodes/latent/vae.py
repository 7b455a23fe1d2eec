"""Latents to images and back; masks and pictures for painting into a picture."""

import math
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from execution.declare.node import Range, Run, Tip, node
from nodes.latent.latent import AnyLatent, with_samples
from nodes.mask.masking import resized
from nodes.sockets import Conditioning, Image, Latent, LatentValue, Mask, Vae
from nodes.text.conditioning import with_values

Autoencoder = Annotated[Vae, Tip("The VAE, usually the one of the checkpoint.")]
Pixels = Annotated[Image, Tip("The image.")]
Painted = Annotated[Mask, Tip("Where the picture is painted anew.")]
Tile = Annotated[int, Range(0, 4096, step=32), Tip("How far tiles overlap, in pixels, to hide their seams.")]
Frames = Annotated[int, Range(8, 4096, step=4), Tip("For videos: how many frames at a time.")]
FramesOverlap = Annotated[int, Range(4, 4096, step=4), Tip("For videos: how many frames overlap.")]


def present(vae: Vae | None) -> Vae:
    """The VAE.

    Raises:
        ValueError: there is none; says where to get one.
    """
    if vae is None:
        raise ValueError("input 'vae' is empty: the file it comes from holds no VAE; load one with VAELoader")
    return vae


@node("VAEDecode", category="latent")
def decode(samples: AnyLatent, vae: Autoencoder, run: Run) -> Image:
    """VAE Decode.

    Turns a latent into the image it stands for.
    """
    return present(vae).decode(samples["samples"], run.check)


@node("VAEEncode", category="latent")
def encode(pixels: Pixels, vae: Autoencoder, run: Run) -> Latent:
    """VAE Encode.

    Turns an image into a latent.
    """
    return {"samples": present(vae).encode(pixels[..., :3], run.check)}


@node("VAEDecodeTiled", category="_for_testing")
def decode_tiled(
    samples: AnyLatent,
    vae: Autoencoder,
    tile_size: Annotated[
        int, Range(64, 4096, step=32), Tip("Side of a tile in pixels; smaller needs less memory.")
    ] = 512,
    overlap: Tile = 64,
    temporal_size: Frames = 64,
    temporal_overlap: FramesOverlap = 8,
    *,
    run: Run,
) -> Image:
    """VAE Decode (Tiled).

    Turns a latent into an image piece by piece, for large pictures and little memory.
    """
    vae = present(vae)
    tile, overlap = _tile(tile_size, min(overlap, tile_size // 4), vae)
    return vae.decode_tiled(samples["samples"], tile, overlap, check=run.check)


@node("VAEEncodeTiled", category="_for_testing")
def encode_tiled(
    pixels: Pixels,
    vae: Autoencoder,
    tile_size: Annotated[
        int, Range(64, 4096, step=64), Tip("Side of a tile in pixels; smaller needs less memory.")
    ] = 512,
    overlap: Tile = 64,
    temporal_size: Frames = 64,
    temporal_overlap: FramesOverlap = 8,
    *,
    run: Run,
) -> Latent:
    """VAE Encode (Tiled).

    Turns an image into a latent piece by piece, for large pictures and little memory.
    """
    tiled = present(vae).encode_tiled(pixels[..., :3], tile_size, overlap, check=run.check)
    return {"samples": tiled}


def _tile(tile: int, overlap: int, vae: Vae) -> tuple[int, int]:
    """Tile and overlap, given in pixels, in places of the latent."""
    return tile // vae.downscale, overlap // vae.downscale


@node("SetLatentNoiseMask", category="latent/inpaint")
def set_noise_mask(samples: AnyLatent, mask: Painted) -> Latent:
    """Set Latent Noise Mask.

    Lets sampling change a latent only where the mask applies.
    """
    masked = with_samples(samples, samples["samples"])
    masked["noise_mask"] = mask.reshape(-1, 1, *mask.shape[-2:])
    return masked


@node("VAEEncodeForInpaint", category="latent/inpaint")
def encode_for_inpaint(
    pixels: Pixels,
    vae: Autoencoder,
    mask: Painted,
    grow_mask_by: Annotated[
        int, Range(0, 64, step=1), Tip("Widens the mask by so many pixels, for a softer transition.")
    ] = 6,
    *,
    run: Run,
) -> Latent:
    """VAE Encode (for Inpainting).

    Turns an image into a latent whose masked part is blank, to be painted from nothing.
    """
    vae = present(vae)
    pixels, mask = cut_to_multiple(pixels, mask, vae.downscale)
    latent = vae.encode(blanked(pixels, mask), run.check)
    return {"samples": latent, "noise_mask": widened(mask, grow_mask_by).round()}


class Inpainting(NamedTuple):
    """Conditionings that carry the picture around the mask, and the latent to start from."""

    positive: Conditioning
    negative: Conditioning
    latent: Latent


@node("InpaintModelConditioning", category="conditioning/inpaint")
def inpaint_model_conditioning(
    positive: Annotated[Conditioning, Tip("What to go towards.")],
    negative: Annotated[Conditioning, Tip("What to go away from.")],
    vae: Autoencoder,
    pixels: Pixels,
    mask: Painted,
    noise_mask: Annotated[bool, Tip("Also keep what lies outside the mask as it is.")] = True,
    *,
    run: Run,
) -> Inpainting:
    """InpaintModelConditioning.

    Shows an inpainting model the picture around the mask.
    """
    vae = present(vae)
    pixels, mask = cut_to_multiple(pixels, mask, vae.downscale)
    around = {"concat_latent_image": vae.encode(blanked(pixels, mask), run.check), "concat_mask": mask}
    latent: LatentValue = {"samples": vae.encode(pixels, run.check)}
    if noise_mask:
        latent["noise_mask"] = mask
    return Inpainting(with_values(positive, **around), with_values(negative, **around), latent)


def cut_to_multiple(pixels: Tensor, mask: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """An image (B×H×W×3) and its mask (B×1×H×W), both cut evenly to whole multiples of `step`."""
    height, width = (side // step * step for side in pixels.shape[1:3])
    top, left = ((side % step) // 2 for side in pixels.shape[1:3])
    mask = resized(mask, pixels.shape[1], pixels.shape[2])[:, None]
    rows, columns = slice(top, top + height), slice(left, left + width)
    return pixels[:, rows, columns, :3], mask[..., rows, columns]


def blanked(pixels: Tensor, mask: Tensor) -> Tensor:
    """The image with middle grey where the mask (B×1×H×W) is more than one half."""
    kept = 1.0 - mask.round().movedim(1, -1)
    return (pixels - 0.5) * kept + 0.5


def widened(mask: Tensor, size: int) -> Tensor:
    """The rounded mask (B×1×H×W), widened to every pixel within a square of `size`."""
    if not size:
        return mask
    height, width = mask.shape[-2:]
    margin = math.ceil((size - 1) / 2)
    reach = F.conv2d(mask.round(), torch.ones(1, 1, size, size), padding=margin).clamp(0, 1)
    return reach[..., :height, :width]
