"""The families of models, as a table from what a file's tensors look like to what they are.

A family is told by traits of its UNet's sizes, never by the file's name, and any width, depth or number of
heads of a family is the same family. A new model is a new row. What fits no row ends in an error that lists
the nearest rows and what each of them misses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from diffusion.errors import FileProblem, UnknownModel
from diffusion.families.layouts import ldm_unet
from diffusion.families.picture_conditions import CAMERA
from diffusion.families.shapes import Unlike, stated, unet_sizes
from diffusion.families.unclip import DEVIATION, MEAN
from diffusion.latents.latent_format import SD1, SDXL, UPSCALER_X4, LatentFormat, stated_colours
from diffusion.networks.unet import UNetSizes
from diffusion.weights.files import Weights

PredictionName = Literal["eps", "v"]
VectorName = Literal["sdxl", "sdxl_refiner", "noise_level", "unclip", "video", "orbit", "orbit_posed"]
ClockName = Literal["stable_diffusion", "upscaler", "video"]

MARKERS = ("v_pred", "ztsnr", MEAN, DEVIATION, *CAMERA)  # tensors beside a UNet that belong to it
UNET_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "")


@dataclass(frozen=True)
class Trait:
    """Something a family's UNet has, in words and as a test."""

    words: str
    holds: Callable[[UNetSizes], bool]


@dataclass(frozen=True)
class Family:
    """A row of the table. `vector` says how pooled text and sizes become the UNet's y.

    `concat` names what is laid behind the latent, where the number of input channels does not say it;
    `beside` a tensor that stands beside the UNet.
    """

    name: str
    title: str
    traits: tuple[Trait, ...]
    latent: LatentFormat
    vector: VectorName | None = None
    prediction: Callable[[Weights, UNetSizes], PredictionName] = lambda weights, sizes: "eps"
    clock: ClockName = "stable_diffusion"
    concat: tuple[str, ...] | None = None
    beside: str | None = None


@dataclass(frozen=True)
class Architecture:
    """What a UNet file is: its family, its sizes, what it predicts, what else it is fed with.

    `concat` names what is laid behind the latent as further input channels, in this order.
    """

    family: str
    title: str
    unet: UNetSizes
    prediction: PredictionName
    latent: LatentFormat
    vector: VectorName | None
    concat: tuple[str, ...]
    zero_snr: bool = False
    clock: ClockName = "stable_diffusion"


def _plain_or_inpainting(sizes: UNetSizes) -> bool:
    return sizes.in_channels in CONCAT and sizes.out_channels == 4


CONCAT: Mapping[int, tuple[str, ...]] = {4: (), 8: ("image",), 9: ("mask", "masked_image")}

INPUTS = Trait("4 input channels (8 with an image to edit, 9 for inpainting), 4 out", _plain_or_inpainting)
NO_VECTOR = Trait("no vector input", lambda sizes: sizes.vector is None and sizes.classes is None)
CLASSES = Trait(
    "classes (levels of noise in the picture to enlarge)", lambda sizes: sizes.classes is not None
)
NO_PLAIN_VECTOR = Trait("no vector input", lambda sizes: sizes.vector is None)
WITH_PICTURE = Trait(
    "7 input channels (4 of the latent, 3 of a small picture), 4 out",
    lambda sizes: (sizes.in_channels, sizes.out_channels) == (7, 4),
)
VIDEO = Trait("layers that join the frames of a clip", lambda sizes: sizes.video)
WITH_IMAGE = Trait(
    "8 input channels (4 of the latent, 4 of a picture), 4 out",
    lambda sizes: (sizes.in_channels, sizes.out_channels) == (8, 4),
)
CLIP = (VIDEO, WITH_IMAGE)
MOTION_VECTOR = Trait("a vector of 768: rate, motion and noise", lambda sizes: sizes.vector == 768)
ORBIT_VECTOR = Trait("a vector of 256: noise", lambda sizes: sizes.vector == 256)
POSED_VECTOR = Trait("a vector of 1280: noise, and where the camera is", lambda sizes: sizes.vector == 1280)
CONVOLUTIONS = Trait("convolutions around its transformers", lambda sizes: not sizes.linear_projections)
LINEAR = Trait("linear layers around its transformers", lambda sizes: sizes.linear_projections)
BASE_VECTOR = Trait("a vector of 2816: pooled text and six sizes", lambda sizes: sizes.vector == 2816)
REFINER_VECTOR = Trait("a vector of 2560: pooled text and five sizes", lambda sizes: sizes.vector == 2560)
PICTURE_VECTOR = Trait(
    "a vector of 1536 or 2048: a picture and its noise", lambda sizes: sizes.vector in (1536, 2048)
)
XL = (INPUTS, BASE_VECTOR, LINEAR)
BARE_MIDDLE = Trait("a middle block without attention", lambda sizes: sizes.middle_depth == 0)
ONE_BLOCK = Trait("one block a level", lambda sizes: set(sizes.blocks) == {1})


