"""V3's inputs and outputs as objects, and the types they are of.

A type is a class with `io_type`, `Type` (for annotations), `Input` and `Output`. Keywords that we do not know
are kept as options of the input, because schemas grow from version to version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from execution.declare.spec import CHOICE, MATCH, ROW


class FolderType(StrEnum):
    """Where a file is."""

    input = "input"
    output = "output"
    temp = "temp"


class UploadType(StrEnum):
    """What a combo of files lets a person upload."""

    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class NumberDisplay(StrEnum):
    """How a number's widget looks."""

    number = "number"
    slider = "slider"
    color = "color"
    gradient_slider = "gradient_slider"


class ControlAfterGenerate(StrEnum):
    """What happens to a number after a job was queued."""

    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


class Hidden(StrEnum):
    """Facts that a node may ask for; they are found as `cls.hidden.unique_id` and so on."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"


@dataclass
class RemoteOptions:
    """Where an editor fetches the choices of a combo."""

    route: str
    refresh_button: bool = False
    control_after_refresh: str = "first"
    timeout: int | None = None
    max_retries: int | None = None
    refresh: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Those that are set."""
        return {name: value for name, value in vars(self).items() if value is not None}


OPTION_NAMES: Mapping[str, str] = {
    "raw_link": "rawLink",
    "force_input": "forceInput",
    "widget_type": "widgetType",
    "dynamic_prompts": "dynamicPrompts",
    "display_mode": "display",
}
"""Keywords whose option has another name."""


class Input:
    """One input. Everything but its name, kind and group becomes an option of it."""

    io_type = "*"

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = dict(extra_dict or {})
        self.keywords = options

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "keywords":
            raise AttributeError(name)
        return self.keywords.get(name)

    def get_io_type(self) -> str:
        """The type's name."""
        return self.io_type

    def options(self) -> dict[str, Any]:
        """The options as object_info shows them."""
        shown = {"display_name": self.display_name, "tooltip": self.tooltip, "lazy": self.lazy}
        shown |= {OPTION_NAMES.get(name, name): value for name, value in self.keywords.items()}
        return {
            name: _shown(value) for name, value in {**shown, **self.extra_dict}.items() if value is not None
        }

    as_dict = options


