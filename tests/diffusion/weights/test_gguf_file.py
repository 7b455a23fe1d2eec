"""GGUF files: packed tensors stay packed, with names and shapes of the model they were made from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map
from gguf.gguf_writer import GGUFValueType
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.files import open_weights
from diffusion.weights.gguf_names import halves_apart
from diffusion.weights.quantised import Quantised, plain
from tests.diffusion.weights.packing import BLOCKS, SIZES, TYPES, packed, unpacked, write_gguf


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_packed_tensor_stays_packed_and_is_what_the_package_makes_of_it(kind: str, tmp_path: Path) -> None:
    weight = noise(24, 512)
    weights = open_weights(
        write_gguf(tmp_path / "x.gguf", {"a.weight": (kind, weight), "a.bias": ("F32", weight[0])})
    )
    entry, tensor = weights["a.weight"], weights.tensor("a.weight")
    assert isinstance(tensor, Quantised)
    assert (entry.shape, entry.dtype) == ((24, 512), torch.bfloat16)
    assert tensor.packed_bytes == entry.packed == packed(kind, weight).nbytes
    expected = unpacked(kind, packed(kind, weight)).reshape(24, 512)
    assert torch.equal(tensor.float(), expected)
    assert torch.equal(plain(tensor[5:9], torch.float32), expected[5:9])
    assert torch.equal(weights.tensor("a.bias"), weight[0])


@pytest.mark.parametrize("kind", TYPES)
def test_plain_types_are_views_of_the_file(kind: str, tmp_path: Path) -> None:
    weight = noise(8, 6)
    weights = open_weights(write_gguf(tmp_path / "x.gguf", {"a": (kind, weight)}))
    dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    assert weights["a"].packed == 0
    assert torch.equal(weights.tensor("a"), weight.to(dtype))


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_K"])
def test_a_tensor_that_was_laid_out_as_blocks_has_its_own_shape(kind: str, tmp_path: Path) -> None:
    convolution = noise(8, 32, 3, 3)
    weights = open_weights(write_gguf(tmp_path / "x.gguf", {"c.weight": (kind, convolution)}))
    assert weights.shape("c.weight") == (8, 32, 3, 3)
    expected = unpacked(kind, packed(kind, convolution.reshape(-1, SIZES[kind]))).reshape(8, 32, 3, 3)
    assert torch.equal(weights.tensor("c.weight").float(), expected)


def test_facts_of_the_file_are_its_metadata(tmp_path: Path) -> None:
    weights = open_weights(
        write_gguf(tmp_path / "x.gguf", {"a": ("F32", noise(2))}, "flux", note="hello", count=3)
    )
    assert weights.metadata["general.architecture"] == "flux"
    assert (weights.metadata["flux.note"], weights.metadata["flux.count"]) == ("hello", "3")


def test_long_lists_in_the_header_are_skipped(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_array("tokenizer.ggml.tokens", [f"word{number}" for number in range(1000)])
    writer.add_array("tokenizer.ggml.scores", [float(number) for number in range(1000)])
    writer.add_key_value("a.double", 2.5, GGUFValueType.FLOAT64)
    writer.add_bool("a.bool", True)
    writer.add_custom_alignment(64)
    writer.add_tensor("a", noise(3).numpy())
    writer.add_tensor("b", noise(4).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    weights = open_weights(tmp_path / "x.gguf")
    assert torch.equal(weights.tensor("b"), noise(4))
    assert weights.metadata["a.double"] == "2.5"
    assert "tokenizer.ggml.tokens" not in weights.metadata


CUTS = {0.3: "its header does not end", 0.9: r"cut short: tensor '\w' ends .* bytes beyond it"}


@pytest.mark.parametrize("share", CUTS)
def test_a_file_that_is_cut_short_says_so(share: float, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "x.gguf", {name: ("Q8_0", noise(4, 32)) for name in "abcdefgh"})
    whole = path.read_bytes()
    header = whole.rindex(b"h\x02")
    path.write_bytes(whole[: int(share * (header if share < 0.5 else len(whole)))])
    with pytest.raises(FileProblem, match=CUTS[share]):
        open_weights(path)


def test_every_cut_is_an_error_of_ours(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "x.gguf", {"a": ("Q8_0", noise(4, 32))}, note="hello").read_bytes()
    padding = 160 - 136  # the file ends at a multiple of 32
    for length in range(5, len(whole) - padding):
        (tmp_path / "y.gguf").write_bytes(whole[:length])
        with pytest.raises(FileProblem, match="cut short"):
            open_weights(tmp_path / "y.gguf")


def patched(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


BAD: dict[str, tuple[bytes, bytes, str]] = {
    "a kind nobody knows": (
        b"\x08\x00\x00\x00" + b"\x00" * 8,
        b"\x63\x00\x00\x00" + b"\x00" * 8,
        "'a.weight' is packed in a kind .*99",
    ),
    "rows that are not whole blocks": (
        b"\x08\x00\x00\x00" + b"\x00" * 8,
        b"\x0c\x00\x00\x00" + b"\x00" * 8,
        "whole blocks of Q4_K",
    ),
    "another version": (b"GGUF\x03\x00", b"GGUF\x01\x00", "version 1"),
    "the other byte order": (b"GGUF\x03\x00\x00\x00", b"GGUF\x00\x00\x00\x03", "little-endian"),
    "endless tensors": (b"GGUF\x03\x00\x00\x00\x01", b"GGUF\x03\x00\x00\x00\x01\xff\xff\xff", "claims"),
    "an unknown type of fact": (b"sd1.n\x04\x00\x00\x00", b"sd1.n\x44\x00\x00\x00", "unknown type 68"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_header_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    old, new, problem = BAD[name]
    path = write_gguf(tmp_path / "x.gguf", {"a.weight": ("Q8_0", noise(4, 32))}, n=7)
    patched(path, old, new)
    with pytest.raises(FileProblem, match=problem):
        open_weights(path)


def test_the_same_name_twice_is_an_error(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "x.gguf", {"aa": ("F32", noise(2)), "bb": ("F32", noise(2))})
    patched(path, b"bb", b"aa")
    with pytest.raises(FileProblem, match="'aa' comes twice"):
        open_weights(path)


DECODER = ("model.embed_tokens", "model.norm", "lm_head", *(
    f"model.layers.1.{name}" for name in (
        "input_layernorm", "post_attention_layernorm", "self_attn.q_proj", "self_attn.k_proj",
        "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
        "mlp.down_proj")))  # fmt: skip
NORMED = tuple(f"model.layers.1.self_attn.{name}_norm" for name in "qk")
GEMMA = tuple(f"model.layers.1.{side}_feedforward_layernorm" for side in ("pre", "post"))
T5 = ("shared", "encoder.final_layer_norm", *(
    f"encoder.block.1.layer.{name}" for name in (
        "0.SelfAttention.q", "0.SelfAttention.k", "0.SelfAttention.v", "0.SelfAttention.o",
        "0.SelfAttention.relative_attention_bias", "0.layer_norm", "1.layer_norm", "1.DenseReluDense.wi_0",
        "1.DenseReluDense.wi_1", "1.DenseReluDense.wo")))  # fmt: skip
ENCODERS: dict[str, tuple[MODEL_ARCH, tuple[str, ...]]] = {
    "llama": (MODEL_ARCH.LLAMA, DECODER),
    "qwen2": (MODEL_ARCH.QWEN2, DECODER),
    "qwen2vl": (MODEL_ARCH.QWEN2VL, DECODER),
    "qwen3": (MODEL_ARCH.QWEN3, DECODER + NORMED),
    "qwen3vl": (MODEL_ARCH.QWEN3VL, DECODER + NORMED),
    "gemma2": (MODEL_ARCH.GEMMA2, tuple(name for name in DECODER if name != "lm_head") + GEMMA),
    "gemma3": (MODEL_ARCH.GEMMA3, tuple(name for name in DECODER if name != "lm_head") + GEMMA + NORMED),
    "t5": (MODEL_ARCH.T5, T5),
    "t5encoder": (MODEL_ARCH.T5ENCODER, T5),
}


@pytest.mark.parametrize("architecture", ENCODERS)
def test_a_text_encoder_has_the_names_of_its_published_file(architecture: str, tmp_path: Path) -> None:
    kind, names = ENCODERS[architecture]
    theirs = get_tensor_name_map(kind, 4)
    tensors = {
        f"{theirs.get_name(name)}.weight": ("F32", noise(4, 4, seed=i)) for i, name in enumerate(names)
    }
    assert "None.weight" not in tensors
    weights = open_weights(write_gguf(tmp_path / "x.gguf", tensors, architecture))
    assert sorted(weights) == sorted(f"{name}.weight" for name in names)


def test_a_t5_without_a_gate_has_one_way_in(tmp_path: Path) -> None:
    names = (
        "token_embd.weight",
        "enc.blk.0.ffn_up.weight",
        "enc.blk.0.ffn_down.weight",
        "dec.blk.0.ffn_up.weight",
    )
    weights = open_weights(
        write_gguf(tmp_path / "x.gguf", {name: ("F32", noise(4, 4)) for name in names}, "t5")
    )
    assert "encoder.block.0.layer.1.DenseReluDense.wi.weight" in weights
    assert len(weights) == 3


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """What llama.cpp's converter does to queries and keys."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_K"])
def test_queries_and_keys_of_llama_come_back_in_order(kind: str, tmp_path: Path) -> None:
    q, k = noise(64, 256), noise(32, 256, seed=1)
    write_gguf(
        tmp_path / "x.gguf",
        {
            "token_embd.weight": ("F32", noise(4, 4)),
            "blk.0.attn_q.weight": (kind, interleaved(q, 8)),
            "blk.0.attn_k.weight": (kind, interleaved(k, 4)),
            "rope_freqs.weight": ("F32", noise(4)),
        },
        "llama",
        **{"attention.head_count": 8, "attention.head_count_kv": 4},
    )
    weights = open_weights(tmp_path / "x.gguf")
    for name, weight in (("q", q), ("k", k)):
        found = weights.tensor(f"model.layers.0.self_attn.{name}_proj.weight")
        expected = weight if kind == "F32" else unpacked(kind, packed(kind, weight)).reshape(weight.shape)
        assert isinstance(found, Quantised) == (kind != "F32")
        assert torch.equal(plain(found, torch.float32), expected)
    assert not any("rope" in name for name in weights)
    assert torch.equal(halves_apart(8)(interleaved(q, 8)), q)


