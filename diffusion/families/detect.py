"""What family a file's diffusion model is of, told by its tensors alone.

What fits no family ends in an error that lists the nearest ones and what the file misses to be one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from diffusion.errors import UnknownModel
from diffusion.families import families
from diffusion.family import Family
from diffusion.weights.entries import Weights
from diffusion.weights.kinds import kind_of, unknown
from diffusion.weights.shapes import Unlike

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "model.model.", "net.")
LAST_PREFIXES = ("model.", "")
ENOUGH = 5  # tensors, more of which a prefix must have to be that of the diffusion model


class Told(NamedTuple):
    """A diffusion model in a file: its family, its tensors under the family's native names, its sizes."""

    family: Family
    weights: Weights
    sizes: Any


def told(weights: Weights) -> Told | None:
    """The diffusion model in a file; None if there is none in it.

    UnknownModel if there is one that fits no family, with the nearest.
    """
    misfits: list[Misfit] = []
    for inner in stripped(weights):
        found = _fitting(inner, weights, misfits)
        if found is not None:
            return found
    close = [misfit for misfit in misfits if misfit.is_close]
    if not close:
        return None
    unread = {misfit.unlike for misfit in close if misfit.unlike}
    words = f"cannot be read: {'; '.join(sorted(unread))}." if unread else "fits no known family:"
    raise unknown(weights, f"Its diffusion model {words}", nearest(close))


def require(weights: Weights) -> Told:
    """The diffusion model in a file. UnknownModel if there is none."""
    found = told(weights)
    if found is None:
        raise nothing_known(weights, "No diffusion model was found in it")
    return found


def nothing_known(weights: Weights, found: str) -> UnknownModel:
    """The error for a file without a model of any family: what it is instead, or what it comes nearest to."""
    if kind_of(weights) is not None:
        return unknown(weights, found)
    misfits: list[Misfit] = []
    for inner in stripped(weights):
        _fitting(inner, weights, misfits)
    near = nearest([misfit for misfit in misfits if misfit.shows_some])
    known = f"known: {', '.join(dict.fromkeys(family.title for family in families()))}"
    return unknown(weights, found, near or [known])


def stripped(weights: Weights) -> Iterator[Weights]:
    """A file's tensors without the prefix that its diffusion model may have, the likeliest first."""
    for prefix in PREFIXES:
        inner = weights.under(prefix)
        if len(inner) > ENOUGH:
            yield inner
            return
    for prefix in LAST_PREFIXES:
        inner = weights.under(prefix)
        if inner:
            yield inner


@dataclass(frozen=True)
class Misfit:
    """A family that a file is not of: the signs and traits it misses, or why its sizes cannot be read."""

    family: Family
    signs: tuple[str, ...]
    traits: tuple[str, ...] = ()
    unlike: str = ""

    @property
    def is_close(self) -> bool:
        """Whether the file shows all signs, so that it is a model of this sort."""
        return not self.signs

    @property
    def shows_some(self) -> bool:
        """Whether the file shows any of the signs."""
        return len(self.signs) < len(self.family.signs)

    @property
    def line(self) -> str:
        """What the file misses, in words."""
        return f"{self.family.title}: it has not {'; '.join((*self.signs, *self.traits))}"


def nearest(misfits: list[Misfit]) -> list[str]:
    """The families that come closest, each with what is missing to be one of them."""
    read = [misfit for misfit in misfits if not misfit.unlike]
    fewest = min((len(misfit.signs) + len(misfit.traits) for misfit in read), default=0)
    lines = [misfit.line for misfit in read if len(misfit.signs) + len(misfit.traits) == fewest]
    return list(dict.fromkeys(lines))


def _fitting(inner: Weights, whole: Weights, misfits: list[Misfit]) -> Told | None:
    """The first family that the tensors fit; those that they do not fit are added to `misfits`."""
    reading = Reading(inner, whole)
    for family in families():
        native = reading.native(family)
        missing = family.missing(native)
        if missing:
            misfits.append(Misfit(family, tuple(missing)))
            continue
        try:
            sizes = reading.sizes(family)
        except Unlike as error:
            misfits.append(Misfit(family, (), unlike=str(error)))
            continue
        lacking = tuple(trait.words for trait in family.traits if not trait.holds(sizes))
        if not lacking:
            return Told(family, native, sizes)
        misfits.append(Misfit(family, (), lacking))
    return None


class Reading:
    """One file's tensors as families of common dialects and networks see them, each read once."""

    def __init__(self, inner: Weights, whole: Weights) -> None:
        self.inner, self.whole = inner, whole
        self._natives: dict[tuple[Any, ...], Weights] = {}
        self._sizes: dict[tuple[Callable[[Weights], Any], int], Any] = {}

    def native(self, family: Family) -> Weights:
        """The tensors under the family's native names, with what stands beside them in the file."""
        key = family.dialects, family.beside
        if key not in self._natives:
            named = family.native(self.inner)
            beside = {name: self.whole[name] for name in family.beside if name in self.whole}
            self._natives[key] = named.having({**named, **beside}) if beside else named
        return self._natives[key]

    def sizes(self, family: Family) -> Any:
        """The sizes of the family's network. Unlike if they cannot be read."""
        native = self.native(family)
        key = family.sizes, id(native)
        if key not in self._sizes:
            try:
                self._sizes[key] = family.sizes(native)
            except Unlike as error:
                self._sizes[key] = error
        found = self._sizes[key]
        if isinstance(found, Unlike):
            raise found
        return found
