"""Our MODEL, CLIP and VAE values as packs call them, and back.

A V1 node is given a facade that answers ComfyUI's names over our immutable value; what it returns is turned
back, so no native node ever meets a facade. A facade changes by replacing the value it stands for. Names that
reach into ComfyUI's inside (`patcher`, `cond_stage_model`, `first_stage_model` …) raise AttributeError and
say so.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from diffusion.autoencoder import VAE
    from diffusion.model import Model
    from diffusion.text import TextEncoder


def shown(value: Any) -> Any:
    """A value as a V1 node is to see it; lists item by item, everything else as it is."""
    if isinstance(value, list):
        return [shown(member) for member in value] if any(_facade_of(member) for member in value) else value
    facade = _facade_of(value)
    return facade(value) if facade else value


def own(value: Any) -> Any:
    """A value from a V1 node as our nodes are to see it; lists item by item."""
    if isinstance(value, list):
        return [own(member) for member in value] if any(isinstance(m, Facade) for m in value) else value
    return value.own() if isinstance(value, Facade) else value


def _facade_of(value: Any) -> Callable[[Any], Facade] | None:
    """The facade for a value's class. A class whose module is not loaded can have no values."""
    module = type(value).__module__
    if module not in FACADES or module not in sys.modules:
        return None
    name, facade = FACADES[module]
    return facade if type(value).__name__ == name else None


class Facade:
    """Base of the facades."""

    kind = "value"

    def own(self) -> Any:
        """Our value."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"this {self.kind} has no {name!r}: it is Nodeloom's own, not the inside of ComfyUI's, "
            "which the node wants to reach into"
        )


class Clip(Facade):
    """The text encoder as `CLIP`."""

    kind = "CLIP"

    def __init__(self, value: TextEncoder) -> None:
        self.value = value

    def own(self) -> TextEncoder:
        """The encoder, with what was changed."""
        return self.value

    def clone(self) -> Clip:
        """One that can be changed apart."""
        return Clip(self.value)

    def clip_layer(self, layer_idx: int) -> None:
        """Stop earlier; −1 is the last layer."""
        self.value = self.value.with_last_layer(layer_idx)

    def tokenize(self, text: str, return_word_ids: bool = False, **_kwargs: Any) -> dict[str, Any]:
        """Chunks of (token, weight) for each tower, under ComfyUI's short names (`l`, `g`, `h`)."""
        tokens = {key.removeprefix("clip_"): chunks for key, chunks in self.value.tokenize(text).items()}
        if not return_word_ids:
            return tokens
        return {key: [[(*pair, 0) for pair in chunk] for chunk in chunks] for key, chunks in tokens.items()}

    def encode_from_tokens(
        self, tokens: Mapping[str, Any], return_pooled: bool | str = False, return_dict: bool = False
    ) -> Any:
        """The embedding of tokens; with the pooled vector, or both in a dict, if asked for."""
        from compat.current import current_run

        run = current_run()
        keys = {tower.key.removeprefix("clip_"): tower.key for tower in self.value.towers}
        chunks = {
            keys[short]: [[(t, w) for t, w, *_ in chunk] for chunk in found]
            for short, found in tokens.items()
        }
        encoded = self.value.encode(chunks, run.check) if run else self.value.encode(chunks)
        if return_dict:
            return {"cond": encoded.cond, "pooled_output": encoded.pooled, **encoded.extra}
        return (encoded.cond, encoded.pooled) if return_pooled else encoded.cond

    def encode_from_tokens_scheduled(
        self,
        tokens: Mapping[str, Any],
        unprojected: bool = False,
        add_dict: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> list[list[Any]]:
        """The embedding of tokens as a conditioning."""
        found = self.encode_from_tokens(tokens, return_dict=True)
        return [[found.pop("cond"), {**found, **(add_dict or {})}]]

    def encode(self, text: str) -> Any:
        """The embedding of a text."""
        return self.encode_from_tokens(self.tokenize(text))


class Vae(Facade):
    """The autoencoder as `VAE`."""

    kind = "VAE"

    def __init__(self, value: VAE) -> None:
        self.value = value
        self.latent_channels = value.latent_channels
        self.downscale_ratio = self.upscale_ratio = value.downscale
        self.latent_dim = 2
        self.output_channels = 3

    def own(self) -> VAE:
        """The autoencoder."""
        return self.value

    @property
    def device(self) -> Any:
        """Where it computes."""
        return self.value.resident.device

    @property
    def vae_dtype(self) -> Any:
        """In which type it computes."""
        return self.value.resident.dtype

    @property
    def output_device(self) -> Any:
        """Where its results are."""
        import torch

        return torch.device("cpu")

    def decode(self, samples_in: Tensor, **_kwargs: Any) -> Tensor:
        """Pictures `B×H×W×C` of latents."""
        return self.value.decode(samples_in)

    def encode(self, pixel_samples: Tensor) -> Tensor:
        """Latents of pictures `B×H×W×C`."""
        return self.value.encode(pixel_samples[..., :3])

    def decode_tiled(
        self,
        samples: Tensor,
        tile_x: int | None = None,
        tile_y: int | None = None,
        overlap: int | None = None,
        **_: Any,
    ) -> Tensor:
        """Pictures of latents, in square tiles of latent elements."""
        return self.value.decode_tiled(samples, **_tiles(tile_x or tile_y, overlap))

    def encode_tiled(
        self,
        pixel_samples: Tensor,
        tile_x: int | None = None,
        tile_y: int | None = None,
        overlap: int | None = None,
        **_: Any,
    ) -> Tensor:
        """Latents of pictures, in square tiles of pixels."""
        return self.value.encode_tiled(pixel_samples[..., :3], **_tiles(tile_x or tile_y, overlap))

    def spacial_compression_decode(self) -> int:
        """Pixels of a latent element's side (the name is ComfyUI's)."""
        return self.value.downscale

    spacial_compression_encode = spacial_compression_decode

    def temporal_compression_decode(self) -> None:
        """Not one for video."""

    def throw_exception_if_invalid(self) -> None:
        """It is valid."""


def _tiles(tile: int | None, overlap: int | None) -> dict[str, Any]:
    """The options of tiles that are given."""
    return {name: value for name, value in (("tile", tile), ("overlap", overlap)) if value is not None}


CFG, PRE_CFG, POST_CFG = "sampler_cfg_function", "sampler_pre_cfg_function", "sampler_post_cfg_function"


class DiffusionModel(Facade):
    """The diffusion model as `MODEL`: guidance functions can be set on it, attention patches cannot."""

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
        changed = function({**_facts(call, predictions, 1.0, options), "conds_out": given})
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

NOTED = frozenset({*TRANSLATED, "disable_cfg1_optimization"})
"""Model options that are understood."""


FACADES: Mapping[str, tuple[str, Callable[[Any], Facade]]] = {
    "diffusion.autoencoder": ("VAE", Vae),
    "diffusion.model": ("Model", DiffusionModel),
    "diffusion.text": ("TextEncoder", Clip),
}
"""Module → the class in it that packs see by a facade."""
