"""One run of a sampler: from noise and a latent to a latent, guided, masked, watched and stoppable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.conditioning import Setting, prepare
from diffusion.denoising import Denoising, Parts, checking
from diffusion.errors import Mismatch
from diffusion.guidance.guidance import Call, Guided, Guider
from diffusion.images import mask_like, to_batch
from diffusion.latents.latent_format import LatentFormat
from diffusion.model import Model
from diffusion.noise.draws import starting_noise
from diffusion.noise.prediction import Prediction
from diffusion.noise.schedules import SCHEDULES
from diffusion.samplers import Sampler, Step
from diffusion.weights.loading import never

BEGIN_EMPTY = "Begin with an empty latent made for this kind of model."
OnStep = Callable[[int, int, Step], None]  # (steps done before this one, steps in all, the step)


class Sampled(NamedTuple):
    """What a run gives: the latent it ended with, and the last clean estimate."""

    latent: Tensor
    denoised: Tensor


def ignore(done: int, total: int, step: Step) -> None:
    """Watches nothing."""


def sample(
    guider: Guider,
    noise: Tensor,
    latent: Tensor,
    sampler: Sampler,
    sigmas: Tensor,
    *,
    seed: int = 0,
    noise_mask: Tensor | None = None,
    on_step: OnStep = ignore,
    check: Callable[[], None] = never,
) -> Sampled:
    """Runs the sampler along sigmas; latent and result [B, C, (T,) H, W] are unscaled, float32, on the CPU.

    `noise` is unit noise shaped like the latent, `seed` that of the noise inside steps. `noise_mask` [B, 1,
    (T,) h, w] of any size is 1 where the latent may change. `on_step` may raise to end the run, `check` too,
    more often: it is called between the backbone's blocks and while weights are loaded. A schedule of no
    sigmas gives the latent back.
    """
    if not len(sigmas):
        return Sampled(latent, latent)
    setting = set_out(guider.model, latent, noise_mask, seed)
    x, denoised = ran(guider, setting, noise, sampler, sigmas, on_step, check)
    format = guider.model.latent_format
    return Sampled(format.out_of(x).float().cpu(), format.out_of(denoised).float().cpu())


def ran(
    guider: Guider,
    setting: Setting,
    noise: Tensor,
    sampler: Sampler,
    sigmas: Tensor,
    on_step: OnStep = ignore,
    check: Callable[[], None] = never,
) -> tuple[Tensor, Tensor]:
    """A run that is set out: the last latent and the last clean estimate, as the network sees them."""
    model, seed = guider.model, setting.seed
    with model.backbone.use(patches=model.weight_patches, check=check) as backbone:
        hooks = model.hooks.for_run()
        hooks = hooks + checking(check) if check is not never else hooks
        denoising = Denoising(setting, backbone, hooks, sigmas, seed)
        run = Run(guider, denoising, sampler, sigmas, seed)
        return run.finish(noise.to(setting.latent), on_step)


def set_out(model: Model, latent: Tensor, noise_mask: Tensor | None = None, seed: int = 0) -> Setting:
    """The latent scaled for the model and on its device, and the mask at its size."""
    if model.family.more_latents:
        problem = f"This model samples {1 + len(model.family.more_latents)} latents together, not one."
        raise Mismatch(problem, BEGIN_EMPTY)
    scaled = into(fitted(latent, model.latent_format).to(model.backbone.device), model.latent_format)
    return Setting(model, scaled, None if noise_mask is None else own_mask(noise_mask, scaled), seed)


def into(latent: Tensor, format: LatentFormat) -> Tensor:
    """A latent as the network sees it, in float32; an empty one stays empty, whatever the format's shift."""
    latent = latent.float()
    return format.into(latent) if latent.any() else latent


def own_mask(mask: Tensor, latent: Tensor) -> Tensor:
    """A noise mask at the size and of the rows of a latent."""
    return to_batch(mask_like(mask, latent), len(latent))


def fitted(latent: Tensor, format: LatentFormat) -> Tensor:
    """The latent as this format has it: a picture for a model of clips is a clip of one frame.

    An empty latent gets the format's number of channels. Mismatch if another latent has not.
    """
    if format.axes == 3 and latent.ndim == 4:
        latent = latent.unsqueeze(2)
    if latent.ndim != 2 + format.axes:
        problem = f"This model works on latents of {2 + format.axes} dimensions, not {latent.ndim}."
        raise Mismatch(problem, BEGIN_EMPTY)
    if latent.shape[1] == format.channels:
        return latent
    if latent.any():
        problem = f"This model works on latents of {format.channels} channels, not {latent.shape[1]}."
        raise Mismatch(problem, "Encode the picture with the VAE of the same checkpoint.")
    return latent.new_zeros(len(latent), format.channels, *latent.shape[2:])


def require_width(parts: Mapping[str, Parts], width: int | None) -> None:
    """Mismatch if a conditioning was made by the text encoder of another family; None is any width."""
    if width is None:
        return
    for name, several in parts.items():
        for found in {part.context.shape[-1] for part in several} - {width}:
            problem = f"This model reads text of width {width}, but the {name} conditioning has {found}."
            raise Mismatch(problem, "Encode the text with the text encoder of the same checkpoint.")


