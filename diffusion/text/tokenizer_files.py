"""Where the data of tokenizers is found.

What may be given away lies in `diffusion/data`. The rest is looked for in the file of weights itself, beside
it, and in packages that happen to be installed and have it among their files; these are never imported.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from diffusion.errors import FileProblem
from diffusion.text.tokenizers import Bytes, Later, Pieces, Rust, qwen, word_pieces
from diffusion.text.tokens import Tokenizer
from diffusion.weights.entries import Weights

DATA = Path(__file__).parents[1] / "data"
SPIECE = "spiece_model"  # a sentencepiece model among a file's tensors, as bytes


@dataclass(frozen=True)
class Elsewhere:
    """Data that is not given away: what it is, its names beside the weights, and (package, path) pairs."""

    title: str
    names: tuple[str, ...]
    packages: tuple[tuple[str, str], ...] = ()

    def find(self, weights: Path) -> Path:
        """The file, beside the weights or in a package.

        Raises:
            FileProblem: it is nowhere; says which file goes where.
        """
        places = [weights.parent / f"{weights.stem}.{name}" for name in self.names]
        places += [weights.parent / name for name in self.names]
        found = next((place for place in (*places, *_in_packages(self.packages)) if place.is_file()), None)
        if found is None:
            problem = f"It reads texts with {self.title}, which is neither in it nor beside it."
            named = " or ".join(self.names)
            packages = " or ".join(dict.fromkeys(package for package, _ in self.packages))
            other = f", or install the package {packages}" if packages else ""
            raise FileProblem(weights, problem, f"Put its {named} into {weights.parent}{other}.")
        return found


LLAMA3 = Elsewhere(
    "LLaMA 3's tokenizer",
    ("llama3.tokenizer.json", "tokenizer.json"),
    (("diffsynth", "tokenizer_configs/hunyuan_video/tokenizer_2/tokenizer.json"),),
)
LLAMA2 = Elsewhere("LLaMA 2's tokenizer", ("llama2.tokenizer.model", "tokenizer.model"))
GEMMA2 = Elsewhere("Gemma 2's tokenizer", ("gemma2.tokenizer.model", "tokenizer.model"))
GEMMA3 = Elsewhere("Gemma 3's tokenizer", ("gemma3.tokenizer.model", "tokenizer.model"))
MT5 = Elsewhere(
    "mT5's tokenizer",
    ("mt5.spiece.model", "spiece.model"),
    (("diffsynth", "tokenizer_configs/hunyuan_dit/tokenizer_t5/spiece.model"),),
)
HUNYUAN_BERT = Elsewhere(
    "HunyuanDiT's vocabulary of Chinese and English",
    ("hunyuan_dit.vocab.txt", "vocab.txt"),
    (("diffsynth", "tokenizer_configs/hunyuan_dit/tokenizer/vocab.txt"),),
)


def t5(weights: Weights) -> Tokenizer:
    """T5's pieces."""
    return Later(lambda: Rust.from_json(shipped("t5.json.xz").decode("utf-8")))


def umt5(weights: Weights) -> Tokenizer:
    """UMT5's pieces: the file's own, else those that are shipped."""
    return Later(lambda: _pieces(own_pieces(weights) or shipped("umt5.model.xz"), weights.path))


def qwen2(weights: Weights) -> Tokenizer:
    """Qwen2's pieces of bytes."""
    return Later(lambda: qwen(shipped("qwen2_merges.txt.xz").decode("utf-8")))


def llama3(weights: Weights) -> Tokenizer:
    """LLaMA 3's pieces of bytes."""
    return Later(lambda: Rust.from_json(LLAMA3.find(weights.path).read_text("utf-8")))


def bert(weights: Weights) -> Tokenizer:
    """The pieces of words of HunyuanDiT's BERT."""
    return Later(lambda: word_pieces(HUNYUAN_BERT.find(weights.path).read_text("utf-8")))


def plain_bytes(weights: Weights) -> Tokenizer:
    """Bytes as they are."""
    return Bytes()


def pieces_or(elsewhere: Elsewhere, weights: Weights) -> Tokenizer:
    """The file's own sentencepiece model, or one from elsewhere."""

    def read() -> Tokenizer:
        own = own_pieces(weights)
        if own is not None:
            return _pieces(own, weights.path)
        path = elsewhere.find(weights.path)
        return _pieces(path.read_bytes(), path)

    return Later(read)


def _pieces(model: bytes, path: Path) -> Pieces:
    try:
        return Pieces(model)
    except RuntimeError:
        raise FileProblem(path, "Its sentencepiece model cannot be read.") from None


def own_pieces(weights: Weights) -> bytes | None:
    """The sentencepiece model that a file of weights carries among its tensors."""
    if SPIECE not in weights:
        return None
    return bytes(weights.tensor(SPIECE).contiguous().numpy().tobytes())


def shipped(name: str) -> bytes:
    """The bytes of a compressed file in `diffusion/data`."""
    return lzma.decompress((DATA / name).read_bytes())


def _in_packages(packages: Sequence[tuple[str, str]]) -> list[Path]:
    found = []
    for package, path in packages:
        spec = find_spec(package)  # of a package that is not part of another: nothing is imported
        found += [Path(root) / path for root in (spec.submodule_search_locations or ())] if spec else []
    return found
