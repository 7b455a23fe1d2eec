"""Weight files are told by their content, opened without reading tensors, and never written to."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.errors import FileProblem
from diffusion.weights.files import DTYPES, open_weights


def test_every_type_of_tensor_comes_back_as_it_was(tmp_path: Path) -> None:
    tensors = {name: torch.ones(3).to(dtype) for name, dtype in DTYPES.items()}
    save_file(tensors, tmp_path / "x.safetensors")
    weights = open_weights(tmp_path / "x.safetensors")
    for name, tensor in tensors.items():
        assert weights[name].dtype == tensor.dtype
        assert torch.equal(weights.tensor(name).view(torch.uint8), tensor.view(torch.uint8)), name


def test_shapes_are_known_without_reading(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 5)}, tmp_path / "x.safetensors")
    weights = open_weights(tmp_path / "x.safetensors")
    assert weights.shape("a") == (2, 5)
    assert weights.shape("b") is None
    assert weights["a"].bytes == 40


def test_a_tensor_is_a_view_of_the_file_that_can_be_let_go_and_read_again(tmp_path: Path) -> None:
    values = torch.arange(100_000.0)
    save_file({"a": values}, tmp_path / "x.safetensors")
    entry = open_weights(tmp_path / "x.safetensors")["a"]
    first, second = entry.read(), entry.read()
    assert first.data_ptr() == second.data_ptr()
    entry.release()
    assert torch.equal(first, values)


def test_writing_to_a_tensor_does_not_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(4)}, path)
    before = path.read_bytes()
    open_weights(path).tensor("a").fill_(7)
    assert path.read_bytes() == before


def test_tensors_at_odd_offsets_are_read(tmp_path: Path) -> None:
    save_file({"a": torch.ones(3, dtype=torch.int8)}, tmp_path / "x.safetensors")
    header = (
        b'{"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]},'
        b'"b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}}'
    )
    data = bytes(3) + torch.tensor([2.5]).numpy().tobytes()
    (tmp_path / "y").write_bytes(len(header).to_bytes(8, "little") + header + data)
    assert open_weights(tmp_path / "y").tensor("b").item() == 2.5


def test_names_can_be_taken_from_under_a_prefix(tmp_path: Path) -> None:
    save_file({"m.a": torch.zeros(1), "m.b": torch.ones(1), "n": torch.zeros(1)}, tmp_path / "x.safetensors")
    inner = open_weights(tmp_path / "x.safetensors").under("m.")
    assert list(inner) == ["a", "b"]
    assert inner.tensor("b").item() == 1


@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt", "x.txt", "x"])
def test_the_content_decides_and_not_the_name(name: str, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / name)
    assert list(open_weights(tmp_path / name)) == ["a"]
    torch.save({"b": torch.zeros(1)}, tmp_path / name)
    assert list(open_weights(tmp_path / name)) == ["b"]


FOREIGN = {
    "a web page": (b"  <!DOCTYPE html><html>", "web page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
    "a piece of a GGUF file": (b"GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00", "cut short"),
    "an archive": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00", "gzip"),
    "words": (b"these are only words, and many of them", "neither"),
    "nothing": (b"", "neither"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_files_are_named_for_what_they_are(name: str, tmp_path: Path) -> None:
    content, reason = FOREIGN[name]
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(FileProblem, match=reason):
        open_weights(tmp_path / "x.bin")


def test_a_missing_file_and_a_folder_are_clear_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(FileProblem, match="cannot be read"):
            open_weights(path)


def test_a_safetensors_file_whose_length_looks_like_a_pickle_is_still_one(tmp_path: Path) -> None:
    for filler in range(256):
        save_file({"a": torch.zeros(1)}, tmp_path / "x", metadata={"f": "." * filler})
        if (tmp_path / "x").read_bytes()[0] == 0x80:
            break
    assert (tmp_path / "x").read_bytes()[0] == 0x80
    assert list(open_weights(tmp_path / "x")) == ["a"]


@pytest.mark.parametrize("pickled", [False, True], ids=["safetensors", "pickled"])
def test_a_file_that_is_cut_while_in_use_is_an_error_and_not_the_end(pickled: bool, tmp_path: Path) -> None:
    path = tmp_path / "x"
    tensors = {"a": torch.zeros(100_000), "b": torch.ones(100_000)}
    torch.save(tensors, path) if pickled else save_file(tensors, path)
    weights = open_weights(path)
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(FileProblem, match="changed while it was in use"):
        weights.tensor("b")


def test_a_file_that_is_replaced_by_renaming_stays_what_it_was(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "x")
    weights = open_weights(tmp_path / "x")
    save_file({"c": torch.ones(1)}, tmp_path / "y")
    (tmp_path / "y").rename(tmp_path / "x")
    assert torch.equal(weights.tensor("a"), torch.zeros(3))
