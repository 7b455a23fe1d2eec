"""Changes of weights that come and go during a run, and the conditionings that they are bound to."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from diffusion.families.checkpoints import network_weights
from diffusion.families.detect import require
from diffusion.patches.weights.weight_hooks import (
    EASES,
    Keyframe,
    OnText,
    WeightHook,
    WeightHooks,
    between,
    checkpoint_hook,
    lora_hook,
    together,
)
from diffusion.text.loading import text_parts
from diffusion.weights.files import Weights, open_weights
from execution.declare.node import Choice, Options, Range, Socket, Tip, node
from execution.files.folders import Folders
from nodes.adapt.adapters import LoraName
from nodes.load.loaders import CheckpointName
from nodes.mask.masking import flat
from nodes.sockets import Clip, Conditioning, Mask
from nodes.text.conditioning import Pair, with_values
from nodes.text.text import Encoder, present

log = logging.getLogger(__name__)

Hooks = Annotated[WeightHooks, Socket("HOOKS")]
Keyframes = Annotated[tuple[Keyframe, ...], Socket("HOOK_KEYFRAMES")]
Span = Annotated[tuple[float, float], Socket("TIMESTEPS_RANGE")]
"""The first and the last share of a run."""

Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]
Strength = Annotated[float, Range(-20.0, 20.0, step=0.01)]
ModelStrength = Annotated[Strength, Tip("How strongly the model is changed.")]
TextStrength = Annotated[Strength, Tip("How strongly the text encoder is changed.")]
Added = Annotated[Hooks, Tip("Hooks to add to what is there.")]
Before = Annotated[Hooks, Tip("Hooks that come before.")]
FramesBefore = Annotated[Keyframes, Tip("Keyframes to add these to.")]
Start = Annotated[Percent, Tip("From when on, as a share of the way from noise to picture.")]
End = Annotated[Percent, Tip("Until when, as a share of the way from noise to picture.")]
Old = Annotated[Conditioning, Tip("The conditioning that stays as it is.")]
New = Annotated[Conditioning, Tip("The conditioning that is changed.")]
Filling = Annotated[Conditioning, Tip("What steers wherever nothing else does.")]
Weight = Annotated[float, Range(0.0, 10.0, step=0.01), Tip("How strongly it counts.")]
Bounds = Annotated[
    Literal["default", "mask bounds"],
    Tip("Compute the whole picture, or only the rectangle around the mask."),
]
Where = Annotated[Mask, Tip("Where it steers.")]
When = Annotated[Span, Tip("During which part of the sampling it steers.")]


class OneFrame(NamedTuple):
    """Keyframes under the name of their output."""

    HOOK_KF: Keyframes


# Changes


def _joined(*hooks: WeightHooks | None) -> WeightHooks:
    joined = WeightHooks()
    for each in hooks:
        joined = joined if each is None else joined + each
    return joined


def _added(before: WeightHooks | None, hook: WeightHook) -> WeightHooks:
    return _joined(before, WeightHooks((hook,)))


@node("CreateHookLora", category="advanced/hooks/create", experimental=True)
def create_lora(
    lora_name: LoraName,
    strength_model: ModelStrength = 1.0,
    strength_clip: TextStrength = 1.0,
    prev_hooks: Before | None = None,
    *,
    folders: Folders,
) -> Hooks:
    """Create Hook LoRA.

    A LoRA that acts only with the conditionings it is bound to, and may come and go.
    """
    weights = open_weights(folders.resolve("loras", lora_name))
    return _added(prev_hooks, lora_hook(weights, strength_model, strength_clip))


@node("CreateHookLoraModelOnly", category="advanced/hooks/create", experimental=True)
def create_lora_model_only(
    lora_name: LoraName,
    strength_model: ModelStrength = 1.0,
    prev_hooks: Before | None = None,
    *,
    folders: Folders,
) -> Hooks:
    """Create Hook LoRA (MO).

    A LoRA that acts on the model only, with the conditionings it is bound to.
    """
    weights = open_weights(folders.resolve("loras", lora_name))
    return _added(prev_hooks, lora_hook(weights, strength_model, 0.0))


@node("CreateHookModelAsLora", category="advanced/hooks/create", experimental=True)
def create_model_as_lora(
    ckpt_name: CheckpointName,
    strength_model: ModelStrength = 1.0,
    strength_clip: TextStrength = 1.0,
    prev_hooks: Before | None = None,
    *,
    folders: Folders,
) -> Hooks:
    """Create Hook Model as LoRA.

    Another checkpoint that takes the model's place, wholly or in part, with the conditionings it is bound to.
    """
    model, towers = _parts(folders.resolve("checkpoints", ckpt_name))
    return _added(prev_hooks, checkpoint_hook(model, towers, strength_model, strength_clip))


@node("CreateHookModelAsLoraModelOnly", category="advanced/hooks/create", experimental=True)
def create_model_as_lora_model_only(
    ckpt_name: CheckpointName,
    strength_model: ModelStrength = 1.0,
    prev_hooks: Before | None = None,
    *,
    folders: Folders,
) -> Hooks:
    """Create Hook Model as LoRA (MO).

    The model of another checkpoint, with the conditionings it is bound to; the text encoder stays.
    """
    model, towers = _parts(folders.resolve("checkpoints", ckpt_name))
    return _added(prev_hooks, checkpoint_hook(model, towers, strength_model, 0.0))


def _parts(path: Path) -> tuple[Weights, dict[str, Weights]]:
    """The tensors of a checkpoint's diffusion model, and of its text towers by key."""
    weights = open_weights(path)
    return network_weights(require(weights)), text_parts(weights)