def test_norms_of_gemma_lose_the_one_that_was_added(tmp_path: Path) -> None:
    tensors = {"token_embd.weight": ("F32", noise(4, 4)), "blk.0.attn_norm.weight": ("F32", noise(4) + 1)}
    weights = open_weights(write_gguf(tmp_path / "x.gguf", tensors, "gemma2"))
    assert torch.allclose(weights.tensor("model.layers.0.input_layernorm.weight"), noise(4), atol=1e-6)


def test_a_diffusion_model_keeps_its_names(tmp_path: Path) -> None:
    names: dict[str, Any] = {
        "double_blocks.0.img_attn.qkv.weight": ("Q8_0", noise(4, 32)),
        "img_in.bias": ("F32", noise(4)),
    }
    assert set(open_weights(write_gguf(tmp_path / "x.gguf", names, "flux"))) == set(names)


@pytest.mark.parametrize("take", [lambda t: t[4:9], lambda t: torch.cat([t[8:], t[:8]])])
def test_entries_made_of_packed_rows_say_what_they_take(
    take: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    entry = open_weights(write_gguf(tmp_path / "x.gguf", {"a": ("Q8_0", noise(16, 64))}))["a"]
    shape = tuple(take(torch.empty(16, 64, device="meta")).shape)
    taken = entry.taking(shape, take)
    tensor = taken.read()
    assert isinstance(tensor, Quantised)
    assert taken.packed == tensor.packed_bytes
    assert torch.equal(tensor.float(), take(entry.read().float()))
