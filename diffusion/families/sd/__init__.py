"""Stable Diffusion and its kin: all models on the UNet of latent diffusion, told by the sizes of that.

SD 1.x and 2.x, unCLIP, the x4 upscaler, SDXL with its refiner and what was distilled from it, and the models
that set a picture in motion or turn it. Any width, depth or number of heads of one is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from diffusion.families.sd.inputs import (
    clip_vector,
    noise_vector,
    picture_vector,
    posed_turn_vector,
    sdxl_refiner_vector,
    sdxl_vector,
    turn_vector,
    turning_inputs,
    unet_inputs,
)
from diffusion.families.sd.pictures import CAMERA, UPSCALER_BETAS
from diffusion.families.sd.unclip import DEVIATION, MEAN
from diffusion.family import Defaults, Family, TextPlaces, Trait, having
from diffusion.latents.latent_format import SD1, SDXL, UPSCALER_X4
from diffusion.networks.unet import POINTS, UNet, UNetSizes
from diffusion.networks.unet_names import ldm_unet
from diffusion.networks.unet_sizes import unet_sizes
from diffusion.noise.clocks import scaled_linear_sigmas
from diffusion.noise.prediction import EPS, Prediction, Target, V, continuous_edm, discrete, stable_diffusion
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import stated

VIDEO_SIGMAS = (0.002, 700.0)  # Blattmann et al. 2023, 2311.15127, appendix D.3, as the models are published
MARKERS = ("v_pred", "ztsnr", MEAN, DEVIATION, *CAMERA)  # tensors beside a UNet that belong to it

STATED: Mapping[str, Target] = {"eps": EPS, "epsilon": EPS, "v": V, "v_prediction": V}
"""What a file's metadata may say that it predicts."""


# What the sizes of each have in common


def _plain_or_inpainting(sizes: UNetSizes) -> bool:
    return sizes.in_channels in (4, 8, 9) and sizes.out_channels == 4


def _channels(inputs: int) -> Callable[[UNetSizes], bool]:
    return lambda sizes: (sizes.in_channels, sizes.out_channels) == (inputs, 4)


def _vector(*widths: int) -> Callable[[UNetSizes], bool]:
    return lambda sizes: sizes.vector in widths


INPUTS = Trait("4 input channels (8 with an image to edit, 9 for inpainting), 4 out", _plain_or_inpainting)
NO_VECTOR = Trait("no vector input", lambda sizes: sizes.vector is None and sizes.classes is None)
CLASSES = Trait(
    "classes (levels of noise in the picture to enlarge)", lambda sizes: sizes.classes is not None
)
NO_PLAIN_VECTOR = Trait("no vector input", lambda sizes: sizes.vector is None)
WITH_PICTURE = Trait("7 input channels (4 of the latent, 3 of a small picture), 4 out", _channels(7))
VIDEO = Trait("layers that join the frames of a clip", lambda sizes: sizes.video)
WITH_IMAGE = Trait("8 input channels (4 of the latent, 4 of a picture), 4 out", _channels(8))
CLIP = (VIDEO, WITH_IMAGE)
MOTION_VECTOR = Trait("a vector of 768: rate, motion and noise", _vector(768))
ORBIT_VECTOR = Trait("a vector of 256: noise", _vector(256))
POSED_VECTOR = Trait("a vector of 1280: noise, and where the camera is", _vector(1280))
CONVOLUTIONS = Trait("convolutions around its transformers", lambda sizes: not sizes.linear_projections)
LINEAR = Trait("linear layers around its transformers", lambda sizes: sizes.linear_projections)
BASE_VECTOR = Trait("a vector of 2816: pooled text and six sizes", _vector(2816))
REFINER_VECTOR = Trait("a vector of 2560: pooled text and five sizes", _vector(2560))
PICTURE_VECTOR = Trait("a vector of 1536 or 2048: a picture and its noise", _vector(1536, 2048))
XL = (INPUTS, BASE_VECTOR, LINEAR)
BARE_MIDDLE = Trait("a middle block without attention", lambda sizes: sizes.middle_depth == 0)
ONE_BLOCK = Trait("one block a level", lambda sizes: set(sizes.blocks) == {1})


# What each predicts


Usual = Callable[[Weights, UNetSizes], Target]


def _eps(weights: Weights, sizes: UNetSizes) -> Target:
    return EPS


def _v(weights: Weights, sizes: UNetSizes) -> Target:
    return V


def _sd2_target(weights: Weights, sizes: UNetSizes) -> Target:
    """SD 2.x comes in both kinds with the same shapes; trained for v, the last norm's biases grow large."""
    bias = f"output_blocks.{len(sizes.output_depths) - 1}.1.transformer_blocks.0.norm1.bias"
    large = bias in weights and weights.tensor(bias).float().std(unbiased=False).item() > 0.09
    return V if large and sizes.in_channels == 4 else EPS


def _marked_target(weights: Weights, sizes: UNetSizes) -> Target:
    return V if "v_pred" in weights else EPS


