"""A model in several files is opened by any of them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.files import identity, open_weights
from diffusion.weights.shards import shards_of
from tests.diffusion.weights.packing import scaled, write_gguf

TENSORS = {name: torch.full((2, 2), float(number)) for number, name in enumerate("abcdef")}


def name(number: int, count: int = 3, suffix: str = ".safetensors") -> str:
    return f"model-{number:05}-of-{count:05}{suffix}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, keys in enumerate(("ab", "cd", "ef"), 1):
        save_file({key: TENSORS[key] for key in keys}, tmp_path / name(number), {"shard": str(number)})
    return tmp_path


def index(folder: Path, keys: str) -> None:
    stated = {"metadata": {}, "weight_map": {key: name(1) for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(stated))


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("listed", ["", "abcdef"])
def test_any_of_its_files_opens_the_whole_model(number: int, listed: str, folder: Path) -> None:
    if listed:
        index(folder, listed)
    weights = open_weights(folder / name(number))
    assert list(weights) == list(TENSORS)
    assert all(torch.equal(weights.tensor(key), tensor) for key, tensor in TENSORS.items())
    assert weights.path == folder / name(1)
    assert weights.metadata["shard"] == "1"


def test_another_state_of_any_of_them_is_another_model(folder: Path) -> None:
    before = identity(open_weights(folder / name(2)), "part")
    assert identity(open_weights(folder / name(1)), "part") == before
    save_file({"e": TENSORS["a"], "f": TENSORS["b"]}, folder / name(3))
    assert identity(open_weights(folder / name(1)), "part") != before


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    (folder / name(2)).unlink()
    with pytest.raises(FileProblem, match=r"one of 3 files, of which model-00002-of-00003\.safetensors"):
        open_weights(folder / name(1))


def test_a_tensor_that_only_the_index_has_is_named(folder: Path) -> None:
    index(folder, "abcdefg")
    with pytest.raises(FileProblem, match="Tensor g is in the index but in none of its 3 files"):
        open_weights(folder / name(3))


def test_a_tensor_in_two_files_is_named(folder: Path) -> None:
    save_file({"a": TENSORS["a"]}, folder / name(3))
    with pytest.raises(FileProblem, match="Tensor a is in another of its 3 files too"):
        open_weights(folder / name(1))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": 3}'])
def test_an_index_that_is_none_is_an_error(content: str, folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(FileProblem, match="not the index of a model"):
        open_weights(folder / name(1))


@pytest.mark.parametrize(
    "plain", ["model.safetensors", "a-00001-of-00001.safetensors", "v1-00001.safetensors"]
)
def test_other_files_stand_for_themselves(plain: str, tmp_path: Path) -> None:
    assert shards_of(tmp_path / plain) == [tmp_path / plain]


def test_a_layer_whose_scale_is_in_another_file_is_put_together(tmp_path: Path) -> None:
    parts, expected = scaled("int8_tensorwise by rows", torch.ones(64, 64))
    save_file({"l.weight": parts["weight"]}, tmp_path / name(1, 2))
    save_file({f"l.{each}": parts[each] for each in ("weight_scale", "comfy_quant")}, tmp_path / name(2, 2))
    assert torch.equal(open_weights(tmp_path / name(2, 2)).tensor("l.weight").float(), expected)


def test_gguf_files_may_be_cut_too(tmp_path: Path) -> None:
    tensors: list[dict[str, tuple[str, Tensor]]] = [
        {"a": ("Q8_0", torch.ones(2, 32))},
        {"b": ("F32", torch.ones(3))},
    ]
    for number, each in enumerate(tensors, 1):
        write_gguf(tmp_path / name(number, 2, ".gguf"), each)
    assert list(open_weights(tmp_path / name(2, 2, ".gguf"))) == ["a", "b"]
