"""A picture that a pack shows while it works, as a preview of ours."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Literal

from execution.events import Preview

Kind = Literal["jpeg", "png"]
LARGEST = 512
"""Previews are made at most this wide and high, as ComfyUI's are."""


def preview_of(picture: Any, largest: int | None = LARGEST) -> Preview | None:
    """Encode what packs give: None, `("JPEG", PIL image, size)`, a PIL image, or a tensor. A picture of any
    size (None for `largest`) is one that the pack sends, not one that it shows meanwhile.
    """
    kind: Kind = "jpeg"
    if isinstance(picture, tuple):
        name, picture, *rest = picture
        kind = "png" if str(name).upper() == "PNG" else "jpeg"
        largest = rest[0] if rest else largest
    if picture is None or isinstance(picture, Preview):
        return picture
    if hasattr(picture, "movedim"):
        picture = _from_tensor(picture)
    return _encoded(picture, kind, largest)


def _from_tensor(image: Any) -> Any:
    """The first picture of `B×H×W×C` or `H×W×C` values 0…1, as a PIL image."""
    from PIL import Image

    first = image[0] if image.ndim == 4 else image
    return Image.fromarray((first.detach().float().cpu().clamp(0, 1) * 255).byte().numpy())


def _encoded(image: Any, kind: Kind, largest: int | None) -> Preview:
    if largest and max(image.size) > largest:
        image = image.copy()
        image.thumbnail((largest, largest))
    if kind == "jpeg" and image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    file = BytesIO()
    image.save(file, format=kind.upper(), quality=90) if kind == "jpeg" else image.save(file, format="PNG")
    return Preview(kind, file.getvalue(), image.size, "shown" if largest else "result")
