"""IS_CHANGED in all its styles, and instances that remember."""

import asyncio


class Base:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value, **kwargs):
        return (value,)


class ChangedConstant(Base):
    @classmethod
    def IS_CHANGED(cls, value):
        return 7


class ChangedNaN(Base):
    @classmethod
    def IS_CHANGED(cls, value):
        return float("nan")


class ChangedRaises(Base):
    @classmethod
    def IS_CHANGED(cls, value):
        raise RuntimeError("cannot say")


class ChangedWrongArguments(Base):
    @classmethod
    def IS_CHANGED(cls):
        return 1


class ChangedAsync(Base):
    @classmethod
    async def IS_CHANGED(cls, value, **kwargs):
        await asyncio.sleep(0)
        return value // 10


class ChangedSeesLinks(Base):
    """Is given None for a linked input."""

    seen = []

    @classmethod
    def IS_CHANGED(cls, value):
        cls.seen.append(value)
        return 0


class ChangedObject(Base):
    """Returns things that are no JSON, but equal from run to run."""

    @classmethod
    def IS_CHANGED(cls, value):
        return {b"bytes": (1, {2, 3}), "raw": b"\x00\xff"}


class ChangedByState(Base):
    """Follows something outside of the graph."""

    version = 0

    @classmethod
    def IS_CHANGED(cls, value):
        return cls.version


class Remember:
    """Counts its calls on the instance."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}, "hidden": {"id": "UNIQUE_ID"}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def __init__(self):
        self.calls = 0

    def run(self, value, id):
        self.calls += 1
        return (self.calls,)


KINDS = (
    ChangedConstant,
    ChangedNaN,
    ChangedRaises,
    ChangedWrongArguments,
    ChangedAsync,
    ChangedSeesLinks,
    ChangedObject,
    ChangedByState,
    Remember,
)
NODES = {kind.__name__: kind for kind in KINDS}
