"""Weights packed as published files have them: GGUF by the package `gguf`, the rest by comfy-kitchen.

The package `gguf` unpacks every format but packs only some; the formats with scales within a block are packed
here, plainly: each group's scale by its largest number.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import comfy_kitchen.tensor as kitchen
import numpy as np
import torch
from comfy_kitchen.tensor.base import QuantizedTensor
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize
from safetensors.torch import save_file
from torch import Tensor

Array = np.ndarray[Any, Any]


def half(numbers: Array) -> Array:
    """Numbers as the bytes of float16."""
    return numbers.astype(np.float16).view(np.uint8)


def two_planes(codes: Array, bits: int, groups: int) -> Array:
    """Codes [n, 256] as bytes: `groups` stretches, each a run of bytes whose fields follow each other."""
    fields = codes.reshape(len(codes), groups, 8 // bits, -1).astype(np.uint8)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return np.bitwise_or.reduce(fields << shifts, axis=2).reshape(len(codes), -1)


def ratio(numbers: Array, by: Array) -> Array:
    """Rounded quotients, 0 where there is nothing to divide by."""
    return np.rint(np.divide(numbers, by, out=np.zeros_like(numbers), where=by != 0))


def scale_and_offset(
    x: Array, group: int, levels: int, most: int
) -> tuple[Array, Array, Array, Array, Array]:
    """Block scales d and d', group scales and offsets below `most`, and codes of x [n, 256]."""
    parts = x.reshape(len(x), -1, group)
    offset = np.maximum(-parts.min(2), 0)
    scale = (parts.max(2) + offset) / (levels - 1)
    d = (scale.max(1, keepdims=True) / most).astype(np.float16).astype(np.float32)
    less = (offset.max(1, keepdims=True) / most).astype(np.float16).astype(np.float32)
    scales, offsets = (
        ratio(scale, d + 0 * scale).clip(0, most),
        ratio(offset, less + 0 * offset).clip(0, most),
    )
    codes = ratio(parts + (less * offsets)[:, :, None], (d * scales)[:, :, None] + 0 * parts)
    return (
        d,
        less,
        scales.astype(np.uint8),
        offsets.astype(np.uint8),
        codes.clip(0, levels - 1).reshape(x.shape),
    )


def six_bits(scales: Array, offsets: Array) -> Array:
    """Eight scales and eight offsets in twelve bytes."""
    low = (scales[:, 4:] & 15) | ((offsets[:, 4:] & 15) << 4)
    first, second = (each[:, :4] | ((each[:, 4:] >> 4) << 6) for each in (scales, offsets))
    return np.concatenate((first, second, low), axis=1)


def q2_k(x: Array) -> Array:
    d, less, scales, offsets, codes = scale_and_offset(x, 16, 4, 15)
    return np.concatenate((scales | (offsets << 4), two_planes(codes, 2, 2), half(d), half(less)), axis=1)


def q3_k(x: Array) -> Array:
    parts = x.reshape(len(x), 16, 16)
    scale = np.abs(parts).max(2) / 4
    d = (scale.max(1, keepdims=True) / 31).astype(np.float16).astype(np.float32)
    scales = ratio(scale, d + 0 * scale).clip(0, 31)
    codes = (
        (ratio(parts, (d * scales)[:, :, None] + 0 * parts).clip(-4, 3) + 4).reshape(x.shape).astype(np.uint8)
    )
    packed = (scales + 32).astype(np.uint8)
    least = (packed[:, :8] & 15) | ((packed[:, 8:] & 15) << 4)
    most = np.bitwise_or.reduce(
        (packed >> 4).reshape(len(x), 4, 4) << np.arange(0, 8, 2, dtype=np.uint8)[:, None], axis=1
    )
    return np.concatenate(
        (two_planes(codes >> 2, 1, 1), two_planes(codes & 3, 2, 2), least, most, half(d)), axis=1
    )


def q4_k(x: Array) -> Array:
    d, less, scales, offsets, codes = scale_and_offset(x, 32, 16, 63)
    return np.concatenate((half(d), half(less), six_bits(scales, offsets), two_planes(codes, 4, 4)), axis=1)


