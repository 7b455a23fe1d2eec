"""The block formats of GGML, as GGUF files hold them: bytes of a row of blocks into numbers.

A block is 32 or 256 numbers in a row: one or two float16 scales for all of it, small whole numbers, and in
those of 256 ("K") a scale of 4 or 6 bits for each 16 or 32 of them. Layouts follow ggml-quants.h
(https://github.com/ggml-org/ggml, MIT). Rarer formats are unpacked by the package `gguf`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.weights.quantised import Kind, Piece

Unpack = Callable[[Tensor], Tensor]


class Format(NamedTuple):
    """A block format: its name, how many numbers in how many bytes, and how blocks [n, size] are unpacked."""

    name: str
    numbers: int
    size: int
    unpack: Unpack | None = None

    @property
    def kind(self) -> Kind:
        """The format as a way of packing rows."""
        return Kind(self.name, self._rows)

    def _rows(self, piece: Piece) -> Tensor:
        rows = piece.by_row["blocks"]
        unpack = self.unpack or _by_package(self.name)
        return unpack(rows.reshape(-1, self.size)).reshape(len(rows), piece.columns)


def _half(blocks: Tensor) -> Tensor:
    """Pairs of bytes [n, 2k] as float16 numbers, in float32 [n, k]."""
    return blocks.contiguous().view(torch.float16).float()


def _shifted(blocks: Tensor, shifts: tuple[int, ...], mask: int) -> Tensor:
    """Bytes [n, k, m] as [n, k, shifts, m]: each shifted right by each of these, and masked."""
    by = torch.tensor(shifts, dtype=torch.uint8, device=blocks.device)[:, None]
    return (blocks[:, :, None, :] >> by) & mask


def _nibbles(blocks: Tensor) -> Tensor:
    """Bytes [n, m] as [n, 2m]: the low halves of all, then the high ones."""
    return torch.cat((blocks & 15, blocks >> 4), dim=1)


def _fifth_bits(blocks: Tensor) -> Tensor:
    """Four bytes [n, 4] as 32 bits, each worth 16."""
    return _shifted(blocks[:, :, None], tuple(range(8)), 1).flatten(1) << 4


def q4_0(blocks: Tensor) -> Tensor:
    """d (q - 8), q of 4 bits."""
    return _half(blocks[:, :2]) * (_nibbles(blocks[:, 2:]).float() - 8)


def q4_1(blocks: Tensor) -> Tensor:
    """d q + m, q of 4 bits."""
    return _half(blocks[:, :2]) * _nibbles(blocks[:, 4:]).float() + _half(blocks[:, 2:4])


def q5_0(blocks: Tensor) -> Tensor:
    """d (q - 16), q of 5 bits, the highest kept apart."""
    q = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return _half(blocks[:, :2]) * (q.float() - 16)


def q5_1(blocks: Tensor) -> Tensor:
    """d q + m, q of 5 bits, the highest kept apart."""
    q = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return _half(blocks[:, :2]) * q.float() + _half(blocks[:, 2:4])


def q8_0(blocks: Tensor) -> Tensor:
    """d q, q of 8 bits."""
    return _half(blocks[:, :2]) * blocks[:, 2:].view(torch.int8).float()


def q2_k(blocks: Tensor) -> Tensor:
    """d s q - d' m, q of 2 bits; s and m of 4 bits for each 16."""
    scales, d = blocks[:, :16], _half(blocks[:, 80:84])
    q = _shifted(blocks[:, 16:80].reshape(-1, 2, 32), (0, 2, 4, 6), 3).reshape(-1, 16, 16)
    by, less = d[:, :1] * (scales & 15).float(), d[:, 1:] * (scales >> 4).float()
    return (by[:, :, None] * q.float() - less[:, :, None]).flatten(1)


def q3_k(blocks: Tensor) -> Tensor:
    """d s q, q from -4 to 3: 2 bits, and one that stands for 4 less where it is not set; s of 6 bits."""
    low, high, scales = blocks[:, 32:96], blocks[:, :32], blocks[:, 96:108]
    q = _shifted(low.reshape(-1, 2, 32), (0, 2, 4, 6), 3).flatten(1).to(torch.int8)
    unset = 1 - _shifted(high[:, None], tuple(range(8)), 1).flatten(1).to(torch.int8)
    least = _shifted(scales[:, None, :8], (0, 4), 15).flatten(1)
    most = _shifted(scales[:, None, 8:], (0, 2, 4, 6), 3).flatten(1)
    by = _half(blocks[:, 108:]) * ((least | (most << 4)).float() - 32)
    return (by[:, :, None] * (q - 4 * unset).float().reshape(-1, 16, 16)).flatten(1)


