"""Pictures with known pixels, and whether a result has them."""

import io
import os

from PIL import Image

SIZE = (24, 16)


def picture() -> tuple[Image.Image, bytes]:
    """A picture that no run before had, and its PNG."""
    made = Image.frombytes("RGB", SIZE, os.urandom(SIZE[0] * SIZE[1] * 3))
    return made, png(made)


def png(image: Image.Image) -> bytes:
    """A picture as PNG."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def inverse(image: Image.Image) -> bytes:
    """The pixels of a picture with every channel inverted."""
    return bytes(255 - value for value in image.tobytes())


def is_close(result: bytes | Image.Image, expected: bytes) -> bool:
    """Whether a picture has these pixels, up to one, by which the way from floats to bytes rounds."""
    image = Image.open(io.BytesIO(result)) if isinstance(result, bytes) else result
    got = image.convert("RGB").tobytes()
    return len(got) == len(expected) and all(abs(a - b) <= 1 for a, b in zip(got, expected, strict=True))
