"""Safetensors written tensor by tensor."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from diffusion.weights.entries import Entry
from diffusion.weights.files import open_weights
from diffusion.weights.writing import entry_of, write_safetensors

TENSORS = {
    "b": torch.arange(6.0).reshape(2, 3).T,
    "a": torch.randn(3, 2, dtype=torch.bfloat16),
    "half": torch.randn(5).half(),
    "whole": torch.tensor([1, -2]),
    "number": torch.tensor(3.5),
    "none": torch.zeros(0, 4),
}


def test_what_is_written_is_read_back_by_safetensors_and_by_us(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        entries = {name: entry_of(tensor) for name, tensor in TENSORS.items()}
        write_safetensors(file, entries, {"workflow": '{"ä": 1}'})
    found, ours = load_file(path), open_weights(path)
    for name, tensor in TENSORS.items():
        assert torch.equal(found[name], tensor)
        assert torch.equal(ours.tensor(name), tensor)
        assert found[name].dtype == tensor.dtype
    assert ours.metadata == {"workflow": '{"ä": 1}'}
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"workflow": '{"ä": 1}'}


def test_tensors_are_read_one_by_one_and_let_go(tmp_path: Path) -> None:
    order: list[str] = []

    def entry(name: str) -> Entry:
        def read() -> torch.Tensor:
            order.append(f"read {name}")
            return torch.zeros(2)

        return Entry((2,), torch.float32, read, lambda: order.append(f"release {name}"))

    with (tmp_path / "x").open("wb") as file:
        entries = {"a": entry("a"), "b": entry("b")}
        write_safetensors(file, entries, progress=lambda done, total: order.append(f"{done}/{total}"))
    assert order == ["0/2", "read a", "release a", "1/2", "read b", "release b"]


def test_a_tensor_unlike_its_entry_is_an_error(tmp_path: Path) -> None:
    wrong = Entry((3,), torch.float32, lambda: torch.zeros(2))
    with (tmp_path / "x").open("wb") as file, pytest.raises(ValueError, match="tensor t is"):
        write_safetensors(file, {"t": wrong})
