"""Long clips and large batches in overlapping windows, whose estimates are blended.

MultiDiffusion (Bar-Tal et al. 2023, arXiv 2302.08113) over time, as AnimateDiff's long videos are made: what
several windows see is the weighted mean of what each says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from diffusion.errors import Mismatch
from diffusion.hooks import Hook, Hooks
from diffusion.model import Model
from diffusion.networks.backbone import Control, Inputs

Indices = list[int]


@dataclass(frozen=True)
class Windows:
    """How long windows are, how far they overlap, how they are laid at each step and how they are blended."""

    length: int = 16
    overlap: int = 4
    schedule: str = "standard_static"
    stride: int = 1
    closed: bool = False
    fuse: str = "pyramid"
    dim: int = 0

    def at(self, count: int, step: int) -> list[Indices]:
        """The windows over `count` places at a step of the run; one over all if they fit into one."""
        if count <= self.length:
            return [list(range(count))]
        found = SCHEDULES[self.schedule](self, count, step)
        unseen = set(range(count)) - {place for window in found for place in window}
        while unseen:
            first = min(min(unseen), count - self.length)
            found.append(list(range(first, first + self.length)))
            unseen -= set(found[-1])
        return found

    @property
    def pace(self) -> int:
        """From the beginning of a window to that of the next."""
        return max(1, self.length - self.overlap)


def static(windows: Windows, count: int, step: int) -> list[Indices]:
    """One after the other, the last one moved back to end at the end."""
    starts = range(0, count - windows.overlap, windows.pace)
    last = count - windows.length
    firsts = sorted({min(start, last) for start in starts})
    return [list(range(first, first + windows.length)) for first in firsts]


def batched(windows: Windows, count: int, step: int) -> list[Indices]:
    """Side by side without overlap; the last may be shorter."""
    return [list(range(count))[first : first + windows.length] for first in range(0, count, windows.length)]


def looped(windows: Windows, count: int, step: int) -> list[Indices]:
    """Moved from step to step, also with places left out between, going on at the start behind the end."""
    found = []
    for power in range(windows.stride):
        gap = 1 << power
        reach = windows.length * gap
        if reach > count:
            break
        shift = round(count * halved(step))
        end = count + shift + (0 if windows.closed else -windows.overlap)
        for first in range(shift, end, max(1, reach - windows.overlap)):
            found.append([place % count for place in range(first, first + reach, gap)])
    return found


def uniform(windows: Windows, count: int, step: int) -> list[Indices]:
    """As `looped`, but a window that would go on at the start stays before the end."""
    found: list[Indices] = []
    for window in looped(windows, count, step):
        if window != sorted(window):
            window = list(range(count - windows.length, count))
        if window not in found:
            found.append(window)
    return found


def halved(step: int) -> float:
    """The binary digits of a step behind the point in reverse: 0, ½, ¼, ¾, ⅛, … (van der Corput)."""
    found, share = 0.0, 0.5
    while step:
        found, share, step = found + share * (step & 1), share / 2, step >> 1
    return found


SCHEDULES: Mapping[str, Callable[[Windows, int, int], list[Indices]]] = {
    "standard_static": static,
    "standard_uniform": uniform,
    "looped_uniform": looped,
    "batched": batched,
}


def weights(windows: Windows, window: Indices, count: int) -> Tensor:
    """How much each place of a window counts."""
    places = torch.arange(len(window), dtype=torch.float32)
    from_edge = torch.minimum(places, len(window) - 1 - places) + 1
    if windows.fuse == "flat":
        return torch.ones(len(window))
    if windows.fuse == "pyramid":
        return from_edge
    if windows.fuse == "relative":
        middle = (len(window) - 1) / 2
        return (1 - (places - middle).abs() / (middle + 1e-2)).clamp(min=1e-2)
    ramp = (from_edge / (windows.overlap + 1)).clamp(max=1)
    half = len(window) // 2
    if window[0] == 0:
        ramp[:half] = 1
    if window[-1] == count - 1:
        ramp[half:] = 1
    return ramp


def in_windows(model: Model, windows: Windows) -> Model:
    """The model whose network sees a window of frames (dim 0), rows (2) or columns (3) at a time."""
    if windows.dim not in (0, 2, 3):
        problem = f"Windows cannot lie along dimension {windows.dim} of this model's latents."
        raise Mismatch(problem, "Choose 0 (pictures or frames), 2 (rows) or 3 (columns).")

    def call(
        call: Mapping[str, Any], x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks, predict: Hook
    ) -> Tensor:
        parts = len(call["names"])
        sides = x.reshape(parts, -1, *x.shape[1:])
        count = sides.shape[windows.dim + 1]
        laid = windows.at(count, int(call["step"]))
        if laid == [list(range(count))]:
            whole: Tensor = predict(x, timesteps, inputs, hooks)
            return whole
        total, counts = torch.zeros(()), torch.zeros(())
        for window in laid:
            index = torch.tensor(window, device=x.device)
            seen = sides.index_select(windows.dim + 1, index).flatten(0, 1)
            rows = rows_of(index, parts, count) if windows.dim == 0 else slice(None)
            out = predict(seen, timesteps[rows], cut(inputs, rows, len(window)), hooks)
            out = out.reshape(parts, -1, *out.shape[1:])
            shape = [len(window) if axis == windows.dim + 1 else 1 for axis in range(out.ndim)]
            weight = weights(windows, window, count).to(out).reshape(shape)
            if not total.ndim:
                size = [count if axis == windows.dim + 1 else side for axis, side in enumerate(out.shape)]
                total, counts = out.new_zeros(size), out.new_zeros(size)
            total.index_add_(windows.dim + 1, index, out * weight)
            counts.index_add_(windows.dim + 1, index, weight.expand_as(out))
        return (total / counts).flatten(0, 1)

    return model.with_hook("backbone.call", call)


def rows_of(index: Tensor, parts: int, count: int) -> Tensor:
    """The rows of a batch that a window sees, for each of the parts below each other."""
    return (torch.arange(parts, device=index.device)[:, None] * count + index).flatten()


def cut(inputs: Inputs, rows: Tensor | slice, length: int) -> Inputs:
    """What the network is given beside the latent, for these rows.

    Raises:
        Mismatch: a control network adds to places that lie across windows.
    """
    control = inputs.control
    if isinstance(rows, slice):
        if control is not None:
            problem = "A control network cannot follow windows of rows or columns."
            raise Mismatch(problem, "Lay the windows along dimension 0, or leave the control out.")
        return inputs

    def chosen(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[rows]
        if isinstance(value, Mapping):
            return {key: chosen(each) for key, each in value.items()}
        return [chosen(each) for each in value] if isinstance(value, list) else value

    if control is not None:
        parts = (control.input, control.middle, control.skips, control.output)
        control = Control(*map(chosen, parts))
    context, tensors = chosen(inputs.context), chosen(inputs.tensors)
    return replace(inputs, context=context, tensors=tensors, control=control, rows=length)
