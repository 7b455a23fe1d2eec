"""Schedules that were searched for, each for one family of models, read off between the steps they have.

`denoise` keeps the last part of a schedule, as everywhere; the lowest level gives way to the final 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from diffusion.noise.prediction import stable_diffusion

Levels = Sequence[float]

# Sabour et al. 2024, arXiv 2404.14507: optimised for ten steps.
ALIGN_YOUR_STEPS: Mapping[str, Levels] = {
    "SD1": (
        14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092,
        0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
    ),
    "SDXL": (
        14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141,
        0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
    ),
    "SVD": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}  # fmt: skip

# Pei et al. 2025, arXiv 2503.21774 (Optimal Stepsize).
OPTIMAL_STEPS: Mapping[str, Levels] = {
    "FLUX": (0.9968, 0.9886, 0.9819, 0.975, 0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.001),
    "Wan": (
        1.0, 0.997, 0.995, 0.993, 0.991, 0.989, 0.987, 0.985, 0.98, 0.975, 0.973,
        0.968, 0.96, 0.946, 0.927, 0.902, 0.864, 0.776, 0.539, 0.208, 0.001,
    ),
    "Chroma": (
        0.992, 0.99, 0.988, 0.985, 0.982, 0.978, 0.973, 0.968, 0.961, 0.953, 0.943, 0.931, 0.917, 0.9,
        0.881, 0.858, 0.832, 0.802, 0.769, 0.731, 0.69, 0.646, 0.599, 0.55, 0.501, 0.451, 0.402, 0.355,
        0.311, 0.27, 0.232, 0.199, 0.169, 0.143, 0.12, 0.101, 0.084, 0.07, 0.058, 0.048, 0.001,
    ),
}  # fmt: skip


def align_your_steps(model_type: str, steps: int, denoise: float = 1.0) -> Tensor:
    """Align Your Steps, for "SD1", "SDXL" or "SVD"."""
    return last_part(read_off(ALIGN_YOUR_STEPS[model_type], steps), steps, denoise)


def optimal_steps(model_type: str, steps: int, denoise: float = 1.0) -> Tensor:
    """Optimal Stepsize, for "FLUX", "Wan" or "Chroma"."""
    return last_part(read_off(OPTIMAL_STEPS[model_type], steps), steps, denoise)


def gits(coeff: float, steps: int, denoise: float = 1.0) -> Tensor:
    """GITS (Chen et al. 2024, arXiv 2405.11326): searched on Stable Diffusion for 2 to 20 steps.

    A larger `coeff` (0.80 to 1.50 by 0.05) puts more of the steps at low noise.
    """
    places = gits_places()[f"{coeff:.2f}"]
    clock = stable_diffusion().clock
    levels = clock.sigma(torch.tensor(places[min(steps - 2, len(places) - 1)]) * 9.99)
    known = 2 <= steps <= len(places) + 1
    return last_part(levels if known else read_off(levels.tolist(), steps), steps, denoise)


def gits_places() -> dict[str, list[list[int]]]:
    """By coefficient, for 2, 3, 4, … steps: the levels in hundredths of the clock, from 100 down to 0."""
    found: dict[str, list[list[int]]] = {}
    text = files("diffusion").joinpath("data/gits.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.endswith(":"):
            found[line[:-1]] = []
        elif not line.startswith("#"):
            found[next(reversed(found))].append([100, *map(int, line.split()), 0])
    return found


def read_off(levels: Levels, steps: int) -> Tensor:
    """steps + 1 levels on the curve through `levels`, linear in log sigma over the step."""
    if len(levels) == steps + 1:
        return torch.tensor(levels)
    places = np.linspace(0, len(levels) - 1, steps + 1)
    logs = np.interp(places, np.arange(len(levels)), [math.log(level) for level in levels])
    return torch.from_numpy(np.exp(logs)).float()


def last_part(sigmas: Tensor, steps: int, denoise: float) -> Tensor:
    """The last `denoise` of a schedule with its lowest level set to 0; empty if denoise is 0 or less."""
    if denoise <= 0:
        return torch.zeros(0)
    kept = steps if denoise >= 1 else round(steps * denoise)
    part = sigmas[-(kept + 1) :].clone()
    part[-1] = 0
    return part
