"""Texts as numbers, for every vocabulary but CLIP's: each is read from its data when it is first used.

Where the data comes from is `tokenizer_files`' matter. Tokens that stand around a whole text are none of
theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from diffusion.text.tokenizer import byte_letters
from diffusion.text.tokens import Tokenizer

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What counts as one word before its bytes are joined, as Qwen's own tokenizer says."""

QWEN_NAMED = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>",
    "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
"""Tokens with a meaning of their own, numbered on from the last merge."""


@dataclass(frozen=True, eq=False)
class Later:
    """A tokenizer that is read when the first text comes."""

    read: Callable[[], Tokenizer]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself."""
        return self.read()

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self.tokenizer.encode(text)


class Rust:
    """A tokenizer of the library `tokenizers`."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @classmethod
    def from_json(cls, text: str) -> Rust:
        """The tokenizer that a `tokenizer.json` describes."""
        import tokenizers

        return cls(tokenizers.Tokenizer.from_str(text))

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without what stands around it."""
        numbers: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return numbers


class Pieces:
    """A tokenizer of the library `sentencepiece`, from the bytes of its model."""

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without what stands around it."""
        numbers: list[int] = self.processor.encode(text, add_bos=False, add_eos=False)
        return numbers


class Bytes:
    """Every byte is a token, after three that mean other things (Xue et al. 2021, arXiv 2105.13626)."""

    FIRST = 3

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return [byte + self.FIRST for byte in text.encode("utf-8")]


def qwen(merges: str) -> Rust:
    """Qwen2's byte-pair tokenizer from its merges, one a line, numbered in their order."""
    from tokenizers import AddedToken, Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.normalizers import NFC
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    pairs = [(first, second) for first, _, second in (line.partition(" ") for line in merges.split("\n"))]
    pieces = [*byte_letters().values(), *(first + second for first, second in pairs)]
    tokenizer = Tokenizer(BPE({piece: number for number, piece in enumerate(pieces)}, pairs))
    tokenizer.normalizer = NFC()
    words = Split(Regex(QWEN_SPLIT), "isolated")
    tokenizer.pre_tokenizer = Sequence([words, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in QWEN_NAMED])
    return Rust(tokenizer)


def word_pieces(vocabulary: str) -> Rust:
    """BERT's tokenizer from its vocabulary, one piece a line: lower case, no accents, Chinese signs alone."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    pieces = vocabulary.rstrip("\n").split(
        "\n"
    )  # some pieces are signs that other ways of cutting take for ends
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = BertNormalizer(lowercase=True, strip_accents=True, handle_chinese_chars=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return Rust(tokenizer)