def _shown(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value.as_dict() if hasattr(value, "as_dict") else value


class Output:
    """One output."""

    io_type = "*"

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
        **options: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list
        self.options = options

    def get_io_type(self) -> str:
        """The type's name."""
        return self.io_type


class ComfyType:
    """Base of the types."""

    io_type = "*"
    Type: Any = Any
    Input: type[Input] = Input
    Output: type[Output] = Output


def comfy_type(io_type: str, base: type[Input] = Input) -> type[ComfyType]:
    """A type with inputs and outputs of one name."""
    named = {"io_type": io_type, "__module__": __name__}
    members = {
        **named,
        "Type": Any,
        "Input": type("Input", (base,), named),
        "Output": type("Output", (Output,), named),
    }
    return type(io_type, (ComfyType,), members)


class ComboInput(Input):
    """A choice; its options may be given as an Enum class."""

    io_type = "COMBO"

    def __init__(self, id: str, options: Any = None, *args: Any, **keywords: Any) -> None:
        super().__init__(id, *args, **keywords)
        members = isinstance(options, type) and issubclass(options, Enum)
        self.choices = [member.value for member in options] if members else options

    def options(self) -> dict[str, Any]:
        """The choices among the other options, an upload under its own name."""
        shown = super().options()
        upload, multiple = shown.pop("upload", None), isinstance(self, MultiComboInput)
        first = {"default": shown.pop("default")} if "default" in shown else {}
        choices = None if self.choices is None else list(self.choices)
        return {
            **first,
            "multiselect": multiple,
            "options": choices,
            **shown,
            **({upload: True} if upload else {}),
        }


class MultiComboInput(ComboInput):
    """A choice of several."""


class MultiTypeInput(Input):
    """An input of several types, or a widget (given in place of the name) that takes links of them too."""

    def __init__(
        self, id: str | Input, types: Sequence[type[ComfyType]] = (), *args: Any, **keywords: Any
    ) -> None:
        widget = id if isinstance(id, Input) else None
        super().__init__(widget.id if isinstance(widget, Input) else str(id), *args, **keywords)
        self.widget = widget
        own = [widget.get_io_type()] if widget else []
        self.types = list(dict.fromkeys([*own, *(each.io_type for each in types)]))

    def get_io_type(self) -> str:
        """The names with commas between."""
        return ",".join(self.types)

    def options(self) -> dict[str, Any]:
        """The widget's options and the input's own."""
        return {**(self.widget.options() if self.widget else {}), **super().options()}


@dataclass
class MatchTemplate:
    """What inputs and outputs of one type share."""

    template_id: str
    allowed_types: Any = None

    def as_dict(self) -> dict[str, Any]:
        """As the editor reads it."""
        kinds = self.allowed_types if isinstance(self.allowed_types, list | tuple) else [self.allowed_types]
        return {
            "template_id": self.template_id,
            "allowed_types": ",".join(getattr(k, "io_type", "*") for k in kinds),
        }


MATCHED = comfy_type(MATCH)


class MatchType(ComfyType):
    """Inputs and outputs whose type is whatever is linked first."""

    io_type = MATCH
    Input = MATCHED.Input
    Output = MATCHED.Output
    Template = MatchTemplate


@dataclass
class Grown:
    """How an Autogrow input names its members: numbered after a prefix, or by given names."""

    input: Input
    prefix: str = ""
    min: int = 1
    max: int = 100
    names: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """As the editor reads it."""
        member = {"required": {self.input.id: [self.input.get_io_type(), self.input.options()]}}
        named = {"names": list(self.names)} if self.names else {"prefix": self.prefix, "max": self.max}
        return {"input": member, "min": self.min, **named}


def _named(input: Input, names: Sequence[str], min: int = 1) -> Grown:
    return Grown(input, names=names, min=min)


class DynamicInput(Input):
    """An input whose parts arrive as `NAME.PART`; the node is given them as one dict."""


class AutogrowInput(DynamicInput):
    """As many inputs as are linked."""

    io_type = ROW


class Autogrow(ComfyType):
    """Inputs that grow in number."""

    io_type = ROW
    Type = dict[str, Any]
    Input = AutogrowInput
    TemplatePrefix = Grown
    TemplateNames: Callable[..., Grown] = staticmethod(_named)


@dataclass
class ComboBranch:
    """One choice of a DynamicCombo and the inputs that come with it."""

    key: str
    inputs: Sequence[Input] = ()

    def as_dict(self) -> dict[str, Any]:
        """As the editor reads it."""
        groups: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
        for each in self.inputs:
            groups["optional" if each.optional else "required"][each.id] = [
                each.get_io_type(),
                each.options(),
            ]
        return {"key": self.key, "inputs": {name: members for name, members in groups.items() if members}}


class DynamicComboInput(DynamicInput):
    """A choice that brings inputs with it."""

    io_type = CHOICE

    def __init__(self, id: str, options: Sequence[ComboBranch] = (), *args: Any, **keywords: Any) -> None:
        super().__init__(id, *args, **keywords)
        self.branches = list(options)

    def options(self) -> dict[str, Any]:
        """The branches among the other options."""
        return {"options": [branch.as_dict() for branch in self.branches], **super().options()}


class DynamicCombo(ComfyType):
    """Choices with inputs of their own."""

    io_type = CHOICE
    Type = dict[str, Any]
    Input = DynamicComboInput
    Option = ComboBranch


class MultiType(ComfyType):
    """Inputs of several types."""

    Input = MultiTypeInput


class Combo(ComfyType):
    """Choices."""

    io_type = "COMBO"
    Type = str
    Input = ComboInput
    Output = type("Output", (Output,), {"io_type": "COMBO"})


class MultiCombo(ComfyType):
    """Choices of several."""

    io_type = "COMBO"
    Type = list[str]
    Input = MultiComboInput
