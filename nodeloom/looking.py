"""What went through a link: a value in a few words and, if it is a picture, in a small picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

MOST_TEXT = 600
SIDE = 256
"""Pixels of the longer side of a small picture."""
MOST_ELEMENTS = 1 << 24
"""Statistics of larger tensors would take too long for a hover."""


def described(outputs: tuple[list[Any], ...] | None, output: int) -> dict[str, Any]:
    """`{"kept"}`; if it is kept also `count`, `lines` of text, and perhaps `picture`, a data address."""
    if outputs is None or not 0 <= output < len(outputs) or not outputs[output]:
        return {"kept": False}
    values = outputs[output]
    told: dict[str, Any] = {"kept": True, "count": len(values), "lines": lines(values[0])}
    picture = picture_of(values[0])
    return told if picture is None else {**told, "picture": picture}


def lines(value: Any) -> list[str]:
    """A value in words."""
    if _is_tensor(value):
        return tensor_lines(value)
    if isinstance(value, str):
        return [value[:MOST_TEXT] + ("…" if len(value) > MOST_TEXT else ""), f"{len(value)} characters"]
    if value is None or isinstance(value, bool | int | float):
        return [str(value)]
    if isinstance(value, Mapping):
        return mapping_lines(value)
    if _is_conditioning(value):
        return conditioning_lines(value)
    if isinstance(value, Sequence):
        return [f"{type(value).__name__} of {len(value)}"]
    return [type(value).__name__]


def tensor_lines(tensor: Any) -> list[str]:
    """Shape, precision, place, size; smallest, largest and mean value."""
    size = tensor.numel() * tensor.element_size()
    precision = str(tensor.dtype).removeprefix("torch.")
    said = [f"{_times(tensor.shape)} {precision}, {tensor.device}, {_bytes(size)}"]
    if 0 < tensor.numel() <= MOST_ELEMENTS and not tensor.is_complex():
        flat = tensor.detach().float()
        said.append(f"{flat.min().item():.4g} … {flat.max().item():.4g}, mean {flat.mean().item():.4g}")
    return said


def mapping_lines(value: Mapping[Any, Any]) -> list[str]:
    """Each entry: tensors by their first line, the rest in short."""
    said = []
    for name, inner in list(value.items())[:8]:
        words = tensor_lines(inner) if _is_tensor(inner) else [_short(inner)]
        said += [f"{name}: {words[0]}", *words[1:]]
    return said


def conditioning_lines(value: Sequence[Any]) -> list[str]:
    """How many entries, and what the first one holds."""
    tensor, settings = value[0]
    count = f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    return [count, *tensor_lines(tensor), *([", ".join(map(str, settings))] if settings else [])]


def picture_of(value: Any) -> str | None:
    """The first picture of a batch of images or masks, as a data address of WebP."""
    if (
        not _is_tensor(value)
        or not value.is_floating_point()
        or value.ndim not in (3, 4)
        or not value.numel()
    ):
        return None
    if value.ndim == 4 and value.shape[-1] not in (1, 3, 4):
        return None
    from PIL import Image

    first = value[0].detach().float().nan_to_num().clamp(0, 1)
    pixels = (first * 255).round().byte().cpu().numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _is_tensor(value: Any) -> bool:
    """Torch is not imported for it: a process with tensors has done so."""
    return type(value).__module__ == "torch" and hasattr(value, "element_size")


def _is_conditioning(value: Any) -> bool:
    pair = value[0] if isinstance(value, list) and value else None
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and _is_tensor(pair[0])
        and isinstance(pair[1], Mapping)
    )


def _short(value: Any) -> str:
    return str(value)[:60] if isinstance(value, str | bool | int | float) else type(value).__name__


def _times(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "one number,"


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
