"""Layouts read both ways: names, stretches of rows, exchanged halves, transpositions."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.layout import AS_IS, MATRIX, SAME, SWAPPED, TRANSPOSED, Layout, Piece, Rule

LAYOUT = Layout(
    Rule("img_in", "x_embedder"),
    Rule("blocks.1.mod", "layers.1.norm.linear", SWAPPED),
    Rule("blocks.*.mod", "layers.*.norm.linear"),
    Rule("blocks.*.norm.scale", "layers.*.norm_q.weight"),
    Rule("blocks.*.qkv", ("layers.*.to_q", "layers.*.to_k", "layers.*.to_v")),
    Rule("tables.*.of.*", "of.*.tables.*", TRANSPOSED),
    Rule("attn.proj", "attn.to_out.0", MATRIX),
    Rule("steps", ()),
)


def entry(tensor: Tensor) -> Entry:
    return Entry(tuple(tensor.shape), tensor.dtype, lambda: tensor)


def weights(tensors: dict[str, Tensor]) -> Weights:
    return Weights(Path("some.safetensors"), {name: entry(each) for name, each in tensors.items()})


def network(q: int, k: int, v: int, width: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a small network whose projections have so many rows."""
    shapes: dict[str, tuple[int, ...]] = {"x_embedder.weight": (width, 3), "x_embedder.bias": (width,)}
    for number in (0, 1):
        shapes |= {
            f"layers.{number}.norm.linear.weight": (2 * width, width),
            f"layers.{number}.norm_q.weight": (width,),
            **{
                f"layers.{number}.to_{key}.{leaf}": (rows, width)[: 1 + (leaf == "weight")]
                for key, rows in (("q", q), ("k", k), ("v", v))
                for leaf in ("weight", "bias")
            },
        }
    return shapes | {"of.3.tables.2": (width, 5), "attn.to_out.0.weight": (width, width), "own.weight": (2,)}


SIZES = st.integers(1, 6)
SHAPES = st.builds(network, SIZES, SIZES, SIZES, SIZES)


@settings(deadline=None)
@given(SHAPES)
def test_what_is_written_in_a_files_layout_is_read_back_the_same(shapes: dict[str, tuple[int, ...]]) -> None:
    tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
    file = LAYOUT.written({name: entry(each) for name, each in tensors.items()})
    read = LAYOUT.read(Weights(Path("x"), file), shapes)
    assert set(read) == set(shapes)
    for name, tensor in tensors.items():
        assert read[name].shape == shapes[name]
        assert torch.equal(read.tensor(name), tensor)


@settings(deadline=None)
@given(SHAPES)
def test_names_lead_there_and_back(shapes: dict[str, tuple[int, ...]]) -> None:
    for name in shapes:
        assert name in LAYOUT.names(LAYOUT.file_name(name))
    for file_name in LAYOUT.file_names(shapes):
        assert {LAYOUT.file_name(name) for name in LAYOUT.names(file_name)} == {file_name}


@settings(deadline=None)
@given(SHAPES)
def test_the_pieces_of_a_tensor_are_all_of_its_rows_once(shapes: dict[str, tuple[int, ...]]) -> None:
    for file_name in LAYOUT.file_names(shapes):
        pieces = LAYOUT.pieces(file_name, shapes)
        end = 0
        for piece in pieces:
            assert piece.start == end
            end = piece.stop or 0
        assert [piece.name for piece in pieces] == list(LAYOUT.names(file_name))


@settings(deadline=None)
@given(SHAPES, st.integers(0, 2**31))
def test_a_change_of_a_packed_tensor_reaches_its_parts(shapes: dict[str, tuple[int, ...]], seed: int) -> None:
    torch.manual_seed(seed)
    packed = LAYOUT.written({name: entry(torch.zeros(shape)) for name, shape in shapes.items()})
    change = {name: torch.randn(each.shape) for name, each in packed.items()}
    changed = LAYOUT.read(weights(change), shapes)
    for file_name, tensor in change.items():
        for piece in LAYOUT.pieces(file_name, shapes):
            assert torch.equal(changed.tensor(piece.name), piece.take(tensor))


def test_rows_of_a_packed_projection_stay_views() -> None:
    packed = torch.randn(9, 4)
    shapes = {f"layers.0.to_{key}.weight": (3, 4) for key in "qkv"}
    read = LAYOUT.read(weights({"blocks.0.qkv.weight": packed}), shapes)
    assert read.tensor("layers.0.to_k.weight").data_ptr() == packed[3:].data_ptr()


