"""How a family reads texts: the rule of each of its towers, and how what they say becomes one embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffusion.text.tower import Encoded, Rule


class Embedding(NamedTuple):
    """What a text became: `cond` [1, T, C], `pooled` [1, P] or None, and what else there is."""

    cond: Tensor
    pooled: Tensor | None
    extra: dict[str, Any]


Said = Mapping[str, Encoded]  # by the tower's key
Join = Callable[[Said], Embedding]
Divide = Callable[[str], Mapping[str, str]]


def side_by_side(said: Said) -> Embedding:
    """All towers' vectors side by side, as far as all reach; the last tower's pooled vector."""
    length = min(each.cond.shape[1] for each in said.values())
    cond = torch.cat([each.cond[:, :length] for each in said.values()], dim=-1)
    return Embedding(cond, list(said.values())[-1].pooled, {})


@dataclass(frozen=True)
class Recipe:
    """A way to read texts, under the name that loaders call it by.

    `rules` are by the key of the tower; `needed` are sets of keys one of which must be there whole. `own`
    gives towers that do not read the whole text their part of it. A tower among `silent` says nothing without
    tokens.
    """

    name: str
    title: str
    rules: Mapping[str, Rule]
    join: Join = side_by_side
    needed: tuple[frozenset[str], ...] = ()
    own: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()


PLAIN = Recipe("plain", "CLIP", {})
