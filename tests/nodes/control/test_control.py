"""Nodes of control networks that are told more than a picture: kinds, masks, another text."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.control.control_union import KINDS
from diffusion.control.controlnet import ControlNet

Call = Callable[..., Any]


def unused(model: Any) -> Any:
    """The network of a control that is never sampled."""
    raise AssertionError("not needed here")


@pytest.mark.parametrize(("name", "kind"), [("auto", None), *KINDS.items()])
def test_a_network_is_told_the_kind_of_its_picture(call: Call, name: str, kind: int | None) -> None:
    (told,) = call("SetUnionControlNetType", control_net=ControlNet(unused), type=name)
    assert told.kind == kind


def shown(call: Call, channels: int, mask: Tensor) -> Tensor:
    """What a network of so many channels is shown of a white picture."""
    words = [[torch.zeros(1, 7, 32), {}]]
    positive, negative = call(
        "ControlNetInpaintingAliMamaApply", positive=words, negative=words, vae=None, mask=mask,
        control_net=ControlNet(unused, channels=channels), image=torch.ones(1, 16, 16, 3),
    )  # fmt: skip
    assert positive[0][1]["control"] is negative[0][1]["control"]
    image: Tensor = positive[0][1]["control"].image
    return image


def test_an_inpainting_network_sees_what_is_kept_and_where(call: Call) -> None:
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    seen = shown(call, 4, mask)
    assert seen.shape == (1, 4, 16, 16)
    assert not seen[:, :, :8].any()
    assert bool((seen[:, :, 8:] == 1).all())
    assert torch.equal(shown(call, 3, mask), torch.ones(1, 3, 16, 16))


def test_control_networks_can_be_given_another_text(call: Call) -> None:
    (clip,) = call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")
    (words,) = call("CLIPTextEncode", text="a house", clip=clip)
    (other,) = call("CLIPTextEncodeControlnet", clip=clip, conditioning=words, text="lines")
    (expected,) = call("CLIPTextEncode", text="lines", clip=clip)
    assert torch.equal(other[0][0], words[0][0])
    assert torch.equal(other[0][1]["cross_attn_controlnet"], expected[0][0])
    assert torch.equal(other[0][1]["pooled_output_controlnet"], expected[0][1]["pooled_output"])
