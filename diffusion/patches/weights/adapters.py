"""LoRA and its kin: small files that say how to change a model's weights.

    LoRA        W + s · B A                     Hu et al. 2021, arXiv 2106.09685
    LoHa        W + s · (B1 A1) ∘ (B2 A2)       Hyeon-Woo et al. 2021, arXiv 2108.06098
    LoKr        W + s · W1 ⊗ W2                 Yeh et al. 2023, arXiv 2309.14859 (LyCORIS)
    GLoRA       W + s · (B + W A), A and B of low rank; Chavan et al. 2023, arXiv 2306.07967
    IA³         W with each row or column times a learned factor; Liu et al. 2022, arXiv 2205.05638
    DoRA        any of them, each row brought to a learned length; Liu et al. 2024, arXiv 2402.09353
    OFT, BOFT   R W, a rotation of the outputs (`rotations`)
    difference  W + s · D

s is the strength times alpha / rank. Factors of convolutions may have a core in between. Files differ in
their names (`adapter_names`) and in what they call the factors (`adapter_keys`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from diffusion.errors import FileProblem
from diffusion.model import Model
from diffusion.patches.weights.adapter_keys import (
    ALPHA,
    BIAS,
    BLOCKS,
    CORE,
    DIFFERENCE,
    DOWN,
    FACTOR,
    LENGTHS,
    ON_INPUT,
    RESCALE,
    ROTATION,
    SCALING,
    UP,
    UP_BIAS,
    Group,
    groups,
)
from diffusion.patches.weights.adapter_names import Target, Targets, model_targets, tower_targets
from diffusion.patches.weights.mixing import with_more
from diffusion.patches.weights.rotations import turned, turned_by
from diffusion.text.encoding import TextEncoder
from diffusion.weights.files import Weights, open_weights
from diffusion.weights.layout import AS_IS, Piece
from diffusion.weights.loading import Patches

log = logging.getLogger(__name__)

Patch = Callable[[Tensor], Tensor]
WHOLE = Piece("")
NORM = "_norm.scale"


class Change(NamedTuple):
    """A difference of weights, flat or in the weight's shape, and its scale."""

    difference: Tensor
    scale: float = 1.0


def lora(group: Group) -> Change:
    """B A; a core in between belongs to a convolution factored in three (Tucker)."""
    up, down = group.take(UP, DOWN)
    core = group.get(CORE)
    if core is not None:
        return Change(_tucker(core, down.flatten(1), up.flatten(1).T), group.scale(down.shape[0]))
    return Change(up.flatten(1) @ down.flatten(1), group.scale(down.shape[0]))


def loha(group: Group) -> Change:
    """The elementwise product of two low-rank matrices."""
    halves, rank = [], 1
    for number in (1, 2):
        a, b = group.take(f"hada_w{number}_a", f"hada_w{number}_b")
        core, rank = group.get(f"hada_t{number}"), b.shape[0]
        halves.append(a @ b if core is None else _tucker(core, b, a))
    return Change(halves[0] * halves[1], group.scale(rank))


def lokr(group: Group) -> Change:
    """The Kronecker product of two matrices, each whole or in two factors."""
    first, rank_1 = _whole_or_factored(group, 1)
    second, rank_2 = _whole_or_factored(group, 2)
    rank = rank_2 or rank_1
    if second.ndim == 4:
        first = first[..., None, None]
    return Change(torch.kron(first, second.contiguous()), group.scale(rank) if rank else 1.0)


def _whole_or_factored(group: Group, number: int) -> tuple[Tensor, int]:
    """A factor of LoKr and its rank, 0 where it is whole."""
    whole = group.get(f"lokr_w{number}")
    if whole is not None:
        return whole, 0
    a, b = group.take(f"lokr_w{number}_a", f"lokr_w{number}_b")
    core = group.get(f"lokr_t{number}")
    return (a @ b if core is None else _tucker(core, b, a)), b.shape[0]


