"""How a model was trained, and on which clock it is sampled, said anew."""

import math
from typing import Annotated, Literal

from diffusion.noise.prediction import (
    TARGETS,
    along_tokens,
    bent_flow,
    continuous_edm,
    continuous_v,
    cosine,
    rectified_flow,
    stable_diffusion,
)
from execution.declare.node import Range, Tip, node
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import Latent, Model

Sigma = Annotated[float, Range(0.0, 1000.0, step=0.001, round=False)]
Shift = Annotated[float, Range(0.0, 100.0, step=0.01)]
Side = Annotated[int, Range(16, 16384, step=8)]


@node("ModelSamplingDiscrete", category="advanced/model")
def discrete(
    model: SomeModel,
    sampling: Annotated[
        Literal["eps", "v_prediction", "lcm", "x0", "img_to_img"], Tip("What it was trained to predict.")
    ],
    zsnr: Annotated[bool, Tip("The model was trained down to no signal at all.")] = False,
) -> Model:
    """ModelSamplingDiscrete.

    Says what a model predicts, for one whose file does not.
    """
    return present(model).with_prediction(stable_diffusion(TARGETS[sampling], zero_snr=zsnr))


@node("ModelSamplingContinuousEDM", category="advanced/model")
def continuous_edm_model(
    model: SomeModel,
    sampling: Annotated[
        Literal["v_prediction", "edm", "edm_playground_v2.5", "eps", "cosmos_rflow"],
        Tip("What the model was trained to predict."),
    ],
    sigma_max: Annotated[Sigma, Tip("The highest noise level.")] = 120.0,
    sigma_min: Annotated[Sigma, Tip("The lowest noise level.")] = 0.002,
) -> Model:
    """ModelSamplingContinuousEDM.

    Samples on a continuous range of noise levels.
    """
    return present(model).with_prediction(continuous_edm(TARGETS[sampling], sigma_min, sigma_max))


@node("ModelSamplingContinuousV", category="advanced/model")
def continuous_v_model(
    model: SomeModel,
    sampling: Annotated[Literal["v_prediction"], Tip("What the model was trained to predict.")],
    sigma_max: Annotated[Sigma, Tip("The highest noise level.")] = 500.0,
    sigma_min: Annotated[Sigma, Tip("The lowest noise level.")] = 0.03,
) -> Model:
    """ModelSamplingContinuousV.

    Samples a v-prediction model on the noise levels of a cosine.
    """
    return present(model).with_prediction(continuous_v(sigma_min, sigma_max))


# Straight lines between picture and noise


@node("ModelSamplingSD3", category="advanced/model")
def flow_like_sd3(
    model: SomeModel,
    shift: Annotated[Shift, Tip("How long the steps stay at high noise; more for larger pictures.")] = 3.0,
) -> Model:
    """ModelSamplingSD3.

    Samples a model that was trained on rectified flow, on the clock of Stable Diffusion 3.
    """
    return present(model).with_prediction(rectified_flow(shift))


@node("ModelSamplingAuraFlow", category="advanced/model")
def flow_like_auraflow(
    model: SomeModel,
    shift: Annotated[Shift, Tip("How long the steps stay at high noise; more for larger pictures.")] = 1.73,
) -> Model:
    """ModelSamplingAuraFlow.

    Samples a model that was trained on rectified flow, and is told the noise level itself as its time.
    """
    return present(model).with_prediction(rectified_flow(shift, multiplier=1.0))


@node("ModelSamplingFlux", category="advanced/model")
def flow_like_flux(
    model: SomeModel,
    max_shift: Annotated[Shift, Tip("How far times are bent for pictures of 1024 × 1024.")] = 1.15,
    base_shift: Annotated[Shift, Tip("How far times are bent for pictures of 256 × 256.")] = 0.5,
    width: Annotated[Side, Tip("In pixels.")] = 1024,
    height: Annotated[Side, Tip("In pixels.")] = 1024,
) -> Model:
    """ModelSamplingFlux.

    Samples a model that was trained on rectified flow, with times bent by the picture's size as in FLUX.
    """
    bend = along_tokens(width * height / 256, (256, base_shift), (4096, max_shift))
    return present(model).with_prediction(bent_flow(bend))


@node("ModelSamplingLTXV", category="advanced/model", display_name=None)
def flow_like_ltxv(
    model: SomeModel,
    max_shift: Annotated[Shift, Tip("How far times are bent for 4096 places.")] = 2.05,
    base_shift: Annotated[Shift, Tip("How far times are bent for 1024 places.")] = 0.95,
    latent: Annotated[Latent | None, Tip("Its places are counted; without it there are 4096.")] = None,
) -> Model:
    """ModelSamplingLTXV.

    Samples a model that was trained on rectified flow, with times bent by the latent's size as in LTX-Video.
    """
    places = 4096 if latent is None else math.prod(latent["samples"].shape[2:])
    bend = along_tokens(places, (1024, base_shift), (4096, max_shift))
    return present(model).with_prediction(bent_flow(bend))


@node("ModelSamplingStableCascade", category="advanced/model")
def cosine_like_cascade(
    model: SomeModel,
    shift: Annotated[Shift, Tip("How far the ratio of signal and noise is moved towards noise.")] = 2.0,
) -> Model:
    """ModelSamplingStableCascade.

    Samples a model that was trained to predict the noise on the cosine schedule of Stable Cascade.
    """
    return present(model).with_prediction(cosine(shift))
