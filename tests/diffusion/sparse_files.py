"""Files of real size that hold nothing: a header, and a hole as long as the tensors."""

import gzip
import json
import math
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1}
Shapes = Mapping[str, list[int]]


@cache
def transformers() -> dict[str, dict[str, list[int]]]:
    """Keys and shapes of published diffusion transformers, by name."""
    with gzip.open(Path(__file__).parent / "transformers.json.gz") as file:
        found: dict[str, dict[str, list[int]]] = json.load(file)
    return found


def write_hole(path: Path, shapes: Shapes, kind: str) -> Path:
    """A file of these tensors, matrices in a number type of safetensors or a block format of GGUF."""
    return _safetensors(path, shapes, kind) if kind in BYTES else _gguf(path, shapes, kind)


def _safetensors(path: Path, shapes: Shapes, kind: str) -> Path:
    header, end = {}, 0
    for name, shape in shapes.items():
        dtype = kind if len(shape) > 1 else "F16"
        start, end = end, end + math.prod(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


def _gguf(path: Path, shapes: Shapes, kind: str) -> Path:
    def string(text: str) -> bytes:
        return struct.pack("<Q", len(text.encode())) + text.encode()

    parts = [b"GGUF", struct.pack("<IQQ", 3, len(shapes), 1)]
    parts += [string("general.architecture"), struct.pack("<I", 8), string("flux")]
    end = 0
    for name, shape in shapes.items():
        packs = len(shape) > 1 and shape[-1] % GGML_QUANT_SIZES[GGMLQuantizationType[kind]][0] == 0
        form = GGMLQuantizationType[kind if packs else "F32"]
        count, size = GGML_QUANT_SIZES[form]
        parts += [string(name), struct.pack("<I", len(shape)), struct.pack(f"<{len(shape)}Q", *shape[::-1])]
        parts += [struct.pack("<IQ", form, end)]
        end += -(-math.prod(shape) // count * size // 32) * 32
    header = b"".join(parts)
    with path.open("wb") as file:
        file.write(header + b"\0" * (-len(header) % 32))
        file.truncate(len(header) + -len(header) % 32 + end)
    return path
