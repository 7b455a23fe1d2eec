"""Conditioning: what steers the model, combined, weighted, and bound to areas, masks and times."""

import logging
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor

from execution.declare.node import Range, Tip, node
from nodes.mask.masking import flat
from nodes.sockets import Conditioning, Mask
from nodes.widgets import MAX_SIDE

log = logging.getLogger(__name__)

AnyConditioning = Annotated[Conditioning, Tip("What steers the model.")]
Strength = Annotated[float, Range(0.0, 10.0, step=0.01), Tip("How strongly it counts.")]
Share = Annotated[float, Range(0, 1.0, step=0.01)]
Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]


class Pair(NamedTuple):
    """What to go towards, and what away from."""

    positive: Conditioning
    negative: Conditioning


def with_values(conditioning: Sequence[Any], **values: Any) -> list[Any]:
    """The same conditioning with `values` added to (or replaced in) the options of each entry."""
    return [[embedding, {**options, **values}] for embedding, options in conditioning]


@node("ConditioningCombine", category="conditioning")
def combine(
    conditioning_1: Annotated[Conditioning, Tip("The first conditioning.")],
    conditioning_2: Annotated[Conditioning, Tip("The second conditioning.")],
) -> Conditioning:
    """Conditioning (Combine).

    Lets two conditionings steer at once; the model's answers to both are averaged.
    """
    return [*conditioning_1, *conditioning_2]


@node("ConditioningConcat", category="conditioning")
def concat(
    conditioning_to: Annotated[Conditioning, Tip("What the other is put behind.")],
    conditioning_from: Annotated[Conditioning, Tip("What is put behind it; its first entry counts.")],
) -> Conditioning:
    """Conditioning (Concat).

    Puts one text's embedding behind another's, as if both were one long text.
    """
    tail, _ = _first(conditioning_from, "ConditioningConcat")
    return [[torch.cat([embedding, tail], dim=1), dict(options)] for embedding, options in conditioning_to]


def _first(conditioning: Sequence[Any], node_type: str) -> tuple[Tensor, dict[str, Any]]:
    """The first entry; says so when there are more."""
    if len(conditioning) > 1:
        log.warning("%s: input 'conditioning_from' has several entries; only the first counts.", node_type)
    embedding, options = conditioning[0]
    return embedding, options


@node("ConditioningAverage", category="conditioning")
def average(
    conditioning_to: Annotated[Conditioning, Tip("The one at strength 1.")],
    conditioning_from: Annotated[Conditioning, Tip("The one at strength 0; its first entry counts.")],
    conditioning_to_strength: Annotated[
        float, Range(0.0, 1.0, step=0.01), Tip("How much of the first conditioning.")
    ] = 1.0,
) -> Conditioning:
    """ConditioningAverage.

    Mixes the embeddings of two texts.
    """
    other, other_options = _first(conditioning_from, "ConditioningAverage")
    share = conditioning_to_strength
    mixed = []
    for embedding, options in conditioning_to:
        filled = _of_length(other, embedding.shape[1])
        mean = embedding * share + filled * (1.0 - share)
        mixed.append([mean, _averaged_options(options, other_options, share)])
    return mixed


def _averaged_options(options: dict[str, Any], other: dict[str, Any], share: float) -> dict[str, Any]:
    """`options` with the pooled embeddings of both mixed; one that only the other has is taken over."""
    pooled, other_pooled = options.get("pooled_output"), other.get("pooled_output")
    if other_pooled is None:
        return dict(options)
    if pooled is not None:
        other_pooled = pooled * share + other_pooled * (1.0 - share)
    return {**options, "pooled_output": other_pooled}


def _of_length(embedding: Tensor, length: int) -> Tensor:
    """`embedding` (B×T×C) cut, or filled with zeros, to `length` tokens."""
    missing = length - embedding.shape[1]
    return torch.nn.functional.pad(embedding[:, :length], (0, 0, 0, max(0, missing)))


