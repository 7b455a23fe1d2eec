"""Cosmos' own names and the network's, both ways."""

import pytest

from diffusion.families.cosmos_predict2.layout import LAYOUT

PAIRS = {
    "x_embedder.proj.1.weight": "patch_embed.proj.weight",
    "t_embedder.1.linear_2.weight": "time_embed.t_embedder.linear_2.weight",
    "t_embedding_norm.weight": "time_embed.norm.weight",
    "blocks.3.self_attn.q_norm.weight": "transformer_blocks.3.attn1.norm_q.weight",
    "blocks.3.cross_attn.output_proj.weight": "transformer_blocks.3.attn2.to_out.0.weight",
    "blocks.3.adaln_modulation_mlp.2.weight": "transformer_blocks.3.norm3.linear_2.weight",
    "blocks.3.mlp.layer1.weight": "transformer_blocks.3.ff.net.0.proj.weight",
    "final_layer.adaln_modulation.1.weight": "norm_out.linear_1.weight",
    "final_layer.linear.weight": "proj_out.weight",
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_name_is_read_both_ways(name: str) -> None:
    assert LAYOUT.names(name) == (PAIRS[name],)
    assert LAYOUT.file_name(PAIRS[name]) == name


@pytest.mark.parametrize(
    "name", ["pos_embedder.seq", "accum_iteration", "blocks.0.cross_attn.k_norm._extra_state"]
)
def test_what_training_left_behind_is_of_no_use(name: str) -> None:
    assert LAYOUT.names(name) == ()
