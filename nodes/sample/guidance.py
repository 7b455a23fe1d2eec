"""Models guided otherwise: in a better direction, to another size, away from blurred or changed estimates."""

import logging
import re
from typing import Annotated

from diffusion.guidance import directions, sizes
from diffusion.guidance.estimates import spread_kept
from diffusion.guidance.self_attention import self_attention_guidance
from execution.declare.node import Options, Output, Range, Tip, node
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import LatentOperation, Model

log = logging.getLogger(__name__)

PatchedModel = Annotated[Model, Output("patched_model")]
Layers = Annotated[str, Options(multiline=False), Tip("Numbers of layers that only transformer models have.")]
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


# Skip-layer guidance: leads away from an estimate for which a transformer's layers were left out. What is
# loaded here is a UNet; it has none of these layers, so the estimate without them is the estimate itself.


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
    model = present(model)
    _tell_of_unet("SkipLayerGuidanceSD3", layers)
    return model


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
    named = _tell_of_unet("SkipLayerGuidanceDiT", double_layers + " " + single_layers)
    if not named or not scale or not rescaling_scale:
        return model
    return spread_kept(model, rescaling_scale, start_percent, end_percent)


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
    _tell_of_unet("SkipLayerGuidanceDiTSimple", double_layers + " " + single_layers)
    return model


def _tell_of_unet(node_type: str, layers: str) -> bool:
    """Says why nothing is skipped; gives whether any layer was named."""
    named = re.search(r"\d", layers) is not None
    if named:
        log.warning(
            "%s: this model is a UNet and has no transformer layers to skip, so none is "
            "(PerturbedAttentionGuidance does for UNets what this does for transformers).",
            node_type,
        )
    return named
