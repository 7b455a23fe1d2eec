"""A LoRA trained by nodes, applied, saved, gone on from, and its loss drawn."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from execution.declare.node import Run
from execution.declare.registry import Registry
from nodes.train.training import graph

Call = Callable[..., Any]
SETTINGS = {
    "steps": 3,
    "learning_rate": 0.01,
    "rank": 2,
    "optimizer": "AdamW",
    "loss_function": "MSE",
    "training_dtype": "fp32",
    "lora_dtype": "fp32",
    "algorithm": "LoRA",
    "existing_lora": "[None]",
}


def weight(model: Any, name: str = "out.2.weight") -> torch.Tensor:
    """A weight as the model uses it."""
    with model.backbone.use(patches=model.weight_patches) as unet:
        return unet.get_parameter(name).clone()  # type: ignore[no-any-return]


def trained(call: Call, **settings: Any) -> Any:
    """The small model, and what a training of it gives."""
    model, clip, _ = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    (positive,) = call("CLIPTextEncode", text="a house", clip=clip)
    latents = {"samples": torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))}
    settings = {**SETTINGS, **settings}
    return model, call("TrainLoraNode", model=model, latents=latents, positive=positive, **settings)


def test_a_trained_lora_works_at_once_and_from_its_file(call: Call, models: Path, tmp_path: Path) -> None:
    model, (changed, lora, loss, steps) = trained(call)
    assert steps == len(loss["loss"]) == 3
    assert not torch.equal(weight(changed), weight(model))
    call("SaveLoRANode", lora=lora, prefix="loras/t", steps=steps)
    (models / "loras").mkdir(exist_ok=True)
    name = "trained_3_steps_.safetensors"
    shutil.move(tmp_path / "output" / "loras" / "t_3_steps_00001_.safetensors", models / "loras" / name)
    (again,) = call("LoraLoaderModelOnly", model=model, lora_name=name, strength_model=1.0)
    assert torch.equal(weight(again), weight(changed))
    (linked,) = call("LoraModelLoader", model=model, lora=lora, strength_model=1.0)
    assert torch.equal(weight(linked), weight(changed))
    _, (further, _, later, steps) = trained(call, existing_lora=name, steps=1)
    assert steps == 4
    assert later["loss"][0] < loss["loss"][0]
    assert not torch.equal(weight(further), weight(changed))


def test_the_loss_is_drawn(registry: Registry, tmp_path: Path) -> None:
    inputs = {"loss": {"loss": [3.0, 2.0, 1.5, 1.0]}, "filename_prefix": "loss"}
    outcome: Any = registry.types["LossGraphNode"](inputs, Run())
    shown = outcome.ui["images"][0]
    pixels = np.asarray(Image.open(tmp_path / "temp" / shown["filename"]))
    assert pixels.shape == (500, 800, 3)
    assert np.array_equal(pixels, graph([3.0, 2.0, 1.5, 1.0]))


def test_a_falling_loss_falls_in_the_picture() -> None:
    blue = graph([4.0, 1.0]).astype(int)
    rows, columns = np.nonzero((blue[..., 2] > 200) & (blue[..., 0] < 50))
    left, right = rows[columns < 200].mean(), rows[columns > 600].mean()
    assert left < right, "higher values stand higher"
    for values in ([], [1.0], [2.0, 2.0]):
        assert graph(values).shape == (500, 800, 3)
