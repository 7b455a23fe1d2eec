"""A model at work in one run: clean estimates of a noisy latent, from all conditionings at once.

Parts that can share a call of the backbone do. What stays the same between steps (joined embeddings, text
keys and values, started controls) is made once and kept for the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from diffusion.conditioning import Changes, Conditioning, Part, Setting, prepare
from diffusion.hooks import Hooks
from diffusion.images import to_batch
from diffusion.networks.backbone import Backbone, Control, Inputs, Value
from diffusion.weights.loading import Patches

NO_HOOKS = Hooks()
NOTHING = 1e-37  # the count where no part applies: estimates there are 0, not NaN
MOST_REPEATS = 4  # of a short embedding to the length of a longer one, so that both fit in one call
NUMBERS = {"positive": 0, "negative": 1}

Parts = Sequence[Part]


class Controlling(Protocol):
    """A control for one run: what to add inside the backbone in this call, or None for nothing."""

    def __call__(self, x: Tensor, sigma: Tensor, timesteps: Tensor, inputs: Inputs) -> Control | None:
        """x [B, C, (T,) h, w] and `inputs` are the backbone's; all rows of `sigma` are equal."""


class Controller(Protocol):
    """The value under "control" in a conditioning's options."""

    def for_run(self, setting: Setting) -> Controlling:
        """The control with its picture brought to this run's latent."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Parts that go through the backbone together. Row r of part p is row p · B + r of every tensor."""

    names: tuple[str, ...]
    parts: tuple[Part, ...]
    rows: int
    context: Tensor
    tensors: Mapping[str, Value]
    channels: Tensor | None
    kept: dict[Any, Any] = field(default_factory=dict)
    control_context: Tensor | None = None

    @property
    def lead(self) -> Part:
        """The part that speaks for all where they must agree."""
        return self.parts[0]

    def alone(self) -> list[Batch]:
        """The same parts, one by one."""
        return [batch([member], self.rows) for member in zip(self.names, self.parts, strict=True)]


def share(a: Part, b: Part, repeats_text: bool = False) -> bool:
    """Whether two parts can go through the backbone in one call.

    `repeats_text` is the family's: texts of different lengths may be repeated to a common one.
    """
    lengths = a.context.shape[1], b.context.shape[1]
    most = MOST_REPEATS * min(lengths) if repeats_text else min(lengths)
    return (
        (a.area.size if a.area else None) == (b.area.size if b.area else None)
        and a.control is b.control
        and a.hooks is b.hooks
        and a.changes == b.changes
        and a.tensors.keys() == b.tensors.keys()
        and all(alike(value, b.tensors[key]) for key, value in a.tensors.items())
        and math.lcm(*lengths) <= most
    )


