"""Sampling taken apart: guiders, noises, and the samplers that join them with a method and a schedule."""

from typing import Annotated, Literal, NamedTuple

from diffusion.guidance import guidance
from diffusion.noise.draws import NoNoise, RandomNoise
from diffusion.sampling import noised
from execution.declare.node import Range, Run, Tip, node
from nodes.latent.latent import with_samples
from nodes.sample.previews import Previews
from nodes.sample.sampling import Negative, Positive, Scale, SomeModel, Start, present, sampled
from nodes.sockets import Conditioning, Guider, Latent, LatentValue, Noise, Sampler, Sigmas
from nodes.widgets import Seed

Method = Annotated[Sampler, Tip("The method that removes the noise.")]
Schedule = Annotated[Sigmas, Tip("The noise levels to step through.")]


class Outputs(NamedTuple):
    """The latent the run ended with, and its last clean estimate."""

    output: Latent
    denoised_output: Latent


@node("SamplerCustom", category="sampling/custom_sampling")
def sampler_custom(
    model: SomeModel,
    add_noise: Annotated[bool, Tip("Add noise first; not for a latent that still has some.")] = True,
    noise_seed: Seed = 0,
    cfg: Scale = 8.0,
    *,
    positive: Positive,
    negative: Negative,
    sampler: Method,
    sigmas: Schedule,
    latent_image: Start,
    run: Run,
    previews: Previews,
) -> Outputs:
    """SamplerCustom.

    Samples with any method along any schedule.
    """
    guider = guidance.CFGGuider(present(model), positive, negative, cfg)
    noise = RandomNoise(noise_seed) if add_noise else NoNoise(noise_seed)
    return _outputs(guider, noise, sampler, sigmas, latent_image, run, previews)


@node("SamplerCustomAdvanced", category="sampling/custom_sampling")
def sampler_custom_advanced(
    noise: Annotated[Noise, Tip("The noise to start from.")],
    guider: Annotated[Guider, Tip("The model, and what steers it.")],
    sampler: Method,
    sigmas: Schedule,
    latent_image: Start,
    run: Run,
    previews: Previews,
) -> Outputs:
    """SamplerCustomAdvanced.

    Samples with any guider, any noise and any method along any schedule.
    """
    return _outputs(guider, noise, sampler, sigmas, latent_image, run, previews)


def _outputs(
    guider: Guider,
    noise: Noise,
    sampler: Sampler,
    sigmas: Sigmas,
    latent: LatentValue,
    run: Run,
    previews: Previews,
) -> Outputs:
    made = sampled(guider, noise, sampler, sigmas, latent, run, previews)
    return Outputs(with_samples(latent, made.latent), with_samples(latent, made.denoised))


# Guiders


@node("BasicGuider", category="sampling/custom_sampling/guiders")
def basic_guider(
    model: SomeModel, conditioning: Annotated[Conditioning, Tip("What steers the model.")]
) -> Guider:
    """BasicGuider.

    One conditioning and no guidance, as distilled models want it.
    """
    return guidance.BasicGuider(present(model), conditioning)


@node("CFGGuider", category="sampling/custom_sampling/guiders")
def cfg_guider(model: SomeModel, positive: Positive, negative: Negative, cfg: Scale = 8.0) -> Guider:
    """CFGGuider.

    Classifier-free guidance: away from the negative, towards the positive.
    """
    return guidance.CFGGuider(present(model), positive, negative, cfg)


@node("DualCFGGuider", category="sampling/custom_sampling/guiders")
def dual_cfg_guider(
    model: SomeModel,
    cond1: Annotated[Conditioning, Tip("What to go towards, the second one included.")],
    cond2: Annotated[Conditioning, Tip("What lies between the first and the negative.")],
    negative: Negative,
    cfg_conds: Annotated[Scale, Tip("How strongly from the second towards the first.")] = 8.0,
    cfg_cond2_negative: Annotated[Scale, Tip("How strongly from the negative towards the second.")] = 8.0,
    *,
    style: Annotated[
        Literal["regular", "nested"], Tip("Both guidances side by side, or one inside the other.")
    ],
) -> Guider:
    """DualCFGGuider.

    Guides by two conditionings apart, such as a text and a picture.
    """
    nested = style == "nested"
    return guidance.DualCFGGuider(
        present(model), cond1, cond2, negative, cfg_conds, cfg_cond2_negative, nested
    )


@node("PerpNegGuider", category="_for_testing", display_name=None, experimental=True)
def perp_neg_guider(
    model: SomeModel,
    positive: Positive,
    negative: Negative,
    empty_conditioning: Annotated[Conditioning, Tip("The conditioning of an empty text.")],
    cfg: Scale = 8.0,
    neg_scale: Annotated[
        float, Range(0.0, 100.0, step=0.01), Tip("How strongly the negative is avoided.")
    ] = 1.0,
) -> Guider:
    """Perp-Neg Guider.

    Avoids only that part of the negative which does not contradict the positive.
    """
    return guidance.PerpNegGuider(present(model), positive, negative, empty_conditioning, cfg, neg_scale)


# Noises


@node("RandomNoise", category="sampling/custom_sampling/noise")
def random_noise(noise_seed: Seed = 0) -> Noise:
    """RandomNoise.

    Gaussian noise of a seed.
    """
    return RandomNoise(noise_seed)


@node("DisableNoise", category="sampling/custom_sampling/noise")
def disable_noise() -> Noise:
    """DisableNoise.

    No noise, for a latent that still has some.
    """
    return NoNoise()


@node("AddNoise", category="_for_testing/custom_sampling/noise")
def add_noise(
    model: SomeModel,
    noise: Annotated[Noise, Tip("The noise that is added.")],
    sigmas: Annotated[Sigmas, Tip("The noise between the first and the last level is added.")],
    latent_image: Annotated[Latent, Tip("The latent it is added to.")],
) -> Latent:
    """AddNoise.

    Adds the noise that a sampler along the schedule would remove.
    """
    model, samples = present(model), latent_image["samples"]
    drawn = noise(samples, latent_image.get("batch_index"))
    return with_samples(latent_image, noised(model, drawn, sigmas, samples))
