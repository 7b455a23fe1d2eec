"""What FLUX's own files call the network's tensors."""

import torch

from diffusion.families.flux import native
from diffusion.families.flux.layout import LAYOUT
from diffusion.families.flux.network import Flux
from tests.diffusion.families.flux.small import DEV, diffusers_file, file


def test_nothing_of_a_file_is_left_over() -> None:
    shapes = {name: tuple(each.shape) for name, each in Flux(DEV).state_dict().items()}
    weights = file(DEV)
    assert LAYOUT.left_over(weights, shapes) == []
    assert set(LAYOUT.read(weights, shapes)) == set(shapes)
    assert LAYOUT.names("double_blocks.1.txt_attn.norm.key_norm.scale") == (
        "transformer_blocks.1.attn.norm_added_k.weight",
    )


def test_a_projection_read_from_a_file_in_diffusers_layout_is_not_packed_and_cut_again() -> None:
    weights = diffusers_file(DEV)
    shapes = {name: entry.shape for name, entry in weights.items()}
    read = LAYOUT.read(native(weights), shapes)
    name = "single_transformer_blocks.1.attn.to_k.weight"
    assert read.tensor(name).data_ptr() == weights.tensor(name).data_ptr()
    assert all(torch.equal(read.tensor(name), weights.tensor(name)) for name in weights)
