"""What steers a model, made ready for one run: areas, masks, spans of the run, and the network's inputs.

A conditioning is the ecosystem's list of [embedding, options]. Each entry becomes a `Part`, in which
everything that stays the same over a run is computed: where it applies, how strongly, and what the backbone
is given. What its options mean to the network, the model's family says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from diffusion.errors import Mismatch
from diffusion.hooks import Hooks
from diffusion.images import mask_like, to_batch
from diffusion.latents.several import Packing
from diffusion.model import Model
from diffusion.networks.backbone import Value
from diffusion.noise.clocks import Clock
from diffusion.option_hooks import option_hooks
from diffusion.weights.loading import Patches

Options = Mapping[str, Any]
Conditioning = Sequence[Sequence[Any]]  # [[embedding [B, T, C], options], …]

FEATHER = 8  # latent pixels over which the edge of an area fades
SMALLEST_BOUNDS = 8  # latent pixels, of an area around a mask


@runtime_checkable
class Changes(Protocol):
    """Changes of weights that come and go during a run, bound to a conditioning (`weight_hooks`)."""

    def factors(self, sigma: float, clock: Clock) -> tuple[float, ...]:
        """How strongly each acts at a noise level."""

    def patches(self, model: Model, factors: tuple[float, ...]) -> Iterator[Patches]:
        """The changes of a model's weights, each times its factor."""


@dataclass(frozen=True)
class Area:
    """A rectangle of the latent; of a clip, for `frames` from the one numbered `first` (None: all)."""

    height: int
    width: int
    top: int
    left: int
    frames: int | None = None
    first: int = 0

    def cut(self, x: Tensor) -> Tensor:
        """The part of [..., H, W] inside; of [B, C, T, H, W] if it is a stretch of time."""
        if self.frames is not None and x.ndim == 5:
            x = x[:, :, self.first : self.first + self.frames]
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def within(self, height: int, width: int) -> Area:
        """Cut off where it leaves a latent of this size."""
        height, width = min(self.height, height - self.top), min(self.width, width - self.left)
        return replace(self, height=height, width=width)

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width, and the number of frames if it is a stretch of time."""
        return (self.height, self.width) if self.frames is None else (self.height, self.width, self.frames)

    def holds(self, other: Area) -> bool:
        """Whether the other lies inside."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and self.top + self.height >= other.top + other.height
            and self.left + self.width >= other.left + other.width
        )


@dataclass(frozen=True)
class Entry:
    """One line of a conditioning, its area and mask brought to the size of the latent."""

    embedding: Tensor
    options: Options
    area: Area | None = None
    mask: Tensor | None = None  # [B, 1, (T,) h, w]


@dataclass(frozen=True, eq=False)
class Part:
    """One entry as the denoiser uses it at every step.

    context [B, T, C] and `tensors`, what else the family asks for by name, go to the backbone; channels
    [B, C, (T,) h, w] beside the latent. Its estimate counts with `weight` (see `weight`) inside `area` (None:
    everywhere), while ends <= sigma <= begins.
    """

    context: Tensor
    channels: Tensor | None
    area: Area | None
    weight: Tensor
    begins: float
    ends: float
    tensors: Mapping[str, Value] = field(default_factory=dict)
    control: Any = None
    hooks: Hooks | None = None
    control_context: Tensor | None = None  # what control networks read instead of the context
    changes: Changes | None = None
    fills: bool = False  # applies only where no other entry does

    def acts(self, sigma: float) -> bool:
        """Whether it takes part at this noise level."""
        return self.ends <= sigma <= self.begins


@dataclass(frozen=True, eq=False)
class Setting:
    """What a run's conditionings are made ready for: the model and the latent it starts from.

    `latent` [B, C, (T,) H, W] is scaled as the model sees it; `noise_mask` [B, 1, (T,) H, W] is 1 where it
    may change. `seed` is the run's, for conditionings that are noised themselves. With a `packing` the latent
    holds several behind each other, as `latents` gives them.
    """

    model: Model
    latent: Tensor
    noise_mask: Tensor | None = None
    seed: int = 0
    packing: Packing | None = None

    @property
    def latents(self) -> tuple[Tensor, ...]:
        """The latents of a run of several, each [B, C, …]; of any other run its one latent."""
        return self.packing.apart(self.latent) if self.packing else (self.latent,)


