"""ComfyUI's `comfy.sample`: noise of a seed, and runs of our samplers under its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compat.current import current_run
from compat.host import Host
from compat.values.passing import own
from diffusion import sampling
from diffusion.guidance.guidance import CFGGuider
from diffusion.noise.draws import starting_noise
from diffusion.samplers import SAMPLERS, Sampler, Step

Callback = Callable[[int, Tensor, Tensor, int], None]
"""Is told (step, clean estimate, noisy latent, steps in all), as ComfyUI's samplers tell it."""


def prepare_noise(latent_image: Tensor, seed: int, noise_inds: Sequence[int] | None = None) -> Tensor:
    """Unit noise for a batch of latents; `noise_inds` are the noise numbers of its rows."""
    return starting_noise(
        latent_image.shape, seed, None if noise_inds is None else [int(i) for i in noise_inds]
    )


def fix_empty_latent_channels(model: Any, latent_image: Tensor, *_spatial: Any) -> Tensor:
    """An empty latent with the number of channels that the model wants."""
    return sampling.fitted(latent_image, own(model).latent_format)


def sample_custom(
    model: Any,
    noise: Tensor,
    cfg: float,
    sampler: Sampler,
    sigmas: Tensor,
    positive: Any,
    negative: Any,
    latent_image: Tensor,
    noise_mask: Tensor | None = None,
    callback: Callback | None = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """The latent that a sampler makes along sigmas."""
    run = current_run()
    options: dict[str, Any] = {"check": run.check} if run else {}
    made = sampling.sample(
        CFGGuider(own(model), positive, negative, cfg),
        noise,
        fix_empty_latent_channels(model, latent_image),
        sampler,
        sigmas,
        seed=seed or 0,
        noise_mask=noise_mask,
        on_step=watching(callback),
        **options,
    )
    return made.latent


def sample(
    model: Any,
    noise: Tensor,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Any,
    negative: Any,
    latent_image: Tensor,
    denoise: float = 1.0,
    disable_noise: bool = False,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
    noise_mask: Tensor | None = None,
    sigmas: Tensor | None = None,
    callback: Callback | None = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """The latent that a named sampler makes along a named schedule, or the part of it that is asked for."""
    chosen = SAMPLERS[sampler_name]
    if sigmas is None:
        sigmas = sampling.schedule_for(chosen, own(model).prediction, scheduler, steps, denoise)
    last = len(sigmas) if last_step is None else last_step
    part = sampling.section(sigmas, start_step or 0, last, to_zero=force_full_denoise)
    rest = (positive, negative, latent_image, noise_mask, callback, disable_pbar, seed)
    return sample_custom(model, noise, cfg, chosen, part, *rest)


def watching(callback: Callback | None) -> sampling.OnStep:
    """A watcher of steps that tells a callback of ComfyUI's shape."""

    def tell(done: int, total: int, step: Step) -> None:
        if callback is not None:
            callback(done, step.denoised, step.x, total)

    return tell


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        "fix_empty_latent_channels": fix_empty_latent_channels,
        "np": np,
        "prepare_noise": prepare_noise,
        "sample": sample,
        "sample_custom": sample_custom,
        "torch": torch,
    }
