"""ComfyUI's `comfy_execution`: what nodes that build graphs import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host


def names(host: Host) -> Mapping[str, Any]:
    """The package itself holds only its modules."""
    return {}
