"""The network compiled by `torch.compile`: slow at its first call of a size, faster from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from diffusion.hooks import Hook, Hooks
from diffusion.model import Model
from diffusion.networks.backbone import Inputs

Backend = str | Callable[..., Any]


def compiled(model: Model, backend: Backend) -> Model:
    """The model whose network runs compiled. A run can then be cancelled between steps, not within one."""

    def call(
        call: Mapping[str, Any], x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks, predict: Hook
    ) -> Tensor:
        out: Tensor = torch.compile(predict, backend=backend)(x, timesteps, inputs, without_checks(hooks))
        return out

    return model.with_hook("backbone.call", call)


def without_checks(hooks: Hooks) -> Hooks:
    """The hooks that change something; those that only ask whether to go on would cut the graph in pieces."""
    kept = {
        point: tuple(each for each in hooks[point] if not getattr(each, "only_checks", False))
        for point in hooks
        if point != "backbone.call"
    }
    return Hooks({point: functions for point, functions in kept.items() if functions})
