"""A UNet's sizes are read off shapes, and what shapes hide off the metadata."""

from dataclasses import replace

import pytest
import torch

from diffusion.errors import FileProblem
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.networks.unet_sizes import unet_sizes
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import SD1_INPAINTING, SD2, SDXL, as_weights

UNETS = {
    "sd1": UNetSizes(),
    "inpainting": replace(SD1_INPAINTING, heads=8, norm_groups=32),
    "sd2": replace(SD2, head_channels=64),
    "sdxl": replace(SDXL, head_channels=64),
    "uneven": UNetSizes.even((1, 3, 4), (0, 1, 2), blocks=3, channels=64, context=40, heads=8),
    "no middle": UNetSizes(4, 4, 64, (1, 2), (1, 1), (0, 1), None, (1, 2, 0, 0), context=40),
    "one middle block": UNetSizes(4, 4, 64, (1, 2), (1, 1), (0, 1), 0, (1, 2, 0, 0), context=40),
    "differing blocks": UNetSizes(4, 4, 64, (1, 2), (1, 2), (1, 0, 3), 5, (0, 1, 2, 3, 4), context=40),
    "classes": UNetSizes.even(
        (1, 2),
        (0, 1),
        channels=64,
        context=96,
        classes=9,
        linear_projections=True,
        self_attention=(True, False),
    ),
}


@pytest.mark.parametrize("name", UNETS)
def test_any_unet_of_the_family_is_recognised(name: str) -> None:
    sizes = UNETS[name]
    with torch.device("meta"):
        found = unet_sizes(as_weights(UNet(sizes).state_dict()))
    looks = sizes.self_attention or (True,) * len(sizes.multipliers)
    assert found == replace(sizes, self_attention=looks)


def test_the_metadata_tells_what_shapes_do_not() -> None:
    unet = UNetSizes.even((1, 2), (1, 1), blocks=1, channels=32, heads=4, norm_groups=8, context=24)
    with torch.device("meta"):
        tensors = UNet(unet).state_dict()
    stated = {"nodeloom.unet.norm_groups": "8", "nodeloom.unet.heads": "4"}
    found = unet_sizes(as_weights(tensors, stated))
    assert (found.norm_groups, found.heads, found.head_channels) == (8, 4, None)
    found = unet_sizes(as_weights(tensors, {"nodeloom.unet.head_channels": "16"}))
    assert (found.heads, found.head_channels) == (None, 16)


@pytest.mark.parametrize("nonsense", ["0", "-1", "many", "1.5", "9999999999", ""])
def test_nonsense_in_the_metadata_is_an_error(nonsense: str) -> None:
    with torch.device("meta"):
        tensors = UNet(UNetSizes.even((1,), (1,), channels=32)).state_dict()
    with pytest.raises(FileProblem, match=r"nodeloom\.unet\.heads"):
        unet_sizes(as_weights(tensors, {"nodeloom.unet.heads": nonsense}))


def test_what_is_missing_is_named() -> None:
    with torch.device("meta"):
        tensors = UNet(UNetSizes.even((1, 2), (1, 1), channels=32)).state_dict()
    for name in ("input_blocks.0.0.weight", "input_blocks.1.0.out_layers.3.weight", "out.2.weight"):
        broken = {key: tensor for key, tensor in tensors.items() if key != name}
        with pytest.raises(Unlike, match=name.replace(".", r"\.")):
            unet_sizes(as_weights(broken))
    with pytest.raises(Unlike, match="no attention to text"):
        unet_sizes(as_weights({key: t for key, t in tensors.items() if "attn2" not in key}))
    with pytest.raises(Unlike, match="dimensions"):
        unet_sizes(as_weights({**tensors, "out.2.weight": torch.zeros(4)}))
    with pytest.raises(Unlike, match="no multiple"):
        unet_sizes(as_weights({**tensors, "input_blocks.1.0.out_layers.3.weight": torch.zeros(33, 33, 3, 3)}))
