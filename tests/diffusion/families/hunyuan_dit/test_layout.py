"""HunyuanDiT's own names and the network's, both ways."""

import pytest

from diffusion.families.hunyuan_dit.layout import LAYOUT
from diffusion.weights.layout import SWAPPED

PAIRS = {
    "blocks.3.norm1.weight": "blocks.3.norm1.norm.weight",
    "blocks.3.default_modulation.1.bias": "blocks.3.norm1.linear.bias",
    "blocks.3.norm2.weight": "blocks.3.norm3.weight",
    "blocks.3.norm3.weight": "blocks.3.norm2.weight",
    "blocks.3.attn2.q_proj.weight": "blocks.3.attn2.to_q.weight",
    "blocks.3.attn1.k_norm.bias": "blocks.3.attn1.norm_k.bias",
    "blocks.3.mlp.fc2.weight": "blocks.3.ff.net.2.weight",
    "blocks.3.skip_linear.weight": "blocks.3.skip_linear.weight",
    "mlp_t5.2.weight": "text_embedder.linear_2.weight",
    "t_embedder.mlp.0.weight": "time_extra_emb.timestep_embedder.linear_1.weight",
    "pooler.positional_embedding": "time_extra_emb.pooler.positional_embedding",
    "text_embedding_padding": "text_embedding_padding",
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_name_is_read_both_ways(name: str) -> None:
    assert LAYOUT.names(name) == (PAIRS[name],)
    assert LAYOUT.file_name(PAIRS[name]) == name


def test_projections_are_packed_by_three_and_by_two() -> None:
    assert LAYOUT.names("blocks.0.attn1.Wqkv.bias") == tuple(f"blocks.0.attn1.to_{k}.bias" for k in "qkv")
    assert LAYOUT.names("blocks.0.attn2.kv_proj.bias") == tuple(f"blocks.0.attn2.to_{k}.bias" for k in "kv")


def test_shift_and_scale_of_the_last_layer_change_places() -> None:
    name = "final_layer.adaLN_modulation.1.weight"
    (piece,) = LAYOUT.pieces(name, {"norm_out.linear.weight": (4, 2)})
    assert (piece.name, piece.turn) == ("norm_out.linear.weight", SWAPPED)