@node("CombineHooks2", category="advanced/hooks/combine", experimental=True)
def combine_two(hooks_A: Added | None = None, hooks_B: Added | None = None) -> Hooks:
    """Combine Hooks [2].

    Lets several hooks act together.
    """
    return _joined(hooks_A, hooks_B)


@node("CombineHooks4", category="advanced/hooks/combine", experimental=True)
def combine_four(
    hooks_A: Added | None = None,
    hooks_B: Added | None = None,
    hooks_C: Added | None = None,
    hooks_D: Added | None = None,
) -> Hooks:
    """Combine Hooks [4].

    Lets several hooks act together.
    """
    return _joined(hooks_A, hooks_B, hooks_C, hooks_D)


@node("CombineHooks8", category="advanced/hooks/combine", experimental=True)
def combine_eight(
    hooks_A: Added | None = None,
    hooks_B: Added | None = None,
    hooks_C: Added | None = None,
    hooks_D: Added | None = None,
    hooks_E: Added | None = None,
    hooks_F: Added | None = None,
    hooks_G: Added | None = None,
    hooks_H: Added | None = None,
) -> Hooks:
    """Combine Hooks [8].

    Lets several hooks act together.
    """
    return _joined(hooks_A, hooks_B, hooks_C, hooks_D, hooks_E, hooks_F, hooks_G, hooks_H)


# Schedules


@node("CreateHookKeyframe", category="advanced/hooks/scheduling", experimental=True)
def create_keyframe(
    strength_mult: Annotated[Strength, Tip("A factor on the strength of the hooks.")] = 1.0,
    start_percent: Start = 0.0,
    prev_hook_kf: FramesBefore | None = None,
) -> OneFrame:
    """Create Hook Keyframe.

    Says how strongly hooks act from a moment of the sampling on.
    """
    return OneFrame(together(prev_hook_kf, (Keyframe(strength_mult, start_percent),)))


def _spread(
    strengths: Sequence[float], start: float, end: float, before: Keyframes | None, show: bool
) -> OneFrame:
    """Strengths at even steps from one share of the run to another, told in the log if asked."""
    places = between(start, end, len(strengths))
    frames = tuple(Keyframe(each, place) for each, place in zip(strengths, places, strict=True))
    for frame in frames if show else ():
        log.info("Keyframe at %.3f: strength %.4f", frame.start, frame.strength)
    return OneFrame(together(before, frames))


@node("CreateHookKeyframesInterpolated", category="advanced/hooks/scheduling", experimental=True)
def create_interpolated(
    strength_start: Annotated[
        float, Range(0.0, 10.0, step=0.001), Tip("The factor on the strength at the first keyframe.")
    ] = 1.0,
    strength_end: Annotated[
        float, Range(0.0, 10.0, step=0.001), Tip("The factor on the strength at the last keyframe.")
    ] = 1.0,
    *,
    interpolation: Annotated[str, Choice(list(EASES)), Tip("How the factor gets from one to the other.")],
    start_percent: Start = 0.0,
    end_percent: End = 1.0,
    keyframes_count: Annotated[int, Range(2, 100, step=1), Tip("In how many steps.")] = 5,
    print_keyframes: Annotated[bool, Tip("Write them into the log.")] = False,
    prev_hook_kf: FramesBefore | None = None,
) -> OneFrame:
    """Create Hook Keyframes Interp..

    Lets hooks grow stronger or weaker during a part of the sampling.
    """
    strengths = between(strength_start, strength_end, keyframes_count, interpolation)
    return _spread(strengths, start_percent, end_percent, prev_hook_kf, print_keyframes)


