"""Wildcards, inputs of any name, hidden facts, and packs calling other nodes."""

import nodes


class AnyType(str):
    """Never unequal to any type."""

    def __ne__(self, other):
        return False

    __hash__ = str.__hash__


class ContainsAll(dict):
    """Claims every name."""

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return dict.get(self, key, (AnyType("*"), {}))


class Variadic:
    """Adds as many inputs as are linked."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}, "optional": ContainsAll({"first": ("INT", {"forceInput": True})})}

    RETURN_TYPES = ("INT", "STRING")
    FUNCTION = "add"

    def add(self, **kwargs):
        return (sum(v for v in kwargs.values() if isinstance(v, int)), ",".join(sorted(kwargs)))


class Keywords:
    """Declares one input and takes any other that is linked."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"input1": ("INT", {})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    def run(self, input1, **kwargs):
        return (",".join(f"{name}={value}" for name, value in sorted({"input1": input1, **kwargs}.items())),)


class Anything:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (AnyType("*"), {})}}

    RETURN_TYPES = (AnyType("*"),)
    RETURN_NAMES = ("same",)
    FUNCTION = "run"

    def run(self, value):
        return (value,)


class Hidden:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {},
            "hidden": {"id": "UNIQUE_ID", "graph": "PROMPT", "info": "EXTRA_PNGINFO", "live": "DYNPROMPT"},
        }

    RETURN_TYPES = ("FACTS",)
    FUNCTION = "run"

    def run(self, id, graph, info, live):
        return (
            {
                "id": id,
                "types": sorted(n["class_type"] for n in graph.values()),
                "info": info,
                "live": live.has_node(id),
            },
        )


class RawLink:
    """Is handed the link, not its value."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"rawLink": True})}}

    RETURN_TYPES = ("LINK",)
    FUNCTION = "run"

    def run(self, value):
        return (value,)


class OptionalAbsent:
    """Is given no default for an optional input that the prompt leaves out."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}, "optional": {"value": ("INT", {"default": 5})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value=-1):
        return (value,)


class CallsAnother:
    """Runs another node's class by hand, a native one."""

    @classmethod
    def INPUT_TYPES(cls):
        return nodes.NODE_CLASS_MAPPINGS["ToyTwice"].INPUT_TYPES()

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        other = nodes.NODE_CLASS_MAPPINGS["ToyTwice"]
        return getattr(other(), other.FUNCTION)(value=value)


class Derived(nodes.ToyTwice):
    """Derives from a native node's class."""

    def execute(self, value):
        (doubled,) = super().execute(value=value)
        return (doubled + 1,)


class Old:
    DEPRECATED = True
    EXPERIMENTAL = True
    RETURN_TYPES = (["x", "y"], "INT")
    OUTPUT_NODE = False
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "choice": (["x", "y"], {"default": "x"}),
                "combo": ("COMBO", {"options": ["p", "q"]}),
            }
        }

    def run(self, choice, combo):
        return (choice, 1)


class Fails:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        raise KeyError("this node always fails")


class NeedsInternals:
    """Uses a part of ComfyUI that is only a name here."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "run"

    def run(self):
        from comfy.model_patcher import ModelPatcher

        return (ModelPatcher(None, None, None),)


KINDS = (
    Variadic,
    Keywords,
    Anything,
    Hidden,
    RawLink,
    OptionalAbsent,
    CallsAnother,
    Derived,
    Old,
    Fails,
    NeedsInternals,
)
NODES = {kind.__name__: kind for kind in KINDS}
