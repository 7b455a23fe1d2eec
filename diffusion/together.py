"""One run for several latents at once, such as a film's and its sound's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.errors import Mismatch
from diffusion.guidance.guidance import Guider
from diffusion.latents.several import Packing, Several
from diffusion.model import Model
from diffusion.samplers import Sampler, Step
from diffusion.sampling import BEGIN_EMPTY, OnStep, fitted, ignore, into, own_mask, ran
from diffusion.weights.loading import never


class SampledTogether(NamedTuple):
    """What a run of several latents gives: those it ended with, and the last clean estimates."""

    latent: Several
    denoised: Several


def sample_together(
    guider: Guider,
    noise: Several,
    latent: Several,
    sampler: Sampler,
    sigmas: Tensor,
    *,
    seed: int = 0,
    noise_mask: Several | None = None,
    on_step: OnStep = ignore,
    check: Callable[[], None] = never,
) -> SampledTogether:
    """`sampling.sample` of several latents, each with noise and mask of its own.

    A model's family says how many there are, and in which formats. `on_step` is shown the first.
    """
    if not len(sigmas):
        return SampledTogether(latent, latent)
    setting = set_out_together(guider.model, latent, noise_mask, seed)
    packing = Packing.of(setting.latents)
    shown = watching_first(packing, on_step)
    x, denoised = ran(guider, setting, packing.packed(noise.parts), sampler, sigmas, shown, check)
    return SampledTogether(handed_back(x, setting), handed_back(denoised, setting))


def noise_together(
    noise: Callable[[Tensor, Sequence[int] | None], Tensor],
    latent: Several,
    rows: Sequence[int] | None = None,
) -> Several:
    """Noise for several latents, in one draw over all of them; `rows` are the numbers of the batch's rows."""
    packing = Packing.of(latent.parts)
    return Several(packing.apart(noise(packing.packed(latent.parts), rows)))


def set_out_together(
    model: Model, latent: Several, noise_mask: Several | None = None, seed: int = 0
) -> Setting:
    """The latents scaled for the model, on its device and packed, and their masks at their sizes."""
    parts = fitted_together(latent, model).parts
    pairs = zip(parts, model.latent_formats, strict=True)
    scaled = [into(part.to(model.backbone.device), form) for part, form in pairs]
    packing, mask = Packing.of(scaled), None
    if noise_mask is not None:
        if not isinstance(noise_mask, Several) or len(noise_mask.parts) != len(parts):
            problem = "A noise mask for one latent cannot be that of several."
            raise Mismatch(problem, "Give each latent a mask of its own, or leave the mask out.")
        masks = zip(noise_mask.parts, scaled, strict=True)
        mask = packing.packed([own_mask(each, part).expand_as(part) for each, part in masks])
    return Setting(model, packing.packed(scaled), mask, seed, packing)


def fitted_together(latent: Several, model: Model) -> Several:
    """The latents as a model has them (`sampling.fitted`). Mismatch if they are not those it samples."""
    formats = model.latent_formats
    if len(latent.parts) != len(formats):
        problem = f"This model samples latents of {len(formats)} kinds together, not of {len(latent.parts)}."
        raise Mismatch(problem, BEGIN_EMPTY)
    return Several(tuple(fitted(part, form) for part, form in zip(latent.parts, formats, strict=True)))


def handed_back(x: Tensor, setting: Setting) -> Several:
    """What the network sees as links carry it: unscaled, float32, on the CPU."""
    assert setting.packing is not None, "as `set_out_together` makes it"
    pairs = zip(setting.packing.apart(x), setting.model.latent_formats, strict=True)
    return Several(tuple(form.out_of(part).float().cpu() for part, form in pairs))


def watching_first(packing: Packing, on_step: OnStep) -> OnStep:
    """A watcher that is shown the first of several latents."""

    def shown(done: int, total: int, step: Step) -> None:
        x, denoised = (packing.apart(each)[0] for each in (step.x, step.denoised))
        on_step(done, total, Step(x, denoised, step.sigma))

    return shown