def _tucker(core: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    """A convolution from its core [i, j, h, w] and its factors [j, in] and [i, out]: [out, in, h, w]."""
    return torch.einsum("ijhw,jr,ip->prhw", core, inner, outer)


def plain_difference(group: Group) -> Change:
    """A difference that is written out."""
    (difference,) = group.take(DIFFERENCE)
    return Change(difference)


KINDS: tuple[tuple[tuple[str, ...], Callable[[Group], Change]], ...] = (
    ((UP, DOWN), lora),
    (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), loha),
    (("lokr_w1", "lokr_w2"), lokr),
    (("lokr_w1", "lokr_w2_a", "lokr_w2_b"), lokr),
    (("lokr_w1_a", "lokr_w1_b", "lokr_w2"), lokr),
    (("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"), lokr),
    ((DIFFERENCE,), plain_difference),
)
"""How to tell a kind by the tensors of a weight: those that add a difference that needs no weight."""


def glora(group: Group, weight: Tensor) -> Change:
    """B + W A, both of low rank. LyCORIS wrote the factors in either order; their shapes tell."""
    out, into = weight.shape[:2]
    a1, a2, b1, b2 = (each.flatten(1) for each in group.take("a1", "a2", "b1", "b2"))
    old = (a2.shape[0], a1.shape[1]) == (into, into)
    turn, rank = (a2 @ a1, a1.shape[0]) if old else (a1 @ a2, a2.shape[0])
    added = b2 @ b1 if old else b1 @ b2
    through = torch.einsum("oi...,ij->oj...", weight.float(), turn.to(weight.device))
    return Change(added.to(weight.device).reshape(out, *weight.shape[1:]) + through, group.scale(rank))


def ia3(group: Group, weight: Tensor) -> Change:
    """Rows or columns times a learned factor: PEFT's is around 1, LyCORIS' is what is added to 1."""
    factor = group.get(SCALING)
    if factor is not None:
        axis = 1 if factor.ndim > 1 and factor.shape[0] == 1 and factor.shape[1] == weight.shape[1] else 0
        return Change(weight.float() * (_along(factor, axis, weight) - 1))
    (factor, on_input) = group.take(FACTOR, ON_INPUT)
    return Change(weight.float() * _along(factor, int(bool(on_input.item())), weight))


