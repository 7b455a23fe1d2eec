"""Nodes that open a hypernetwork, a style model or a GLIGEN model, and apply them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from diffusion.control.gligen import Fuser, PositionNet
from diffusion.control.style_model import StyleNet

Call = Callable[..., Any]


@pytest.fixture
def words(call: Call) -> Any:
    """An encoded text."""
    (clip,) = call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")
    return call("CLIPTextEncode", text="a house", clip=clip)[0]


def test_boxes_gather_with_the_text_that_stands_in_them(call: Call, models: Path, words: Any) -> None:
    tensors = {f"position_net.{n}": t for n, t in PositionNet(32, 32).state_dict().items()}
    place = "input_blocks.1.1.transformer_blocks.0.fuser."
    tensors |= {f"{place}{name}": each for name, each in Fuser(32, 32).state_dict().items()}
    (models / "gligen").mkdir(exist_ok=True)
    save_file(tensors, models / "gligen" / "boxes.safetensors")
    (gligen,) = call("GLIGENLoader", gligen_name="boxes.safetensors")
    (clip,) = call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")
    box = {"clip": clip, "gligen_textbox_model": gligen, "width": 64, "height": 32, "x": 8, "y": 16}
    (one,) = call("GLIGENTextBoxApply", conditioning_to=words, text="a cat", **box)
    (two,) = call("GLIGENTextBoxApply", conditioning_to=one, text="a dog", **box)
    assert [len(each[0][1]["gligen"][2]) for each in (one, two)] == [1, 2]
    (cat,) = call("CLIPTextEncode", text="a cat", clip=clip)
    embedding, *place_in_latent = two[0][1]["gligen"][2][0]
    torch.testing.assert_close(embedding, cat[0][1]["pooled_output"])
    assert place_in_latent == [4, 8, 2, 1]


def test_a_style_is_put_behind_the_text(call: Call, models: Path, words: Any) -> None:
    (models / "style_models").mkdir(exist_ok=True)
    save_file(StyleNet(4, 16, 32, 1).state_dict(), models / "style_models" / "style.safetensors")
    (style,) = call("StyleModelLoader", style_model_name="style.safetensors")
    seen = {"last_hidden_state": torch.randn(1, 9, 16)}
    (out,) = call(
        "StyleModelApply", conditioning=words, style_model=style, clip_vision_output=seen,
        strength=1.0, strength_type="multiply",
    )  # fmt: skip
    assert out[0][0].shape == (1, words[0][0].shape[1] + 4, 32)


def test_a_hypernetwork_hangs_in_the_attention(call: Call, models: Path) -> None:
    (models / "hypernetworks").mkdir(exist_ok=True)
    halves = [{"linear.0.weight": torch.eye(32)}, {"linear.0.weight": torch.eye(32)}]
    torch.save({32: halves}, models / "hypernetworks" / "net.pt")
    (model,) = call("UNETLoader", unet_name="unet.safetensors", weight_dtype="default")
    (changed,) = call("HypernetworkLoader", model=model, hypernetwork_name="net.pt", strength=0.5)
    (hook,) = changed.hooks["attention.cross.input"]
    q = torch.ones(1, 2, 32)
    assert [each.mean().item() for each in hook(None, q, q, q)] == [1.0, 1.5, 1.5]
