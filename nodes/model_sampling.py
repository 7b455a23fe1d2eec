"""How a model was trained, and on which clock it is sampled, said anew."""

from typing import Annotated, Literal

from diffusion.prediction import TARGETS, continuous_edm, continuous_v, stable_diffusion
from execution.node import Range, Tip, node
from nodes.sampling import SomeModel, present
from nodes.sockets import Model

Sigma = Annotated[float, Range(0.0, 1000.0, step=0.001, round=False)]


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
