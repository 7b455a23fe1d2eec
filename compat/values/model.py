"""The diffusion model as packs know `MODEL`: functions can change its guidance and a transformer's blocks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from compat.values.blocks import INPUT, PATCHES, REPLACED, block_hooks
from compat.values.facade import Facade

if TYPE_CHECKING:
    from diffusion.model import Model


INSIDE = "transformer_options"
CFG, PRE_CFG, POST_CFG = "sampler_cfg_function", "sampler_pre_cfg_function", "sampler_post_cfg_function"


class DiffusionModel(Facade):
    """The diffusion model as `MODEL`: functions can be set for guidance and for a transformer's blocks."""

    kind = "MODEL"

    def __init__(self, value: Model) -> None:
        self.value = value
        before: Mapping[str, Any] = value.options.get("model_options", {"transformer_options": {}})
        self.model_options: dict[str, Any] = _copied(before)
        self._before = before

    def own(self) -> Model:
        """The model, with hooks for the guidance functions that were set. Raises where something else was."""
        news = self.model_options.keys() - NOTED
        changed = sorted(key for key in news if self.model_options[key] != self._before.get(key))
        if changed:
            raise AttributeError(
                f"this MODEL cannot have {', '.join(map(repr, changed))}: see docs/custom-nodes.md"
            )
        value = self.value
        options = (each.get(INSIDE, {}) for each in (self.model_options, self._before))
        for point, hook in block_hooks(*options):
            value = value.with_hook(point, hook)
        for key, hang in TRANSLATED.items():
            known = _listed(self._before.get(key))
            for function in _listed(self.model_options.get(key)):
                if function not in known:
                    point, hook = hang(function, self.model_options)
                    value = value.with_hook(point, hook)
        return value.with_options(model_options=self.model_options)

    def clone(self) -> DiffusionModel:
        """One that can be changed apart."""
        made = DiffusionModel(self.value)
        made.model_options, made._before = _copied(self.model_options), self._before
        return made

    def is_clone(self, other: Any) -> bool:
        """Whether both have the same weights."""
        return isinstance(other, DiffusionModel) and other.value.backbone is self.value.backbone

    def set_model_sampler_cfg_function(
        self, sampler_cfg_function: Any, disable_cfg1_optimization: bool = False
    ) -> None:
        """Combine the predictions by this function instead of by classifier-free guidance."""
        self.model_options[CFG] = sampler_cfg_function
        self.model_options["disable_cfg1_optimization"] = disable_cfg1_optimization

    def set_model_sampler_pre_cfg_function(
        self, pre_cfg_function: Any, disable_cfg1_optimization: bool = False
    ) -> None:
        """Change the predictions by this function before they are combined."""
        self.model_options[PRE_CFG] = [*self.model_options.get(PRE_CFG, ()), pre_cfg_function]

    def set_model_sampler_post_cfg_function(
        self, post_cfg_function: Any, disable_cfg1_optimization: bool = False
    ) -> None:
        """Change the combined prediction by this function."""
        self.model_options[POST_CFG] = [*self.model_options.get(POST_CFG, ()), post_cfg_function]
        if disable_cfg1_optimization:
            self.model_options["disable_cfg1_optimization"] = True

    def set_model_patch_replace(
        self, patch: Any, name: str, block_name: str, number: int, transformer_index: int | None = None
    ) -> None:
        """Call this function instead of a block; only blocks of transformers (`dit`) can be replaced."""
        self._inside(REPLACED, name, {(block_name, number): patch})

    def set_model_patch(self, patch: Any, name: str) -> None:
        """Call this function behind every block of a list, or before the first (`post_input`)."""
        patches = self.model_options.get(INSIDE, {}).get(PATCHES, {})
        self._inside(PATCHES, name, [*patches.get(name, ()), patch])

    def set_model_post_input_patch(self, patch: Any) -> None:
        """Call this function on the text before the first block."""
        self.set_model_patch(patch, INPUT)

    def set_model_double_block_patch(self, patch: Any) -> None:
        """Call this function behind every block of two streams."""
        self.set_model_patch(patch, "double_block")

    def _inside(self, key: str, name: str, added: Any) -> None:
        """Adds to the transformer options without changing those of the model this was cloned from."""
        inside = dict(self.model_options.get(INSIDE, {}))
        table = dict(inside.get(key, {}))
        table[name] = {**table.get(name, {}), **added} if isinstance(added, dict) else added
        self.model_options[INSIDE] = {**inside, key: table}

    @property
    def load_device(self) -> Any:
        """Where it computes."""
        return self.value.backbone.device

    @property
    def offload_device(self) -> Any:
        """Where it waits."""
        import torch

        return torch.device("cpu")

    def model_dtype(self) -> Any:
        """In which type it computes."""
        return self.value.backbone.dtype

    def get_model_object(self, name: str) -> Any:
        """`model_sampling` or `latent_format`. Raises AttributeError for other parts."""
        return getattr(self.model, name)

    @property
    def model(self) -> SimpleNamespace:
        """What can be said about the inside: its noise levels and its latents."""
        form = self.value.latent_format
        latents = SimpleNamespace(
            scale_factor=form.scale,
            shift_factor=form.shift,
            latent_channels=form.channels,
            latent_rgb_factors=form.rgb,
            process_in=form.into,
            process_out=form.out_of,
        )
        return SimpleNamespace(
            latent_format=latents,
            model_sampling=sampling_of(self.value),
            process_latent_in=form.into,
            process_latent_out=form.out_of,
        )