def _target(usual: Usual, weights: Weights, sizes: UNetSizes) -> Target:
    """What the metadata says, else what is usual."""
    said = weights.metadata.get("nodeloom.prediction") or weights.metadata.get(
        "modelspec.prediction_type", ""
    )
    return STATED.get(said) or usual(weights, sizes)


def stepwise(usual: Usual, weights: Weights, sizes: UNetSizes) -> Prediction:
    """On Stable Diffusion's thousand levels, down to no signal at all where the file says so."""
    zero_snr = "ztsnr" in weights or stated(weights, "unet").text("zero_snr", "") == "true"
    return stable_diffusion(_target(usual, weights, sizes), zero_snr=zero_snr)


def continuous(weights: Weights, sizes: UNetSizes) -> Prediction:
    """v on EDM's clock, as models of clips are trained."""
    return continuous_edm(_target(_v, weights, sizes), *VIDEO_SIGMAS)


def enlarging(weights: Weights, sizes: UNetSizes) -> Prediction:
    """v on the upscaler's own levels."""
    return discrete(_target(_v, weights, sizes), scaled_linear_sigmas(*UPSCALER_BETAS))


SMALL, MIDDLE, LARGE = Defaults(), Defaults(768, 768), Defaults(1024, 1024)
MOVING = Defaults(1024, 576, frames=14, scale=2.5, scheduler="karras")
ORBIT = Defaults(576, 576, frames=21, scale=4.0, scheduler="karras")

unet = partial(
    Family,
    signs=(having("input_blocks.0.0.weight"),),
    sizes=unet_sizes,
    network=UNet,
    dialects=(ldm_unet,),
    beside=MARKERS,
    latent=SD1,
    text=TextPlaces(),
    text_width=lambda sizes: sizes.context,
    inputs=unet_inputs(),
    points=POINTS,
    repeats_text=True,
    channels_last=True,
    prediction=partial(stepwise, _eps),
)
sdxl = partial(
    unet,
    latent=SDXL,
    prediction=partial(stepwise, _marked_target),
    inputs=unet_inputs(sdxl_vector),
    defaults=LARGE,
)
clip = partial(unet, prediction=continuous, text=None)

FAMILIES: tuple[Family, ...] = (
    unet(
        "zero123",
        "Stable Zero123",
        signs=(having("input_blocks.0.0.weight"), having(CAMERA[0])),
        traits=(WITH_IMAGE, NO_VECTOR, CONVOLUTIONS),
        text=None,
        inputs=turning_inputs,
        defaults=Defaults(256, 256, scale=4.0),
    ),
    unet("sd1", "Stable Diffusion 1.x", traits=(INPUTS, NO_VECTOR, CONVOLUTIONS), defaults=SMALL),
    unet(
        "sd2",
        "Stable Diffusion 2.x",
        traits=(INPUTS, NO_VECTOR, LINEAR),
        prediction=partial(stepwise, _sd2_target),
        defaults=MIDDLE,
    ),
    unet(
        "unclip",
        "SD 2.1 unCLIP",
        traits=(INPUTS, PICTURE_VECTOR, LINEAR),
        prediction=partial(stepwise, _v),
        inputs=unet_inputs(picture_vector),
        defaults=MIDDLE,
    ),
    # Distilled from SDXL by leaving blocks out: arXiv 2401.02677 (Segmind), arXiv 2312.04005 (KOALA).
    sdxl("segmind", "SSD-1B or Segmind Vega", traits=(*XL, BARE_MIDDLE)),
    sdxl("koala", "KOALA", traits=(*XL, ONE_BLOCK)),
    sdxl("sdxl", "Stable Diffusion XL", traits=XL),
    sdxl(
        "sdxl_refiner",
        "SDXL refiner",
        traits=(INPUTS, REFINER_VECTOR, LINEAR),
        prediction=partial(stepwise, _eps),
        inputs=unet_inputs(sdxl_refiner_vector),
    ),
    unet(
        "upscaler_x4",
        "Stable Diffusion x4 upscaler",
        traits=(WITH_PICTURE, NO_PLAIN_VECTOR, CLASSES),
        latent=UPSCALER_X4,
        prediction=enlarging,
        inputs=unet_inputs(noise_vector, ("low_resolution",)),
    ),
    clip(
        "svd",
        "Stable Video Diffusion",
        traits=(*CLIP, MOTION_VECTOR),
        inputs=unet_inputs(clip_vector),
        defaults=MOVING,
    ),
    clip(
        "sv3d_u",
        "Stable Video 3D",
        traits=(*CLIP, ORBIT_VECTOR),
        inputs=unet_inputs(turn_vector),
        defaults=ORBIT,
    ),
    clip(
        "sv3d_p",
        "Stable Video 3D, with camera",
        traits=(*CLIP, POSED_VECTOR),
        inputs=unet_inputs(posed_turn_vector),
        defaults=ORBIT,
    ),
)
