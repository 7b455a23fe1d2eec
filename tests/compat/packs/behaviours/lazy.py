"""Lazy inputs, dynamic dependencies, and values that block."""

from comfy.comfy_types import IO, ComfyNodeABC, InputTypeDict
from comfy.comfy_types.node_typing import CheckLazyMixin
from comfy_execution.graph import ExecutionBlocker


class Mix(ComfyNodeABC):
    """Needs `a` unless all weight is on `b`, and the other way round."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypeDict:
        return {
            "required": {
                "a": (IO.INT, {"lazy": True}),
                "b": (IO.INT, {"lazy": True}),
                "weight": (IO.FLOAT, {"default": 0.5, "min": 0.0, "max": 1.0}),
            }
        }

    RETURN_TYPES = (IO.FLOAT,)
    FUNCTION = "mix"
    CATEGORY = "behaviours"

    def check_lazy_status(self, a, b, weight):
        needed = []
        if a is None and weight != 1.0:
            needed.append("a")
        if b is None and weight != 0.0:
            needed.append("b")
        return needed

    def mix(self, a, b, weight):
        if weight in (0.0, 1.0):
            return (float(b if weight else a),)
        return (a * (1 - weight) + b * weight,)


class Steps:
    """Asks for one input after another, each only when the one before was true."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"optional": {name: ("INT", {"lazy": True}) for name in ("first", "second", "third")}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "count"

    def check_lazy_status(self, **kwargs):
        for name in ("first", "second", "third"):
            if name in kwargs and kwargs[name] is None:
                return [name]
            if not kwargs.get(name):
                return []
        return []

    def count(self, **kwargs):
        return (sum(1 for value in kwargs.values() if value),)


class AskAll(CheckLazyMixin):
    """Asks for every lazy input by the mixin."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"lazy": True}), "b": ("INT", {"lazy": True})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "total"

    def total(self, a, b):
        return (a + b,)


class Gate:
    """Lets a value through or blocks what is behind."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"value": ("INT", {}), "open": ("BOOLEAN", {"default": True})},
            "optional": {"message": ("STRING", {"default": ""})},
        }

    RETURN_TYPES = ("INT", "INT")
    RETURN_NAMES = ("gated", "always")
    FUNCTION = "gate"

    def gate(self, value, open, message=""):
        return (value if open else ExecutionBlocker(message or None), value)


class BlockInts:
    """Of a list of numbers, blocks those that are too big."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {}), "limit": ("INT", {"default": 2})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "block"

    def block(self, value, limit):
        return ExecutionBlocker(None) if value > limit else (value,)


NODES = {"Mix": Mix, "Steps": Steps, "AskAll": AskAll, "Gate": Gate, "BlockInts": BlockInts}
