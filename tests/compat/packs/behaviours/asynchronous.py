"""`async def` nodes: overlapping, progress, errors; and progress from plain nodes."""

import asyncio
import time

import comfy.model_management
from comfy.utils import ProgressBar
from comfy_api.v0_0_2 import ComfyAPI, ComfyAPISync
from comfy_execution.graph_utils import GraphBuilder


class Sleep:
    """Waits, and tells when it began and ended."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"value": ("INT", {}), "seconds": ("FLOAT", {"default": 0.1})},
            "optional": {"after": ("*",)},
        }

    RETURN_TYPES = ("INT", "SPAN")
    FUNCTION = "sleep"

    async def sleep(self, value, seconds, after=None):
        began = time.monotonic()
        await asyncio.sleep(seconds)
        return (value, (began, time.monotonic()))


class AsyncProgress:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"steps": ("INT", {"default": 3})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "work"

    async def work(self, steps):
        api = ComfyAPI()
        for step in range(steps):
            await asyncio.sleep(0)
            await api.execution.set_progress(step + 1, steps)
        return (steps,)


class SyncProgress(AsyncProgress):
    def work(self, steps):
        from PIL import Image

        api = ComfyAPISync()
        for step in range(steps):
            picture = Image.new("RGB", (700, 20)) if step == 0 else None
            api.execution.set_progress(value=step + 1, max_value=steps, preview_image=picture)
        return (steps,)


class BarProgress(AsyncProgress):
    def work(self, steps):
        bar = ProgressBar(steps)
        for _ in range(steps):
            bar.update(1)
        return (steps,)


class AsyncFails:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "fail"

    async def fail(self, value):
        await asyncio.sleep(0.01)
        raise ValueError(f"no {value} today")


class AsyncLazy:
    """Decides after a pause which of its inputs it needs."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"a": ("INT", {"lazy": True}), "b": ("INT", {"lazy": True}), "first": ("BOOLEAN", {})}
        }

    RETURN_TYPES = ("INT",)
    FUNCTION = "pick"

    async def check_lazy_status(self, a, b, first):
        await asyncio.sleep(0)
        wanted = "a" if first else "b"
        return [wanted] if {"a": a, "b": b}[wanted] is None else []

    async def pick(self, a, b, first):
        return (a if first else b,)


class AsyncExpands:
    """Expands into nodes that sleep side by side."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"count": ("INT", {"default": 3}), "seconds": ("FLOAT", {"default": 0.1})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "expand"

    async def expand(self, count, seconds):
        await asyncio.sleep(0)
        graph = GraphBuilder()
        total = graph.node("Sleep", value=0, seconds=0.0).out(0)
        for number in range(1, count + 1):
            slept = graph.node("Sleep", value=number, seconds=seconds)
            total = graph.node("Add", a=total, b=slept.out(0)).out(0)
        return {"result": (total,), "expand": graph.finalize()}


class Endless:
    """Works until its job is cancelled."""

    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ()
    FUNCTION = "work"

    def work(self):
        for _ in range(10_000):
            time.sleep(0.001)
            comfy.model_management.throw_exception_if_processing_interrupted()
        raise AssertionError("was never cancelled")


KINDS = (Sleep, AsyncProgress, SyncProgress, BarProgress, AsyncFails, AsyncLazy, AsyncExpands, Endless)
NODES = {kind.__name__: kind for kind in KINDS}
