"""Painting into pictures: maps of change, instructions, and pieces cut out and pasted back."""

from typing import Annotated, NamedTuple

import torch

from diffusion.patches.differential import differential
from execution.declare.node import Range, Run, Socket, Spare, Tip, node
from nodes.image import cropping
from nodes.latent.vae import Autoencoder, Inpainting, Painted, Pixels, cut_to_multiple
from nodes.latent.vae import present as present_vae
from nodes.mask.masking import grow, resized
from nodes.sample.sampling import Negative, Positive, SomeModel, present
from nodes.sockets import Image, LatentValue, Mask, Model, Picture
from nodes.text.conditioning import with_values

Stitch = Annotated[cropping.Stitch, Socket("STITCH")]
Side = Annotated[int, Range(64, 8192, step=8)]


@node("DifferentialDiffusion", category="_for_testing", experimental=True)
def differential_diffusion(
    model: SomeModel,
    strength: Annotated[
        float,
        Range(0.0, 1.0, step=0.01),
        Spare(),
        Tip("The lower, the more it is a plain mask; but 0 counts as 1, as in ComfyUI."),
    ] = 1.0,
) -> Model:
    """Differential Diffusion.

    Reads noise masks as maps of change: the brighter a place, the earlier it may change.
    """
    return differential(present(model), strength)


@node("InstructPixToPixConditioning", category="conditioning/instructpix2pix", display_name=None)
def instruct_pix_to_pix(
    positive: Positive, negative: Negative, vae: Autoencoder, pixels: Pixels, run: Run
) -> Inpainting:
    """InstructPix2Pix.

    Shows a model that edits by instruction (InstructPix2Pix) the picture to edit. For two scales, give
    DualCFGGuider these two and, as the third, the negative from before this node.
    """
    vae = present_vae(vae)
    pixels, _ = cut_to_multiple(pixels, torch.zeros(1, 1, 1), vae.downscale)
    seen = vae.encode(pixels, run.check)
    shown = {"concat_latent_image": seen}
    latent: LatentValue = {"samples": torch.zeros_like(seen)}
    return Inpainting(with_values(positive, **shown), with_values(negative, **shown), latent)


class Piece(NamedTuple):
    """What was cut out, and how it returns."""

    stitch: Stitch
    image: Image
    mask: Mask


@node("CropAroundMask", category="inpaint")
def crop_around_mask(
    image: Picture,
    mask: Painted,
    width: Annotated[Side, Tip("Of the piece as it is painted, in pixels.")] = 512,
    height: Annotated[Side, Tip("Of the piece as it is painted, in pixels.")] = 512,
    context: Annotated[
        float, Range(1.0, 8.0, step=0.05), Tip("How much of the surroundings the model sees, as a factor.")
    ] = 1.5,
    grow_mask_by: Annotated[int, Range(0, 512, step=1), Tip("Widens the mask by so many pixels.")] = 0,
    blend: Annotated[
        int, Range(0, 256, step=1), Tip("Over how many pixels around the mask old and new mix.")
    ] = 16,
) -> Piece:
    """Crop Around Mask.

    Cuts out the part of a picture around a mask, at the size a model paints best. Paint into the piece, then
    put it back with Stitch Back.
    """
    mask = grow(resized(mask, *image.shape[1:3]), grow_mask_by)
    return Piece(*cropping.cut_out(image, mask, (height, width), context, blend))


@node("StitchBack", category="inpaint")
def stitch_back(
    stitch: Annotated[Stitch, Tip("From Crop Around Mask.")],
    image: Annotated[Image, Tip("The painted piece, or several versions of it.")],
) -> Image:
    """Stitch Back.

    Pastes a painted piece into its picture without a seam; what lies outside the mask stays as it was.
    """
    return cropping.paste_back(stitch, image)
