"""Texts that become conditioning."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from execution.cancel import CancelToken
from execution.declare.node import Run
from execution.errors import Cancelled

Call = Callable[..., Any]


@pytest.fixture
def clip(call: Call) -> Any:
    """A small text encoder."""
    return call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")[0]


def test_a_text_becomes_one_entry_with_a_pooled_embedding(call: Call, clip: Any) -> None:
    ((embedding, options),) = call("CLIPTextEncode", text="a red house", clip=clip)[0]
    assert embedding.shape == (1, 77, 32)
    assert options["pooled_output"].shape == (1, 32)


def test_stopping_earlier_changes_the_embedding_and_leaves_the_encoder(call: Call, clip: Any) -> None:
    (earlier,) = call("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-2)
    plain, stopped = (call("CLIPTextEncode", text="x", clip=each)[0][0][0] for each in (clip, earlier))
    assert not torch.allclose(plain, stopped)
    assert torch.equal(plain, call("CLIPTextEncode", text="x", clip=clip)[0][0][0])


def test_the_refiner_is_told_its_score_and_sizes(call: Call, clip: Any) -> None:
    ((_, options),) = call(
        "CLIPTextEncodeSDXLRefiner", clip=clip, text="x", ascore=2.5, width=640, height=512
    )[0]
    assert {key: options[key] for key in ("aesthetic_score", "width", "height")} == {
        "aesthetic_score": 2.5,
        "width": 640,
        "height": 512,
    }


def test_sdxl_sizes_stand_beside_the_embedding(call: Call, clip: Any) -> None:
    sizes = {"width": 1, "height": 2, "crop_w": 3, "crop_h": 4, "target_width": 5, "target_height": 6}
    ((embedding, options),) = call("CLIPTextEncodeSDXL", clip=clip, text_g="big", text_l="x " * 90, **sizes)[
        0
    ]
    assert {key: options[key] for key in sizes} == sizes
    assert embedding.shape[1] == 154


def test_cancelling_stops_the_loading_of_weights(call: Call, clip: Any) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        call("CLIPTextEncode", Run(cancel=token), text="x", clip=clip)
