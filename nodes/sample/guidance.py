"""Models guided otherwise: in a better direction, to another size, away from blurred or changed estimates."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from diffusion.guidance import directions, sizes
from diffusion.guidance import skip_layers as skip_layers_of
from diffusion.guidance.estimates import spread_kept
from diffusion.guidance.self_attention import self_attention_guidance
from diffusion.model import Model as DiffusionModel
from execution.declare.node import Options, Output, Range, Tip, node
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import LatentOperation, Model

log = logging.getLogger(__name__)

PatchedModel = Annotated[Model, Output("patched_model")]
Layers = Annotated[
    str, Options(multiline=False), Tip("Numbers of layers; only transformer models have them.")
]
LayersOfBoth = Annotated[
    str,
    Options(multiline=False),
    Tip("Numbers of layers for text and picture together; only transformers have them."),
]
LayersOfOne = Annotated[
    str,
    Options(multiline=False),
    Tip("Numbers of layers for both in one stream; only transformers have them."),
]
SkipScale = Annotated[
    float, Range(0.0, 10.0, step=0.1), Tip("How strongly a transformer is led away from skipped layers.")
]
Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]
From = Annotated[Percent, Tip("From when on, as a share of the way.")]
Until = Annotated[Percent, Tip("Until when, as a share of the way.")]


@node("SelfAttentionGuidance", category="_for_testing", experimental=True)
def guide_by_self_attention(
    model: SomeModel,
    scale: Annotated[
        float, Range(-2.0, 5.0, step=0.01), Tip("How strongly. The paper's value is about 0.75.")
    ] = 0.5,
    blur_sigma: Annotated[
        float, Range(0.0, 10.0, step=0.1), Tip("How much is blurred what is led away from.")
    ] = 2.0,
) -> Model:
    """Self-Attention Guidance.

    Finer details by leading away from an estimate that is blurred where the model looks. Calls the model a
    third time at each step.
    """
    return self_attention_guidance(present(model), scale, blur_sigma)


@node("APG", category="sampling/custom_sampling", v3=True)
def adaptive_projected_guidance(
    model: SomeModel,
    eta: Annotated[
        float,
        Range(-10.0, 10.0, step=0.01),
        Tip("How much of the part that only makes colours stronger is kept; 1 keeps it all."),
    ] = 1.0,
    norm_threshold: Annotated[
        float,
        Range(0.0, 50.0, step=0.1),
        Tip("How large the difference between the estimates may become; 0 sets no bound."),
    ] = 5.0,
    momentum: Annotated[
        float,
        Range(-5.0, 1.0, step=0.01),
        Tip("How much of earlier steps' differences is added; negative values turn away from them."),
    ] = 0.0,
) -> Model:
    """Adaptive Projected Guidance.

    Lets guidance be strong without colours that burn out.
    """
    return directions.projected(present(model), eta, norm_threshold, momentum)


@node("TCFG", category="advanced/guidance", v3=True)
def tangential_damping(model: SomeModel) -> PatchedModel:
    """Tangential Damping CFG.

    Takes from the negative what does not point along the positive, so that guidance stays nearer to pictures.
    """
    return directions.tangentially_damped(present(model))


@node("CFGZeroStar", category="advanced/guidance", v3=True, display_name=None)
def zero_star(model: SomeModel) -> PatchedModel:
    """CFG-Zero*.

    Scales the negative to fit the positive before guiding, which helps most at high noise.
    """
    return directions.optimally_scaled(present(model))


@node("CFGNorm", category="advanced/guidance", v3=True, display_name=None, experimental=True)
def norm_of_the_positive(
    model: SomeModel,
    strength: Annotated[float, Range(0.0, 100.0, step=0.01), Tip("A factor on the result.")] = 1.0,
) -> PatchedModel:
    """CFG Norm.

    Keeps the guided estimate from being anywhere stronger than the positive one.
    """
    return sizes.never_longer(present(model), strength)


@node("RenormCFG", category="advanced/model", display_name=None)
def renorm_cfg(
    model: SomeModel,
    cfg_trunc: Annotated[
        float,
        Range(0.0, 100.0, step=0.01),
        Options(default=100),
        Tip("Above this noise level there is no guidance."),
    ] = 100.0,
    renorm_cfg: Annotated[
        float,
        Range(0.0, 100.0, step=0.01),
        Tip("How many times as strong as the positive the guided estimate may be; 0 sets no bound."),
    ] = 1.0,
) -> Model:
    """Renorm CFG.

    Bounds how strong the guided estimate becomes, and from what noise level on there is guidance.
    """
    return sizes.renormed(present(model), cfg_trunc, renorm_cfg)


@node(
    "Mahiro",
    category="_for_testing",
    v3=True,
    experimental=True,
    display_name="Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)",
)
def mahiro(model: SomeModel) -> PatchedModel:
    """Mahiro.

    Follows the positive more directly where guidance would lead elsewhere.
    """
    return directions.agreeing(present(model))


@node("FreSca", category="_for_testing", v3=True, experimental=True)
def fresca(
    model: SomeModel,
    scale_low: Annotated[
        float, Range(0, 10, step=0.01), Tip("How strongly coarse structure is guided.")
    ] = 1.0,
    scale_high: Annotated[
        float, Range(0, 10, step=0.01), Tip("How strongly fine structure is guided.")
    ] = 1.25,
    freq_cutoff: Annotated[
        int, Range(1, 10000, step=1), Tip("Up to what frequency structure counts as coarse.")
    ] = 20,
) -> Model:
    """FreSca.

    Guides coarse and fine structure with different strengths.
    """
    return directions.frequency_scaled(present(model), scale_low, scale_high, freq_cutoff)


@node("Epsilon Scaling", category="model_patches/unet", v3=True, display_name=None)
def epsilon_scaling(
    model: SomeModel,
    scaling_factor: Annotated[
        float,
        Range(0.5, 1.5, step=0.001),
        Options(display="number"),
        Tip("The noise that the model sees is divided by this."),
    ] = 1.005,
) -> Model:
    """Epsilon Scaling.

    Evens out that sampled latents drift from those seen in training.
    """
    return sizes.scaled_noise(present(model), scaling_factor)


@node(
    "LatentApplyOperationCFG",
    category="latent/advanced/operations",
    v3=True,
    display_name=None,
    experimental=True,
)
def apply_operation_to_guidance(
    model: SomeModel, operation: Annotated[LatentOperation, Tip("What is done to the difference.")]
) -> Model:
    """Apply Latent Operation to CFG.

    Does an operation, at each step, on the difference that guidance follows.
    """
    return directions.changed_difference(present(model), operation)


# Skip-layer guidance: leads away from an estimate for which a transformer's layers were left out. A UNet has
# none of these layers, so the estimate without them is the estimate itself.


@node("SkipLayerGuidanceSD3", category="advanced/guidance", v3=True, display_name=None, experimental=True)
def skip_layers_of_sd3(
    model: SomeModel,
    layers: Layers = "7, 8, 9",
    scale: SkipScale = 3.0,
    start_percent: From = 0.01,
    end_percent: Until = 0.15,
) -> Model:
    """Skip Layer Guidance (SD3).

    Leads away from what the model estimates without some of its layers. UNets, such as Stable Diffusion 1.x,
    2.x and XL, have no layers of these numbers: their picture stays as it is.
    """
    model, left_out = present(model), {"double": _numbers(layers)}
    if not _has_layers(model, "SkipLayerGuidanceSD3", left_out) or not scale:
        return model
    return skip_layers_of.guided_past(model, left_out, scale, start_percent, end_percent)


@node("SkipLayerGuidanceDiT", category="advanced/guidance", v3=True, display_name=None, experimental=True)
def skip_layers(
    model: SomeModel,
    double_layers: LayersOfBoth = "7, 8, 9",
    single_layers: LayersOfOne = "7, 8, 9",
    scale: SkipScale = 3.0,
    start_percent: From = 0.01,
    end_percent: Until = 0.15,
    rescaling_scale: Annotated[
        float,
        Range(0.0, 10.0, step=0.01),
        Tip("How much of the positive estimate's spread the result gets back; this acts on UNets too."),
    ] = 0.0,
) -> Model:
    """Skip Layer Guidance (DiT).

    Leads away from what the model estimates without some of its layers. UNets, such as Stable Diffusion 1.x,
    2.x and XL, have no layers of these numbers: only rescaling changes their picture.
    """
    model = present(model)
    left_out = {"double": _numbers(double_layers), "single": _numbers(single_layers)}
    window = start_percent, end_percent
    if _has_layers(model, "SkipLayerGuidanceDiT", left_out) and scale:
        return skip_layers_of.guided_past(model, left_out, scale, *window, rescaling_scale)
    if not any(left_out.values()) or not scale or not rescaling_scale:
        return model
    return spread_kept(model, rescaling_scale, *window)


@node(
    "SkipLayerGuidanceDiTSimple", category="advanced/guidance", v3=True, display_name=None, experimental=True
)
def skip_layers_of_the_negative(
    model: SomeModel,
    double_layers: LayersOfBoth = "7, 8, 9",
    single_layers: LayersOfOne = "7, 8, 9",
    start_percent: From = 0.0,
    end_percent: Until = 1.0,
) -> Model:
    """Skip Layer Guidance (DiT, simple).

    Leaves out some of the model's layers where it estimates the negative. UNets, such as Stable Diffusion
    1.x, 2.x and XL, have no layers of these numbers: their picture stays as it is.
    """
    model = present(model)
    left_out = {"double": _numbers(double_layers), "single": _numbers(single_layers)}
    if not _has_layers(model, "SkipLayerGuidanceDiTSimple", left_out):
        return model
    return skip_layers_of.left_out_of_negative(model, left_out, start_percent, end_percent)


def _numbers(text: str) -> list[int]:
    """The numbers in a text, whatever stands between them."""
    return [int(found) for found in re.findall(r"\d+", text)]


def _has_layers(model: DiffusionModel, node_type: str, layers: Mapping[str, Sequence[int]]) -> bool:
    """Whether some layer is named and the model has layers; says why nothing is skipped."""
    named, has = any(layers.values()), model.family.has("block.call")
    if named and not has:
        log.warning(
            "%s: this model is a UNet and has no transformer layers to skip, so none is "
            "(PerturbedAttentionGuidance does for UNets what this does for transformers).",
            node_type,
        )
    return named and has
