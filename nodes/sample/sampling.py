"""Sampling: from noise and what steers to a finished latent, in one node."""

from typing import Annotated, Any, Literal

from diffusion.guidance.guidance import CFGGuider
from diffusion.latents.several import Several
from diffusion.noise.draws import NoNoise, RandomNoise
from diffusion.noise.schedules import SCHEDULES
from diffusion.samplers import SAMPLERS, Sampler
from diffusion.sampling import Sampled, fitted, sample, schedule_for, section
from diffusion.together import SampledTogether, fitted_together, noise_together, sample_together
from execution.declare.node import Choice, Range, Run, Tip, node
from nodes.latent.latent import with_samples
from nodes.sample.previews import Previews
from nodes.sockets import Conditioning, Guider, Latent, LatentValue, Model, Noise, Sigmas
from nodes.widgets import Seed

SamplerName = Annotated[
    str, Choice(SAMPLERS), Tip("The method that removes the noise: quality, speed and character differ.")
]
SchedulerName = Annotated[str, Choice(SCHEDULES), Tip("How the noise falls from step to step.")]
Steps = Annotated[int, Range(1, 10000)]
Scale = Annotated[
    float,
    Range(0.0, 100.0, step=0.1, round=0.01),
    Tip("How strongly the text is followed. Too much burns colours out; 1 ignores the negative text."),
]
Denoise = Annotated[float, Range(0.0, 1.0, step=0.01)]
SomeModel = Annotated[Model, Tip("The diffusion model.")]
Positive = Annotated[Conditioning, Tip("What to go towards.")]
Negative = Annotated[Conditioning, Tip("What to go away from.")]
Start = Annotated[Latent, Tip("The latent to start from; its size is that of the picture.")]


def present(model: Model | None) -> Model:
    """The model.

    Raises:
        ValueError: there is none; says where to get one.
    """
    if model is None:
        raise ValueError(
            "input 'model' is empty: the file it comes from holds no diffusion model; "
            "load one with UNETLoader, or choose a whole checkpoint"
        )
    return model


def sampled(
    guider: Guider,
    noise: Noise,
    sampler: Sampler,
    sigmas: Sigmas,
    latent: LatentValue,
    run: Run,
    previews: Previews,
) -> Sampled | SampledTogether:
    """One run of a sampler, with progress and previews, that can be cancelled at any time."""
    samples, rows = latent["samples"], latent.get("batch_index")
    mask: Any = latent.get("noise_mask")
    given: Any = {"seed": noise.seed, "on_step": previews.watch(run, guider.model), "check": run.check}
    if isinstance(samples, Several):
        several = fitted_together(samples, guider.model)
        drawn = noise_together(noise, several, rows)
        return sample_together(guider, drawn, several, sampler, sigmas, noise_mask=mask, **given)
    samples = fitted(samples, guider.model.latent_format)
    return sample(guider, noise(samples, rows), samples, sampler, sigmas, noise_mask=mask, **given)


@node("KSampler", category="sampling")
def ksampler(
    model: SomeModel,
    seed: Seed = 0,
    steps: Annotated[Steps, Tip("More steps are finer and take longer.")] = 20,
    cfg: Scale = 8.0,
    *,
    sampler_name: SamplerName,
    scheduler: SchedulerName,
    positive: Positive,
    negative: Negative,
    latent_image: Start,
    denoise: Annotated[Denoise, Tip("Below 1 the latent is changed by so much instead of made anew.")] = 1.0,
    run: Run,
    previews: Previews,
) -> Latent:
    """KSampler.

    Makes a latent from noise, step by step, as the texts steer.
    """
    model, sampler = present(model), SAMPLERS[sampler_name]
    sigmas = schedule_for(sampler, model.prediction, scheduler, steps, denoise)
    guider = CFGGuider(model, positive, negative, cfg)
    made = sampled(guider, RandomNoise(seed), sampler, sigmas, latent_image, run, previews)
    return with_samples(latent_image, made.latent)


@node("KSamplerAdvanced", category="sampling")
def ksampler_advanced(
    model: SomeModel,
    add_noise: Annotated[
        Literal["enable", "disable"], Tip("Add noise first; not for a latent that still has some.")
    ],
    noise_seed: Seed = 0,
    steps: Annotated[Steps, Tip("Steps of the whole schedule.")] = 20,
    cfg: Scale = 8.0,
    *,
    sampler_name: SamplerName,
    scheduler: SchedulerName,
    positive: Positive,
    negative: Negative,
    latent_image: Start,
    start_at_step: Annotated[int, Range(0, 10000), Tip("The first step taken, counted from 0.")] = 0,
    end_at_step: Annotated[int, Range(0, 10000), Tip("The first step not taken.")] = 10000,
    return_with_leftover_noise: Annotated[
        Literal["disable", "enable"], Tip("Leave the noise of the steps not taken, for another sampler.")
    ],
    run: Run,
    previews: Previews,
) -> Latent:
    """KSampler (Advanced).

    Takes a part of the steps, so that several samplers can share one picture.
    """
    model, sampler = present(model), SAMPLERS[sampler_name]
    whole = schedule_for(sampler, model.prediction, scheduler, steps)
    to_zero = return_with_leftover_noise == "disable"
    sigmas = section(whole, start_at_step, end_at_step, to_zero=to_zero)
    guider = CFGGuider(model, positive, negative, cfg)
    noise = NoNoise(noise_seed) if add_noise == "disable" else RandomNoise(noise_seed)
    made = sampled(guider, noise, sampler, sigmas, latent_image, run, previews)
    return with_samples(latent_image, made.latent)
