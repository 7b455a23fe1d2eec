"""Words in boxes: the gated layers against diffusers' own, and their place in a run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from diffusion.conditioning import Setting, prepare
from diffusion.control.gligen import MOST, Gligen, boxes_of, load_gligen
from diffusion.errors import UnknownModel
from diffusion.families.checkpoints import load_unet
from diffusion.guidance.guidance import BasicGuider
from diffusion.model import Model
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_models import METADATA, seeded, write_sd1
from tests.diffusion.small_runs import noise


def network() -> UNet2DConditionModel:
    """A small network with gated layers."""
    return UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=64, attention_head_dim=4,
        norm_num_groups=8, attention_type="gated", sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[UNet2DConditionModel, Model, Gligen]:
    """Their network, and ours with its layers read from the same file."""
    theirs = seeded(network, 1)
    path = tmp_path_factory.mktemp("gligen") / "gligen.safetensors"
    save_file(theirs.state_dict(), path, METADATA)
    residency = Residency(Precision("fp32"), "cpu")
    return theirs, load_unet(path, residency), load_gligen(path, residency)


POSITIONS: list[tuple[Tensor, int, int, int, int]] = [
    (noise(1, 64, seed=5), 4, 6, 1, 2),
    (noise(1, 64, seed=6), 2, 2, 6, 0),
]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_boxes_agree_with_diffusers(parts: tuple[UNet2DConditionModel, Model, Gligen], count: int) -> None:
    theirs, model, gligen = parts
    boxes, texts, masks = torch.zeros(1, MOST, 4), torch.zeros(1, MOST, 64), torch.zeros(1, MOST)
    for number, (text, height, width, y, x) in enumerate(POSITIONS[:count]):
        boxes[0, number] = torch.tensor([x / 8, y / 8, (x + width) / 8, (y + height) / 8])
        texts[0, number], masks[0, number] = text[0], 1
    x, words, times = noise(1, 4, 8, 8), noise(1, 7, 64, seed=1), torch.tensor([500.0])
    grounded = {"gligen": {"boxes": boxes, "positive_embeddings": texts, "masks": masks}}
    hooks = gligen.hooks(boxes_of(POSITIONS[:count], 8, 8))
    with model.backbone.use() as ours, torch.no_grad():
        expected = theirs(x, times, words, cross_attention_kwargs=grounded).sample
        torch.testing.assert_close(ours(x, times, words, hooks=hooks), expected, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(ours(x, times, words), expected, atol=1e-3)


def test_layers_alone_are_found_under_the_original_names(
    parts: tuple[UNet2DConditionModel, Model, Gligen], tmp_path: Path
) -> None:
    _, model, gligen = parts
    weights = model.backbone.weights
    alone = {n: weights.tensor(n) for n in weights if ".fuser." in n or n.startswith("position_net.")}
    save_file(alone, tmp_path / "alone.safetensors")
    found = load_gligen(tmp_path / "alone.safetensors", Residency(Precision("fp32"), "cpu"))
    assert found.places.keys() == gligen.places.keys()
    assert ("middle", 0, 0) in found.places
    assert ("input", 1, 0) in found.places


def run(model: Model, **options: Any) -> Tensor:
    """A short run with these options."""
    guider = BasicGuider(model, [[noise(1, 7, 64, seed=1), options]])
    sigmas = schedule(model.prediction, "normal", 3)
    return sample(guider, noise(2, 4, 8, 8), torch.zeros(2, 4, 8, 8), SAMPLERS["euler"], sigmas).latent


def test_a_run_is_steered_by_boxes(parts: tuple[UNet2DConditionModel, Model, Gligen]) -> None:
    _, model, gligen = parts
    loud = [(text * 50, *place) for text, *place in POSITIONS]
    one, two = (run(model, gligen=("position", gligen, loud[:n])) for n in (1, 2))
    assert not torch.allclose(run(model), one, atol=1e-3)
    assert not torch.allclose(one, two, atol=1e-3)


def test_the_negative_has_the_boxes_of_the_positive(
    parts: tuple[UNet2DConditionModel, Model, Gligen],
) -> None:
    _, model, gligen = parts
    positive = [[noise(1, 7, 64), {"gligen": ("position", gligen, POSITIONS)}]]
    negative = [[noise(1, 7, 64), {}]]
    setting = Setting(model, torch.zeros(1, 4, 8, 8))
    prepared = prepare({"positive": positive, "negative": negative}, setting)
    found = {name: each[0].hooks for name, each in prepared.items()}
    counts = {name: len(hooks["attention.self.after"][0].boxes) for name, hooks in found.items() if hooks}
    assert counts == {"positive": 2, "negative": 2}
    (alone,) = prepare({"negative": negative}, setting)["negative"]
    assert alone.hooks is None


def test_boxes_are_lent_as_controls_are(parts: tuple[UNet2DConditionModel, Model, Gligen]) -> None:
    _, model, gligen = parts
    one, two = ({"gligen": ("position", gligen, POSITIONS[:n])} for n in (1, 2))
    within = {"area": (4, 4, 0, 0)}
    cases: list[tuple[list[dict[str, Any]], list[dict[str, Any]], list[int]]] = [
        ([two], [{}], [2]),
        ([two], [one], [1]),
        ([two], [{}, one], [0, 1]),
        ([two], [{}, {}], [2, 0]),
        ([one, two], [{}, {}], [1, 2]),
        ([{}], [{}], [0]),
        ([two], [within], [0]),
        ([{**two, **within}], [{}], [0, 2]),  # the second answers the area
    ]
    for positive, negative, expected in cases:
        lines = {
            name: [[noise(1, 7, 64), options] for options in several]
            for name, several in {"positive": positive, "negative": negative}.items()
        }
        prepared = prepare(lines, Setting(model, torch.zeros(1, 4, 8, 8)))["negative"]
        hooks = [part.hooks for part in prepared]
        found = [len(each["attention.self.after"][0].boxes) if each else 0 for each in hooks]
        assert found == expected


def test_a_file_without_such_layers_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"sd1.safetensors: It holds no GLIGEN layers"):
        load_gligen(write_sd1(tmp_path / "sd1.safetensors"))