def _along(factor: Tensor, axis: int, weight: Tensor) -> Tensor:
    """A factor for each place along an axis of a weight."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    return factor.reshape(shape).to(weight.device)


KINDS_OF_WEIGHT: tuple[tuple[tuple[str, ...], Callable[[Group, Tensor], Change]], ...] = (
    (("a1", "a2", "b1", "b2"), glora),
    ((SCALING,), ia3),
    ((FACTOR, ON_INPUT), ia3),
)
"""The same for kinds whose difference depends on the weight."""


def change_of(group: Group, weight: Tensor) -> Change:
    """What a group says to add to a weight."""
    for parts, make in KINDS:
        if group.has(*parts):
            return make(group)
    return next(make for parts, make in KINDS_OF_WEIGHT if group.has(*parts))(group, weight)


def changes_weight(group: Group) -> bool:
    """Whether a group is of a known kind, and whole."""
    kinds = (*(parts for parts, _ in KINDS), *(parts for parts, _ in KINDS_OF_WEIGHT), (BLOCKS,), (ROTATION,))
    return any(group.has(*parts) for parts in kinds)


def change_of_piece(group: Group, piece: Piece) -> Change:
    """What a group says of a packed weight, for those rows of it that are one of ours.

    FileProblem if that depends on the rest of the packed weight.
    """
    if group.has(UP, DOWN) and not group.has(CORE) and piece.turn is AS_IS:
        up, down = group.take(UP, DOWN)
        return Change(piece.take(up.flatten(1)) @ down.flatten(1), group.scale(down.shape[0]))
    for parts, make in KINDS:
        if group.has(*parts):
            difference, scale = make(group)
            return Change(piece.take(difference), scale)
    problem = f"It changes {group.name} as a whole, and here that stands in parts."
    raise FileProblem(group.weights.path, problem, "Use a LoRA of another kind.")


def patch_of(group: Group, strength: float, piece: Piece = WHOLE) -> Patch:
    """The change of one weight at a strength; the file is read when the weight is."""

    def patch(weight: Tensor) -> Tensor:
        difference, scale = change_of(group, weight) if piece.whole else change_of_piece(group, piece)
        difference = (spread(difference, weight) * scale).to(weight)
        lengths = group.get(LENGTHS)
        if lengths is None:
            return weight + strength * difference
        lengths = lengths if piece.whole else piece.take(lengths)
        return weight + strength * (with_lengths(weight + difference, lengths.to(weight)) - weight)

    return patch


def spread(difference: Tensor, weight: Tensor) -> Tensor:
    """A difference in the shape of a weight; columns that another adapter added to that stay as they are."""
    rows = difference.flatten(1) if difference.ndim > 1 else difference
    if weight.ndim == rows.ndim == 2 and weight.shape[1] - rows.shape[1] > 0:
        return functional.pad(rows, (0, weight.shape[1] - rows.shape[1]))
    return difference.reshape(weight.shape)


@dataclass(frozen=True, eq=False)
class Widening:
    """A change of a weight that gets more columns first, zeros until they are changed."""

    patch: Patch
    columns: int

    def __call__(self, weight: Tensor) -> Tensor:
        """The wider weight, changed."""
        return self.patch(functional.pad(weight, (0, max(0, self.columns - weight.shape[1]))))


def rotation_of(group: Group, strength: float) -> Patch:
    """The rotation of one weight at a strength, and the lengths that its outputs are brought to after it."""

    def patch(weight: Tensor) -> Tensor:
        if group.has(ROTATION):  # as early LyCORIS wrote it
            (rotation,) = group.take(ROTATION)
            return turned_by(weight, rotation.to(weight), strength)
        (blocks,), bound = group.take(BLOCKS), group.get(ALPHA)
        longest = 0.0 if bound is None else bound.item() * weight.shape[0]
        out = turned(weight, blocks, longest, strength)
        lengths = group.get(RESCALE)
        if lengths is None:
            return out
        factors = 1 + strength * (lengths.to(weight) - 1)
        return out * factors.reshape(-1, *(1,) * (weight.ndim - 1))

    return patch


def with_lengths(weight: Tensor, lengths: Tensor) -> Tensor:
    """A weight whose rows (or columns, where that is what the lengths fit) have these lengths."""
    dim = 0 if lengths.shape[0] == weight.shape[0] else 1
    others = [axis for axis in range(weight.ndim) if axis != dim]
    norm: Tensor = torch.linalg.vector_norm(weight, dim=others, keepdim=True)
    return weight * (lengths.reshape(norm.shape) / (norm + torch.finfo(weight.dtype).eps))


def bias_patch(group: Group, strength: float, piece: Piece = WHOLE) -> Patch:
    """The change of the bias that belongs to a weight."""

    def patch(bias: Tensor) -> Tensor:
        if group.has(BIAS):
            (difference,), scale = group.take(BIAS), 1.0
        else:  # that of B, which is scaled as B A is
            (difference, down) = group.take(UP_BIAS, DOWN)
            scale = group.scale(down.shape[0])
        return bias + strength * scale * piece.take(difference).to(bias)

    return patch


def patches(weights: Weights, targets: Targets, strength: float) -> dict[str, tuple[Patch, ...]]:
    """Weight patches for those parameters that the file changes."""
    found: dict[str, tuple[Patch, ...]] = {}
    for group in groups(weights):
        for piece in pieces_of(targets.get(group.name, ())) if strength else ():
            for name, patch in _patches_of(group, strength, piece):
                found[name] = (*found.get(name, ()), patch)
    return found


def _patches_of(group: Group, strength: float, piece: Piece) -> Iterator[tuple[str, Patch]]:
    """What a group changes of one of ours: the weight, its bias."""
    if group.has(BLOCKS) or group.has(ROTATION):
        if not piece.whole:
            problem = f"It turns {group.name} as a whole, and here that stands in parts."
            raise FileProblem(group.weights.path, problem, "Use a LoRA of another kind.")
        yield piece.name, rotation_of(group, strength)
    elif changes_weight(group):
        yield piece.name, patch_of(group, strength, piece)
    if group.has(BIAS) or group.has(UP_BIAS, DOWN):
        yield piece.name.removesuffix("weight") + "bias", bias_patch(group, strength, piece)


def pieces_of(target: Target) -> tuple[Piece, ...]:
    """The parameters that a name stands for."""
    return (Piece(target),) if isinstance(target, str) else target


def model_patches(weights: Weights, model: Model, strength: float) -> Patches:
    """The changes of a model's weights that a file holds, at a strength.

    FileProblem if one is of a kind that cannot be applied to this model.
    """
    targets = model_targets(model.family, model.backbone.weights)
    found = patches(weights, targets, strength)
    replaced = replacements(weights, targets) if strength else {}
    for name in model.family.widens & found.keys():
        columns = seen_columns(weights, targets, name)
        if columns > model.backbone.weights[name].shape[1]:
            *before, last = found[name]
            found[name] = (*before, Widening(last, columns))
    return {**found, **replaced}


def seen_columns(weights: Weights, targets: Targets, name: str) -> int:
    """How many columns a file's change of a parameter has."""
    downs = [
        group.weights[group.keys[DOWN]].shape[-1]
        for group in groups(weights)
        if group.has(UP, DOWN) and Piece(name) in pieces_of(targets.get(group.name, ()))
    ]
    return max(downs, default=0)


