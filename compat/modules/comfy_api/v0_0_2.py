"""ComfyUI's `comfy_api.v0_0_2`, which is `latest` under a number."""

from __future__ import annotations

from compat.modules.comfy_api.latest import names

__all__ = ["names"]
