"""Bytes of values, and tensors by name."""

from dataclasses import dataclass, field

import pytest
import torch

from nodes.values import memory, named_tensors, size


@dataclass(frozen=True)
class Box:
    """A value that is a dataclass."""

    inside: torch.Tensor


@dataclass
class Unfilled:
    """A value with a field that is not set yet."""

    inside: torch.Tensor = field(init=False)


TENSOR = torch.zeros(10, 4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TENSOR, 160),
        (TENSOR[:1], 160),
        ([TENSOR, TENSOR[2:], TENSOR.T], 160),
        ([TENSOR, TENSOR.clone()], 320),
        ({"samples": TENSOR, "batch_index": [0, 1]}, 160),
        ([[TENSOR, {"pooled_output": torch.zeros(2)}]], 168),
        (Box(TENSOR), 160),
        (Box, 0),
        (Unfilled(), 0),
        ("text", 0),
        (None, 0),
    ],
)
def test_a_value_costs_the_storages_it_keeps(value: object, expected: int) -> None:
    assert size(value) == expected


def test_a_container_that_holds_itself_is_counted_once() -> None:
    loop: list[object] = [TENSOR]
    loop.append(loop)
    assert size(loop) == 160


def test_memory_is_that_of_the_process_on_a_processor() -> None:
    assert memory(torch.device("cpu")) > 10 * 2**20


def test_tensors_and_numbers_are_named_by_slot_and_path() -> None:
    latent = {"samples": torch.ones(1, 2), "batch_index": [0, 3], "note": "text"}
    conditioning = [[torch.zeros(1, 3), {"pooled_output": torch.zeros(1), "width": 64}]]
    found = named_tensors([[latent], [conditioning, torch.zeros(2, dtype=torch.float16)]])
    assert list(found) == [
        "0.0.batch_index.0",
        "0.0.batch_index.1",
        "0.0.samples",
        "1.0.0.0",
        "1.0.0.1.pooled_output",
        "1.0.0.1.width",
        "1.1",
    ]
    assert found["0.0.batch_index.1"].item() == 3
    assert {each.dtype for each in found.values()} == {torch.float32}
