"""The kinds of text encoders: which one a file's tensors are, and how its tower is built from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from diffusion.errors import FileProblem
from diffusion.networks.clip_names import clip_text
from diffusion.residency.budget import Residency, Resident
from diffusion.text import tokenizer_files as files
from diffusion.text.bert import Bert, bert_names, bert_sizes
from diffusion.text.clip import ClipText
from diffusion.text.clip_sizes import text_sizes
from diffusion.text.decoders import FIRST, Decoder, decoder_sizes, gemma_names, own_names
from diffusion.text.t5 import BIAS, T5, t5_sizes
from diffusion.text.tokenizer import Vocabulary
from diffusion.text.tokens import Tokenizer
from diffusion.text.tower import Rule, Tower
from diffusion.weights.files import Weights, identity
from diffusion.weights.loading import build_empty
from diffusion.weights.shapes import Unlike


@dataclass(frozen=True)
class Network:
    """A text network that can be built: its measures, and its tensors under its own names."""

    build: Callable[[], nn.Module]
    weights: Weights
    layers: int
    width: int
    length: int | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of text encoder.

    `key` names it and, unless it is `called` otherwise, its tower; `first` a tensor of its first layer,
    `sign` one that tells it from others, `holds` what else must be so. `own` gives a
    file's tensors the network's names, `network` reads the measures off them. `tokenizer` is given the whole
    file.
    """

    key: str
    title: str
    first: str
    sign: str
    network: Callable[[Weights], Network]
    tokenizer: Callable[[Weights], Tokenizer]
    own: Callable[[Weights], Weights] = lambda weights: weights
    holds: Callable[[Weights], bool] = lambda weights: True
    called: str = ""

    def fits(self, weights: Weights) -> bool:
        """Whether a file's tensors are an encoder of this kind."""
        own = self.own(weights)
        return self.sign in own and self.holds(own)

    def is_text(self, weights: Weights) -> bool:
        """Whether tensors that stand where this kind does are a text encoder at all, of whatever depth."""
        return self.first in self.own(weights)


def clip_vocabulary(weights: Weights) -> Tokenizer:
    """CLIP's tokenizer, which is the same for all of its towers."""
    return Vocabulary.read()


def clip_network(open_clip: bool) -> Callable[[Weights], Network]:
    """How a CLIP text tower is built: OpenCLIP's use another function between their layers."""

    def network(weights: Weights) -> Network:
        own = clip_text(weights)
        sizes = text_sizes(own, open_clip=open_clip)
        return Network(lambda: ClipText(sizes), own, sizes.layers, sizes.width, sizes.positions)

    return network


def _clip(key: str, title: str, layer: int) -> Kind:
    first, sign = (f"text_model.encoder.layers.{number}.mlp.fc1.weight" for number in (0, layer))
    return Kind(key, title, first, sign, clip_network(key != "l"), clip_vocabulary, clip_text)


CLIP_WIDTHS: Mapping[int, str] = {1024: "h", 1280: "g"}


def t5_network(weights: Weights) -> Network:
    """How an encoder of T5's kin is built."""
    sizes = t5_sizes(weights)
    return Network(lambda: T5(sizes), weights, sizes.layers, sizes.width)


def _vocabulary(least: int) -> Callable[[Weights], bool]:
    return lambda weights: (weights.shape("shared.weight") or (0,))[0] > least


def _own_biases(weights: Weights) -> bool:
    return BIAS.format(1) in weights


def decoder_network(make: str) -> Callable[[Weights], Network]:
    """How a decoder of a make is built."""

    def network(weights: Weights) -> Network:
        sizes = decoder_sizes(weights, make)
        return Network(lambda: Decoder(sizes), weights, sizes.layers, sizes.width)

    return network


def bert_network(weights: Weights) -> Network:
    """How BERT is built."""
    sizes = bert_sizes(weights)
    return Network(lambda: Bert(sizes), weights, sizes.layers, sizes.width)


def _decoder(key: str, title: str, make: str, sign: str, elsewhere: files.Elsewhere) -> Kind:
    tokenizer = partial(files.pieces_or, elsewhere)
    return Kind(key, title, FIRST_DECODER, FIRST + sign, decoder_network(make), tokenizer, gemma_names)


def _qwen(key: str, title: str, rows: int) -> Kind:
    sign = f"{FIRST}self_attn.k_proj.bias"

    def holds(weights: Weights) -> bool:
        return weights.shape(sign) == (rows,)

    return Kind(key, title, FIRST_DECODER, sign, decoder_network("qwen2"), files.qwen2, own_names, holds)


