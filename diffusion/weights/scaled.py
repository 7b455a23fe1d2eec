"""Layers whose weights stand in a file as small numbers and scales: scaled fp8 and the `comfy_quant` formats.

A layer says how it is packed in one of these ways:

    LAYER.comfy_quant               a uint8 tensor with JSON, `{"format": "int8_tensorwise", "convrot": true}`
    _quantization_metadata          the same for all layers, in the file's metadata
    scaled_fp8 and LAYER.scale_weight, or LAYER.weight_scale beside a weight of 8 bits: what came before

Each becomes one entry, `LAYER.weight`, of the weight's own shape; its scales are no entries any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.quantised import Kind, Piece, Quantised

LOGICAL = torch.bfloat16
MARK, METADATA = "comfy_quant", "_quantization_metadata"
OLD_NAMES = {"scale_weight": "weight_scale", "scale_input": "input_scale"}
NEEDLESS = ("input_scale", "scale_input")
"""Scales of a layer's input, which are for multiplying in 8 bits with a fixed range."""

FLOAT8 = {torch.float8_e4m3fn: "float8_e4m3fn", torch.float8_e5m2: "float8_e5m2"}
EIGHT_BITS = {**FLOAT8, torch.int8: "int8_tensorwise"}

FOREIGN: tuple[tuple[str, str], ...] = (
    (r"\.weight\.quant_state\.bitsandbytes__(nf4|fp4)$", "bitsandbytes"),
    (r"\.SCB$", "bitsandbytes int8"),
    (r"\.qzeros$", "GPTQ or AWQ"),
    (r"\.(wscales|smooth_factor)$", "SVDQuant"),
    (r"\.weight\._data$", "quanto"),
    (r"\.W_q$", "HQQ"),
)
"""How files of kinds that are not read give themselves away."""

Parts = Mapping[str, Tensor]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """One format: how many columns an element of `weight` stands for, and how its tensors become a piece."""

    columns: Callable[[tuple[int, ...], Mapping[str, Entry]], int]
    piece: Callable[[Parts, Settings, int], Piece]
    needs: tuple[str, ...] = ("weight_scale",)


def float8(numbers: Tensor) -> Tensor:
    """8-bit floats in float32, by moving their bits: several times as fast as torch's own conversion here."""
    if numbers.dtype not in FLOAT8 or numbers.device.type != "cpu":
        return numbers.float()
    bits = numbers.view(torch.int8)
    if numbers.dtype is torch.float8_e5m2:
        return bits.to(torch.int16).bitwise_left_shift_(8).view(torch.float16).float()
    moved = bits.to(torch.int32).bitwise_left_shift_(20).bitwise_and_(SIGN_AND_NUMBER)
    return moved.view(torch.float32).mul_(2.0**120)


SIGN_AND_NUMBER = 0x87F00000 - (1 << 32)
"""Where sign, exponent and mantissa of an e4m3 number stand in a float32, 2¹²⁰ times too small."""


def _unpack_float8(piece: Piece) -> Tensor:
    numbers = float8(piece.by_row["weight"])
    scale = piece.by_row.get("scale")
    return numbers if scale is None else numbers.mul_(scale)


FLOAT8_KIND = Kind("float8", _unpack_float8)


def float8_weight(numbers: Tensor, dtype: torch.dtype) -> Quantised:
    """A weight of plain 8-bit floats, to compute in a number type."""
    rows = numbers.reshape(len(numbers), -1)
    return Quantised([Piece(FLOAT8_KIND, rows.shape[1], {"weight": rows})], numbers.shape, dtype)


def _each_row(scale: Tensor, count: int) -> Tensor:
    """A scale of all rows, or one of each, as float32 [rows, 1]."""
    flat = scale.float().reshape(-1, 1)
    if len(flat) not in (1, count):
        raise ValueError(f"it has {len(flat)} scales for {count} rows")
    return flat.expand(count, 1) if len(flat) == 1 else flat


