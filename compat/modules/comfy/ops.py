"""ComfyUI's `comfy.ops`: torch's layers without initialisation, or ones that cast weights to their input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from compat.host import Host

LAYERS: tuple[type[nn.Module], ...] = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.GroupNorm,
    nn.LayerNorm, nn.Embedding,
)  # fmt: skip


def cast_to_input(weight: Tensor | None, like: Tensor, *_args: Any, **_kwargs: Any) -> Tensor | None:
    """A weight in the type and on the device of an input."""
    return None if weight is None else weight.to(like)


def cast_bias_weight(layer: Any, input: Tensor, **_kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """A layer's weight and bias in the type and on the device of an input."""
    return layer.weight.to(input), cast_to_input(layer.bias, input)


def _uninitialised(self: Any) -> None:
    """Weights come from a file."""


def _casting(layer: type[nn.Module]) -> Any:
    """`forward` with the layer's weights in its input's type, for that call."""
    plain = layer.forward

    def forward(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        kept = dict(self._parameters)
        if isinstance(x, Tensor) and x.is_floating_point():
            for name, weight in kept.items():
                self._parameters[name] = (
                    None if weight is None else nn.Parameter(weight.to(x), requires_grad=False)
                )
        try:
            return plain(self, x, *args, **kwargs)
        finally:
            self._parameters.update(kept)

    return forward


def layers(name: str, cast: bool) -> type:
    """A class that holds torch's layers under their names."""
    members: dict[str, Any] = {}
    for layer in LAYERS:
        own = {"reset_parameters": _uninitialised, "__module__": "comfy.ops"}
        members[layer.__name__] = type(
            layer.__name__, (layer,), own | ({"forward": _casting(layer)} if cast else {})
        )
    members["conv_nd"] = staticmethod(lambda dims, *a, **k: members[f"Conv{dims}d"](*a, **k))
    return type(name, (), members)


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        "cast_bias_weight": cast_bias_weight,
        "cast_to_input": cast_to_input,
        "disable_weight_init": layers("disable_weight_init", cast=False),
        "manual_cast": layers("manual_cast", cast=True),
        "torch": torch,
    }