FIRST_DECODER = f"{FIRST}self_attn.k_proj.weight"
FIRST_BERT = "encoder.layer.0.attention.self.query.weight"
FIRST_T5 = "encoder.block.0.layer.0.SelfAttention.k.weight"
LAST_XXL = "encoder.block.23.layer.1.DenseReluDense.wi_1.weight"
LAST_OLD = "encoder.block.23.layer.1.DenseReluDense.wi.weight"
BYT5_ROWS = 384
MANY_PIECES = 100_000  # vocabularies of many languages are larger than this, those of one are smaller

KINDS: tuple[Kind, ...] = (
    _clip("g", "OpenCLIP bigG", 30),
    _clip("h", "OpenCLIP H", 22),
    _clip("l", "CLIP L", 0),
    Kind(
        "umt5xxl",
        "UMT5-XXL",
        FIRST_T5,
        LAST_XXL,
        t5_network,
        files.umt5,
        holds=lambda weights: (
            _own_biases(weights) and (_vocabulary(MANY_PIECES)(weights) or files.SPIECE in weights)
        ),
    ),
    Kind(
        "pile_t5xl",
        "Pile-T5-XL",
        FIRST_T5,
        LAST_XXL,
        t5_network,
        partial(files.pieces_or, files.LLAMA2),
        holds=_own_biases,
    ),
    Kind(
        "mt5xl",
        "mT5-XL",
        FIRST_T5,
        LAST_XXL,
        t5_network,
        partial(files.pieces_or, files.MT5),
        holds=_vocabulary(MANY_PIECES),
    ),
    Kind("t5xxl", "T5-XXL", FIRST_T5, LAST_XXL, t5_network, files.t5),
    Kind("t5xxl_old", "T5-XXL of the first kind", FIRST_T5, LAST_OLD, t5_network, files.t5, called="t5xxl"),
    Kind(
        "byt5",
        "ByT5",
        FIRST_T5,
        FIRST_T5,
        t5_network,
        files.plain_bytes,
        holds=lambda weights: (weights.shape(FIRST_T5) or (0,))[0] == BYT5_ROWS,
    ),
    _decoder("gemma3_4b", "Gemma 3 4B", "gemma3", "self_attn.q_norm.weight", files.GEMMA3),
    _decoder("gemma2_2b", "Gemma 2 2B", "gemma2", "post_feedforward_layernorm.weight", files.GEMMA2),
    _qwen("qwen25_3b", "Qwen2.5-VL 3B", 256),
    _qwen("qwen25_7b", "Qwen2.5-VL 7B", 512),
    Kind(
        "llama",
        "LLaMA 3.1 8B",
        FIRST_DECODER,
        f"{FIRST}post_attention_layernorm.weight",
        decoder_network("llama"),
        files.llama3,
        own_names,
    ),
    Kind("hydit_clip", "HunyuanDiT's BERT", FIRST_BERT, FIRST_BERT, bert_network, files.bert, bert_names),
    Kind("umt5base", "UMT5-base", FIRST_T5, BIAS.format(1), t5_network, files.umt5),
    Kind("t5base", "T5-base", FIRST_T5, FIRST_T5, t5_network, files.t5),
)
"""The most particular first: each is tried in turn."""

BY_KEY: Mapping[str, Kind] = {kind.key: kind for kind in KINDS}


def kind_of(weights: Weights) -> Kind | None:
    """The kind of text encoder that a file's tensors are; None if they are something else."""
    kind = next((kind for kind in KINDS if kind.fits(weights)), None)
    if kind is not None and kind.key == "l":  # a tower with layers left out is still as wide as the whole one
        table = kind.own(weights).shape("text_model.embeddings.token_embedding.weight")
        return BY_KEY[CLIP_WIDTHS.get(table[1], "l")] if table else kind
    return kind


def tower_from(kind: Kind, weights: Weights, rule: Rule, residency: Residency) -> Tower:
    """The tower of an encoder's tensors, among which its tokenizer may be. FileProblem if they do not fit."""
    try:
        network = kind.network(weights)
    except Unlike as error:
        problem = f"Its text encoder ({kind.title}) cannot be read: {error}."
        raise FileProblem(weights.path, problem, "Choose another file.") from None
    built: list[Any] = [build_empty(network.build, network.weights)]

    def made() -> Any:
        return built.pop() if built else network.build()

    own = identity(weights, "text" + kind.key)
    resident = Resident(residency, "text", network.weights, made, own)
    key = kind.called or kind.key
    tower = Tower(key, resident, network.layers, network.width, kind.tokenizer(weights), rule)
    return tower if network.length is None else _of_length(tower, network.length)


def _of_length(tower: Tower, length: int) -> Tower:
    """A tower whose table of positions says how long its chunks are."""
    return tower.with_rule(frame=replace(tower.rule.frame, length=length, least=length))