@node("CreateHookKeyframesFromFloats", category="advanced/hooks/scheduling", experimental=True)
def create_from_floats(
    floats_strength: Annotated[
        list[Any],
        Socket("FLOATS"),
        Options(default=-1, min=-1, step=0.001, forceInput=True),
        Tip("Factors on the strength, one a keyframe: numbers from Make List, or a list on one link."),
    ],
    start_percent: Start = 0.0,
    end_percent: End = 1.0,
    print_keyframes: Annotated[bool, Tip("Write them into the log.")] = False,
    prev_hook_kf: FramesBefore | None = None,
) -> OneFrame:
    """Create Hook Keyframes From Floats.

    Lets the strength of hooks follow a list of numbers.
    """
    lists = (each if isinstance(each, Iterable) else [each] for each in floats_strength)
    strengths = [float(number) for each in lists for number in each]
    return _spread(strengths, start_percent, end_percent, prev_hook_kf, print_keyframes)


@node("SetHookKeyframes", category="advanced/hooks/scheduling", experimental=True)
def set_keyframes(
    hooks: Annotated[Hooks, Tip("The hooks that follow the schedule.")],
    hook_kf: Annotated[Keyframes, Tip("How strongly they act, and when.")] | None = None,
) -> Hooks:
    """Set Hook Keyframes.

    Gives hooks a schedule.
    """
    return hooks if hook_kf is None else hooks.with_keyframes(hook_kf)


class Spans(NamedTuple):
    """A part of the sampling, what comes before it, and what after."""

    TIMESTEPS_RANGE: Span
    BEFORE_RANGE: Span
    AFTER_RANGE: Span


@node("ConditioningTimestepsRange", category="advanced/hooks", experimental=True)
def timesteps_range(start_percent: Start = 0.0, end_percent: End = 1.0) -> Spans:
    """Timesteps Range.

    Parts of the sampling: one, what comes before it, and what after.
    """
    return Spans((start_percent, end_percent), (0.0, start_percent), (end_percent, 1.0))


# What they are bound to


@node("SetClipHooks", category="advanced/hooks/clip", experimental=True)
def set_clip_hooks(
    clip: Encoder,
    apply_to_conds: Annotated[bool, Tip("Bind the hooks also to what this text encoder makes.")] = True,
    schedule_clip: Annotated[bool, Tip("Encode texts anew for each keyframe.")] = False,
    hooks: Added | None = None,
) -> Clip:
    """Set CLIP Hooks.

    Lets hooks change a text encoder, and the conditionings it makes.
    """
    clip = present(clip)
    if hooks is None:
        return clip
    before = clip.carried.hooks if isinstance(clip.carried, OnText) else None
    return clip.carrying(OnText(_joined(before, hooks), apply_to_conds, schedule_clip))


def _bound(conditioning: Conditioning, hooks: WeightHooks | None) -> Conditioning:
    """The conditioning with hooks added to those it is bound to."""
    if hooks is None:
        return conditioning
    bound = []
    for embedding, options in conditioning:
        before = options.get("hooks")
        joined = _joined(before if isinstance(before, WeightHooks) else None, hooks)
        bound.append([embedding, {**options, "hooks": joined}])
    return bound


class Properties(NamedTuple):
    """What the nodes below set."""

    strength: float
    set_cond_area: str
    mask: Mask | None
    hooks: WeightHooks | None
    timesteps: tuple[float, float] | None

    def on(self, conditioning: Conditioning) -> Conditioning:
        """The conditioning with all that is given."""
        values: dict[str, Any] = {}
        if self.mask is not None:
            bounds = self.set_cond_area != "default"
            values |= {"mask": flat(self.mask), "set_area_to_bounds": bounds, "mask_strength": self.strength}
        elif self.strength != 1.0:
            values["strength"] = self.strength
        if self.timesteps is not None:
            values |= {"start_percent": self.timesteps[0], "end_percent": self.timesteps[1]}
        return with_values(_bound(conditioning, self.hooks), **values)


