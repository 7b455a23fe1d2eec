"""T5's encoder and its kin (Raffel et al. 2019, arXiv 1910.10683): token numbers in, one vector per token
out.

The network is `transformers`' own, built by sizes read off its tensors. UMT5 (Chung et al. 2023, arXiv
2304.09151) has a table of distances in every block, T5 and mT5 in the first alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from diffusion.errors import Mismatch
from diffusion.text.tower import ALL_LAYERS, Reading, States
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import Unlike

BIAS = "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight"
FEED_FORWARD = "encoder.block.0.layer.1.DenseReluDense"


@dataclass(frozen=True)
class T5Sizes:
    """The measures of a T5 encoder; `gated` multiplies two layers, `own_biases` is UMT5's way."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    head_width: int
    inner: int
    buckets: int
    gated: bool
    own_biases: bool


def t5_sizes(weights: Weights) -> T5Sizes:
    """The sizes of an encoder's tensors. Unlike says what does not fit."""
    layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.block.")})
    gated = f"{FEED_FORWARD}.wi_0.weight" in weights
    names = ("shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight", BIAS.format(0))
    shapes = [weights.shape(name) for name in (*names, f"{FEED_FORWARD}.{'wi_0' if gated else 'wi'}.weight")]
    if any(shape is None or len(shape) != 2 for shape in shapes):
        raise Unlike(f"one of {', '.join(names)} is missing")
    (vocabulary, width), (inside, _), (buckets, heads), (inner, _) = (shape for shape in shapes if shape)
    own_biases = BIAS.format(1) in weights
    return T5Sizes(vocabulary, width, layers, heads, inside // heads, inner, buckets, gated, own_biases)


class T5(nn.Module):
    """T5's encoder under the names of its files."""

    def __init__(self, sizes: T5Sizes) -> None:
        super().__init__()
        self.shared = nn.Embedding(sizes.vocabulary, sizes.width)
        self.encoder = _stack(sizes)
        self.encoder.embed_tokens = nn.Identity()

    def embed(self, numbers: Tensor) -> Tensor:
        """The vectors [B, T, width] of tokens [B, T]."""
        vectors: Tensor = self.shared(numbers.to(self.shared.weight.device))
        return vectors

    def see(self, pixels: Tensor) -> tuple[Tensor, int, int]:
        """Refused: T5 reads words only."""
        raise Mismatch("T5 cannot look at pictures.", "Use a text encoder that can.")

    def encode(self, reading: Reading, layer: int, normed: bool, projected: bool) -> States:
        """The states of a layer, through the final norm if `normed`; there is no pooled vector."""
        out: Any = self.encoder(
            inputs_embeds=reading.vectors,
            attention_mask=reading.mask,
            output_hidden_states=layer != -1,
        )
        if layer == ALL_LAYERS:
            raise ValueError("T5 gives one layer at a time")
        if layer == -1:
            return States(out.last_hidden_state)
        hidden = out.hidden_states[layer]
        return States(self.encoder.final_layer_norm(hidden) if normed else hidden)


def _stack(sizes: T5Sizes) -> Any:
    """`transformers`' encoder of these sizes."""
    from transformers import T5Config, UMT5Config
    from transformers.models.t5.modeling_t5 import T5Stack
    from transformers.models.umt5.modeling_umt5 import UMT5Stack

    make, stack = (UMT5Config, UMT5Stack) if sizes.own_biases else (T5Config, T5Stack)
    config = make(
        vocab_size=sizes.vocabulary,
        d_model=sizes.width,
        d_kv=sizes.head_width,
        d_ff=sizes.inner,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        relative_attention_num_buckets=sizes.buckets,
        feed_forward_proj="gated-gelu" if sizes.gated else "relu",
        is_encoder_decoder=False,
        is_decoder=False,
        use_cache=False,
        dropout_rate=0.0,
    )
    return stack(config)
