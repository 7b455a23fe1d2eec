"""ComfyUI's `comfy.ldm.modules`: a package of its networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host


def names(host: Host) -> Mapping[str, Any]:
    """The package itself holds only its modules."""
    return {}