@node("ConditioningSetProperties", category="advanced/hooks/cond single", experimental=True)
def set_properties(
    cond_NEW: New,
    strength: Weight = 1.0,
    *,
    set_cond_area: Bounds,
    mask: Where | None = None,
    hooks: Added | None = None,
    timesteps: When | None = None,
) -> Conditioning:
    """Cond Set Props.

    Says where, when and how strongly a conditioning steers, and which hooks it is bound to.
    """
    return Properties(strength, set_cond_area, mask, hooks, timesteps).on(cond_NEW)


@node("ConditioningSetPropertiesAndCombine", category="advanced/hooks/cond single", experimental=True)
def set_properties_and_combine(
    cond: Old,
    cond_NEW: New,
    strength: Weight = 1.0,
    *,
    set_cond_area: Bounds,
    mask: Where | None = None,
    hooks: Added | None = None,
    timesteps: When | None = None,
) -> Conditioning:
    """Cond Set Props Combine.

    Like Cond Set Props, beside another conditioning.
    """
    return [*cond, *Properties(strength, set_cond_area, mask, hooks, timesteps).on(cond_NEW)]


@node("PairConditioningSetProperties", category="advanced/hooks/cond pair", experimental=True)
def set_pair_properties(
    positive_NEW: New,
    negative_NEW: New,
    strength: Weight = 1.0,
    *,
    set_cond_area: Bounds,
    mask: Where | None = None,
    hooks: Added | None = None,
    timesteps: When | None = None,
) -> Pair:
    """Cond Pair Set Props.

    Says where, when and how strongly two conditionings steer, and which hooks they are bound to.
    """
    properties = Properties(strength, set_cond_area, mask, hooks, timesteps)
    return Pair(properties.on(positive_NEW), properties.on(negative_NEW))


@node("PairConditioningSetPropertiesAndCombine", category="advanced/hooks/cond pair", experimental=True)
def set_pair_properties_and_combine(
    positive: Old,
    negative: Old,
    positive_NEW: New,
    negative_NEW: New,
    strength: Weight = 1.0,
    *,
    set_cond_area: Bounds,
    mask: Where | None = None,
    hooks: Added | None = None,
    timesteps: When | None = None,
) -> Pair:
    """Cond Pair Set Props Combine.

    Like Cond Pair Set Props, beside two other conditionings.
    """
    properties = Properties(strength, set_cond_area, mask, hooks, timesteps)
    return Pair([*positive, *properties.on(positive_NEW)], [*negative, *properties.on(negative_NEW)])


@node("PairConditioningCombine", category="advanced/hooks/cond pair", experimental=True)
def combine_pairs(positive_A: Old, negative_A: Old, positive_B: Old, negative_B: Old) -> Pair:
    """Cond Pair Combine.

    Lets two pairs of conditionings steer at once.
    """
    return Pair([*positive_A, *positive_B], [*negative_A, *negative_B])


def _filled(conditioning: Conditioning, filling: Conditioning, hooks: WeightHooks | None) -> Conditioning:
    """The conditioning, and the other for wherever and whenever it does not steer."""
    return [*conditioning, *with_values(_bound(filling, hooks), default=True)]


@node("ConditioningSetDefaultCombine", category="advanced/hooks/cond single", experimental=True)
def set_default(cond: Old, cond_DEFAULT: Filling, hooks: Added | None = None) -> Conditioning:
    """Cond Set Default Combine.

    Lets a second conditioning steer wherever and whenever the first does not.
    """
    return _filled(cond, cond_DEFAULT, hooks)


@node("PairConditioningSetDefaultCombine", category="advanced/hooks/cond pair", experimental=True)
def set_pair_default(
    positive: Old,
    negative: Old,
    positive_DEFAULT: Filling,
    negative_DEFAULT: Filling,
    hooks: Added | None = None,
) -> Pair:
    """Cond Pair Set Default Combine.

    Lets a second pair of conditionings steer wherever and whenever the first does not.
    """
    return Pair(_filled(positive, positive_DEFAULT, hooks), _filled(negative, negative_DEFAULT, hooks))
