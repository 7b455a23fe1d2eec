"""What steers a model, made ready for one run: areas, masks, spans of the run, vectors and extra channels.

A conditioning is the ecosystem's list of [embedding, options]. Each entry becomes a `Part`, in which
everything that stays the same over a run is computed: where it applies, how strongly, and what the backbone
is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from diffusion.errors import Mismatch
from diffusion.families.picture_conditions import (
    low_resolution,
    noise_level,
    orbit_vector,
    posed_orbit_vector,
    video_vector,
)
from diffusion.families.unclip import ImageNoise, unclip_vector
from diffusion.hooks import Hooks
from diffusion.images import like, resize, to_batch
from diffusion.model import Model
from diffusion.networks.blocks import timestep_embedding
from diffusion.option_hooks import option_hooks
from diffusion.patches.weights.weight_hooks import WeightHooks

Options = Mapping[str, Any]
Conditioning = Sequence[Sequence[Any]]  # [[embedding [B, T, C], options], …]

FEATHER = 8  # latent pixels over which the edge of an area fades
SMALLEST_BOUNDS = 8  # latent pixels, of an area around a mask


@dataclass(frozen=True)
class Area:
    """A rectangle of the latent."""

    height: int
    width: int
    top: int
    left: int

    def cut(self, x: Tensor) -> Tensor:
        """The part of [..., H, W] inside."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def within(self, height: int, width: int) -> Area:
        """Cut off where it leaves a latent of this size."""
        height, width = min(self.height, height - self.top), min(self.width, width - self.left)
        return replace(self, height=height, width=width)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

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
    mask: Tensor | None = None  # [B, 1, h, w]


@dataclass(frozen=True, eq=False)
class Part:
    """One entry as the denoiser uses it at every step.

    context [B, T, C] and y [B, V] go to the backbone, channels [B, C, h, w] beside the latent. Its estimate
    counts with `weight` (see `weight`) inside `area` (None: everywhere), while ends <= sigma <= begins.
    """

    context: Tensor
    y: Tensor | None
    channels: Tensor | None
    area: Area | None
    weight: Tensor
    begins: float
    ends: float
    control: Any = None
    hooks: Hooks | None = None
    control_context: Tensor | None = None  # what control networks read instead of the context
    changes: WeightHooks | None = None
    fills: bool = False  # applies only where no other entry does

    def acts(self, sigma: float) -> bool:
        """Whether it takes part at this noise level."""
        return self.ends <= sigma <= self.begins


@dataclass(frozen=True, eq=False)
class Setting:
    """What a run's conditionings are made ready for: the model and the latent it starts from.

    `latent` [B, C, H, W] is scaled as the model sees it; `noise_mask` [B, 1, H, W] is 1 where it may change.
    `seed` is the run's, for conditionings that are noised themselves.
    """

    model: Model
    latent: Tensor
    noise_mask: Tensor | None = None
    seed: int = 0


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
    height, width = setting.latent.shape[-2:]
    area = _area(options.get("area"), height, width)
    mask = options.get("mask")
    if mask is not None:
        mask = mask.to(setting.latent).reshape(-1, 1, *mask.shape[-2:])
        if mask.shape[-2:] != (height, width):
            mask = resize(mask, width, height, "bilinear")
        if options.get("set_area_to_bounds"):
            area = bounds(mask).within(height, width)
    return Entry(embedding, options, area, mask)


def _area(spec: Sequence[Any] | None, height: int, width: int) -> Area | None:
    """(height, width, y, x) in latent pixels, or ("percentage", height, width, y, x) as shares.

    Of (time, height, width, …) what concerns time is left out: here frames are rows of a batch.
    """
    if spec is None:
        return None
    if len(spec) == len(("percentage", "time", "height", "width", "z", "y", "x")):
        spec = (spec[0], *spec[2:4], *spec[5:7])
    if spec[0] == "percentage":
        h, w, y, x = spec[1:]
        spec = (max(1, round(h * height)), max(1, round(w * width)), round(y * height), round(x * width))
    return Area(*(int(n) for n in spec)).within(height, width)


def bounds(mask: Tensor) -> Area:
    """The rectangle around everything in a mask [B, 1, h, w], at least 8 × 8."""
    marked = mask.abs().amax(dim=(0, 1)) > 0
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
    vector = VECTORS[model.vector](entry, name, setting) if model.vector else None
    channels = [CHANNELS[name](options, setting) for name in model.concat]
    begins, ends = _span(options, model)
    return Part(
        context=(model.camera(entry.embedding) if model.camera else entry.embedding).to(latent),
        y=vector.to(latent) if vector is not None else None,
        channels=torch.cat(channels, dim=1) if channels else None,
        area=entry.area,
        weight=weight(entry, latent),
        begins=begins,
        ends=ends,
        control=options.get("control"),
        hooks=option_hooks(options, entry.embedding.shape[1], latent),
        control_context=options.get("cross_attn_controlnet"),
        changes=changes if isinstance(changes := options.get("hooks"), WeightHooks) else None,
        fills=bool(options.get("default")),
    )


