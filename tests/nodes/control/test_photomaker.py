"""PhotoMaker: the word before the trigger becomes a person, and nothing else changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPVisionConfig

from diffusion.control.photomaker import IdentityNet, load_photomaker, without_trigger
from diffusion.errors import Mismatch, UnknownModel
from diffusion.networks.vision import prepared
from tests.diffusion.small_models import seeded

Call = Callable[..., Any]
CONFIG = CLIPVisionConfig(
    hidden_size=64, intermediate_size=96, projection_dim=12, num_hidden_layers=2,
    num_attention_heads=1, patch_size=14, image_size=28, hidden_act="gelu",
)  # fmt: skip


def network(second: int = 20) -> IdentityNet:
    """A small network."""
    return seeded(lambda: IdentityNet(CONFIG, second), 3)


@pytest.fixture
def parts(call: Call, models: Path) -> tuple[IdentityNet, Any, Any]:
    """The network, its value on a link, and a text encoder."""
    (models / "photomaker").mkdir(exist_ok=True)
    tensors = {f"id_encoder.{n}": t for n, t in network().state_dict().items() if "position_ids" not in n}
    save_file(tensors, models / "photomaker" / "person.safetensors")
    (maker,) = call("PhotoMakerLoader", photomaker_model_name="person.safetensors")
    (clip,) = call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")
    return network(), maker, clip


def fused(net: IdentityNet, word: Tensor, image: Tensor) -> Tensor:
    """The word [1, D] with who is seen in a picture, step by step as in the paper's code."""
    with torch.no_grad():
        pooled = net.vision_model(prepared(image, 28, True)).pooler_output
        who = torch.cat(
            [pooled @ net.visual_projection.weight.T, pooled @ net.visual_projection_2.weight.T], 1
        )
        one, two = net.fuse_module.mlp1, net.fuse_module.mlp2
        h = one.fc2(F.gelu(one.fc1(one.layernorm(torch.cat([word, who], 1))))) + word
        h = two.fc2(F.gelu(two.fc1(two.layernorm(h)))) + h
        merged: Tensor = net.fuse_module.layer_norm(h)
    return merged


def test_the_word_before_the_trigger_becomes_the_person(
    call: Call, parts: tuple[IdentityNet, Any, Any]
) -> None:
    net, maker, clip = parts
    image = torch.rand(1, 40, 30, 3, generator=torch.Generator().manual_seed(0))
    (ours,) = call(
        "PhotoMakerEncode", photomaker=maker, image=image, clip=clip, text="a man photomaker sings"
    )
    (plain,) = call("CLIPTextEncode", clip=clip, text="a man sings")
    expected = plain[0][0].clone()
    expected[:, 2] = fused(net, plain[0][0][:, 2], image)
    torch.testing.assert_close(ours[0][0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(ours[0][1]["pooled_output"], plain[0][1]["pooled_output"])


def test_several_pictures_are_averaged_and_without_a_trigger_nothing_happens(
    call: Call, parts: tuple[IdentityNet, Any, Any]
) -> None:
    net, maker, clip = parts
    images = torch.rand(2, 28, 28, 3, generator=torch.Generator().manual_seed(0))
    (ours,) = call("PhotoMakerEncode", photomaker=maker, image=images, clip=clip, text="a man photomaker")
    (plain,) = call("CLIPTextEncode", clip=clip, text="a man")
    word = plain[0][0][:, 2]
    mean = (fused(net, word, images[:1]) + fused(net, word, images[1:])) / 2
    torch.testing.assert_close(ours[0][0][:, 2], mean, rtol=1e-4, atol=1e-5)
    for text, same in (("a man", "a man"), ("photomaker sings", "sings")):
        (ours,) = call("PhotoMakerEncode", photomaker=maker, image=images, clip=clip, text=text)
        assert torch.equal(ours[0][0], call("CLIPTextEncode", clip=clip, text=same)[0][0][0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a man photomaker sings", ("a man sings", "a man")),
        ("photomaker", ("", "")),
        ("a man", ("a man", "")),
    ],
)
def test_the_trigger_is_taken_out(text: str, expected: tuple[str, str]) -> None:
    assert without_trigger(text) == expected


def test_other_text_and_other_files_are_named(parts: tuple[IdentityNet, Any, Any], tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match="changes text of width 32, not 8"):
        parts[1].merged(torch.zeros(1, 77, 8), 1, torch.zeros(1, 28, 28, 3))
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UnknownModel, match=r"x.safetensors: It is no PhotoMaker model"):
        load_photomaker(tmp_path / "x.safetensors")