def _sd2_prediction(weights: Weights, sizes: UNetSizes) -> PredictionName:
    """SD 2.x comes in both kinds with the same shapes; trained for v, the last norm's biases grow large."""
    bias = f"output_blocks.{len(sizes.output_depths) - 1}.1.transformer_blocks.0.norm1.bias"
    large = bias in weights and weights.tensor(bias).float().std(unbiased=False).item() > 0.09
    return "v" if large and sizes.in_channels == 4 else "eps"


def _always_v(weights: Weights, sizes: UNetSizes) -> PredictionName:
    return "v"


def _sdxl_prediction(weights: Weights, sizes: UNetSizes) -> PredictionName:
    return "v" if "v_pred" in weights else "eps"


FAMILIES: tuple[Family, ...] = (
    Family("zero123", "Stable Zero123", (WITH_IMAGE, NO_VECTOR, CONVOLUTIONS), SD1, beside=CAMERA[0]),
    Family("sd1", "Stable Diffusion 1.x", (INPUTS, NO_VECTOR, CONVOLUTIONS), SD1),
    Family("sd2", "Stable Diffusion 2.x", (INPUTS, NO_VECTOR, LINEAR), SD1, prediction=_sd2_prediction),
    Family("unclip", "SD 2.1 unCLIP", (INPUTS, PICTURE_VECTOR, LINEAR), SD1, "unclip", _always_v),
    # Distilled from SDXL by leaving blocks out: arXiv 2401.02677 (Segmind), arXiv 2312.04005 (KOALA).
    Family("segmind", "SSD-1B or Segmind Vega", (*XL, BARE_MIDDLE), SDXL, "sdxl", _sdxl_prediction),
    Family("koala", "KOALA", (*XL, ONE_BLOCK), SDXL, "sdxl", _sdxl_prediction),
    Family("sdxl", "Stable Diffusion XL", XL, SDXL, "sdxl", _sdxl_prediction),
    Family("sdxl_refiner", "SDXL refiner", (INPUTS, REFINER_VECTOR, LINEAR), SDXL, "sdxl_refiner"),
    Family(
        "upscaler_x4",
        "Stable Diffusion x4 upscaler",
        (WITH_PICTURE, NO_PLAIN_VECTOR, CLASSES),
        UPSCALER_X4,
        "noise_level",
        _always_v,
        "upscaler",
        ("low_resolution",),
    ),
    Family("svd", "Stable Video Diffusion", (*CLIP, MOTION_VECTOR), SD1, "video", _always_v, "video"),
    Family("sv3d_u", "Stable Video 3D", (*CLIP, ORBIT_VECTOR), SD1, "orbit", _always_v, "video"),
    Family("sv3d_p", "Stable Video 3D", (*CLIP, POSED_VECTOR), SD1, "orbit_posed", _always_v, "video"),
)

