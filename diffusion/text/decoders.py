"""Language models as text encoders: what a decoder makes of a text, read at one layer or at all.

Qwen2 (Yang et al. 2024, arXiv 2407.10671), LLaMA 3 (arXiv 2407.21783), Gemma 2 (arXiv 2408.00118) and 3
(arXiv 2503.19786). Their layers are `transformers`' own; how they follow each other is here, and only as many
run as are asked for. Qwen2.5-VL also looks at pictures (arXiv 2502.13923).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.errors import Mismatch
from diffusion.text.clip import earlier
from diffusion.text.qwen_vision import QwenVision, VisionSizes, vision_sizes
from diffusion.text.tokenizer_files import SPIECE
from diffusion.text.tower import ALL_LAYERS, Reading, Seen, States
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.shapes import Unlike

FIRST = "model.layers.0."


@dataclass(frozen=True)
class Make:
    """One make of decoder: what all of its sizes have in common.

    `thetas` are the bases of the angles of places, each with the factor by which places count less: one for
    all layers, or one for most and one for each sixth. `scaled` multiplies tokens by the root of their width.
    """

    name: str
    layer: str
    config: str
    head_width: int
    eps: float
    thetas: tuple[tuple[float, float], ...]
    options: Mapping[str, Any]
    scaled: bool = False


GEMMA: Mapping[str, Any] = {
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
    "sliding_window": 8192,
}
MAKES: Mapping[str, Make] = {
    "qwen2": Make("qwen2", "Qwen2DecoderLayer", "Qwen2Config", 128, 1e-6, ((1e6, 1.0),), {}),
    "llama": Make("llama", "LlamaDecoderLayer", "LlamaConfig", 128, 1e-5, ((5e5, 1.0),), {}),
    "gemma2": Make("gemma2", "Gemma2DecoderLayer", "Gemma2Config", 256, 1e-6, ((1e4, 1.0),), GEMMA, True),
    "gemma3": Make(
        "gemma3", "Gemma3DecoderLayer", "Gemma3TextConfig", 256, 1e-6, ((1e4, 1.0), (1e6, 8.0)), GEMMA, True
    ),
}
EACH_SIXTH = 6
TURNS = (16, 24, 24)
"""How many of Qwen's 64 angles turn by the time, the row and the column of a picture's place."""


@dataclass(frozen=True)
class DecoderSizes:
    """The measures of a decoder, and of its picture encoder if it has one."""

    make: str
    vocabulary: int
    width: int
    layers: int
    heads: int
    groups: int
    inner: int
    vision: VisionSizes | None = None


def decoder_sizes(weights: Weights, make: str) -> DecoderSizes:
    """The sizes of a decoder's tensors. Unlike says what does not fit."""
    names = (
        "model.embed_tokens.weight",
        f"{FIRST}self_attn.q_proj.weight",
        f"{FIRST}self_attn.k_proj.weight",
    )
    shapes = [weights.shape(name) for name in (*names, f"{FIRST}mlp.gate_proj.weight")]
    if any(shape is None or len(shape) != 2 for shape in shapes):
        raise Unlike(f"one of {', '.join(names)} is missing")
    (vocabulary, width), (queries, _), (keys, _), (inner, _) = (shape for shape in shapes if shape)
    layers = len({name.split(".")[2] for name in weights if name.startswith("model.layers.")})
    head = MAKES[make].head_width
    vision = vision_sizes(weights.under("visual.")) if "visual.patch_embed.proj.weight" in weights else None
    return DecoderSizes(make, vocabulary, width, layers, queries // head, keys // head, inner, vision)


class Body(nn.Module):
    """Tokens, layers and the last norm, under the names of the files."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        make = MAKES[sizes.make]
        module: Any = import_module(f"transformers.models.{make.name}.modeling_{make.name}")
        configs: Any = import_module("transformers")
        config = getattr(configs, make.config)(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.width,
            intermediate_size=sizes.inner,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.groups,
            head_dim=make.head_width,
            rms_norm_eps=make.eps,
            layer_types=["full_attention"] * sizes.layers,
            attn_implementation="sdpa",
            **make.options,
        )
        layer = getattr(module, make.layer)
        self.embed_tokens = nn.Embedding(sizes.vocabulary, sizes.width)
        self.layers = nn.ModuleList([layer(config, number) for number in range(sizes.layers)])
        norm: Any = type(self.layers[0].input_layernorm)
        self.norm = norm(sizes.width, eps=make.eps)


class Decoder(nn.Module):
    """A language model that is read and never asked to go on."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.sizes, self.make = sizes, MAKES[sizes.make]
        if sizes.vision is not None:
            self.visual = QwenVision(sizes.vision)
        self.model = Body(sizes)

    def embed(self, numbers: Tensor) -> Tensor:
        """The vectors [B, T, width] of tokens [B, T]."""
        table = self.model.embed_tokens
        vectors: Tensor = table(numbers.to(table.weight.device))
        return vectors

    def see(self, pixels: Tensor) -> tuple[Tensor, int, int]:
        """The features [n, width] of a picture 1×H×W×C, and the rows and columns they lie in.

        Raises:
            Mismatch: this decoder reads words only.
        """
        if self.sizes.vision is None:
            raise Mismatch(
                f"This text encoder ({self.make.name}) cannot look at pictures.",
                "Use Qwen2.5-VL with its picture encoder.",
            )
        found: tuple[Tensor, int, int] = self.visual(pixels)
        return found

    def encode(self, reading: Reading, layer: int, normed: bool, projected: bool) -> States:
        """The states of a layer; there is no pooled vector. The last of all layers is always normed."""
        h = reading.vectors
        if self.make.scaled:
            h = h * h.new_tensor(self.sizes.width**0.5)
        mask = None if reading.mask is None else earlier(reading.mask)
        places = positions(reading)
        turns = [self._turns(places, theta, factor, h) for theta, factor in self.make.thetas]
        wanted = len(self.model.layers) if layer == ALL_LAYERS else len(self.model.layers) + layer + 1
        states = [h]
        for number, block in enumerate(self.model.layers[:wanted]):
            sixth = len(turns) > 1 and (number + 1) % EACH_SIXTH == 0
            h = block(h, attention_mask=mask, position_embeddings=turns[1 if sixth else 0])
            states.append(h)
        if layer == ALL_LAYERS:
            return States(torch.stack([*states[:-1], self.model.norm(h)], dim=1))
        return States(self.model.norm(h) if normed else h)

    def _turns(self, places: Tensor, theta: float, factor: float, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [B, T, head] of places [3, B, T], each angle twice."""
        half = self.make.head_width // 2
        rates = theta ** -(torch.arange(half, device=like.device, dtype=torch.float32) / half) / factor
        angles = places.to(like.device).float()[..., None] * rates
        chosen = angles[0]
        if self.sizes.vision is not None:
            parts = torch.split(angles, list(TURNS), dim=-1)
            chosen = torch.cat([part[axis] for axis, part in enumerate(parts)], dim=-1)
        both = torch.cat([chosen, chosen], dim=-1)
        return both.cos().to(like.dtype), both.sin().to(like.dtype)


def positions(reading: Reading) -> Tensor:
    """The places [3, B, T] of tokens in time, row and column: one after the other, but those of pictures.

    A picture stands at one time, its features where they lie in it; what follows counts on behind its longer
    side.
    """
    batch, length = reading.numbers.shape
    places = torch.arange(length).expand(3, batch, length).clone()
    for row in range(batch):
        shift = 0
        for seen in (each for each in reading.seen if each.row == row):
            shift = _placed(places[:, row], seen, shift)
    return places


def _placed(places: Tensor, seen: Seen, shift: int) -> int:
    """Write the places [3, T] of a picture and what follows it; the shift for what follows."""
    start, count = seen.start, seen.rows * seen.columns
    first = start + shift
    lying = torch.arange(count)
    places[0, start : start + count] = first
    places[1, start : start + count] = first + lying // seen.columns
    places[2, start : start + count] = first + lying % seen.columns
    after = torch.arange(places.shape[1] - start - count)
    places[:, start + count :] = first + max(seen.rows, seen.columns) + after
    return shift + max(seen.rows, seen.columns) - count


def own_names(weights: Weights) -> Weights:
    """A decoder's tensors alone: what predicts the next word is of no use here."""
    own = ("model.", "visual.", SPIECE)
    kept = {name: entry for name, entry in weights.items() if name.startswith(own)}
    return weights.having(kept)


def gemma_names(weights: Weights) -> Weights:
    """Gemma's tensors, its norms rounded as they are used: 1 is added in the file's own number type."""
    own = own_names(weights)
    return own.having({name: _rounded(e) if name.endswith("norm.weight") else e for name, e in own.items()})


def _rounded(entry: Entry) -> Entry:
    def around_one(weight: Tensor) -> Tensor:
        return (weight + 1).float() - 1

    return replace(entry.taking(entry.shape, around_one), dtype=torch.float32)


def template_end(start: int, skipped: Sequence[int], chunk: Sequence[tuple[object, float]]) -> int:
    """How many tokens in front belong to a template: up to its second `start`, and `skipped` behind it."""
    numbers = [token for token, _ in chunk]
    starts = [place for place, token in enumerate(numbers) if token == start][:2]
    end = starts[-1] if starts else 0
    behind = numbers[end + 1 : end + 1 + len(skipped)]
    return (
        end + 1 + len(skipped) if behind == list(skipped) and len(numbers) > end + 1 + len(skipped) else end
    )


qwen_user = partial(template_end, 151644, (872, 198))
