"""Chroma's own names and the network's, both ways."""

import pytest

from diffusion.families.chroma.layout import LAYOUT

PAIRS = {
    "distilled_guidance_layer.layers.4.in_layer.bias": "distilled_guidance_layer.layers.4.linear_1.bias",
    "distilled_guidance_layer.norms.2.scale": "distilled_guidance_layer.norms.2.weight",
    "distilled_guidance_layer.out_proj.weight": "distilled_guidance_layer.out_proj.weight",
    "double_blocks.1.txt_mlp.2.weight": "transformer_blocks.1.ff_context.net.2.weight",
    "final_layer.linear.bias": "proj_out.bias",
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_name_is_read_both_ways(name: str) -> None:
    assert LAYOUT.names(name) == (PAIRS[name],)
    assert LAYOUT.file_name(PAIRS[name]) == name