def prepare(conditionings: Mapping[str, Conditioning], setting: Setting) -> dict[str, tuple[Part, ...]]:
    """All conditionings of a run by name ("positive", "negative", …), each as its parts."""
    placed = {name: [entry(line, setting) for line in lines] for name, lines in conditionings.items()}
    answer_areas(placed)
    lend_controls(placed)
    lend_grounding(placed)
    return {name: tuple(part(e, name, setting) for e in entries) for name, entries in placed.items()}


# Areas and masks


def entry(line: Sequence[Any], setting: Setting) -> Entry:
    """A line with its area in latent pixels and its mask at the latent's size."""
    embedding, options = line[0], line[1]
    if setting.packing is not None and ("area" in options or "mask" in options):
        problem = "A conditioning with an area or a mask cannot steer several latents at once."
        raise Mismatch(problem, "Leave the area out, or sample one latent alone.")
    height, width = setting.latent.shape[-2:]
    area = _area(options.get("area"), setting.latent.shape[2:])
    mask = options.get("mask")
    if mask is not None:
        mask = mask_like(mask, setting.latent)
        if options.get("set_area_to_bounds"):
            area = bounds(mask).within(height, width)
    return Entry(embedding, options, area, mask)


def _area(spec: Sequence[Any] | None, size: Sequence[int]) -> Area | None:
    """(height, width, y, x) in latent pixels, or ("percentage", height, width, y, x) as shares.

    Both may be of time as well: (time, height, width, start, y, x). A latent without an axis of time, whose
    frames are rows of a batch, has no use for that.
    """
    if spec is None:
        return None
    shares = spec[0] == "percentage"
    numbers = list(spec[1:] if shares else spec)
    half = len(numbers) // 2
    wide, starts = numbers[:half], numbers[half:]
    sides = list(size)[-half:] if len(size) >= half else [1, *size]
    if shares:
        wide = [max(1, round(share * side)) for share, side in zip(wide, sides, strict=True)]
        starts = [round(share * side) for share, side in zip(starts, sides, strict=True)]
    (height, width), (top, left) = (map(int, wide[-2:]), map(int, starts[-2:]))
    time = (int(wide[0]), int(starts[0])) if half == 3 and len(size) == 3 else (None, 0)
    return Area(height, width, top, left, *time).within(*size[-2:])


def bounds(mask: Tensor) -> Area:
    """The rectangle around everything in a mask [B, 1, (T,) h, w], at least 8 × 8."""
    marked = mask.abs().flatten(0, -3).amax(dim=0) > 0
    rows, columns = marked.any(1).nonzero(), marked.any(0).nonzero()
    if not len(rows):
        return Area(SMALLEST_BOUNDS, SMALLEST_BOUNDS, 0, 0)
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    return Area(max(SMALLEST_BOUNDS, height), max(SMALLEST_BOUNDS, width), top, left)


def answer_areas(placed: Mapping[str, list[Entry]]) -> None:
    """Gives each entry with an area a counterpart of the same place in every other conditioning.

    Guidance subtracts like from like: inside an area the text is weighed against the negative of that area
    alone. The counterpart takes its text from the smallest entry there that holds the area.
    """
    for name, entries in placed.items():
        for mine in list(entries):
            if mine.area is None:
                continue
            for other, theirs in placed.items():
                answer = None if other == name else _smallest_holding(mine.area, theirs)
                if answer is not None and answer.area != mine.area:
                    theirs.append(_at_the_place_of(mine, answer))


def _smallest_holding(area: Area, entries: Sequence[Entry]) -> Entry | None:
    holding = [e for e in entries if e.area is None or e.area.holds(area)]
    return min(holding, key=lambda e: math.prod(e.area.size) if e.area else math.inf, default=None)


PLACEMENT = ("strength", "mask_strength", "start_percent", "end_percent", "control", "gligen")


def _at_the_place_of(mine: Entry, answer: Entry) -> Entry:
    """The answer's text where, when and as strongly as mine applies."""
    options = {key: value for key, value in answer.options.items() if key not in PLACEMENT}
    options |= {key: mine.options[key] for key in PLACEMENT if key in mine.options}
    return Entry(answer.embedding, options, mine.area, mine.mask)


