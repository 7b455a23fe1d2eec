"""Blocks of GGML become the numbers that the package `gguf` makes of them."""

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from diffusion.weights.ggml import FORMATS, PLAIN
from diffusion.weights.quantised import Piece
from tests.diffusion.weights.packing import BLOCKS, packed, unpacked

BY_NAME = {form.name: form for form in FORMATS.values()}
RARE = [name for name, form in BY_NAME.items() if form.unpack is None]


def test_numbers_names_and_sizes_of_formats_are_those_of_the_package() -> None:
    for number, form in FORMATS.items():
        theirs = GGMLQuantizationType(number)
        assert (theirs.name, GGML_QUANT_SIZES[theirs]) == (form.name, (form.numbers, form.size))
    for number, dtype in PLAIN.items():
        assert GGML_QUANT_SIZES[GGMLQuantizationType(number)] == (1, dtype.itemsize)


@pytest.mark.parametrize("name", [*BLOCKS, *RARE])
def test_any_bytes_become_the_packages_numbers(name: str) -> None:
    form = BY_NAME[name]
    data = np.random.default_rng(1).integers(0, 256, (40, form.size), dtype=np.uint8)
    with np.errstate(all="ignore"):
        expected = unpacked(name, data)
    piece = Piece(form.kind, form.numbers * 4, {"blocks": torch.from_numpy(data).reshape(10, -1)})
    with np.errstate(all="ignore"):
        found = form.kind.unpack(piece)
    assert found.shape == (10, form.numbers * 4)
    assert found.dtype == torch.float32
    assert torch.equal(found.reshape(expected.shape).nan_to_num(), expected.nan_to_num())


@pytest.mark.parametrize(("name", "error"), {
    "Q2_K": 0.35, "Q3_K": 0.19, "Q4_0": 0.09, "Q4_1": 0.08, "Q4_K": 0.08, "IQ4_NL": 0.1, "IQ4_XS": 0.1,
    "Q5_0": 0.05, "Q5_1": 0.04, "Q5_K": 0.04, "Q6_K": 0.03, "Q8_0": 0.006,
}.items())  # fmt: skip
def test_packing_and_unpacking_gives_nearly_the_weight(name: str, error: float) -> None:
    weight = torch.randn(16, 512, generator=torch.Generator().manual_seed(0))
    form = BY_NAME[name]
    piece = Piece(form.kind, 512, {"blocks": torch.from_numpy(packed(name, weight))})
    found = piece.numbers()
    assert torch.equal(found, unpacked(name, packed(name, weight)).reshape(found.shape))
    assert (found - weight).norm() < error * weight.norm()
    assert torch.equal(piece.rows(slice(3, 9)).numbers(), found[3:9])
