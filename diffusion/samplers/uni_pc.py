"""UniPC (Zhao et al. 2023, arXiv 2302.04867): a predictor and a corrector that share their evaluations.

Data prediction, multistep, orders up to 3, in lambda = -log sigma; B(h) is h (bh1) or exp(h) - 1 (bh2).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from diffusion.samplers.contract import Denoiser, Step, Steps

SMALLEST = 0.001  # the level that stands for the final 0, at which lambda would be infinite


def uni_pc(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, variant: Literal["bh1", "bh2"] = "bh1") -> Steps:
    """The order rises at the start and falls at the end, where the last point stays uncorrected."""
    levels = torch.where(sigmas == 0, SMALLEST, sigmas)
    steps = len(levels) - 1
    order = min(3, steps - 1)
    x = x * (1 + levels[-1] ** 2).sqrt() / (1 + levels[-1] ** 2).sqrt()
    estimates = [denoise(x, levels[0])]
    for step in range(1, steps + 1):
        current = min(step, order, steps + 1 - step)
        update = _Update(levels[: step + 1], estimates, max(current, 1), variant)
        predicted = update.predicted(x)
        denoised = estimates[-1]
        if step < steps:
            newest = denoise(predicted, levels[step])
            x = update.corrected(x, newest)
            estimates = [*estimates[-2:], newest]
        else:
            x = predicted
        yield Step(x, denoised, levels[step - 1])


class _Update:
    """The formulas of one step to levels[-1], from the last `order` estimates."""

    def __init__(self, levels: Tensor, estimates: list[Tensor], order: int, variant: str) -> None:
        lambdas = -levels.double().log()
        h = lambdas[-1] - lambdas[-2]
        self.order, self.newest = order, estimates[-1]
        self.ratio = levels[-1] / levels[-2]
        ratios = [(lambdas[-2 - k] - lambdas[-2]) / h for k in range(1, order)]
        self.differences = [(estimates[-1 - k] - self.newest) / r for k, r in enumerate(ratios, start=1)]
        self.scale = -h if variant == "bh1" else (-h).expm1()
        self.powers, self.targets = self._system([*ratios, torch.ones_like(h)], -h)

    def _system(self, ratios: list[Tensor], hh: Tensor) -> tuple[Tensor, Tensor]:
        """R and b of equation 4: what makes the update exact for polynomials up to the order."""
        phi, factorial, targets = hh.expm1() / hh - 1, 1, []
        for k in range(1, self.order + 1):
            targets.append(phi * factorial / self.scale)
            factorial *= k + 1
            phi = phi / hh - 1 / factorial
        powers = torch.stack([torch.stack(ratios) ** k for k in range(self.order)])
        return powers, torch.stack(targets)

    def _first(self, x: Tensor) -> Tensor:
        return self.ratio * x + (1 - self.ratio) * self.newest

    def predicted(self, x: Tensor) -> Tensor:
        """UniP."""
        if self.order == 1:
            return self._first(x)
        rho = self.powers.new_tensor([0.5])  # order 2, simplified
        if self.order > 2:
            rho = torch.linalg.solve(self.powers[:-1, :-1], self.targets[:-1])
        return self._first(x) - self._weighted(rho, self.differences)

    def corrected(self, x: Tensor, at_target: Tensor) -> Tensor:
        """UniC, given the estimate at the predicted point."""
        rho = self.powers.new_tensor([0.5])  # order 1, simplified
        if self.order > 1:
            rho = torch.linalg.solve(self.powers, self.targets)
        return self._first(x) - self._weighted(rho, [*self.differences, at_target - self.newest])

    def _weighted(self, rho: Tensor, differences: list[Tensor]) -> Tensor:
        weights = (self.scale * rho).tolist()
        return torch.stack([w * d for w, d in zip(weights, differences, strict=True)]).sum(0)