def alike(a: Value, b: Value) -> bool:
    """Whether two inputs can lie below each other: tensors of one size, or the very same value."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape[1:] == b.shape[1:]
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and a == b


def batch(members: Sequence[tuple[str, Part]], rows: int) -> Batch:
    """These parts side by side, each repeated to the latent's rows; embeddings to a common length.

    Attention gives the same result if every token is repeated equally often.
    """
    names, parts = zip(*members, strict=True)
    context = _contexts([p.context for p in parts], rows)
    tensors = {key: _stacked([p.tensors[key] for p in parts], rows) for key in parts[0].tensors}
    channels = [to_batch(p.channels, rows) for p in parts if p.channels is not None]
    cut = [c if p.area is None else p.area.cut(c) for c, p in zip(channels, parts, strict=False)]
    made = Batch(names, parts, rows, context, tensors, torch.cat(cut) if cut else None)
    if all(p.control_context is None for p in parts):
        return made
    others = [p.context if p.control_context is None else p.control_context.to(p.context) for p in parts]
    return replace(made, control_context=_contexts(others, rows))


def _contexts(contexts: Sequence[Tensor], rows: int) -> Tensor:
    """Embeddings below each other, repeated to a common length."""
    length = math.lcm(*(each.shape[1] for each in contexts))
    return torch.cat([to_batch(each, rows).repeat(1, length // each.shape[1], 1) for each in contexts])


def _stacked(values: Sequence[Any], rows: int) -> Any:
    """The values of an input for each part below each other, as `alike` allows it."""
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat([to_batch(each, rows) for each in values])
    if isinstance(first, list):
        return [_stacked(each, rows) for each in zip(*values, strict=True)]
    return first


def batches(members: Sequence[tuple[str, Part]], rows: int, repeats_text: bool = False) -> list[Batch]:
    """All parts in as few calls as possible, in the order in which they first appear."""
    groups: list[list[tuple[str, Part]]] = []
    for name, part in members:
        home = next(
            (group for group in groups if all(share(part, other, repeats_text) for _, other in group)), None
        )
        if home is None:
            groups.append(home := [])
        home.append((name, part))
    return [batch(group, rows) for group in groups]


class Denoising:
    """The model of one run. `step` counts what the sampler has done; hooks read it."""

    def __init__(
        self, setting: Setting, backbone: Backbone, hooks: Hooks, schedule: Tensor, seed: int = 0
    ) -> None:
        self.setting, self.backbone, self.hooks, self.schedule = setting, backbone, hooks, schedule
        self.seed = seed
        self.prediction = setting.model.prediction
        self.step = 0
        self._batches: dict[tuple[tuple[str, int], ...], list[Batch]] = {}
        self._controls: dict[int, Controlling] = {}
        self._prepared: dict[tuple[str, int], tuple[Conditioning, Parts]] = {}
        self._patches: dict[tuple[Changes, tuple[float, ...]], Patches] = {}
        self._in_place = setting.model.weight_patches

    def prepared(self, name: str, conditioning: Conditioning) -> Parts:
        """A conditioning that was not among the run's own, made ready once."""
        key = name, id(conditioning)
        if key not in self._prepared:
            self._prepared[key] = conditioning, prepare({name: conditioning}, self.setting)[name]
        return self._prepared[key][1]

    @torch.no_grad()
    def estimates(
        self, x: Tensor, sigma: Tensor, wanted: Mapping[str, Parts], hooks: Hooks = NO_HOOKS
    ) -> dict[str, Tensor]:
        """The clean estimate of x [B, C, (T,) H, W] at scalar `sigma` under each conditioning.

        Where several parts overlap they are averaged by their weights; where none applies the estimate is 0.
        """
        sums = {name: torch.zeros_like(x) for name in wanted}
        counts = {name: torch.full_like(x[:, :1], NOTHING) for name in wanted}
        for batch in self._active(wanted, sigma.item(), len(x)):
            for name, part, estimate in zip(
                batch.names, batch.parts, self._attempted(batch, x, sigma, hooks), strict=True
            ):
                where = part.area.cut if part.area else lambda t: t
                where(sums[name]).add_(estimate * part.weight)
                where(counts[name]).add_(part.weight)
        return {name: sums[name] / counts[name] for name in wanted}

    def _active(self, wanted: Mapping[str, Parts], sigma: float, rows: int) -> list[Batch]:
        members = [(name, part) for name, parts in wanted.items() for part in parts if part.acts(sigma)]
        key = tuple((name, id(part)) for name, part in members)
        if key not in self._batches:
            self._batches[key] = batches(
                filled(members, self.setting.latent), rows, self.setting.model.family.repeats_text
            )
        return self._batches[key]

    def _attempted(self, batch: Batch, x: Tensor, sigma: Tensor, hooks: Hooks) -> Sequence[Tensor]:
        """One estimate per part; when memory runs out, part by part."""
        return self.setting.model.backbone.residency.attempt(
            lambda: self._predicted(batch, x, sigma, hooks).chunk(len(batch.parts)),
            lambda: [self._predicted(single, x, sigma, hooks) for single in batch.alone()],
            doing="sampling",
        )

    def _predicted(self, batch: Batch, x: Tensor, sigma: Tensor, hooks: Hooks) -> Tensor:
        """The backbone on all parts of a batch, read as clean estimates."""
        area = batch.lead.area
        places = [x if part.area is None else part.area.cut(x) for part in batch.parts]
        x = torch.cat(places) if len(places) > 1 or area else x
        sigmas = sigma.to(x).expand(len(x))
        timesteps = self.prediction.clock.timestep(sigmas).float()
        shown = self.prediction.scaled(x, sigmas)
        if batch.channels is not None:
            shown = torch.cat([shown, batch.channels], dim=1)
        output = self._called(batch, shown, sigmas, timesteps, self.hooks + hooks)
        return self.prediction.denoised(output, x, sigmas)

    def _apart(self, predict: Callable[..., Any]) -> Callable[..., Tensor]:
        """The backbone of several latents, which is given them apart, on one tensor that holds them all."""
        packing = self.setting.packing
        if packing is None:
            return predict
        return lambda x, *given: packing.packed(predict(packing.apart(x), *given))

    def _called(self, batch: Batch, x: Tensor, sigmas: Tensor, timesteps: Tensor, hooks: Hooks) -> Tensor:
        hooks = hooks + batch.lead.hooks if batch.lead.hooks else hooks
        call = self.facts(batch.names, sigmas)
        self._put_in_place(batch.lead.changes, sigmas[0].item())
        kept = None if hooks["backbone.call"] or batch.lead.changes else batch.kept
        inputs = Inputs(batch.context, batch.tensors, None, call, kept, batch.rows)
        inputs = replace(inputs, control=self._control(batch, x, sigmas, timesteps, inputs))
        predict = hooks.wrap("backbone.call", call, self._apart(self.backbone.predict))
        output: Tensor = predict(x, timesteps, inputs, hooks)
        return output

    def _put_in_place(self, changes: Changes | None, sigma: float) -> None:
        """Gives the backbone the weights that a part is asked with at this noise level."""
        model = self.setting.model
        wanted = model.weight_patches
        if changes is not None:
            key = changes, changes.factors(sigma, model.prediction.clock)
            if key not in self._patches:
                changed = model
                for patches in changes.patches(model, key[1]):
                    changed = changed.with_patches(patches)
                self._patches[key] = changed.weight_patches
            wanted = self._patches[key]
        if wanted is not self._in_place:
            model.backbone.residency.switch(model.backbone, wanted)
            self._in_place = wanted

    def facts(self, names: Sequence[str], sigmas: Tensor) -> Mapping[str, Any]:
        """What hooks inside the backbone are told of a call."""
        others = {name: 2 + i for i, name in enumerate(n for n in dict.fromkeys(names) if n not in NUMBERS)}
        numbers = tuple({**NUMBERS, **others}[name] for name in names)
        where = {"step": self.step, "schedule": self.schedule, "seed": self.seed}
        shape = tuple(self.setting.latent.shape)
        return {"sigmas": sigmas, "parts": numbers, "names": tuple(names), "run_shape": shape, **where}

    def _control(
        self, batch: Batch, x: Tensor, sigmas: Tensor, timesteps: Tensor, inputs: Inputs
    ) -> Control | None:
        control = batch.lead.control
        if control is None:
            return None
        if id(control) not in self._controls:
            self._controls[id(control)] = control.for_run(self.setting)
        if batch.control_context is not None:
            inputs = replace(inputs, context=batch.control_context)
        return self._controls[id(control)](x, sigmas, timesteps, inputs)


