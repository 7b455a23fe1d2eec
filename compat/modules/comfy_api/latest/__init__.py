"""ComfyUI's `comfy_api.latest`: V3 nodes, what they show, and what they may ask while they run."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from compat.host import Host
from compat.v3.progress import apis
from compat.v3.schema import ComfyExtension, io_names
from compat.v3.ui import ui_names


def module_of(name: str, members: Mapping[str, Any]) -> types.ModuleType:
    """A module made of names, which packs may write to."""
    module = types.ModuleType(name)
    vars(module).update(members)
    return module


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    unknown = {kind: host.placeholder(f"comfy_api.latest.{kind}") for kind in ("Input", "InputImpl", "Types")}
    io = module_of("comfy_api.latest.io", io_names())
    ui = module_of("comfy_api.latest.ui", ui_names(host))
    asynchronous, synchronous = apis(host.replacements)
    return {
        **unknown,
        "ComfyAPI": asynchronous,
        "ComfyAPISync": synchronous,
        "ComfyAPI_latest": asynchronous,
        "ComfyExtension": ComfyExtension,
        "IO": io,
        "UI": ui,
        "io": io,
        "ui": ui,
    }
