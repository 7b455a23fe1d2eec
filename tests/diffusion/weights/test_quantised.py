"""A quantised weight is a tensor to who holds it, and stays packed in every use that allows it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.weights import quantised
from diffusion.weights.quantised import Kind, Piece, Quantised, plain, rotated

EIGHT_BITS = Kind("eight bits", lambda piece: piece.by_row["q"].float() * piece.by_row["scale"])


def piece(rows: int, columns: int, seed: int = 0, turned: int = 0) -> Piece:
    generator = torch.Generator().manual_seed(seed)
    q = torch.randint(-127, 128, (rows, columns), dtype=torch.int8, generator=generator)
    scale = torch.rand(1, 1, generator=generator) / 50
    return Piece(EIGHT_BITS, columns, {"q": q, "scale": scale.expand(rows, 1)}, turned=turned)


@pytest.fixture
def weight() -> Quantised:
    """Two pieces below each other, the second rotated."""
    return Quantised([piece(30, 64), piece(18, 64, seed=1, turned=16)], (48, 64), torch.float32)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(9))


def test_it_has_the_shape_and_type_of_the_weight_and_the_bytes_of_the_file(weight: Quantised) -> None:
    assert (tuple(weight.shape), weight.dtype, weight.device.type) == ((48, 64), torch.float32, "cpu")
    assert weight.packed_bytes == 48 * 64 + 2 * 4
    assert "eight bits" in repr(weight)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("block", [64, 1 << 22])
def test_a_linear_layer_multiplies_by_it_block_by_block(
    weight: Quantised, mode: Callable[[], torch.no_grad], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantised, "BLOCK", block)
    layer = nn.Linear(64, 48, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(noise(48))
    with mode():
        for x in (noise(64), noise(3, 64), noise(2, 500, 64)):
            assert torch.allclose(layer(x), F.linear(x, weight.unpacked(), layer.bias), atol=1e-4)
        assert F.linear(noise(3, 64).bfloat16(), weight).dtype == torch.bfloat16


def test_not_more_than_a_block_is_unpacked_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0

    def watched(piece: Piece) -> Tensor:
        nonlocal largest
        largest = max(largest, len(piece))
        return EIGHT_BITS.unpack(piece)

    monkeypatch.setattr(quantised, "BLOCK", 640)
    parts = piece(100, 64)
    weight = Quantised([Piece(Kind("watched", watched), 64, parts.by_row)], (100, 64), torch.float32)
    assert F.linear(noise(2, 64), weight).shape == (2, 100)
    assert largest == 10


def test_gradients_pass_through_it_to_the_input(weight: Quantised) -> None:
    x = noise(2, 64).requires_grad_()
    F.linear(x, weight).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad[0], weight.unpacked().sum(0), atol=1e-5)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_rows_are_cut_joined_and_reshaped_as_they_are(
    weight: Quantised, mode: Callable[[], torch.no_grad]
) -> None:
    whole = weight.unpacked()
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "a slice over both pieces": lambda t: t[10:40],
        "no rows": lambda t: t[5:5],
        "from the end": lambda t: t[-4:],
        "a chunk": lambda t: t.chunk(3)[1],
        "a part": lambda t: t.split([8, 40])[1],
        "narrow": lambda t: t.narrow(0, 3, 20),
        "halves exchanged": lambda t: torch.cat([t[24:], t[:24]]),
        "a convolution": lambda t: t[:, :, None, None],
        "a matrix again": lambda t: t.reshape(48, 64, 1, 1).flatten(1),
        "itself": lambda t: t.detach(),
    }
    with mode():
        for name, way in ways.items():
            found = way(weight)
            assert isinstance(found, Quantised), name
            assert torch.equal(found.unpacked(), way(whole)), name


def test_rows_in_another_order_stay_packed_if_they_are_in_one_piece() -> None:
    weight = Quantised([piece(12, 8)], (12, 8), torch.float32)
    order = torch.arange(12).reshape(2, -1, 2).transpose(1, 2).reshape(-1)
    assert isinstance(weight[order], Quantised)
    assert torch.equal(weight[order].unpacked(), weight.unpacked()[order])


def test_any_other_operation_sees_the_weight_unpacked(weight: Quantised) -> None:
    whole = weight.unpacked()
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "sum": lambda t: t + 1,
        "transposed": lambda t: t.T @ t,
        "columns": lambda t: t[:, 3:9],
        "a row": lambda t: t[7],
        "a step": lambda t: t[::2],
        "another type": lambda t: t.to(torch.bfloat16),
        "a new axis": lambda t: t[None],
        "flat": lambda t: t.reshape(-1),
        "copied": lambda t: t.clone(),
        "with plain rows": lambda t: torch.cat([t, whole]),
        "convolution": lambda t: F.conv2d(noise(1, 64, 4, 4), t[:, :, None, None]),
    }
    for name, way in ways.items():
        found = way(weight)
        assert type(found) is Tensor, name
        assert torch.allclose(found, way(whole), atol=1e-5), name


def test_it_is_unpacked_to_the_type_that_is_asked_for_and_not_rounded_before(weight: Quantised) -> None:
    rounded = weight.made(dtype=torch.bfloat16)
    assert torch.equal(rounded.float(), weight.unpacked())
    assert torch.equal(rounded.to(torch.float64), weight.unpacked().double())
    assert rounded.unpacked().dtype == torch.bfloat16


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_an_embedding_unpacks_the_rows_it_is_asked_for(
    weight: Quantised, mode: Callable[[], torch.no_grad]
) -> None:
    table = nn.Embedding(48, 64, device="meta")
    table.weight = nn.Parameter(weight, requires_grad=False)
    numbers = torch.tensor([[0, 47, 30], [29, 5, 5]])
    with mode():
        assert torch.allclose(table(numbers), weight.unpacked()[numbers], atol=1e-6)


def test_patches_act_where_it_is_used_as_if_the_file_had_been_patched(weight: Quantised) -> None:
    up, down = noise(48, 4), noise(4, 64)
    patched = weight.computing(weight.device, torch.float32, [lambda w: w + up @ down, lambda w: w * 2])
    merged = (weight.unpacked() + up @ down) * 2
    assert torch.equal(F.linear(noise(3, 64), patched), F.linear(noise(3, 64), merged))
    assert torch.equal(patched.unpacked(), merged)
    assert torch.equal(patched[3:9], merged[3:9])
    assert torch.equal(F.embedding(torch.tensor([2, 3]), patched), merged[2:4])
    assert patched.packed_bytes == weight.packed_bytes


def test_a_weight_whose_rows_are_not_whole_blocks_works_unpacked() -> None:
    blocks = piece(27, 32)
    weight = Quantised([blocks], (32, 3, 3, 3), torch.float32)
    assert not weight.by_rows
    whole = blocks.numbers().reshape(32, 3, 3, 3)
    assert torch.equal(weight[4:8], whole[4:8])
    assert torch.allclose(F.conv2d(noise(1, 3, 8, 8), weight), F.conv2d(noise(1, 3, 8, 8), whole))
    assert torch.allclose(F.linear(noise(2, 36), Quantised([piece(27, 32)], (24, 36), torch.float32)),
                          F.linear(noise(2, 36), whole.reshape(24, 36)), atol=1e-5)  # fmt: skip


def test_writing_into_it_is_refused(weight: Quantised) -> None:
    with pytest.raises(TypeError, match="writes into a quantised weight"):
        weight.mul_(2)
    target = torch.empty(48, 64)
    target.copy_(weight)
    assert torch.equal(target, weight.unpacked())


@pytest.mark.parametrize("group", [4, 16, 64, 256])
def test_the_rotation_is_the_regular_hadamard_matrix_and_its_own_inverse(group: int) -> None:
    quarter = torch.tensor([[1.0, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, 1, 1]]) / 2
    matrix = torch.ones(1, 1)
    while len(matrix) < group:
        matrix = torch.kron(matrix, quarter)
    x = noise(3, 512)
    assert torch.allclose(rotated(x, group), (x.reshape(-1, group) @ matrix).reshape(x.shape), atol=1e-5)
    assert torch.allclose(rotated(rotated(x, group), group), x, atol=1e-5)


def test_a_plain_tensor_stays_what_it_is(weight: Quantised) -> None:
    x = noise(2)
    assert plain(x) is x
    assert torch.equal(plain(weight), weight.unpacked())


def test_a_network_over_it_can_be_compiled(weight: Quantised) -> None:
    layer = nn.Linear(64, 48, bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    with torch.inference_mode():
        found = torch.compile(nn.Sequential(layer, nn.ReLU()), backend="eager")(noise(3, 64))
        assert torch.allclose(found, F.linear(noise(3, 64), weight.unpacked()).relu(), atol=1e-5)