def test_parts_may_have_different_numbers_of_rows() -> None:
    shapes = {"layers.0.to_q.weight": (4, 2), "layers.0.to_k.weight": (1, 2), "layers.0.to_v.weight": (1, 2)}
    assert LAYOUT.pieces("blocks.0.qkv.weight", shapes) == (
        Piece("layers.0.to_q.weight", 0, 4),
        Piece("layers.0.to_k.weight", 4, 5),
        Piece("layers.0.to_v.weight", 5, 6),
    )


def test_the_first_rule_that_fits_counts() -> None:
    shapes = {f"layers.{number}.norm.linear.weight": (4, 2) for number in (0, 1)}
    assert LAYOUT.pieces("blocks.0.mod.weight", shapes)[0].turn is AS_IS
    assert LAYOUT.pieces("blocks.1.mod.weight", shapes)[0].turn is SWAPPED


def test_a_rule_fits_whole_words_only() -> None:
    assert LAYOUT.names("img_in_2.weight") == ("img_in_2.weight",)
    assert LAYOUT.names("blocks.x.mod.weight") == ("blocks.x.mod.weight",)
    assert LAYOUT.names("img_in.weight") == ("x_embedder.weight",)


def test_a_tensor_of_which_the_network_has_no_use_is_left_out() -> None:
    found = weights({"steps": torch.ones(1), "strange.weight": torch.ones(1), "own.weight": torch.ones(2)})
    shapes = {"own.weight": (2,)}
    assert list(LAYOUT.read(found, shapes)) == ["own.weight"]
    assert LAYOUT.left_over(found, shapes) == ["strange.weight"]


def test_a_tensor_of_which_the_network_has_no_use_is_not_written_either() -> None:
    assert LAYOUT.written({"steps.count": entry(torch.zeros(2))}) == {}


def test_a_packed_tensor_with_a_row_too_few_is_refused() -> None:
    shapes = {f"layers.0.to_{key}.weight": (3, 4) for key in "qkv"}
    with pytest.raises(FileProblem, match=r"blocks\.0\.qkv\.weight has the shape \(8, 4\), but 9 rows"):
        LAYOUT.read(weights({"blocks.0.qkv.weight": torch.zeros(8, 4)}), shapes)


def test_a_1x1_convolution_is_a_matrix_and_its_bias_stays() -> None:
    shapes = {"attn.to_out.0.weight": (2, 3), "attn.to_out.0.bias": (2,)}
    file = {"attn.proj.weight": torch.randn(2, 3, 1, 1), "attn.proj.bias": torch.randn(2)}
    read = LAYOUT.read(weights(file), shapes)
    assert torch.equal(read.tensor("attn.to_out.0.weight"), file["attn.proj.weight"][:, :, 0, 0])
    assert read["attn.to_out.0.bias"].shape == (2,)
    assert LAYOUT.written(read)["attn.proj.weight"].shape == (2, 3, 1, 1)


def test_the_layout_of_no_rules_changes_nothing() -> None:
    file = weights({"a.weight": torch.randn(2)})
    assert SAME.read(file, {"a.weight": (2,)})["a.weight"] is file["a.weight"]
    assert SAME.written(file)["a.weight"] is file["a.weight"]


def test_a_turn_of_the_last_block_is_that_of_the_highest_number_alone() -> None:
    layout = Layout(Rule("blocks.*.mod", "layers.*.mod", last=SWAPPED))
    tensors = {f"layers.{number}.mod.weight": torch.randn(4, 2) for number in range(3)}
    shapes = {name: tuple(each.shape) for name, each in tensors.items()}
    file = layout.written({name: entry(each) for name, each in tensors.items()})
    for number in (0, 1):
        assert torch.equal(file[f"blocks.{number}.mod.weight"].read(), tensors[f"layers.{number}.mod.weight"])
    last = tensors["layers.2.mod.weight"]
    assert torch.equal(file["blocks.2.mod.weight"].read(), torch.cat([last[2:], last[:2]]))
    read = layout.read(Weights(Path("x"), file), shapes)
    assert all(torch.equal(read.tensor(name), each) for name, each in tensors.items())
