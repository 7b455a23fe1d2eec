"""Layers of a transformer left out: for an estimate to lead away from, or for the negative alone.

Skip-layer guidance, Stability AI 2024, with Stable Diffusion 3.5; after Hyung et al. 2024, arXiv 2411.18664.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from diffusion.guidance.guidance import Call
from diffusion.hooks import Hook, Hooks, Place
from diffusion.model import Model

Layers = Mapping[str, Collection[int]]
"""Which blocks, by the name of their list ("double", "single") and their number in it."""
Streams = tuple[Tensor, Tensor | None]


def skipping(layers: Layers) -> Hook:
    """A hook at `block.call` under which these blocks hand on what they are given."""

    def call(place: Place, image: Tensor, text: Tensor | None, run: Callable[..., Streams]) -> Streams:
        return (image, text) if place.index in layers.get(place.block, ()) else run(image, text)

    return call


def guided_past(
    model: Model, layers: Layers, scale: float, start: float, end: float, rescale: float = 0.0
) -> Model:
    """Away from the positive estimate without some layers, from `start` to `end` of the way (0…1).

    `rescale` is how much of the positive estimate's spread the result gets back.
    """
    within = window(model, start, end)
    without = Hooks().adding("block.call", skipping(layers))
    model.require(without)

    def after(call: Call, denoised: Tensor, predictions: Mapping[str, Tensor], guidance: float) -> Tensor:
        if not within(call.sigma):
            return denoised
        positive = predictions["positive"]
        denoised = denoised + (positive - call.estimate("positive", hooks=without)) * scale
        if not rescale:
            return denoised
        return denoised * (rescale * positive.std() / denoised.std() + 1 - rescale)

    return model.with_hook("guidance.after", after)


def left_out_of_negative(model: Model, layers: Layers, start: float, end: float) -> Model:
    """The negative estimated without some layers, from `start` to `end` of the way (0…1)."""
    within = window(model, start, end)

    def call(place: Place, image: Tensor, text: Tensor | None, run: Callable[..., Streams]) -> Streams:
        names = place.call.get("names", ())
        skipped = place.index in layers.get(place.block, ()) and "negative" in names
        if not skipped or not within(place.call["sigmas"][0]):
            return run(image, text)
        if set(names) == {"negative"}:
            return image, text
        left = torch.tensor([name == "negative" for name in names], device=image.device)
        rows = left.repeat_interleave(len(image) // len(names))[:, None, None]
        done_image, done_text = run(image, text)
        words = None if done_text is None or text is None else torch.where(rows, text, done_text)
        return torch.where(rows, image, done_image), words

    return model.with_hook("block.call", call)


def window(model: Model, start: float, end: float) -> Callable[[Any], bool]:
    """Whether a noise level lies between two shares of the way."""
    clock = model.prediction.clock
    highest, lowest = clock.sigma_at(start), clock.sigma_at(end)
    return lambda sigma: bool(lowest <= float(sigma) <= highest)
