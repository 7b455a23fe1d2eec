"""What every training here has in common: a module that learns, and all that it carries from step to step."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from training.optimizer import Average, Optimizer, rate_at


class Pace(Protocol):
    """How a plan's rate goes: up over `warm_up` steps, constant, then down from a share of all steps on."""

    @property
    def steps(self) -> int: ...
    @property
    def warm_up(self) -> int: ...
    @property
    def decay_from(self) -> float: ...


class Learner:
    """A module, its optimizer, the average of its weights that is kept and shipped, and the steps done.

    The average follows when `average.update(module)` is called after a step.
    """

    def __init__(self, module: nn.Module, optimizer: Optimizer, pace: Pace, keep: float) -> None:
        self.module, self.optimizer, self.pace = module, optimizer, pace
        self.average = Average(module, keep)
        self.step = 0

    def descend(self, loss: Tensor) -> float:
        """One step down the gradient of a loss; returns the loss."""
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        nn.utils.clip_grad_norm_([each for each in self.module.parameters() if each.requires_grad], 1.0)
        self.optimizer.step(rate_at(self.step, self.pace.steps, self.pace.warm_up, self.pace.decay_from))
        self.step += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write the whole state; the old file stays until the new one is complete."""
        state = {
            "step": self.step,
            "weights": self.module.state_dict(),
            "average": self.average.weights,
            "averaged": self.average.steps,
            "optimizer": self.optimizer.state_dict(),
        }
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        self.module.load_state_dict(state["weights"])
        self.average.weights, self.average.steps = state["average"], state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
