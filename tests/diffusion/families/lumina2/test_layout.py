"""Lumina's own names and the network's, both ways."""

import pytest

from diffusion.families.lumina2.layout import LAYOUT

PAIRS = {
    "layers.3.attention_norm1.weight": "layers.3.norm1.norm.weight",
    "context_refiner.0.attention_norm1.weight": "context_refiner.0.norm1.weight",
    "noise_refiner.1.adaLN_modulation.1.bias": "noise_refiner.1.norm1.linear.bias",
    "layers.3.feed_forward.w2.weight": "layers.3.feed_forward.linear_2.weight",
    "layers.3.ffn_norm2.weight": "layers.3.ffn_norm2.weight",
    "cap_embedder.1.bias": "time_caption_embed.caption_embedder.1.bias",
    "final_layer.linear.weight": "norm_out.linear_2.weight",
    "x_embedder.weight": "x_embedder.weight",
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_name_is_read_both_ways(name: str) -> None:
    assert LAYOUT.names(name) == (PAIRS[name],)
    assert LAYOUT.file_name(PAIRS[name]) == name


def test_three_projections_are_packed_and_one_norm_is_of_no_use() -> None:
    packed = "layers.0.attention.qkv.weight"
    assert LAYOUT.names(packed) == tuple(f"layers.0.attn.to_{key}.weight" for key in "qkv")
    assert LAYOUT.names("norm_final.weight") == ()
