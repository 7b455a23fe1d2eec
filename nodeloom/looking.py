"""What went through a link: a value in a few words and, if it is a picture, in a small picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusion.latents.latent_format import LatentFormat

Outputs = tuple[list[Any], ...] | None
"""A node's outputs, each the list of its values; None if they are not kept."""

MOST_TEXT = 600
SIDE = 256
"""Pixels of the longer side of a small picture."""
MOST_ELEMENTS = 1 << 24
"""Statistics of larger tensors would take too long for a hover."""


def looked_at(
    kept: Callable[[str], Outputs], prompt: Mapping[str, Any], node: str, output: int
) -> dict[str, Any]:
    """`described`, with a picture of a latent too if a model near it in the prompt knows its colours."""
    outputs = kept(node)
    told = described(outputs, output)
    latent = outputs[output][0] if outputs is not None and told["kept"] else None
    samples: Any = latent.get("samples") if isinstance(latent, Mapping) else None
    if not _is_tensor(samples) or samples.ndim != 4 or not samples.any():
        return told
    found = (format_in(kept(each), samples.shape[1]) for each in nearest(prompt, node))
    latent_format = next(filter(None, found), None)
    picture = None if latent_format is None else picture_of_latent(samples, latent_format)
    return told if picture is None else {**told, "picture": picture}


def nearest(prompt: Mapping[str, Any], node: str) -> Iterator[str]:
    """The nodes that links join to one, itself first, then nearest first, and feeding before fed."""
    feeds: dict[str, list[str]] = {each: [] for each in prompt}
    fed: dict[str, list[str]] = {each: [] for each in prompt}
    for each, entry in prompt.items():
        for value in entry.get("inputs", {}).values():
            if isinstance(value, list) and len(value) == 2 and str(value[0]) in prompt:
                feeds[each].append(str(value[0]))
                fed[str(value[0])].append(each)
    seen = {node: None}
    for each in (waiting := [node]):
        yield each
        fresh = [near for near in (*feeds[each], *fed[each]) if near not in seen]
        seen.update(dict.fromkeys(fresh))
        waiting.extend(dict.fromkeys(fresh))


def format_in(outputs: Outputs, channels: int) -> LatentFormat | None:
    """The latent format of a model among a node's outputs, if it states colours for so many channels."""
    for value in (value for values in outputs or () for value in values):
        found: LatentFormat | None = getattr(value, "latent_format", None)
        if found is not None and getattr(found, "rgb", None) and found.channels == channels:
            return found
    return None


def described(outputs: Outputs, output: int) -> dict[str, Any]:
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
    return _webp(value[0])


def picture_of_latent(samples: Any, latent_format: LatentFormat) -> str:
    """The first of unscaled latents B×C×h×w in rough colours, as large as the picture it stands for."""
    colours = latent_format.colours(latent_format.into(samples[:1].detach().float().cpu()))
    return _webp(colours[0], latent_format.downscale)


def _webp(pixels: Any, enlarged: int = 1) -> str:
    """A picture H×W(×C) in 0…1 as a data address, so many times as large but within SIDE."""
    from PIL import Image

    values = (pixels.detach().float().nan_to_num().clamp(0, 1) * 255).round().byte().cpu().numpy()
    picture = Image.fromarray(values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values)
    if enlarged > 1:
        times = min(enlarged, SIDE / max(picture.size))
        picture = picture.resize((round(picture.width * times) or 1, round(picture.height * times) or 1))
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
