"""ComfyUI's `comfy_api`: the versioned interface for packs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host


def names(host: Host) -> Mapping[str, Any]:
    """The package itself holds only its modules."""
    return {}