def _six_bits(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Twelve bytes as eight scales and eight offsets of 6 bits, each [n, 8]."""
    first, second, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = torch.cat((first & 63, (rest & 15) | ((first >> 2) & 48)), dim=1)
    offsets = torch.cat((second & 63, (rest >> 4) | ((second >> 2) & 48)), dim=1)
    return scales.float(), offsets.float()


def _scaled(blocks: Tensor, q: Tensor) -> Tensor:
    """d s q - d' m for each 32 of q [n, 8, 32]; the scales stand at the start of each block."""
    d, (scales, offsets) = _half(blocks[:, :4]), _six_bits(blocks[:, 4:16])
    return ((d[:, :1] * scales)[:, :, None] * q.float() - (d[:, 1:] * offsets)[:, :, None]).flatten(1)


def q4_k(blocks: Tensor) -> Tensor:
    """d s q - d' m, q of 4 bits; s and m of 6 bits for each 32."""
    return _scaled(blocks, _shifted(blocks[:, 16:].reshape(-1, 4, 32), (0, 4), 15).reshape(-1, 8, 32))


def q5_k(blocks: Tensor) -> Tensor:
    """As Q4_K, with a fifth bit kept apart."""
    low = _shifted(blocks[:, 48:].reshape(-1, 4, 32), (0, 4), 15).reshape(-1, 8, 32)
    high = _shifted(blocks[:, None, 16:48], tuple(range(8)), 1).reshape(-1, 8, 32)
    return _scaled(blocks, low | (high << 4))


def q6_k(blocks: Tensor) -> Tensor:
    """d s (q - 32), q of 6 bits, s of 8 bits for each 16."""
    low = _shifted(blocks[:, :128].reshape(-1, 2, 64), (0, 4), 15).reshape(-1, 8, 32)
    high = _shifted(blocks[:, 128:192].reshape(-1, 2, 32), (0, 2, 4, 6), 3).reshape(-1, 8, 32)
    by = _half(blocks[:, 208:]) * blocks[:, 192:208].contiguous().view(torch.int8).float()
    return (by[:, :, None] * ((low | (high << 4)).float() - 32).reshape(-1, 16, 16)).flatten(1)


LEVELS = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""What the 4 bits of the IQ4 formats stand for."""


def _levels(q: Tensor) -> Tensor:
    return torch.tensor(LEVELS, dtype=torch.float32, device=q.device)[q.int()]


def iq4_nl(blocks: Tensor) -> Tensor:
    """d times one of sixteen levels."""
    return _half(blocks[:, :2]) * _levels(_nibbles(blocks[:, 2:]))


def iq4_xs(blocks: Tensor) -> Tensor:
    """d s times one of sixteen levels; s of 6 bits for each 32."""
    most = _shifted(blocks[:, 2:4, None], (0, 2, 4, 6), 3).flatten(1)
    least = _shifted(blocks[:, 4:8, None], (0, 4), 15).flatten(1)
    by = _half(blocks[:, :2]) * ((least | (most << 4)).float() - 32)
    q = _shifted(blocks[:, 8:].reshape(-1, 8, 16), (0, 4), 15).reshape(-1, 8, 32)
    return (by[:, :, None] * _levels(q)).flatten(1)


def _by_package(name: str) -> Unpack:
    """The package `gguf` unpacks a rare format.

    Raises:
        RuntimeError: it is not installed.
    """
    try:
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize
    except ImportError:
        raise RuntimeError(f"Weights packed as {name} need the package gguf: pip install gguf") from None

    def unpack(blocks: Tensor) -> Tensor:
        found = torch.from_numpy(dequantize(blocks.cpu().numpy(), GGMLQuantizationType[name]))
        return found.to(blocks.device)

    return unpack


FORMATS: Mapping[int, Format] = {
    2: Format("Q4_0", 32, 18, q4_0),
    3: Format("Q4_1", 32, 20, q4_1),
    6: Format("Q5_0", 32, 22, q5_0),
    7: Format("Q5_1", 32, 24, q5_1),
    8: Format("Q8_0", 32, 34, q8_0),
    10: Format("Q2_K", 256, 84, q2_k),
    11: Format("Q3_K", 256, 110, q3_k),
    12: Format("Q4_K", 256, 144, q4_k),
    13: Format("Q5_K", 256, 176, q5_k),
    14: Format("Q6_K", 256, 210, q6_k),
    16: Format("IQ2_XXS", 256, 66),
    17: Format("IQ2_XS", 256, 74),
    18: Format("IQ3_XXS", 256, 98),
    19: Format("IQ1_S", 256, 50),
    20: Format("IQ4_NL", 32, 18, iq4_nl),
    21: Format("IQ3_S", 256, 110),
    22: Format("IQ2_S", 256, 82),
    23: Format("IQ4_XS", 256, 136, iq4_xs),
    29: Format("IQ1_M", 256, 56),
    34: Format("TQ1_0", 256, 54),
    35: Format("TQ2_0", 256, 66),
    39: Format("MXFP4", 32, 17),
}
"""Block formats by their number in files."""

PLAIN: Mapping[int, torch.dtype] = {
    0: torch.float32,
    1: torch.float16,
    24: torch.int8,
    25: torch.int16,
    26: torch.int32,
    27: torch.int64,
    28: torch.float64,
    30: torch.bfloat16,
}
"""Number types by their number in files."""
