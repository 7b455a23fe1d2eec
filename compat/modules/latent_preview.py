"""ComfyUI's `latent_preview`: how big previews are, and of which kinds. Our samplers make their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host
from compat.modules.comfy.cli_args import LatentPreviewMethod
from compat.modules.comfy.utils import ProgressBar
from compat.previews import LARGEST


def get_previewer(device: Any, latent_format: Any) -> None:
    """No previewer: our samplers show previews by themselves."""


def prepare_callback(model: Any, steps: int, x0_output_dict: dict[str, Any] | None = None) -> Any:
    """A sampler's callback that reports the steps done."""
    bar = ProgressBar(steps)

    def callback(step: int, x0: Any, x: Any, total_steps: int) -> None:
        if x0_output_dict is not None:
            x0_output_dict["x0"] = x0
        bar.update_absolute(step + 1, total_steps)

    return callback


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        "LatentPreviewMethod": LatentPreviewMethod,
        "MAX_PREVIEW_RESOLUTION": LARGEST,
        "get_previewer": get_previewer,
        "prepare_callback": prepare_callback,
    }