def lend_controls(placed: Mapping[str, list[Entry]]) -> None:
    """Gives the positive's controls to a negative that has none of its own, where they say so."""
    _lend(placed, "control", lambda options: bool(options.get("control_apply_to_uncond")))


def lend_grounding(placed: Mapping[str, list[Entry]]) -> None:
    """Gives the positive's words in boxes (GLIGEN) to a negative that has none of its own.

    The paper's authors lead away from no boxes at all; as ComfyUI computes it, both have the same ones.
    """
    _lend(placed, "gligen", lambda options: True)


def _lend(placed: Mapping[str, list[Entry]], key: str, offered: Callable[[Options], bool]) -> None:
    """The positive's values of an option, one each, to negatives; entries with an area keep to themselves."""
    negative = placed.get("negative", [])
    idle = [i for i, e in enumerate(negative) if e.area is None]
    if not idle or any(negative[i].options.get(key) for i in idle):
        return
    lenders = [e.options for e in placed.get("positive", []) if e.area is None]
    values = [o[key] for o in lenders if o.get(key) and offered(o)]
    for n, value in enumerate(values):
        borrower = negative[idle[n % len(idle)]]
        borrower = replace(borrower, options={**borrower.options, key: value})
        if n < len(idle):
            negative[idle[n]] = borrower
        else:
            negative.append(borrower)


# Parts


def part(entry: Entry, name: str, setting: Setting) -> Part:
    """Everything of an entry that stays the same over the run."""
    options, model, latent = entry.options, setting.model, setting.latent
    given = {key: placed(value, latent) for key, value in model.family.inputs(entry, name, setting).items()}
    context, channels = given.pop("context", entry.embedding.to(latent)), given.pop("channels", None)
    begins, ends = _span(options, model)
    hooks = option_hooks(options, entry.embedding.shape[1], latent, model.family.has)
    model.require(hooks or ())
    changes = options.get("hooks")
    return Part(
        context=context,
        channels=channels,
        area=entry.area,
        weight=weight(entry, latent),
        begins=begins,
        ends=ends,
        tensors=given,
        control=options.get("control"),
        hooks=hooks,
        control_context=options.get("cross_attn_controlnet"),
        changes=changes if isinstance(changes, Changes) else None,
        fills=bool(options.get("default")),
    )


def placed(value: Any, latent: Tensor) -> Any:
    """An input of the network on the latent's device; floating numbers in the latent's type."""
    if isinstance(value, list | tuple):
        return [placed(each, latent) for each in value]
    if not isinstance(value, Tensor):
        return value
    return value.to(latent) if value.is_floating_point() else value.to(latent.device)


def _span(options: Options, model: Model) -> tuple[float, float]:
    """The highest and the lowest sigma at which an entry takes part: by its own span, and by its text's."""
    starts, stops = ("start_percent", "clip_start_percent"), ("end_percent", "clip_end_percent")
    begins = [model.prediction.clock.sigma_at(options[key]) for key in starts if key in options]
    ends = [model.prediction.clock.sigma_at(options[key]) for key in stops if key in options]
    return min(begins, default=math.inf), max(ends, default=0.0)


def weight(entry: Entry, latent: Tensor) -> Tensor:
    """How much the entry counts at each place of its area: [B, 1, (T,) h, w], [(T,) h, w], or one number."""
    strength, area = float(entry.options.get("strength", 1.0)), entry.area
    if entry.mask is not None:
        mask = to_batch(entry.mask, latent.shape[0])
        strength *= float(entry.options.get("mask_strength", 1.0))
        return strength * (area.cut(mask) if area else mask)
    if area is None:
        return latent.new_tensor(strength)
    height, width = latent.shape[-2:]
    rows, columns = _fade(area.top, area.height, height), _fade(area.left, area.width, width)
    faded = torch.outer(rows, columns)
    if area.frames is not None:
        faded = _fade(area.first, area.frames, latent.shape[2])[:, None, None] * faded
    return strength * faded.to(latent)


def _fade(start: int, size: int, whole: int) -> Tensor:
    """1 along an edge of `size`, falling towards the ends that are not the latent's own. [size]"""
    fade = torch.ones(size)
    reach = min(FEATHER, size // 4)
    ramp = torch.arange(1, reach + 1) / max(reach, 1)
    if start > 0:
        fade[:reach] *= ramp
    if start + size < whole:
        fade[size - reach :] *= ramp.flip(0)
    return fade
