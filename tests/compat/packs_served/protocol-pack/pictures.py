"""Nodes on pictures, whose results a client can look at."""

import asyncio

import torch
from comfy.comfy_types import IO, ComfyNodeABC, InputTypeDict
from comfy.utils import ProgressBar
from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder


class Overlapping(str):
    """A type that links with every type it shares a name with; `*` with all."""

    def __ne__(self, other):
        return "*" not in (self, other) and not set(self.split(",")) & set(other.split(","))

    __hash__ = str.__hash__


def open_types(cls):
    """Widens the `*` types of a finished class, and checks the types of links in its place."""
    declared = cls.INPUT_TYPES

    def input_types(*args):
        groups = declared()
        return {
            group: {
                name: (Overlapping(shape[0]), *shape[1:]) if shape[0] == "*" else shape
                for name, shape in members.items()
            }
            for group, members in groups.items()
        }

    def validate(input_types):
        return "values of the type NEVER are not taken" if "NEVER" in input_types.values() else True

    cls.INPUT_TYPES = input_types
    cls.RETURN_TYPES = tuple(map(Overlapping, cls.RETURN_TYPES))
    cls.VALIDATE_INPUTS = validate
    return cls


class Flat(ComfyNodeABC):
    """A picture of one brightness."""

    @classmethod
    def INPUT_TYPES(cls) -> InputTypeDict:
        return {
            "required": {
                "content": (["BLACK", "WHITE"],),
                "height": (IO.INT, {"default": 8, "min": 1, "max": 1024**3}),
                "width": (IO.INT, {"default": 8, "min": 1, "max": 1024**3}),
            }
        }

    RETURN_TYPES = (IO.IMAGE,)
    FUNCTION = "make"

    def make(self, content, height, width):
        return (torch.full((1, height, width, 3), float(content == "WHITE")),)


class FlatMask:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01})}}

    RETURN_TYPES = ("MASK",)
    FUNCTION = "make"

    def make(self, value):
        return (torch.full((1, 8, 8), value),)


class MixPictures:
    """Asks only for the pictures that the mask lets through."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "below": ("IMAGE", {"lazy": True}),
                "above": ("IMAGE", {"lazy": True}),
                "mask": ("MASK",),
            }
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "mix"

    def check_lazy_status(self, below, above, mask):
        wanted = {"below": bool((mask < 1).any()), "above": bool((mask > 0).any())}
        given = {"below": below, "above": above}
        return [name for name in wanted if wanted[name] and given[name] is None]

    def mix(self, below, above, mask):
        if below is None or above is None:
            return (above if below is None else below,)
        return (torch.lerp(below, above, mask[..., None]),)


class Average:
    """The mean of `input1` and of as many more as are linked."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"input1": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "average"

    def average(self, **pictures):
        return (torch.stack(list(pictures.values())).mean(dim=0),)


class ChangesWhenTold:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"image": ("IMAGE",)},
            "optional": {"should_change": ("BOOL", {"default": False})},
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    @classmethod
    def IS_CHANGED(cls, should_change=False, *args, **kwargs):
        return float("nan") if should_change else False

    def run(self, image, should_change=False):
        return (image,)


class BlockPicture:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "block": ("BOOLEAN",), "message": ("STRING", {})}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self, image, block, message):
        return (ExecutionBlocker(message or None) if block else image,)


class PreviewInside:
    """An output node that expands into one."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "run"

    def run(self, image):
        graph = GraphBuilder()
        graph.node("PreviewImage", images=image)
        return {"result": (), "expand": graph.finalize()}


@open_types
class Dawdle:
    """Hands a value on after some short steps."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"value": ("*",), "steps": ("INT", {"default": 20})},
            "hidden": {"node": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("*",)
    FUNCTION = "dawdle"

    async def dawdle(self, value, steps, node):
        bar = ProgressBar(steps, node_id=node)
        for step in range(steps):
            await asyncio.sleep(0.01)
            bar.update_absolute(step + 1)
        return (value,)


class Never:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("NEVER",)
    FUNCTION = "run"

    def run(self):
        return (None,)


KINDS = (
    Flat,
    FlatMask,
    MixPictures,
    Average,
    ChangesWhenTold,
    BlockPicture,
    PreviewInside,
    Dawdle,
    Never,
)
NODES = {kind.__name__: kind for kind in KINDS}