def q5_k(x: Array) -> Array:
    d, less, scales, offsets, codes = scale_and_offset(x, 32, 32, 63)
    codes = codes.astype(np.uint8)
    high, low = two_planes(codes >> 4, 1, 1), two_planes(codes & 15, 4, 4)
    return np.concatenate((half(d), half(less), six_bits(scales, offsets), high, low), axis=1)


def q6_k(x: Array) -> Array:
    parts = x.reshape(len(x), 16, 16)
    scale = np.abs(parts).max(2) / 31
    d = (scale.max(1, keepdims=True) / 127).astype(np.float16).astype(np.float32)
    scales = ratio(scale, d + 0 * scale).clip(0, 127)
    codes = (
        (ratio(parts, (d * scales)[:, :, None] + 0 * parts).clip(-32, 31) + 32)
        .reshape(x.shape)
        .astype(np.uint8)
    )
    low = two_planes(codes & 15, 4, 2)
    return np.concatenate((low, two_planes(codes >> 4, 2, 2), scales.astype(np.uint8), half(d)), axis=1)


LEVELS = np.array(
    (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113), dtype=np.float32
)


def nearest(x: Array, by: Array) -> Array:
    """The numbers of the levels nearest to x / by."""
    quotients = np.divide(x, by, out=np.zeros_like(x), where=by != 0)
    return np.abs(quotients[..., None] - LEVELS).argmin(-1).astype(np.uint8)


def iq4_nl(x: Array) -> Array:
    d = (np.abs(x).max(1, keepdims=True) / 113).astype(np.float16).astype(np.float32)
    return np.concatenate((half(d), two_planes(nearest(x, d + 0 * x), 4, 1)), axis=1)


def iq4_xs(x: Array) -> Array:
    parts = x.reshape(len(x), 8, 32)
    scale = np.abs(parts).max(2) / 113
    d = (scale.max(1, keepdims=True) / 31).astype(np.float16).astype(np.float32)
    scales = ratio(scale, d + 0 * scale).clip(0, 31)
    codes = nearest(parts, (d * scales)[:, :, None] + 0 * parts).reshape(x.shape)
    packed = (scales + 32).astype(np.uint8)
    least = (packed[:, 0::2] & 15) | ((packed[:, 1::2] & 15) << 4)
    pairs = (packed >> 4).reshape(len(x), 2, 4) << np.arange(0, 8, 2, dtype=np.uint8)
    return np.concatenate(
        (half(d), np.bitwise_or.reduce(pairs, axis=2), least, two_planes(codes, 4, 8)), axis=1
    )


OURS: Mapping[str, tuple[int, Callable[[Array], Array]]] = {
    "Q2_K": (256, q2_k),
    "Q3_K": (256, q3_k),
    "Q4_K": (256, q4_k),
    "Q5_K": (256, q5_k),
    "Q6_K": (256, q6_k),
    "IQ4_NL": (32, iq4_nl),
    "IQ4_XS": (256, iq4_xs),
}
BLOCKS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", *OURS)
"""Block formats that can be packed here."""
TYPES = ("F32", "F16", "BF16")
SIZES = {**dict.fromkeys(BLOCKS, 32), **{name: size for name, (size, _) in OURS.items()}}
"""Numbers of a block."""


def packed(name: str, weight: Tensor) -> Array:
    """A weight [rows, columns] as the bytes of a format [rows, bytes]."""
    numbers = weight.detach().float().numpy()
    if name in OURS:
        size, pack = OURS[name]
        return pack(numbers.reshape(-1, size)).reshape(len(numbers), -1)
    found: Array = quantize(np.ascontiguousarray(numbers), GGMLQuantizationType[name])
    return found


def unpacked(name: str, data: Array) -> Tensor:
    """What the package `gguf` makes of such bytes."""
    return torch.from_numpy(dequantize(data, GGMLQuantizationType[name]))


