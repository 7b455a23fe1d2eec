"""What an `Annotated` parameter of a declared node may carry, each shown in object_info in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Marker:
    """Something that says more about an input; `options` is what it adds to object_info."""

    def options(self) -> Mapping[str, Any]:
        """Option keys with their values."""
        return {}


@dataclass(frozen=True)
class Range(Marker):
    """Smallest and biggest number allowed, the widget's step, and what values are rounded to."""

    min: float | None = None
    max: float | None = None
    step: float | None = None
    round: float | bool | None = None

    def options(self) -> Mapping[str, Any]:
        """Those of `min`, `max`, `step`, `round` that are given."""
        return {name: value for name, value in self.__dict__.items() if value is not None}


@dataclass(frozen=True)
class Tip(Marker):
    """A tooltip."""

    text: str

    def options(self) -> Mapping[str, Any]:
        """`tooltip`."""
        return {"tooltip": self.text}


@dataclass(frozen=True)
class Multiline(Marker):
    """A text of several lines, maybe with `{a|b}` choices that the editor resolves."""

    dynamic_prompts: bool = False

    def options(self) -> Mapping[str, Any]:
        """`multiline` and maybe `dynamicPrompts`."""
        return {"multiline": True} | ({"dynamicPrompts": True} if self.dynamic_prompts else {})


@dataclass(frozen=True)
class ForceInput(Marker):
    """A socket where the type would have a widget."""

    def options(self) -> Mapping[str, Any]:
        """`forceInput`."""
        return {"forceInput": True}


@dataclass(frozen=True)
class RawLink(Marker):
    """The node is handed the link `[id, slot]` itself and does not wait for its value."""

    def options(self) -> Mapping[str, Any]:
        """`rawLink`."""
        return {"rawLink": True}


class Options(Marker):
    """Option keys given verbatim, such as `image_upload=True` or `control_after_generate=True`."""

    def __init__(self, **keys: Any) -> None:
        """Keep the keys; they win over what other markers say."""
        self.keys = keys

    def options(self) -> Mapping[str, Any]:
        """The keys as given."""
        return self.keys


@dataclass(frozen=True)
class Spare(Marker):
    """The input is optional although its default is not None."""


class Combo(Marker):
    """Show choices as V3 nodes do, `["COMBO", {"multiselect": false, "options": […]}]`."""

    def __init__(self, **keys: Any) -> None:
        """Keep the option keys; `multiselect=None` leaves that key out."""
        given = {"multiselect": False} | keys
        self.keys = {name: value for name, value in given.items() if value is not None}


class Choice(Marker):
    """A choice from a list, or from what a callable returns each time the spec is asked for.

    The callable's parameters are provided by their annotations, like a node's.
    """

    def __init__(self, values: Iterable[Any] | Callable[..., Iterable[Any]]) -> None:
        """Keep the values or the callable."""
        self.values = values if callable(values) else tuple(values)


@dataclass(frozen=True)
class Folder(Marker):
    """A choice among the files of a folder kind, `extra` values last.

    Kinds are `Folders` kinds: `"checkpoints"`, `"vae"`, also `"input"`, `"output"`, `"temp"`, the last
    three maybe with the medium wanted: `"input:image"`. The file's path, size and time become part of the
    node's key.
    """

    kind: str
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Socket(Marker):
    """What the value is called on links, `"SIGMAS"`; `"*"` for anything, `"A,B"` for either."""

    name: str


@dataclass(frozen=True)
class Hidden(Marker):
    """Not shown: `PROMPT`, `EXTRA_PNGINFO`, `UNIQUE_ID`, `DYNPROMPT` or a key of the extra data."""

    kind: str


@dataclass(frozen=True)
class Output(Marker):
    """An output's name and tooltip, where they are not the field's name (or the socket's)."""

    name: str | None = None
    tip: str | None = None


@dataclass(frozen=True)
class Name(Marker):
    """The input's name, where it is no Python name."""

    name: str


class Each(Marker):
    """On a `**parameter`: one input for each of these names, all alike; give defaults by `Options`."""

    def __init__(self, *names: str) -> None:
        """Keep the names in order."""
        self.names = names


@dataclass(frozen=True)
class Grows(Marker):
    """On a `Mapping[str, T]`: as many inputs of type T as are linked, at least `min`, at most `max`.

    They are named after the parameter and a `prefix` with a number from 0, or by `names`. The function is
    given those that are there, by the part of the name that is their own (`"image0"`).
    """

    prefix: str = ""
    min: int = 1
    max: int = 100
    names: tuple[str, ...] = ()

    def template(self, member: Mapping[str, Any]) -> Mapping[str, Any]:
        """What object_info says of the row; `member` is its only input, `{name: [type, options]}`."""
        named = {"names": list(self.names)} if self.names else {"prefix": self.prefix}
        bounds = {"min": self.min} if self.names else {"min": self.min, "max": self.max}
        return {"input": {"required": dict(member)}, **named, **bounds}


class Branches(Marker):
    """A choice that brings inputs with it: its keys, each with a dataclass whose fields are the inputs.

    The function is given an instance of the class that was chosen.
    """

    def __init__(self, classes: Mapping[str, type]) -> None:
        """Keep the classes in order; the first key is the default."""
        self.classes = dict(classes)


class Lazy(Generic[T]):
    """An input computed only when awaited: `mask: Lazy[Mask]`, then `await mask` in an `async def` node."""

    def __await__(self) -> Any:
        """Give the value once it is computed."""
        raise NotImplementedError
