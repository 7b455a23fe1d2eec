"""Small random text encoders of the published kinds, as tensors under the names of their files."""

from dataclasses import replace
from io import BytesIO

import sentencepiece
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor

from diffusion.text.bert import Bert, BertSizes
from diffusion.text.clip import ClipText, TextSizes
from diffusion.text.decoders import Decoder, DecoderSizes
from diffusion.text.qwen_vision import VisionSizes
from diffusion.text.t5 import T5, T5Sizes
from diffusion.text.tokenizer import byte_letters
from diffusion.text.tokenizer_files import SPIECE
from tests.diffusion.small_models import prefixed, seeded

Tensors = dict[str, Tensor]

CLIP_L = TextSizes(width=64, layers=2, heads=1, inner=96, projection=64)
CLIP_G = TextSizes(width=64, layers=32, heads=1, inner=64, activation="gelu", projection=64)
T5_XXL = T5Sizes(32128, 144, 24, 2, 16, 48, 32, gated=True, own_biases=False)
OLD_T5 = replace(T5_XXL, gated=False)
PILE_T5 = replace(T5_XXL, own_biases=True)
BERT = BertSizes(200, 128, 2, 96, 512)
VISION = VisionSizes(160, 9, 64, 48)
DECODERS = {
    "qwen2": DecoderSizes("qwen2", 200, 48, 3, 4, 2, 64),
    "llama": DecoderSizes("llama", 200, 48, 3, 2, 1, 64),
    "gemma2": DecoderSizes("gemma2", 200, 48, 3, 2, 1, 64),
    "gemma3": DecoderSizes("gemma3", 200, 48, 7, 2, 1, 64),
}
LLAMA, QWEN_3B, QWEN_7B = 128256, 151936, 152064
"""How many tokens the published ones know."""
MT5 = T5Sizes(100_100, 16, 24, 1, 16, 16, 32, gated=True, own_biases=False)
T5_BASE = T5Sizes(32128, 16, 12, 1, 16, 16, 32, gated=False, own_biases=False)
UMT5_BASE = T5Sizes(2000, 16, 12, 1, 16, 16, 32, gated=True, own_biases=True)
BYT5 = T5Sizes(1510, 32, 2, 6, 64, 48, 32, gated=True, own_biases=False)


def clip_l() -> Tensors:
    """CLIP L."""
    return prefixed("", seeded(lambda: ClipText(CLIP_L), 2))


def clip_g() -> Tensors:
    """OpenCLIP bigG, told by its depth."""
    return prefixed("", seeded(lambda: ClipText(CLIP_G), 3))


def t5(sizes: T5Sizes = T5_XXL, seed: int = 4) -> Tensors:
    """T5 or one of its kin."""
    return prefixed("", seeded(lambda: T5(sizes), seed))


def decoder(name: str, seed: int = 5) -> Tensors:
    """A language model."""
    return prefixed("", seeded(lambda: Decoder(DECODERS[name]), seed))


def bert() -> Tensors:
    """HunyuanDiT's BERT."""
    return prefixed("bert.", seeded(lambda: Bert(BERT), 6))


def whole_decoder(name: str, vocabulary: int, vision: bool = False) -> Tensors:
    """A language model with as many tokens as its published kind, and a picture encoder if asked for."""
    seeing = replace(VISION, layers=2, out=16) if vision else None
    groups = {"qwen2": 2 if vocabulary == QWEN_3B else 4}.get(name, DECODERS[name].groups)
    sizes = replace(DECODERS[name], vocabulary=vocabulary, width=16, groups=groups, vision=seeing)
    return prefixed("", seeded(lambda: Decoder(sizes), 7))


def with_pieces(tensors: Tensors) -> Tensors:
    """An encoder with a small sentencepiece model among its tensors."""
    return {**tensors, SPIECE: torch.frombuffer(bytearray(pieces()), dtype=torch.uint8)}


def pieces() -> bytes:
    """A small sentencepiece model, of letters and the most common pairs of these very words."""
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([pieces.__doc__ or ""] * 4),
        model_writer=model,
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
    )
    return model.getvalue()


def byte_tokenizer() -> str:
    """The `tokenizer.json` of a vocabulary of single bytes."""
    numbers = {letter: number for number, letter in enumerate(byte_letters().values())}
    tokenizer = Tokenizer(BPE(numbers, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return str(tokenizer.to_str())


VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n" + "\n".join([*"abcdefghijklmnopqrstuvwxyz", "##a", "##e", "##t"])
