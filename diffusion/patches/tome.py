"""Token merging: self-attention asks only for tokens that differ (Bolya & Hoffman 2023, arXiv 2303.17604).

In every 2×2 square one random token is a destination; of the others, those most like a destination are merged
into it before attention and copied from it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.hooks import Place
from diffusion.model import Model
from diffusion.remembering import methods

STRIDE = 2  # of the squares of which one token is a destination


@dataclass(frozen=True)
class Matching:
    """Which tokens stay (`kept`), which are merged (`sources`), and into which destination each goes.

    Indices are into the tokens [B, N, C]: `destinations` [1, D, 1]; `kept` [B, K, 1]; `sources` [B, R, 1];
    `partners` [B, R, 1] count destinations.
    """

    destinations: Tensor
    kept: Tensor
    sources: Tensor
    partners: Tensor
    tokens: int

    def merge(self, x: Tensor) -> Tensor:
        """x [B, N, C] → [B, K + D, C]; a destination becomes the mean of itself and what goes into it."""
        stays, goes = _pick(x, self.kept), _pick(x, self.sources)
        into = _pick(x, self.destinations.expand(len(x), -1, -1))
        partners = self.partners.expand(-1, -1, x.shape[-1])
        return torch.cat([stays, into.scatter_reduce(1, partners, goes, reduce="mean")], dim=1)

    def unmerge(self, x: Tensor) -> Tensor:
        """[B, K + D, C] → [B, N, C]; merged tokens are copies of their destination."""
        count = self.kept.shape[1]
        stays, into = x[:, :count], x[:, count:]
        out = x.new_zeros(len(x), self.tokens, x.shape[-1])
        for index, values in (
            (self.destinations.expand(len(x), -1, -1), into),
            (self.kept, stays),
            (self.sources, _pick(into, self.partners)),
        ):
            out.scatter_(1, index.expand(-1, -1, x.shape[-1]), values)
        return out


def matching(metric: Tensor, size: tuple[int, int], merged: int, draws: torch.Generator) -> Matching | None:
    """Tokens [B, N, C] of a `size` matched by likeness so that `merged` of them go; None if nothing can."""
    height, width = size
    rows, columns = height // STRIDE, width // STRIDE
    if merged <= 0 or not rows or not columns:
        return None
    order = _destinations_first(height, width, rows, columns, draws).to(metric.device)
    count = rows * columns
    destinations, others = order[:, :count], order[:, count:]
    unit = metric / metric.norm(dim=-1, keepdim=True)
    likeness = _pick(unit, others.expand(len(unit), -1, -1)) @ _pick(
        unit, destinations.expand(len(unit), -1, -1)
    ).transpose(1, 2)
    best, partner = likeness.max(dim=-1)
    ranked = best.argsort(dim=-1, descending=True)[..., None]
    merged = min(merged, others.shape[1])
    going, staying = ranked[:, :merged], ranked[:, merged:]
    others = others.expand(len(unit), -1, -1)
    return Matching(
        destinations,
        others.gather(1, staying),
        others.gather(1, going),
        partner[..., None].gather(1, going),
        metric.shape[1],
    )


def _destinations_first(height: int, width: int, rows: int, columns: int, draws: torch.Generator) -> Tensor:
    """All token numbers, [1, N, 1]: first one random token of each square, then the others in order."""
    chosen = torch.randint(STRIDE * STRIDE, (rows, columns, 1), generator=draws)
    squares = torch.zeros(rows, columns, STRIDE * STRIDE, dtype=torch.long)
    squares.scatter_(2, chosen, -1)
    marks = torch.zeros(height, width, dtype=torch.long)
    laid = squares.view(rows, columns, STRIDE, STRIDE).transpose(1, 2)
    marks[: rows * STRIDE, : columns * STRIDE] = laid.reshape(rows * STRIDE, columns * STRIDE)
    return marks.reshape(1, -1, 1).argsort(dim=1, stable=True)


def _pick(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index.expand(-1, -1, x.shape[-1]))


@dataclass
class Merging:
    """The hooks of one run: queries are merged before self-attention, its result is spread out after it."""

    ratio: float
    draws: torch.Generator | None = None
    current: Matching | None = None

    def merge(self, place: Place, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Before the projections."""
        self.current = None
        if place.latent == place.size and q.shape[1] == place.size[0] * place.size[1]:
            if self.draws is None:
                self.draws = generator_after_noise(place)
            self.current = matching(q, place.size, int(q.shape[1] * self.ratio), self.draws)
        return (self.current.merge(q) if self.current else q), k, v

    def unmerge(self, place: Place, out: Tensor) -> Tensor:
        """After the output projection."""
        return self.current.unmerge(out) if self.current else out


def generator_after_noise(place: Place) -> torch.Generator:
    """The generator of the run's seed where it stands once the starting noise has been drawn from it."""
    generator = torch.Generator().manual_seed(int(place.call.get("seed", 0)))
    torch.randn(tuple(place.call.get("run_shape", (0,))), generator=generator)
    return generator


def merging_tokens(model: Model, ratio: float) -> Model:
    """The model that merges `ratio` of the tokens in self-attention at full resolution."""
    merge, unmerge = methods(lambda: Merging(ratio), "merge", "unmerge")
    return model.with_hook("attention.self.input", merge).with_hook("attention.self.output", unmerge)