# Signs of files that are something else: part of a name, and what to say about it.
OTHERS: tuple[tuple[str, str, str], ...] = (
    ("lora_unet_", "a LoRA", "Load it with a LoRA loader, on top of a checkpoint."),
    (".lora_A.", "a LoRA", "Load it with a LoRA loader, on top of a checkpoint."),
    ("lora_te", "a LoRA", "Load it with a LoRA loader, on top of a checkpoint."),
    ("control_model.", "a ControlNet", "Load it with a ControlNet loader."),
    ("controlnet_cond_embedding.", "a ControlNet", "Load it with a ControlNet loader."),
    ("double_blocks.", "Flux", "This family is not supported yet."),
    ("joint_blocks.", "Stable Diffusion 3", "This family is not supported yet."),
    ("emb_params", "a textual-inversion embedding", "Name it in the text as embedding:NAME."),
    ("string_to_param", "a textual-inversion embedding", "Name it in the text as embedding:NAME."),
    ("body.0.rdb1.", "an upscaler", "Load it with the upscale model loader."),
    ("vision_model.", "a CLIP vision model", "Load it with the CLIP vision loader."),
)


def unet_part(weights: Weights) -> Weights | None:
    """The UNet's tensors in a file, under its own names; None if it has no UNet."""
    for prefix in UNET_PREFIXES:
        inner = ldm_unet(weights.under(prefix))
        if "input_blocks.0.0.weight" in inner:
            extra = {name: weights[name] for name in MARKERS if name in weights}
            return inner.having({**inner, **extra})
    return None


def architecture(unet: Weights) -> Architecture:
    """What a UNet is. UnknownModel lists the nearest families and what they miss."""
    try:
        sizes = unet_sizes(unet)
    except Unlike as error:
        raise unknown(unet, f"Its UNet cannot be read: {error}.") from None
    for family in FAMILIES:
        marked = family.beside is None or family.beside in unet
        if marked and all(trait.holds(sizes) for trait in family.traits):
            return _described(family, unet, sizes)
    raise UnknownModel(unet.path, "Its UNet fits no known family:", nearest(sizes), _advice(unet))


def unknown(weights: Weights, found: str) -> UnknownModel:
    """The error for a file in which something else than a model of the table was found."""
    titles = ", ".join(family.title for family in FAMILIES)
    names = [f"known: {titles}"] if not _other(weights) else []
    return UnknownModel(weights.path, found, names, _advice(weights))


def nearest(sizes: UNetSizes) -> list[str]:
    """The families that come closest, each with what is missing to be one of them."""
    rows = []
    for family in FAMILIES:
        missing = [trait.words for trait in family.traits if not trait.holds(sizes)]
        rows.append((len(missing), f"{family.title}: it has not {'; '.join(missing)}"))
    fewest = min(number for number, _ in rows)
    return [line for number, line in rows if number == fewest]


def _described(family: Family, unet: Weights, sizes: UNetSizes) -> Architecture:
    said = unet.metadata.get("nodeloom.prediction") or unet.metadata.get("modelspec.prediction_type", "")
    named: Mapping[str, PredictionName] = {"eps": "eps", "epsilon": "eps", "v": "v", "v_prediction": "v"}
    prediction = named.get(said) or family.prediction(unet, sizes)
    latent = _latent(family, unet)
    concat = CONCAT[sizes.in_channels] if family.concat is None else family.concat
    zero_snr = "ztsnr" in unet or stated(unet, "unet").text("zero_snr", "") == "true"
    return Architecture(
        family.name,
        family.title,
        sizes,
        prediction,
        latent,
        family.vector,
        concat,
        zero_snr,
        family.clock,
    )


def _latent(family: Family, unet: Weights) -> LatentFormat:
    """The family's latents, in the colours the file states for them if it does."""
    text = unet.metadata.get("nodeloom.latent.rgb")
    if text is None:
        return family.latent
    try:
        return stated_colours(family.latent, text)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise FileProblem(unet.path, f"Its metadata says nodeloom.latent.rgb wrongly: {error}") from None


def _other(weights: Weights) -> tuple[str, str] | None:
    for sign, name, advice in OTHERS:
        if any(sign in key for key in weights):
            return name, advice
    return None


def _advice(weights: Weights) -> str:
    other = _other(weights)
    return f"It looks like {other[0]}. {other[1]}" if other else "Choose another file."
