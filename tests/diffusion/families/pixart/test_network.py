"""PixArt's network: the library's where that has places, at any size, odd ones too."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from diffusion.families.pixart.network import PixArt, PixArtSizes, places
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import built
from tests.nodes.small_pixart import ALPHA, SIGMA
from tests.nodes.small_sd3 import tensors_of

TIME = torch.tensor([400.0, 400.0])


def filled(sizes: PixArtSizes) -> PixArt:
    network = PixArt(sizes)
    network.load_state_dict(tensors_of(network), assign=True)
    return network


def given(rows: int = 2, sizes: PixArtSizes = SIGMA) -> Inputs:
    size = {"resolution": torch.tensor([[512.0, 256.0]] * rows), "aspect_ratio": torch.tensor([[2.0]] * rows)}
    return Inputs(torch.randn(rows, 5, sizes.text), size if sizes.told_size else {})


@torch.no_grad()
@pytest.mark.parametrize("sizes", [SIGMA, ALPHA])
def test_it_is_the_librarys_at_the_size_that_this_was_made_for(sizes: PixArtSizes) -> None:
    theirs = built(
        "transformers.pixart_transformer_2d",
        "PixArtTransformer2DModel",
        sample_size=64,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        attention_head_dim=72,
        num_attention_heads=2,
        cross_attention_dim=144,
        caption_channels=sizes.text,
        interpolation_scale=2,
        use_additional_conditions=sizes.told_size,
    )
    ours, said, x = filled(sizes), given(sizes=sizes), torch.randn(2, 4, 64, 64)
    theirs.load_state_dict(dict(ours.state_dict()), assign=True)
    told = {name: said.tensor(name) for name in ("resolution", "aspect_ratio")}
    expected = theirs(x, said.context, TIME, told, return_dict=False)[0][:, :4]
    assert torch.allclose(ours.predict(x, TIME, said, Hooks()), expected, atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (16, 12)])
def test_small_pictures_have_places(rows: int, columns: int) -> None:
    found = places(rows, columns, replace(SIGMA, stretch=None))
    assert found.shape == (1, rows * columns, SIGMA.width)
    assert bool(found.isfinite().all())


@torch.no_grad()
def test_odd_sides_keep_their_size_and_hooks_see_picture_and_text() -> None:
    seen: list[Any] = []

    def block(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index))
        return run(image, text)

    def attend(place: Any, q: Any, k: Any, v: Any, run: Any) -> Any:
        seen.append(k.shape[1])
        return run(q, k, v)

    points = ("attention.self.attend", "attention.cross.attend")
    hooks = Hooks({"block.call": (block,), **dict.fromkeys(points, (attend,))})
    x = torch.randn(1, 4, 7, 5)
    assert filled(SIGMA).predict(x, TIME[:1], given(1), hooks).shape == x.shape
    assert seen == [("layer", 0), 12, 5, ("layer", 1), 12, 5]
