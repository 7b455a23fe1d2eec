"""HunyuanImage's names, published, original and the network's."""

from pathlib import Path

import pytest
import torch

from diffusion.families.hunyuan_image.layout import LAYOUT, native
from diffusion.weights.entries import Entry, Weights

PUBLISHED = {
    "double_blocks.3.img_attn_qkv.weight": "double_blocks.3.img_attn.qkv.weight",
    "double_blocks.3.txt_attn_k_norm.weight": "double_blocks.3.txt_attn.norm.key_norm.scale",
    "double_blocks.3.txt_mod.linear.bias": "double_blocks.3.txt_mod.lin.bias",
    "double_blocks.3.img_mlp.fc2.weight": "double_blocks.3.img_mlp.2.weight",
    "single_blocks.0.q_norm.weight": "single_blocks.0.norm.query_norm.scale",
    "single_blocks.0.modulation.linear.weight": "single_blocks.0.modulation.lin.weight",
    "time_r_in.mlp.2.weight": "time_r_in.out_layer.weight",
    "txt_in.c_embedder.linear_1.weight": "txt_in.c_embedder.in_layer.weight",
    "txt_in.individual_token_refiner.blocks.1.self_attn_proj.bias": (
        "txt_in.individual_token_refiner.blocks.1.self_attn.proj.bias"
    ),
    "img_in.proj.weight": "img_in.proj.weight",
}
PAIRS = {
    "double_blocks.3.txt_attn.proj.weight": "transformer_blocks.3.attn.to_add_out.weight",
    "double_blocks.3.img_mlp.0.bias": "transformer_blocks.3.ff.net.0.proj.bias",
    "single_blocks.7.linear2.weight": "single_transformer_blocks.7.proj_out.weight",
    "time_in.in_layer.weight": "time_guidance_embed.timestep_embedder.linear_1.weight",
    "txt_in.t_embedder.out_layer.bias": "context_embedder.time_text_embed.timestep_embedder.linear_2.bias",
    "txt_in.individual_token_refiner.blocks.1.norm2.weight": (
        "context_embedder.token_refiner.refiner_blocks.1.norm2.weight"
    ),
    "txt_in.individual_token_refiner.blocks.1.adaLN_modulation.1.weight": (
        "context_embedder.token_refiner.refiner_blocks.1.norm_out.linear.weight"
    ),
    "byt5_in.layernorm.weight": "context_embedder_2.norm.weight",
    "final_layer.linear.weight": "proj_out.weight",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_name_becomes_the_original_one_which_stays(name: str) -> None:
    for each in (name, PUBLISHED[name]):
        weights = Weights(
            Path("hunyuan.safetensors"), {each: Entry((1,), torch.float32, torch.zeros(1).clone)}
        )
        assert list(native(weights)) == [PUBLISHED[name]]


@pytest.mark.parametrize("name", PAIRS)
def test_a_name_is_read_both_ways(name: str) -> None:
    assert LAYOUT.names(name) == (PAIRS[name],)
    assert LAYOUT.file_name(PAIRS[name]) == name


def test_packed_projections_are_cut() -> None:
    assert LAYOUT.names("double_blocks.0.txt_attn.qkv.bias") == tuple(
        f"transformer_blocks.0.attn.add_{key}_proj.bias" for key in "qkv"
    )
    assert len(LAYOUT.names("single_blocks.0.linear1.weight")) == 4