def _span(options: Options, model: Model) -> tuple[float, float]:
    """The highest and the lowest sigma at which an entry takes part: by its own span, and by its text's."""
    starts, stops = ("start_percent", "clip_start_percent"), ("end_percent", "clip_end_percent")
    begins = [model.prediction.clock.sigma_at(options[key]) for key in starts if key in options]
    ends = [model.prediction.clock.sigma_at(options[key]) for key in stops if key in options]
    return min(begins, default=math.inf), max(ends, default=0.0)


def weight(entry: Entry, latent: Tensor) -> Tensor:
    """How much the entry counts at each place of its area: [B, 1, h, w], [h, w], or one number."""
    strength, area = float(entry.options.get("strength", 1.0)), entry.area
    if entry.mask is not None:
        mask = to_batch(entry.mask, latent.shape[0])
        strength *= float(entry.options.get("mask_strength", 1.0))
        return strength * (area.cut(mask) if area else mask)
    if area is None:
        return latent.new_tensor(strength)
    height, width = latent.shape[-2:]
    rows, columns = _fade(area.top, area.height, height), _fade(area.left, area.width, width)
    return strength * torch.outer(rows, columns).to(latent)


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


# The vector y

Vector = Callable[[Entry, str, Setting], Tensor]
SIZE_WIDTH = 256  # of the sinusoidal embedding of one number


def sdxl_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """Podell et al. 2023, section 2.2: pooled text, then the original size, the crop and the target size."""
    size = _sizes(entry.options, setting)
    numbers = (*size, entry.options.get("target_height", size[0]), entry.options.get("target_width", size[1]))
    return _with_numbers(entry, numbers, setting)


def sdxl_refiner_vector(entry: Entry, name: str, setting: Setting) -> Tensor:
    """The refiner's: pooled text, the original size, the crop and an aesthetic score."""
    score = entry.options.get("aesthetic_score", 2.5 if name == "negative" else 6.0)
    return _with_numbers(entry, (*_sizes(entry.options, setting), score), setting)


def _sizes(options: Options, setting: Setting) -> tuple[float, float, float, float]:
    """Height, width, top and left of the crop, in pixels of the picture."""
    scale = setting.model.latent_format.downscale
    height, width = (side * scale for side in setting.latent.shape[-2:])
    return (
        options.get("height", height),
        options.get("width", width),
        options.get("crop_h", 0),
        options.get("crop_w", 0),
    )


def _with_numbers(entry: Entry, numbers: Sequence[float], setting: Setting) -> Tensor:
    embedded = timestep_embedding(torch.tensor(numbers, dtype=torch.float32), SIZE_WIDTH).flatten()
    pooled = entry.options.get("pooled_output")
    if pooled is None:
        advice = "Encode the text with the text encoder of the same checkpoint."
        raise Mismatch("This model needs conditioning with pooled text, and there is none.", advice)
    pooled = pooled.float()
    return torch.cat([pooled, embedded.to(pooled).expand(len(pooled), -1)], dim=1)


def _noise_of(setting: Setting) -> ImageNoise:
    noise = setting.model.image_noise
    assert noise is not None, "set with the vector when the file was opened"
    return noise


VECTORS: Mapping[str, Vector] = {
    "sdxl": sdxl_vector,
    "sdxl_refiner": sdxl_refiner_vector,
    "noise_level": lambda entry, name, setting: noise_level(entry.options),
    "video": lambda entry, name, setting: video_vector(entry.options),
    "orbit": lambda entry, name, setting: orbit_vector(entry.options),
    "orbit_posed": lambda entry, name, setting: posed_orbit_vector(entry.options),
    "unclip": lambda entry, name, setting: unclip_vector(entry.options, _noise_of(setting), setting.seed),
}


# Extra input channels

Channels = Callable[[Options, Setting], Tensor]
GREY = (0.8223, -0.6876, 0.6364, 0.1380)  # SD 1.x's scaled latent of a mid-grey picture


def mask_channel(options: Options, setting: Setting) -> Tensor:
    """Where an inpainting model paints: 1, elsewhere 0; everywhere if nothing says. [B, 1, H, W]"""
    mask = options.get("concat_mask", setting.noise_mask)
    if mask is None:
        return setting.latent.new_ones(setting.latent.shape[0], 1, *setting.latent.shape[-2:])
    mask = mask.to(setting.latent).reshape(-1, 1, *mask.shape[-2:])
    return like(mask, setting.latent[:, :1]).round()


def masked_image_channels(options: Options, setting: Setting) -> Tensor:
    """The picture around the mask, as a scaled latent. [B, C, H, W]"""
    picture = options.get("concat_latent_image")
    if picture is not None:
        return like(setting.model.latent_format.into(picture.to(setting.latent)), setting.latent)
    if "concat_mask" in options or setting.noise_mask is not None:
        return setting.latent
    grey = setting.latent.new_tensor(GREY).view(1, -1, 1, 1)
    return grey.expand_as(setting.latent)


def image_channels(options: Options, setting: Setting) -> Tensor:
    """The picture an instruction edits (InstructPix2Pix), as an unscaled latent. [B, C, H, W]"""
    picture = options.get("concat_latent_image")
    if picture is None:
        return torch.zeros_like(setting.latent)
    return like(picture.to(setting.latent), setting.latent)


CHANNELS: Mapping[str, Channels] = {
    "mask": mask_channel,
    "masked_image": masked_image_channels,
    "image": image_channels,
    "low_resolution": lambda options, setting: low_resolution(options, setting.latent, setting.seed),
}
