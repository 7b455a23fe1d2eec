"""Pictures of more than 8 bits a channel, written: PNG of 16 bits, OpenEXR, and AVIF by an AV1 encoder.

Pillow writes none of them. PNG is written here by its few rules (W3C PNG, section 11); OpenEXR and AV1 by the
packages OpenEXR and PyAV, which the extras `hdr` and `video` install.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pictures.texts import png_chunks

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES: Mapping[int, int] = {1: 0, 3: 2, 4: 6}
"""PNG's colour type by the number of channels."""
PRIMARIES: Mapping[str, tuple[float, ...]] = {
    "rec709": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    "rec2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    "acescg": (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767),
}
"""Where red, green, blue and white lie (CIE x, y), for OpenEXR's chromaticities."""
AV1_COLOURS: Mapping[str, Mapping[str, int]] = {
    "sRGB": {"color_primaries": 1, "color_trc": 13, "colorspace": 1},
    "HDR": {"color_primaries": 9, "color_trc": 18, "colorspace": 9},
    "HDR PQ": {"color_primaries": 9, "color_trc": 16, "colorspace": 9},
}
"""ITU-T H.273 numbers of primaries, transfer and matrix."""


def write_png16(file: IO[bytes], pixels: NDArray[np.uint16], texts: Mapping[str, str]) -> None:
    """H×W×C pixels (1, 3 or 4 channels) as a PNG of 16 bits a channel with `texts` as text chunks."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    # Filter 2 (up): each byte less the one above, which packs far better than 16-bit values as they are.
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), rows - above], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    file.write(SIGNATURE)
    _chunk(file, b"IHDR", header)
    for kind, data, *_ in png_chunks(texts).chunks:
        _chunk(file, kind, data)
    _chunk(file, b"IDAT", zlib.compress(filtered.tobytes(), 4))
    _chunk(file, b"IEND", b"")


def _chunk(file: IO[bytes], kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def exr(light: NDArray[np.float32], half: bool, primaries: str, texts: Mapping[str, str]) -> bytes:
    """H×W×C of linear light as OpenEXR, `half` in 16 bits, with `texts` as attributes of their names.

    Raises:
        ModuleNotFoundError: the package OpenEXR is not installed.
    """
    import OpenEXR

    names = {1: "Y", 3: "RGB", 4: "RGBA"}[light.shape[-1]]
    pixels = np.ascontiguousarray(light, np.float16 if half else np.float32)
    header: dict[str, Any] = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "chromaticities": PRIMARIES[primaries],
        **texts,
    }
    channels = {name: np.ascontiguousarray(pixels[..., at]) for at, name in enumerate(names)}
    with TemporaryDirectory() as folder:  # the package writes to a path only
        path = Path(folder) / "picture.exr"
        OpenEXR.File(header, channels).write(str(path))
        return path.read_bytes()


def avif(
    frames: Sequence[NDArray[np.uint16]], ten_bits: bool, crf: int, colours: str, fps: float, loops: int
) -> bytes:
    """H×W×C frames of 16 bits (C is 1 or 3) as one AVIF, still or moving, in YUV 4:2:0 of 8 or 10 bits.

    `colours` is a key of AV1_COLOURS. Sides are made even by repeating the last row or column.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
    """
    import av

    target = io.BytesIO()
    looping = {"loop": str(loops)} if len(frames) > 1 else {}
    with av.open(target, "w", format="avif", options=looping) as container:
        stream: Any = container.add_stream("libsvtav1", rate=Fraction(fps).limit_denominator(1000))
        even = [_even(frame) for frame in frames]
        stream.height, stream.width = even[0].shape[:2]
        stream.pix_fmt = "yuv420p10le" if ten_bits else "yuv420p"
        stream.options = {"crf": str(crf), "svtav1-params": "avif=1" if len(frames) == 1 else ""}
        for name, value in AV1_COLOURS[colours].items():
            setattr(stream.codec_context, name, value)
        for frame in even:
            shown = av.VideoFrame.from_ndarray(frame, format="rgb48le")
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))
    return target.getvalue()


def _even(frame: NDArray[np.uint16]) -> NDArray[np.uint16]:
    height, width, channels = frame.shape
    frame = np.repeat(frame, 3, axis=2) if channels == 1 else frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
