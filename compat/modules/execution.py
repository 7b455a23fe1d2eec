"""ComfyUI's `execution`: its engine, of which nothing is here but the names that packs ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host


def names(host: Host) -> Mapping[str, Any]:
    """Nothing of its own; see `placeholders.txt`."""
    return {}
