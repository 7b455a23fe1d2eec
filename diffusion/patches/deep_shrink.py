"""Deep shrink: a smaller inside in the first steps, against doubled heads in large pictures (Kohya 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffusion.hooks import Place
from diffusion.images import resize
from diffusion.model import Model


@dataclass(frozen=True)
class Shrink:
    """Behind which input block, by what factor, during which part of a run (0…1), and how it is resized."""

    block: int
    factor: float
    start: float = 0.0
    end: float = 0.35
    after_skip: bool = True
    downscale_method: str = "bicubic"
    upscale_method: str = "bicubic"


def deep_shrink(model: Model, shrink: Shrink) -> Model:
    """The model whose stream is smaller behind one input block, and as large as the skips on its way up."""
    highest = model.prediction.clock.sigma_at(shrink.start)
    lowest = model.prediction.clock.sigma_at(shrink.end)

    def down(place: Place, h: Tensor) -> Tensor:
        if place.index != shrink.block or not lowest <= place.call["sigmas"][0] <= highest:
            return h
        width, height = (max(1, round(side / shrink.factor)) for side in (h.shape[-1], h.shape[-2]))
        return resize(h, width, height, shrink.downscale_method)

    def up(place: Place, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        if h.shape[2:] != skip.shape[2:]:
            h = resize(h, skip.shape[-1], skip.shape[-2], shrink.upscale_method)
        return h, skip

    point = "block.input.after_skip" if shrink.after_skip else "block.input"
    return model.with_hook(point, down).with_hook("block.output", up)