def filled(members: Sequence[tuple[str, Part]], latent: Tensor) -> list[tuple[str, Part]]:
    """The parts, those that fill with the weight that the others of their name leave; without it they go."""
    if not any(part.fills for _, part in members):
        return list(members)
    left: dict[str, Tensor] = {}
    for name, part in members:
        if not part.fills:
            rest = left.setdefault(name, torch.ones_like(latent[:, :1]))
            (part.area.cut(rest) if part.area else rest).sub_(part.weight)
    kept = []
    for name, part in members:
        if part.fills and name in left:
            room = left[name].clamp(0, 1)
            part = replace(part, weight=part.weight * (part.area.cut(room) if part.area else room))
            if not part.weight.any():
                continue
        kept.append((name, part))
    return kept


def checking(check: Any) -> Hooks:
    """Hooks that call `check` between the backbone's blocks, so that a run can be cancelled in mid-step."""

    def one(place: object, h: Tensor) -> Tensor:
        check()
        return h

    def two(place: object, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        check()
        return h, skip

    def around(place: object, image: Tensor, text: Tensor | None, run: Any) -> Any:
        check()
        return run(image, text)

    # so that others can leave them out
    one.only_checks = True  # type: ignore[attr-defined]
    two.only_checks = True  # type: ignore[attr-defined]
    around.only_checks = True  # type: ignore[attr-defined]
    return Hooks(
        {"block.input": (one,), "block.middle": (one,), "block.output": (two,), "block.call": (around,)}
    )