def _scaled(kind: Kind) -> Callable[[Parts, Settings, int], Piece]:
    """Numbers times a scale, of all rows or of each."""

    def piece(parts: Parts, settings: Settings, columns: int) -> Piece:
        weight = parts["weight"].reshape(len(parts["weight"]), -1)
        by_row = {"weight": weight, "scale": _each_row(parts["weight_scale"], len(weight))}
        return Piece(kind, columns, by_row, turned=_turned(settings))

    return piece


def _turned(settings: Settings, always: bool = False) -> int:
    """In groups of how many columns a weight was rotated."""
    return int(settings.get("convrot_groupsize", 256)) if always or settings.get("convrot") else 0


def _unpack_int8(piece: Piece) -> Tensor:
    return piece.by_row["weight"].float().mul_(piece.by_row["scale"])


def unswizzled(scales: Tensor, rows: int, columns: int) -> Tensor:
    """Scales of blocks as tensor cores read them, tiles of 128 × 4, put back in order [rows, columns]."""
    down, across = -(-rows // 128), -(-columns // 4)
    tiles = scales.reshape(down, across, 32, 4, 4).permute(0, 3, 2, 1, 4)
    return tiles.reshape(down * 128, across * 4)[:rows, :columns].contiguous()


FP4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def _nvfp4(parts: Parts, settings: Settings, columns: int) -> Piece:
    """4-bit floats, the even column in the high half; scales of 16 columns, times one of the tensor."""
    weight = parts["weight"].view(torch.uint8)
    scales = unswizzled(parts["weight_scale"].view(torch.uint8), len(weight), columns // 16)
    by_row = {"weight": weight, "scales": scales, "scale": _each_row(parts["weight_scale_2"], len(weight))}
    before = parts.get("pre_quant_scale")
    return Piece(Kind("nvfp4", _unpack_nvfp4), columns, by_row, {} if before is None else {"before": before})


def _unpack_nvfp4(piece: Piece) -> Tensor:
    weight = piece.by_row["weight"]
    values = torch.tensor((*FP4, *(-each for each in FP4)), device=weight.device)
    pairs = torch.stack((values.repeat_interleave(16), values.repeat(16)), dim=1)
    numbers = torch.nn.functional.embedding(weight.int(), pairs).reshape(len(weight), -1, 16)
    scales = float8(piece.by_row["scales"].view(torch.float8_e4m3fn)) * piece.by_row["scale"]
    out = (numbers * scales[:, :, None]).reshape(len(weight), piece.columns)
    return out * piece.shared["before"].float() if "before" in piece.shared else out


def _mxfp8(parts: Parts, settings: Settings, columns: int) -> Piece:
    """8-bit floats; a power of two for each 32 columns."""
    weight = parts["weight"]
    scales = unswizzled(parts["weight_scale"].view(torch.uint8), len(weight), columns // 32)
    return Piece(Kind("mxfp8", _unpack_mxfp8), columns, {"weight": weight, "scales": scales})


def _unpack_mxfp8(piece: Piece) -> Tensor:
    exponents = piece.by_row["scales"].int() - 127
    numbers = float8(piece.by_row["weight"]).reshape(*exponents.shape, 32)
    return torch.ldexp(numbers, exponents[:, :, None]).reshape(-1, piece.columns)


def _w4a4(parts: Parts, settings: Settings, columns: int) -> Piece:
    """4-bit whole numbers, the even column in the low half; a scale of each row; rotated."""
    weight = parts["weight"].view(torch.uint8)
    by_row = {"weight": weight, "scale": _each_row(parts["weight_scale"], len(weight))}
    return Piece(Kind("convrot_w4a4", _unpack_w4a4), columns, by_row, turned=_turned(settings, always=True))


def _unpack_w4a4(piece: Piece) -> Tensor:
    weight = piece.by_row["weight"]
    pairs = torch.stack((weight << 4, weight & 0xF0), dim=-1).view(torch.int8)  # 16 times too large
    return pairs.flatten(1).float().mul_(piece.by_row["scale"] / 16)


def _w4a8(parts: Parts, settings: Settings, columns: int) -> Piece:
    """Codes of 4 or 6 bits for levels; times a scale of a group, rounded, times one of the row; rotated."""
    weight = parts["weight"].view(torch.uint8)
    by_row = {
        "weight": weight,
        "scales": parts["weight_s_rel"],
        "scale": _each_row(parts["weight_s_channel"], len(weight)),
    }
    if "weight_correction" in parts:
        by_row["correction"] = parts["weight_correction"].T.contiguous()
    shared = {"levels": parts["weight_codebook"]} if "weight_codebook" in parts else {}
    return Piece(Kind("w4a8", _unpack_w4a8), columns, by_row, shared, turned=_turned(settings, always=True))


def _unpack_w4a8(piece: Piece) -> Tensor:
    scales = piece.by_row["scales"]
    scales = float8(scales.view(torch.float8_e4m3fn) if scales.dtype == torch.uint8 else scales)
    codes = _codes(piece.by_row["weight"], piece.columns)
    if "levels" in piece.shared:
        levels = piece.shared["levels"].float()[codes.int()]
    else:
        levels = codes.float() - (8 if piece.by_row["weight"].shape[1] * 2 == piece.columns else 32)
    grouped = levels.reshape(*scales.shape, -1) * scales[:, :, None]
    out = grouped.round_().clamp_(-127, 127) * piece.by_row["scale"][:, :, None]
    if "correction" in piece.by_row:
        out = out + piece.by_row["correction"].float()[:, :, None]
    return out.reshape(len(codes), piece.columns)


def _codes(packed: Tensor, columns: int) -> Tensor:
    """Codes [rows, columns]: halves of bytes, the even column low; the top two of 6 bits stand behind."""
    low = packed[:, : columns // 2]
    codes = torch.stack((low & 15, low >> 4), dim=-1).flatten(1)
    if packed.shape[1] * 2 == columns:
        return codes
    by = torch.tensor((0, 2, 4, 6), dtype=torch.uint8, device=packed.device)
    high = ((packed[:, columns // 2 :, None] >> by) & 3).flatten(1)
    return codes | (high << 4)


def _as_stored(shape: tuple[int, ...], parts: Mapping[str, Entry]) -> int:
    return torch.Size(shape[1:]).numel()


def _twice(shape: tuple[int, ...], parts: Mapping[str, Entry]) -> int:
    return shape[1] * 2


def _four_or_six_bits(shape: tuple[int, ...], parts: Mapping[str, Entry]) -> int:
    """Columns are groups times their size; of 16 unless the bytes fit no such size."""
    groups = parts["weight_s_rel"].shape[1]
    for size in (16, 32, 64, 128, 256, 8, 4):
        if shape[1] in (groups * size // 2, groups * size * 3 // 4):
            return groups * size
    raise ValueError(f"{shape[1]} bytes a row do not fit {groups} groups")


FORMATS: Mapping[str, Format] = {
    "float8_e4m3fn": Format(_as_stored, _scaled(FLOAT8_KIND)),
    "float8_e5m2": Format(_as_stored, _scaled(FLOAT8_KIND)),
    "int8_tensorwise": Format(_as_stored, _scaled(Kind("int8", _unpack_int8))),
    "nvfp4": Format(_twice, _nvfp4, ("weight_scale", "weight_scale_2")),
    "mxfp8": Format(_as_stored, _mxfp8),
    "convrot_w4a4": Format(_twice, _w4a4),
    "asym_w4a8_int8": Format(_four_or_six_bits, _w4a8, ("weight_s_rel", "weight_s_channel")),
}
"""Formats by the name that files give."""

BESIDE = ("weight", "weight_scale", "weight_scale_2", "pre_quant_scale", "weight_s_rel", "weight_s_channel",
          "weight_codebook", "weight_correction")  # fmt: skip
"""What may stand in a file for a packed weight."""


def with_scales_applied(weights: Weights) -> Weights:
    """A file's tensors with each packed layer as one entry. FileProblem names a layer that cannot be read."""
    require_known(weights)
    layers = _layers(weights)
    if not layers:
        return weights
    gone = {f"{layer}.{name}" for layer in layers for name in (*BESIDE, *OLD_NAMES, *NEEDLESS, MARK)}
    entries: dict[str, Entry] = {}
    for name, entry in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight" and layer in layers:
            entries[name] = _layer_entry(weights, layer, layers[layer])
        elif name not in gone and kind != "scaled_fp8":
            entries[name] = entry
    metadata = {name: text for name, text in weights.metadata.items() if name != METADATA}
    return Weights(weights.path, entries, metadata)


def require_known(weights: Weights) -> None:
    """Raises:
    FileProblem: the file was packed by a program whose formats are not read.
    """
    for pattern, program in FOREIGN:
        name = next((name for name in weights if re.search(pattern, name)), None)
        if name is not None:
            problem = f"Tensor {name} is packed by {program}, which is not read here."
            raise FileProblem(weights.path, problem, "Choose the model as fp8, int8 or GGUF.")


def _layers(weights: Weights) -> dict[str, Settings]:
    """How each packed layer is packed."""
    stated = _json(weights, METADATA, weights.metadata.get(METADATA, "{}")).get("layers", {})
    found: dict[str, Settings] = {layer: dict(settings) for layer, settings in stated.items()}
    for name, entry in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == MARK:
            found[layer] = _json(weights, name, bytes(entry.read().view(torch.uint8).tolist()))
        elif (
            kind in ("scale_weight", "weight_scale")
            and layer not in found
            and f"{layer}.{MARK}" not in weights
        ):
            weight = weights.get(f"{layer}.weight")
            if weight is not None and weight.dtype in EIGHT_BITS:
                found[layer] = {"format": EIGHT_BITS[weight.dtype]}
    return {layer: settings for layer, settings in found.items() if f"{layer}.weight" in weights}


def _json(weights: Weights, name: str, text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FileProblem(weights.path, f"{name} does not say how weights are packed: it is no JSON object.")
    return {**found, **found.pop("params", {})} if isinstance(found.get("params"), dict) else found


def _layer_entry(weights: Weights, layer: str, settings: Settings) -> Entry:
    """One packed layer as one entry."""
    kind = settings.get("format")
    form = FORMATS.get(str(kind))
    if form is None:
        problem = f"Tensor {layer}.weight is packed in a kind that is not known here: {kind!r:.60}."
        raise FileProblem(weights.path, problem, f"Known are {', '.join(FORMATS)}.")
    parts = {name: weights[f"{layer}.{name}"] for name in BESIDE if f"{layer}.{name}" in weights}
    for old, new in OLD_NAMES.items():
        if f"{layer}.{old}" in weights and new in BESIDE:
            parts[new] = weights[f"{layer}.{old}"]
    missing = next((name for name in form.needs if name not in parts), None)
    stored = parts["weight"].shape
    if missing is not None or len(stored) < 2:
        lack = f"has no {layer}.{missing}" if missing is not None else f"has the shape {stored}"
        raise FileProblem(weights.path, f"Tensor {layer}.weight is packed as {kind}, but {lack}.")
    try:
        columns = form.columns(stored, parts)
    except ValueError as error:
        raise FileProblem(weights.path, f"Tensor {layer}.weight is packed as {kind}, but {error}.") from None
    shape = (stored[0], columns) if columns != torch.Size(stored[1:]).numel() else stored

    def read() -> Tensor:
        try:
            piece = form.piece({name: part.read() for name, part in parts.items()}, settings, columns)
        except (ValueError, RuntimeError) as error:
            problem = f"Tensor {layer}.weight is packed as {kind}, but its parts do not fit: {error}."
            raise FileProblem(weights.path, problem) from None
        return Quantised([piece], shape, LOGICAL)

    def release() -> None:
        for part in parts.values():
            part.release()

    size = sum(part.bytes for part in parts.values())
    return Entry(
        shape, LOGICAL, read, release, size, {**parts, MARK: _text_entry(json.dumps(dict(settings)))}
    )


def _text_entry(text: str) -> Entry:
    """JSON as a file has it: a uint8 tensor."""
    data = text.encode()
    return Entry((len(data),), torch.uint8, lambda: torch.frombuffer(bytearray(data), dtype=torch.uint8))
