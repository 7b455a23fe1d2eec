"""ComfyUI's `comfy_api.latest._io`, where some packs take the members of `io` from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host
from compat.v3.schema import io_names


def names(host: Host) -> Mapping[str, Any]:
    """The members of `io`."""
    return io_names()
