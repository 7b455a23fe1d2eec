"""ComfyUI's `node_helpers`: setting values of conditionings, and opening pictures that PIL finds damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from compat.host import Host


def conditioning_set_values(
    conditioning: list[Any], values: Mapping[str, Any] | None = None, append: bool = False
) -> list[Any]:
    """A conditioning whose every part has `values`; with `append`, lists are added to what is there."""
    result = []
    for embedding, options, *rest in conditioning:
        changed = dict(options)
        for key, value in (values or {}).items():
            before = changed.get(key)
            changed[key] = before + value if append and before is not None else value
        result.append([embedding, changed, *rest])
    return result


def pillow(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of PIL; once more, tolerating truncated files, when it finds the file damaged."""
    from PIL import ImageFile, UnidentifiedImageError

    try:
        return function(*args)
    except (OSError, UnidentifiedImageError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return function(*args)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def string_to_torch_dtype(string: str) -> Any:
    """The torch type of a short name, or None."""
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(string)


def image_alpha_fix(destination: Any, source: Any) -> tuple[Any, Any]:
    """Two images with the same number of channels: a missing alpha is opaque, a surplus one is dropped."""
    import torch

    if destination.shape[-1] < source.shape[-1]:
        source = source[..., : destination.shape[-1]]
    elif destination.shape[-1] > source.shape[-1]:
        source = torch.nn.functional.pad(source, (0, 1))
        source[..., -1] = 1.0
    return destination, source


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        "conditioning_set_values": conditioning_set_values,
        "hasher": lambda: hashlib.sha256,
        "image_alpha_fix": image_alpha_fix,
        "pillow": pillow,
        "string_to_torch_dtype": string_to_torch_dtype,
    }
