"""Sizes read off the shapes of tensors, and what a file's metadata states beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from diffusion.errors import FileProblem
from diffusion.weights.entries import Weights


class Unlike(ValueError):
    """Why these tensors are not the network they were taken for; names what was missing."""


@dataclass(frozen=True)
class Stated:
    """What a file's metadata states about a part, such as `nodeloom.unet.norm_groups`."""

    path: Path
    metadata: Mapping[str, str]
    part: str

    def number(self, name: str) -> int | None:
        """A positive whole number, None if nothing is stated. FileProblem if it is nonsense."""
        text = self.metadata.get(f"nodeloom.{self.part}.{name}")
        if text is None:
            return None
        if not text.isdecimal() or not 0 < int(text) < 1 << 20:
            raise FileProblem(self.path, f"Its metadata says nodeloom.{self.part}.{name} = {text!r:.40}.")
        return int(text)

    def text(self, name: str, default: str) -> str:
        """A word, or the default."""
        return self.metadata.get(f"nodeloom.{self.part}.{name}", default)


def stated(weights: Weights, part: str) -> Stated:
    """The metadata of a file concerning one part."""
    return Stated(weights.path, weights.metadata, part)


def counted(weights: Weights, pattern: str) -> int:
    """How many names there are for 0, 1, 2, … in a pattern such as `blocks.{}.weight`."""
    return next(number for number in count() if pattern.format(number) not in weights)


def shape_of(weights: Weights, name: str, dimensions: int) -> tuple[int, ...]:
    """The shape of a tensor of so many dimensions. Unlike if there is none."""
    shape = weights.shape(name)
    if shape is None:
        raise Unlike(f"{name} is missing")
    if len(shape) != dimensions or 0 in shape:
        raise Unlike(f"{name} has the shape {shape}, not {dimensions} dimensions")
    return shape


def multiple(number: int, base: int) -> int:
    """How often `base` goes into a number of channels. Unlike if not wholly."""
    if number % base:
        raise Unlike(f"{number} channels are no multiple of {base}")
    return number // base
