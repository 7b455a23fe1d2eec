"""Hooks: functions that change what a model predicts, hung on named points of it.

A hook is a plain function. `POINTS` lists every point, what a function there is given and what it returns.
`Hooks` is immutable, so a patched model is a new value and never disturbs the one it came from. A hook that
must remember something between steps is an object with `for_run()`, which gives the function for one run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Hook = Callable[..., Any]

POINTS: Mapping[str, str] = MappingProxyType(
    {
        "embedding": "(place, emb) → emb: the embedding of time and vector, [B, 4·channels].",
        "block.input": "(place, h) → h: after an input block, before its copy is kept as a skip.",
        "block.input.after_skip": "(place, h) → h: after an input block, once its copy is kept as a skip.",
        "block.middle": "(place, h) → h: after the middle block.",
        "block.output": "(place, h, skip) → (h, skip): before an output block joins the two.",
        "block.call": "(place, image, text, run) → (image, text): instead of run(image, text), one block of "
        "a transformer; tokens [B, N, C], text None where the block has none.",
        "text.tokens": "(call, tokens) → tokens: a transformer's text [B, T, C] before its first block.",
        "attention.self.input": "(place, q, k, v) → (q, k, v): normed tokens, before the three projections.",
        "attention.self.attend": "(place, q, k, v, attend) → out: instead of attend(q, k, v), heads merged.",
        "attention.self.output": "(place, out) → out: what self-attention adds, after its output projection.",
        "attention.self.after": "(place, tokens) → tokens: the stream between self- and cross-attention.",
        "attention.cross.input": "(place, q, k, v) → (q, k, v): normed tokens, twice the text.",
        "attention.cross.attend": "(place, q, k, v, attend) → out: instead of attend(q, k, v).",
        "attention.cross.output": "(place, out) → out: what cross-attention adds, after its projection.",
        "backbone.call": "(call, x, timesteps, inputs, hooks, predict) → output: instead of predict(…).",
        "guidance.call": "(call, estimate) → denoised: instead of estimate(), the whole guided estimate.",
        "noise_mask": "(call, mask) → mask: where the latent may change at this step [B, 1, H, W].",
        "guidance.before": "(call, predictions) → predictions: the estimates by part, before combining.",
        "guidance.combine": "(call, predictions, scale, combine) → denoised: instead of combine(…).",
        "guidance.after": "(call, denoised, predictions, scale) → denoised: after combining.",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the network a hook is being called, and in which call.

    `block` is "input", "middle" or "output" in a UNet, and what a family calls its lists of blocks in a
    transformer ("double", "single"); `index` is its number there, as in the checkpoint's key names.
    `transformer` counts inside the block, `serial` through the whole network (both 0 outside transformers).
    `size` is height × width at this place, `latent` that of the network's input. `image` says which tokens
    are the picture's, from and up to, where words and picture look at each other; `blocks` is how many
    blocks a transformer has in all, of which this is the one numbered `serial`.
    `call` holds the facts the sampler gave: "sigmas", "parts" (which rows are positive, negative, …), "step".
    """

    block: str
    index: int
    transformer: int = 0
    serial: int = 0
    heads: int = 0
    head_channels: int = 0
    size: tuple[int, int] = (0, 0)
    latent: tuple[int, int] = (0, 0)
    image: tuple[int, int] = (0, 0)
    blocks: int = 0
    call: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hooks:
    """An immutable table: point → the functions hung there, in the order they were added."""

    table: Mapping[str, tuple[Hook, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for point in self.table:
            _require(point)

    def __bool__(self) -> bool:
        return bool(self.table)

    def __getitem__(self, point: str) -> tuple[Hook, ...]:
        return self.table.get(point, ())

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __add__(self, other: Hooks) -> Hooks:
        """Both tables' functions, these first."""
        return Hooks({point: self[point] + other[point] for point in {**self.table, **other.table}})

    def adding(self, point: str, *functions: Hook) -> Hooks:
        """A new table with functions added last at a point. ValueError for an unknown point."""
        return Hooks({**self.table, point: self[point] + functions})

    def without(self, point: str) -> Hooks:
        """A new table with nothing at a point."""
        _require(point)
        return Hooks({name: functions for name, functions in self.table.items() if name != point})

    def for_run(self) -> Hooks:
        """The table for one run: hooks that remember something start afresh."""
        fresh = {point: tuple(map(_started, functions)) for point, functions in self.table.items()}
        return Hooks(fresh)

    def change(self, point: str, place: object, value: Any) -> Any:
        """A value passed through every function at a point."""
        for hook in self[point]:
            value = hook(place, value)
        return value

    def change_all(self, point: str, place: object, *values: Any) -> tuple[Any, ...]:
        """Several values passed together through every function at a point."""
        for hook in self[point]:
            values = tuple(hook(place, *values))
        return values

    def wrap(self, point: str, place: object, inner: Callable[..., Any]) -> Callable[..., Any]:
        """`inner` inside every function at a point; the one added last is outermost and asked first."""
        for hook in self[point]:
            inner = _around(hook, place, inner)
        return inner


def only(
    hook: Hook, *, block: str | None = None, index: int | None = None, transformer: int | None = None
) -> Hook:
    """A hook for `attention.*.attend` that acts at the chosen places and elsewhere attends as usual."""

    def chosen(place: Place, q: Any, k: Any, v: Any, attend: Hook) -> Any:
        wanted = (block, index, transformer)
        found = (place.block, place.index, place.transformer)
        if all(w is None or w == f for w, f in zip(wanted, found, strict=True)):
            return hook(place, q, k, v, attend)
        return attend(q, k, v)

    return chosen


def _around(hook: Hook, place: object, inner: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: hook(place, *values, inner)


def _started(hook: Hook) -> Hook:
    begin = getattr(hook, "for_run", None)
    return begin() if begin else hook


def _require(point: str) -> None:
    if point not in POINTS:
        raise ValueError(f"There is no hook point {point!r}. Points are: {', '.join(POINTS)}.")
