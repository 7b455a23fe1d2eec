"""What a run knows of the network that predicts: one function, and what it is given beside the latent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from diffusion.hooks import Hooks

Value = Tensor | Sequence[Tensor] | float | int | bool | str | None
"""An input of a network: tensors have the rows of the latent, anything else is the same for all rows."""


@dataclass(frozen=True)
class Control:
    """What control networks add in one pass, by the number of the block.

    `input` is added behind a block on the way in (of a transformer: a block of two streams), `output` behind
    one on the way out (of one stream), `middle` in the middle, `skips` to what input blocks hand across.
    """

    input: Mapping[int, Tensor] = field(default_factory=dict)
    middle: Tensor | None = None
    skips: Mapping[int, Tensor] = field(default_factory=dict)
    output: Mapping[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a backbone is given beside the latent, in one call.

    `context` [B, T, C] is the text; `tensors` are the family's own inputs by name; `control` is what control
    networks add. `call` holds the facts that hooks are told. `kept` lives as long as the run and starts
    empty, for what stays the same over its steps (None: nothing may be kept). `rows` is how many rows of B
    belong to one conditioning; several lie below each other.
    """

    context: Tensor
    tensors: Mapping[str, Value] = field(default_factory=dict)
    control: Control | None = None
    call: Mapping[str, Any] = field(default_factory=dict)
    kept: dict[Any, Any] | None = None
    rows: int | None = None

    def tensor(self, name: str) -> Tensor | None:
        """One of the family's inputs that is a tensor; None if it was not given."""
        found = self.tensors.get(name)
        return found if isinstance(found, Tensor) else None


class Backbone(Protocol):
    """The network that predicts, be it a module or a wrapper around one."""

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """x [B, C, (T,) H, W] as the network sees it, timesteps [B] on its own clock → its output.

        x is scaled by the prediction, and extra channels are joined already. Hooks act at the points that the
        network's family lists. A family of several latents is given a tuple of them, and answers with one.
        """