class Run:
    """A sampler on its way through a schedule."""

    def __init__(
        self, guider: Guider, denoising: Denoising, sampler: Sampler, sigmas: Tensor, seed: int
    ) -> None:
        self.denoising, self.sampler, self.sigmas, self.seed = denoising, sampler, sigmas.cpu(), seed
        parts = prepare(guider.conditionings, denoising.setting)
        model = guider.model
        require_width(parts, model.family.text_width(model.sizes))
        self.guided = Guided(guider, denoising, parts)

    def finish(self, noise: Tensor, on_step: OnStep) -> tuple[Tensor, Tensor]:
        """All steps; the last latent and the last clean estimate, both scaled."""
        prediction, sigmas, latent = self.denoising.prediction, self.sigmas, self.denoising.setting.latent
        pure = prediction.starts_from_pure_noise(sigmas[0].item())
        x = prediction.process.noised(latent, noise, sigmas[0], from_pure_noise=pure)
        denoise = self._masked(noise) if self.denoising.setting.noise_mask is not None else self.guided
        denoised = None
        steps = self.sampler(denoise, x, sigmas, seed=self.seed, prediction=prediction)
        for done, step in enumerate(steps):
            x, denoised = step.x, step.denoised
            self.denoising.step = done + 1
            on_step(done, max(len(sigmas) - 1, done + 1), step)
        x = prediction.process.handed_on(x, sigmas[-1])
        return x, x if denoised is None else denoised

    def _masked(self, noise: Tensor) -> Masked:
        if self.sampler.own_mask_noise:
            noise = starting_noise(noise.shape, (self.seed + 1) % 2**64).to(noise)
        return Masked(self.guided, noise)


class Masked:
    """A denoiser for which the latent outside the noise mask stays what it was.

    Before each estimate the original, noised to the same level, replaces what lies outside; after it, the
    original.
    """

    def __init__(self, guided: Guided, noise: Tensor) -> None:
        self.guided, self.noise = guided, noise
        self.denoising = guided.denoising
        self.latent = self.denoising.setting.latent

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        mask = self._mask(x, sigma)
        return self._kept(self.guided(self._renoised(x, sigma, mask), sigma), mask)

    def pair(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The guided estimate, masked, and the negative one, which is only a direction."""
        mask = self._mask(x, sigma)
        denoised, negative = self.guided.pair(self._renoised(x, sigma, mask), sigma)
        return self._kept(denoised, mask), negative

    def _mask(self, x: Tensor, sigma: Tensor) -> Tensor:
        call = Call(x, sigma, self.denoising, self.guided.parts)
        mask: Tensor = self.denoising.hooks.change("noise_mask", call, self.denoising.setting.noise_mask)
        return mask

    def _renoised(self, x: Tensor, sigma: Tensor, mask: Tensor) -> Tensor:
        family, prediction = self.denoising.setting.model.family, self.denoising.prediction
        original = family.outside_mask(self.latent, self.noise, sigma, prediction)
        return x * mask + original * (1 - mask)

    def _kept(self, denoised: Tensor, mask: Tensor) -> Tensor:
        return denoised * mask + self.latent * (1 - mask)


# The schedules of KSampler and KSamplerAdvanced


def schedule(prediction: Prediction, name: str, steps: int, denoise: float = 1.0) -> Tensor:
    """The last `steps` steps of a named schedule, `denoise` of the whole; empty at 0. KeyError if unknown."""
    if denoise <= 0:
        return torch.zeros(0)
    total = steps if denoise > 0.9999 else int(steps / denoise)
    return SCHEDULES[name](prediction, total)[-(steps + 1) :]


def schedule_for(
    sampler: Sampler, prediction: Prediction, name: str, steps: int, denoise: float = 1.0
) -> Tensor:
    """The schedule a KSampler uses: samplers that drop the penultimate sigma get one made a step longer."""
    if not sampler.drops_penultimate:
        return schedule(prediction, name, steps, denoise)
    if denoise <= 0:
        return torch.zeros(0)
    total = steps if denoise > 0.9999 else int(steps / denoise)
    longer = SCHEDULES[name](prediction, total + 1)
    return torch.cat([longer[:-2], longer[-1:]])[-(steps + 1) :]


def section(sigmas: Tensor, start: int, end: int, *, to_zero: bool) -> Tensor:
    """Steps `start` to `end` of a schedule; `to_zero` ends them clean even where noise would be left."""
    part = sigmas[: end + 1].clone()
    if to_zero and end < len(sigmas) - 1:
        part[-1] = 0
    return part[start:] if start < len(part) - 1 else part[:0]


def noised(model: Model, noise: Tensor, sigmas: Tensor, latent: Tensor) -> Tensor:
    """A latent with the noise that lies between the ends of a schedule added to it (unscaled in and out)."""
    if not len(sigmas):
        return latent
    sigma = (sigmas[0] - sigmas[-1]).abs() if len(sigmas) > 1 else sigmas[0]
    format = model.latent_format
    scaled = into(latent, format)
    x = model.prediction.process.noised(scaled, noise.to(scaled), sigma)
    return format.out_of(x).nan_to_num(0.0, 0.0, 0.0)