def sampling_of(model: Model) -> SimpleNamespace:
    """A model's noise levels as `model_sampling`."""
    clock = model.prediction.clock
    sigmas = clock.sigmas
    return SimpleNamespace(
        prediction=model.prediction,
        sigmas=sigmas,
        sigma_min=sigmas[0],
        sigma_max=sigmas[-1],
        timestep=clock.timestep,
        sigma=clock.sigma,
        percent_to_sigma=clock.sigma_at,
    )


def _copied(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options whose dicts and lists can be changed apart; functions and tensors stay the same."""
    deep = (dict, list)
    return {key: copy.copy(value) if isinstance(value, deep) else value for key, value in options.items()}


def _listed(value: Any) -> Sequence[Any]:
    return () if value is None else value if isinstance(value, list | tuple) else (value,)


def _facts(
    call: Any, predictions: Mapping[str, Any], scale: float, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What ComfyUI tells a guidance function."""
    positive, negative = predictions["positive"], predictions.get("negative")
    sigma = call.sigma.expand(call.x.shape[0])
    return {
        "cond_denoised": positive,
        "uncond_denoised": positive if negative is None else negative,
        "cond_scale": scale,
        "input": call.x,
        "model": None,
        "model_options": options,
        "sigma": sigma,
        "timestep": sigma,
    }


def _cfg(function: Any, options: Mapping[str, Any]) -> tuple[str, Any]:
    """ComfyUI's function combines what is left of noise: x minus the clean estimates."""

    def combine(call: Any, predictions: Mapping[str, Any], scale: float, _combine: Any) -> Any:
        facts = _facts(call, predictions, scale, options)
        noise = {"cond": call.x - facts["cond_denoised"], "uncond": call.x - facts["uncond_denoised"]}
        return call.x - function({**facts, **noise})

    return "guidance.combine", combine


def _pre_cfg(function: Any, options: Mapping[str, Any]) -> tuple[str, Any]:
    def change(call: Any, predictions: Mapping[str, Any]) -> Mapping[str, Any]:
        names = [name for name in ("positive", "negative") if name in predictions]
        given = [predictions[name] for name in names]
        changed = function({**_facts(call, predictions, call.scale, options), "conds_out": given})
        return {**predictions, **dict(zip(names, changed, strict=False))}

    return "guidance.before", change


@dataclass(frozen=True)
class _Afterwards:
    """A post-CFG function as a hook; guidance reads `needs_negative`."""

    function: Any
    options: Mapping[str, Any]
    needs_negative: bool

    def __call__(self, call: Any, denoised: Any, predictions: Mapping[str, Any], scale: float) -> Any:
        return self.function({**_facts(call, predictions, scale, self.options), "denoised": denoised})


def _post_cfg(function: Any, options: Mapping[str, Any]) -> tuple[str, Any]:
    wants_negative = bool(options.get("disable_cfg1_optimization"))
    return "guidance.after", _Afterwards(function, options, wants_negative)


TRANSLATED: Mapping[str, Callable[[Any, Mapping[str, Any]], tuple[str, Any]]] = {
    CFG: _cfg,
    PRE_CFG: _pre_cfg,
    POST_CFG: _post_cfg,
}
"""Model options that become hooks."""

NOTED = frozenset({*TRANSLATED, "disable_cfg1_optimization", "transformer_options"})
"""Model options that are understood."""
