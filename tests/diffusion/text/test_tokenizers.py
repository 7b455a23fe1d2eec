"""Texts as numbers in every vocabulary that is shipped or found elsewhere."""

from pathlib import Path

import pytest
import torch

from diffusion.errors import FileProblem
from diffusion.text import tokenizer_files as files
from diffusion.text.tokenizers import Bytes, Rust, word_pieces
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import as_weights

NOTHING = Weights(Path("models/some.safetensors"), {})


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Hello world", [8774, 296]),
        ("a ", [3, 9]),
        (" apple", [8947]),
        (" ", []),
        ("", []),
        ("studies, studies", [2116, 6, 2116]),
    ],
)
def test_t5_begins_each_stretch_anew_and_drops_blanks_at_its_ends(text: str, numbers: list[int]) -> None:
    assert files.t5(NOTHING).encode(text) == numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Hello, world!", [9707, 11, 1879, 0]),
        ("<|im_start|>user\n", [151644, 872, 198]),
        ("雪", [100167]),
        ("12", [16, 17]),
    ],
)
def test_qwen_numbers_its_merges_in_their_order(text: str, numbers: list[int]) -> None:
    assert files.qwen2(NOTHING).encode(text) == numbers


def test_umt5_reads_the_pieces_that_are_shipped() -> None:
    assert files.umt5(NOTHING).encode("Hello world") == [23231, 3914]


def test_bytes_come_after_three_other_tokens() -> None:
    assert Bytes().encode("Aé") == [65 + 3, 0xC3 + 3, 0xA9 + 3]


def test_words_of_berts_kind_are_cut_into_pieces_without_accents() -> None:
    pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##able\nete\n雪\n山"
    assert word_pieces(pieces).encode("Unable été 雪山 zz") == [4, 5, 6, 7, 8, 1]


def test_a_tokenizer_of_the_library_leaves_out_what_stands_around_a_text() -> None:
    described = (
        '{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,'
        '"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,'
        '"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"?":2},"unk_token":"?"}}'
    )
    assert Rust.from_json(described).encode("b a c") == [1, 0, 2]


def test_pieces_in_the_file_of_weights_come_first() -> None:
    model = torch.frombuffer(bytearray(files.shipped("umt5.model.xz")), dtype=torch.uint8)
    own = files.pieces_or(files.LLAMA2, as_weights({files.SPIECE: model}))
    assert own.encode("Hello world") == files.umt5(NOTHING).encode("Hello world")


def test_broken_pieces_are_said_by_their_file(tmp_path: Path) -> None:
    broken = as_weights({files.SPIECE: torch.ones(9, dtype=torch.uint8)})
    with pytest.raises(FileProblem, match=r"memory: Its sentencepiece model cannot be read"):
        files.umt5(broken).encode("a")


def test_a_file_beside_the_weights_is_taken_its_own_before_one_for_all(tmp_path: Path) -> None:
    weights = tmp_path / "llama.safetensors"
    assert files.LLAMA2.packages == ()
    (tmp_path / "tokenizer.model").write_bytes(b"for all")
    assert files.LLAMA2.find(weights).name == "tokenizer.model"
    (tmp_path / "llama.tokenizer.model").write_bytes(b"its own")
    assert files.LLAMA2.find(weights).name == "llama.tokenizer.model"


def test_what_is_nowhere_is_said_with_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(
        FileProblem, match=r"pile\.safetensors: .*LLaMA 2's tokenizer.*Put its .*tokenizer\.model"
    ):
        files.LLAMA2.find(tmp_path / "pile.safetensors")


def test_shipped_data_stays_small() -> None:
    assert sum(path.stat().st_size for path in files.DATA.iterdir()) < 25_000_000
