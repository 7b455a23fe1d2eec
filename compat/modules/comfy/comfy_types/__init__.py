"""ComfyUI's `comfy.comfy_types`: the types of `node_typing` and those of sampler callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypedDict

from compat.host import Host
from compat.modules.comfy.comfy_types import node_typing


class UnetApplyFunction(Protocol):
    """The function a model wrapper is given."""

    def __call__(self, x: Any, t: Any, **kwargs: Any) -> Any:
        """The prediction for `x` at `t`."""
        ...


class UnetParams(TypedDict):
    """The arguments of a wrapped model call."""

    input: Any
    timestep: Any
    c: dict[str, Any]
    cond_or_uncond: list[int]


UnetWrapperFunction = Callable[[UnetApplyFunction, UnetParams], Any]


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        **node_typing.names(host),
        "UnetApplyConds": dict,
        "UnetApplyFunction": UnetApplyFunction,
        "UnetParams": UnetParams,
        "UnetWrapperFunction": UnetWrapperFunction,
    }
