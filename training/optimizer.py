"""Muon for matrices and convolutions, Adam for the rest; an average of the weights beside them.

Muon: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. Short runs need fewer steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.residency.precision import multiplies_bfloat16

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic step (Jordan et al.)."""


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal: every direction of a matrix moves equally far."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float, momentum: float = 0.95, every: int = 1
    ) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "every": every})
        self.dtype = torch.bfloat16 if multiplies_bfloat16() else torch.float32

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is ever given
        """One update from the gradients at hand. A direction serves `every` steps, then it is renewed."""
        for group in self.param_groups:
            for index, parameter in enumerate(group["params"]):
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                velocity = state.setdefault("velocity", torch.zeros_like(parameter))
                velocity.lerp_(parameter.grad, 1 - group["momentum"])
                state["steps"] = state.get("steps", index) + 1
                if "direction" not in state or state["steps"] % group["every"] == 0:
                    blend = parameter.grad.lerp(velocity, group["momentum"])
                    state["direction"] = orthogonal(blend.flatten(1), dtype=self.dtype)
                update = state["direction"]
                scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                parameter.add_(update.view_as(parameter), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor, steps: int = 4, dtype: torch.dtype = torch.float32) -> Tensor:
    """The nearest matrix with singular values around one, by Newton–Schulz steps."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    x = x.to(dtype)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + torch.addmm(gram, gram, gram, beta=b, alpha=c) @ x
    direction: Tensor = (x.T if tall else x).to(matrix.dtype)
    return direction


class Optimizer:
    """Muon and Adam behind one `step(share_of_rate)`; `state_dict` for resuming."""

    def __init__(
        self,
        matrices: Sequence[nn.Parameter],
        others: Sequence[nn.Parameter],
        muon_rate: float = 0.02,
        adam_rate: float = 1e-3,
        every: int = 1,
    ) -> None:
        self.parts: list[tuple[torch.optim.Optimizer, float]] = []
        if matrices:
            self.parts.append((Muon(matrices, muon_rate, every=every), muon_rate))
        if others:
            self.parts.append(
                (
                    torch.optim.AdamW(others, adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
                    adam_rate,
                )
            )

    def step(self, share: float) -> None:
        """Update with `share` of the full rates, then forget the gradients."""
        for part, rate in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * share
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part, _ in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for (part, _), state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def split(module: nn.Module, adam_only: Sequence[str] = ()) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(what Muon trains, what Adam trains): weights of two and more axes, unless named by a given word."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        wide = parameter.ndim >= 2 and not any(word in name for word in adam_only)
        (matrices if wide else others).append(parameter)
    return matrices, others


class Average:
    """An exponential average of a module's weights: what is kept and shipped."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module; fast at first, so that the start is soon forgotten."""
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in module.state_dict().items():
            self.weights[name].lerp_(value, 1 - keep)


def rates(steps: int, warm_up: int, decay_from: float) -> Iterator[float]:
    """Share of the full rate at each step: up, constant, then linearly down to 2 %."""
    return (rate_at(step, steps, warm_up, decay_from) for step in range(steps))


def rate_at(step: int, steps: int, warm_up: int, decay_from: float) -> float:
    """Share of the full rate at one step."""
    start = int(steps * decay_from)
    if step < warm_up:
        return (step + 1) / warm_up
    if step < start:
        return 1.0
    return max(0.02, 1 - 0.98 * (step - start) / max(1, steps - start))