def write_gguf(
    path: Path,
    tensors: Mapping[str, tuple[str, Tensor]],
    architecture: str = "sd1",
    metadata: Mapping[str, str] | None = None,
    **facts: int | str,
) -> Path:
    """A GGUF file of tensors, each in a format; rows that are not whole blocks are laid out as blocks."""
    writer = GGUFWriter(path, architecture)
    for key, text in (metadata or {}).items():
        writer.add_string(key, text)
    for key, fact in facts.items():
        add = writer.add_uint32 if isinstance(fact, int) else writer.add_string
        add(f"{architecture}.{key}", fact)  # type: ignore[operator]
    for name, (kind, tensor) in tensors.items():
        if kind in ("F32", "F16"):
            writer.add_tensor(name, tensor.to(torch.float32 if kind == "F32" else torch.float16).numpy())
            continue
        laid = tensor
        if kind in BLOCKS and (tensor.dim() != 2 or tensor.shape[-1] % SIZES[kind]):
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(tensor.shape))
            laid = tensor.reshape(-1, SIZES[kind])
        writer.add_tensor(name, packed(kind, laid), raw_dtype=GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


SCALED: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "float8_e4m3fn": ("TensorCoreFP8Layout", {}, {}),
    "float8_e5m2": ("TensorCoreFP8Layout", {"dtype": torch.float8_e5m2}, {}),
    "int8_tensorwise": ("TensorWiseINT8Layout", {}, {}),
    "int8_tensorwise by rows": ("TensorWiseINT8Layout", {"per_channel": True}, {}),
    "int8_tensorwise rotated": (
        "TensorWiseINT8Layout",
        {"per_channel": True, "convrot": True, "convrot_groupsize": 64},
        {"convrot": True, "convrot_groupsize": 64},
    ),
    "nvfp4": ("TensorCoreNVFP4Layout", {}, {}),
    "mxfp8": ("TensorCoreMXFP8Layout", {}, {}),
    "convrot_w4a4": ("TensorCoreConvRotW4A4Layout", {"convrot_groupsize": 64}, {"convrot_groupsize": 64}),
    "asym_w4a8_int8": ("AsymW4A8Int8Layout", {"convrot_groupsize": 64}, {"convrot_groupsize": 64}),
    "asym_w4a8_int8 of 6 bits": (
        "AsymW4A8Int8Layout",
        {"convrot_groupsize": 64, "bits": 6},
        {"convrot_groupsize": 64},
    ),
    "asym_w4a8_int8 with corrections": (
        "AsymW4A8Int8Layout",
        {"convrot_groupsize": 64, "symmetric": False, "codebook": False},
        {"convrot_groupsize": 64},
    ),
}
"""Formats of `comfy_quant`: comfy-kitchen's layout, how it packs, and what a file says beside the name."""


def scaled(kind: str, weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The tensors of a packed layer by what follows its name, and the weight as comfy-kitchen unpacks it."""
    layout, how, _ = SCALED[kind]
    assert layout in dir(kitchen)
    made = QuantizedTensor.from_float(weight.float(), layout, **how)
    parts = {name.lstrip("."): _storable(each) for name, each in made.state_dict("weight").items()}
    return {**parts, "comfy_quant": mark(kind)}, made.dequantize()


def _storable(tensor: Tensor) -> Tensor:
    return (tensor.view(torch.uint8) if tensor.dtype == torch.float8_e8m0fnu else tensor).contiguous()


def settings(kind: str) -> dict[str, Any]:
    """What a file says of a layer."""
    return {"format": kind.split()[0], **SCALED[kind][2]}


def mark(kind: str) -> Tensor:
    """The same as a tensor."""
    return torch.tensor(list(json.dumps(settings(kind)).encode()), dtype=torch.uint8)


def write_scaled(path: Path, kind: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Path:
    """A safetensors file whose matrices are packed where the format can hold them."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        if leaf == "weight" and tensor.dim() == 2 and tensor.shape[1] % 64 == 0:
            found |= {f"{layer}.{part}": each for part, each in scaled(kind, tensor)[0].items()}
        else:
            found[name] = tensor.contiguous()
    save_file(found, path, dict(metadata))
    return path
