"""A text with modes and changes through the node, and a picture sampled with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from execution.files.folders import Folders
from nodes.text.prompts import scheduled_text_files

Call = Callable[..., Any]


@pytest.fixture
def clip(call: Call) -> Any:
    """A small text encoder."""
    return call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")[0]


@pytest.fixture
def encode(call: Call, clip: Any) -> Callable[..., Any]:
    """Encodes a text with the node."""

    def encode(text: str, **more: Any) -> Any:
        return call("CLIPTextEncodeModes", text=text, clip=clip, **{"mode": "comfy", "steps": 10, **more})[0]

    return encode


def test_a_plain_text_is_what_the_usual_node_makes(call: Call, clip: Any, encode: Any) -> None:
    ((usual, options),) = call("CLIPTextEncode", text="a (red:1.3) [house]", clip=clip)[0]
    for scheduled in (True, False):
        ((cond, found),) = encode("a (red:1.3) [house]", scheduled=scheduled)
        assert torch.equal(cond, usual)
        assert found.keys() == options.keys()


def test_a_change_becomes_two_entries_with_spans(call: Call, clip: Any, encode: Any) -> None:
    first, second = encode("a [red:blue:0.5] house")
    spans = [(each[1].get("start_percent"), each[1].get("end_percent")) for each in (first, second)]
    assert spans == [(0.0, 0.45), (0.45, 1.0)]
    for (cond, _), text in ((first, "a red house"), (second, "a blue house")):
        assert torch.equal(cond, call("CLIPTextEncode", text=text, clip=clip)[0][0][0])


def test_turns_encode_each_text_once(encode: Any) -> None:
    entries = encode("[red|blue]")
    assert len(entries) == 10
    assert len({id(cond) for cond, _ in entries}) == 2


def test_texts_that_steer_together_are_weighed(encode: Any) -> None:
    entries = encode("red AND [blue:green:0.5] :0.7")
    assert [options.get("strength") for _, options in entries] == [None, 0.7, 0.7]


def test_unscheduled_marks_are_words(encode: Any) -> None:
    assert len(encode("red AND [blue:green:0.5]", scheduled=False)) == 1


@pytest.mark.parametrize("mode", ["a1111", "compel", "down_weight"])
def test_modes_read_weights_in_their_own_way(encode: Any, mode: str) -> None:
    text = "a (red:1.5) (house:0.5)"
    assert not torch.allclose(encode(text, mode=mode)[0][0], encode(text)[0][0])


def test_embeddings_in_brackets_are_in_the_key(models: Path, tmp_path: Path) -> None:
    ((name, stamp),) = scheduled_text_files(Folders(tmp_path, models=models), "[embedding:style|house]") or []
    assert name == "style"
    assert stamp is not None
    assert scheduled_text_files(Folders(tmp_path, models=models), None) is None


def test_a_text_that_changes_steers_a_picture(call: Call, clip: Any, encode: Any) -> None:
    model, _, _ = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    latent = {"samples": torch.zeros(1, 4, 8, 8)}

    def sampled(positive: Any) -> torch.Tensor:
        common = {
            "seed": 1,
            "steps": 4,
            "cfg": 3.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
        }
        inputs = {"model": model, "positive": positive, "negative": encode(""), "latent_image": latent}
        found: torch.Tensor = call("KSampler", **inputs, **common)[0]["samples"]
        return found

    red, blue, changing = (sampled(encode(text, steps=4)) for text in ("red", "blue", "[red:blue:2]"))
    assert not torch.allclose(changing, red)
    assert not torch.allclose(changing, blue)
    torch.testing.assert_close(sampled(encode("[red:blue:4]", steps=4)), red)
    torch.testing.assert_close(sampled(encode("[red:blue:0]", steps=4)), blue)
