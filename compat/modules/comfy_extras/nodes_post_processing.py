"""ComfyUI's `comfy_extras.nodes_post_processing`: its kernel; its node classes are those of our nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host
from diffusion.images import gaussian_kernel


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        "gaussian_kernel": lambda kernel_size, sigma, device=None: gaussian_kernel(kernel_size, sigma, device)
    }