def replacements(weights: Weights, targets: Targets) -> dict[str, tuple[Patch, ...]]:
    """Norms that a file brings whole, in place of the model's, as control LoRAs of FLUX do."""

    def replacing(name: str, piece: Piece) -> Patch:
        return lambda norm: piece.take(weights.tensor(name)).to(norm)

    names = [name for name in weights if name.endswith(NORM) and name in targets]
    return {piece.name: (replacing(name, piece),) for name in names for piece in pieces_of(targets[name])}


def apply(
    path: Path, model: Model | None, text: TextEncoder | None, strength_model: float, strength_text: float
) -> tuple[Model | None, TextEncoder | None]:
    """A model and a text encoder changed by an adapter file.

    Raises:
        FileProblem: no part of the file fits either.
    """
    weights = open_weights(path)
    unet = model_targets(model.family, model.backbone.weights) if model is not None else {}
    towers: Mapping[str, Targets] = {}
    if text is not None:
        keys = [each.key for each in text.towers]
        towers = {each.key: tower_targets(each.key, each.resident.weights, keys) for each in text.towers}
    require_some(weights, [unet, *towers.values()])
    if model is not None and strength_model:
        model = model.with_patches(model_patches(weights, model, strength_model))
    if text is not None and strength_text:
        text = with_more(text, {key: patches(weights, each, strength_text) for key, each in towers.items()})
    return model, text


def require_some(weights: Weights, targets: list[Targets]) -> None:
    """Say what of a file does not fit.

    Raises:
        FileProblem: nothing does.
    """
    names = [group.name for group in groups(weights)]
    strange = [name for name in names if not any(name in each for each in targets)]
    if not names or len(strange) == len(names):
        example = f" ({strange[0]} and {len(strange) - 1} others)" if strange else ""
        problem = f"It holds no change that fits this model{example}."
        raise FileProblem(weights.path, problem, "Choose a LoRA made for this family of models.")
    if strange:
        log.info(
            "%s: %d of %d changes do not fit, such as %s.",
            weights.path.name,
            len(strange),
            len(names),
            strange[0],
        )