@node("ConditioningSetArea", category="conditioning")
def set_area(
    conditioning: AnyConditioning,
    width: Annotated[int, Range(64, MAX_SIDE, step=8), Tip("Of the area, in pixels.")] = 64,
    height: Annotated[int, Range(64, MAX_SIDE, step=8), Tip("Of the area, in pixels.")] = 64,
    x: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("The area's left edge, in pixels.")] = 0,
    y: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("The area's upper edge, in pixels.")] = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Conditioning (Set Area).

    Lets a conditioning steer a rectangle of the picture only.
    """
    area = (height // 8, width // 8, y // 8, x // 8)
    return with_values(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node("ConditioningSetAreaPercentage", category="conditioning")
def set_area_percentage(
    conditioning: AnyConditioning,
    width: Annotated[Share, Tip("Of the area, as a share of the picture's.")] = 1.0,
    height: Annotated[Share, Tip("Of the area, as a share of the picture's.")] = 1.0,
    x: Annotated[Share, Tip("The area's left edge, as a share of the picture's width.")] = 0,
    y: Annotated[Share, Tip("The area's upper edge, as a share of the picture's height.")] = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Conditioning (Set Area with Percentage).

    Lets a conditioning steer a rectangle given in shares of the picture.
    """
    area = ("percentage", height, width, y, x)
    return with_values(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node("ConditioningSetAreaPercentageVideo", category="conditioning")
def set_area_percentage_video(
    conditioning: AnyConditioning,
    width: Annotated[Share, Tip("Of the area, as a share of the picture's.")] = 1.0,
    height: Annotated[Share, Tip("Of the area, as a share of the picture's.")] = 1.0,
    temporal: Annotated[Share, Tip("Of the time, as a share of the clip's.")] = 1.0,
    x: Annotated[Share, Tip("The area's left edge, as a share of the picture's width.")] = 0,
    y: Annotated[Share, Tip("The area's upper edge, as a share of the picture's height.")] = 0,
    z: Annotated[Share, Tip("When it begins; models without a time axis ignore it.")] = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """ConditioningSetAreaPercentageVideo.

    Lets a conditioning steer a rectangle of a clip, given in shares.
    """
    area = ("percentage", temporal, height, width, z, y, x)
    return with_values(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node("ConditioningSetAreaStrength", category="conditioning")
def set_area_strength(conditioning: AnyConditioning, strength: Strength = 1.0) -> Conditioning:
    """ConditioningSetAreaStrength.

    Changes how strongly a conditioning counts beside others.
    """
    return with_values(conditioning, strength=strength)


@node("ConditioningSetMask", category="conditioning")
def set_mask(
    conditioning: AnyConditioning,
    mask: Annotated[Mask, Tip("Where it steers.")],
    strength: Strength = 1.0,
    *,
    set_cond_area: Annotated[
        Literal["default", "mask bounds"],
        Tip("Compute the whole picture, or only the rectangle around the mask."),
    ],
) -> Conditioning:
    """Conditioning (Set Mask).

    Lets a conditioning steer where a mask applies.
    """
    bounds = set_cond_area != "default"
    return with_values(conditioning, mask=flat(mask), set_area_to_bounds=bounds, mask_strength=strength)


@node("ConditioningSetTimestepRange", category="advanced/conditioning")
def set_timestep_range(
    conditioning: AnyConditioning,
    start: Annotated[Percent, Tip("From when on, as a share of the way from noise to picture.")] = 0.0,
    end: Annotated[Percent, Tip("Until when, as a share of the way from noise to picture.")] = 1.0,
) -> Conditioning:
    """ConditioningSetTimestepRange.

    Lets a conditioning steer during a part of the sampling only.
    """
    return with_values(conditioning, start_percent=start, end_percent=end)


@node("ConditioningZeroOut", category="advanced/conditioning")
def zero_out(conditioning: AnyConditioning) -> Conditioning:
    """ConditioningZeroOut.

    Replaces the embedding by zeros: no text at all, for models that were trained with that.
    """
    return [[torch.zeros_like(embedding), _zeroed(options)] for embedding, options in conditioning]


def _zeroed(options: dict[str, Any]) -> dict[str, Any]:
    pooled = options.get("pooled_output")
    return {**options, "pooled_output": torch.zeros_like(pooled)} if pooled is not None else dict(options)
