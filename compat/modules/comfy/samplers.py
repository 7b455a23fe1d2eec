"""ComfyUI's `comfy.samplers`: the names of samplers and schedulers, and runs of ours under its class's name.

What happens inside a sampler is not ComfyUI's; names that would reach into it are placeholders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host
from compat.values.passing import own


def choices(host: Host, name: str) -> list[str]:
    """What the native KSampler offers for one of its inputs; nothing when that node is not there."""
    node = host.types.get("KSampler")
    return list(node.spec.by_name[name].choices or ()) if node else []


class KSampler:
    """A sampler with its schedule, ready to run. The class's lists are the ones that packs append to."""

    SAMPLERS: list[str]
    SCHEDULERS: list[str]
    DISCARD_PENULTIMATE_SIGMA_SAMPLERS = frozenset({"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"})

    def __init__(
        self,
        model: Any,
        steps: int,
        device: Any = None,
        sampler: str | None = None,
        scheduler: str | None = None,
        denoise: float | None = None,
        model_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.scheduler = scheduler if scheduler in self.SCHEDULERS else self.SCHEDULERS[0]
        self.sampler = sampler if sampler in self.SAMPLERS else self.SAMPLERS[0]
        self.denoise = denoise
        self.model_options = dict(model_options or {})
        self.set_steps(steps, denoise)

    def set_steps(self, steps: int, denoise: float | None = None) -> None:
        """Make the schedule anew."""
        from diffusion.samplers import SAMPLERS
        from diffusion.sampling import schedule_for

        self.steps = steps
        prediction = own(self.model).prediction
        amount = 1.0 if denoise is None else denoise
        self.sigmas = schedule_for(SAMPLERS[self.sampler], prediction, self.scheduler, steps, amount)

    def sample(
        self,
        noise: Any,
        positive: Any,
        negative: Any,
        cfg: float,
        latent_image: Any = None,
        start_step: int | None = None,
        last_step: int | None = None,
        force_full_denoise: bool = False,
        denoise_mask: Any = None,
        sigmas: Any = None,
        callback: Any = None,
        disable_pbar: bool = False,
        seed: int | None = None,
    ) -> Any:
        """The latent it makes."""
        from compat.modules.comfy.sample import sample

        return sample(
            self.model,
            noise,
            self.steps,
            cfg,
            self.sampler,
            self.scheduler,
            positive,
            negative,
            noise * 0 if latent_image is None else latent_image,
            start_step=start_step,
            last_step=last_step,
            force_full_denoise=force_full_denoise,
            noise_mask=denoise_mask,
            sigmas=self.sigmas if sigmas is None else sigmas,
            callback=callback,
            seed=seed,
        )


def calculate_sigmas(model_sampling: Any, scheduler_name: str, steps: int) -> Any:
    """A named schedule for the noise levels that `get_model_object("model_sampling")` gave."""
    from diffusion.noise.schedules import SCHEDULES

    return SCHEDULES[scheduler_name](model_sampling.prediction, steps)


def sampler_object(name: str) -> Any:
    """The SAMPLER value of a name."""
    from diffusion.samplers import SAMPLERS

    return SAMPLERS[name]


def names(host: Host) -> Mapping[str, Any]:
    """What packs import. The lists are the same objects everywhere, because packs append to them."""
    samplers, schedulers = choices(host, "sampler_name"), choices(host, "scheduler")
    lists = {"SAMPLERS": samplers, "SCHEDULERS": schedulers, "__module__": "comfy.samplers"}
    return {
        "KSampler": type("KSampler", (KSampler,), lists),
        "KSAMPLER_NAMES": [name for name in samplers if name not in ("ddim", "uni_pc", "uni_pc_bh2")],
        "SAMPLER_NAMES": samplers,
        "SCHEDULER_HANDLERS": dict.fromkeys(schedulers),
        "SCHEDULER_NAMES": schedulers,
        "calculate_sigmas": calculate_sigmas,
        "sampler_object": sampler_object,
    }
