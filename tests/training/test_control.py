"""The control network begins as nothing, learns, resumes; the painter stays; the file is a ControlNet."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from diffusion.control.control_files import load_controlnet
from diffusion.control.controlnet import ControlNet
from training.control import Plan, Training, export, finished_painter, pictures
from training.edges import scenes
from training.words import Words, clip_encode

CHECKPOINT = Path(__file__).parents[2] / "models" / "checkpoints" / "nodeloom-emoji.safetensors"
PLAN = Plan(steps=8, batch=4, warm_up=1)


@pytest.fixture(scope="module")
def words() -> Words:
    return Words(clip_encode())


@pytest.fixture
def training(words: Words) -> Training:
    return Training(PLAN, words, finished_painter(CHECKPOINT, words))


def lesson() -> tuple[torch.Tensor, torch.Tensor, list]:  # type: ignore[type-arg]  # of scenes
    torch.manual_seed(0)
    return torch.randn(4, 4, 16, 16), (torch.rand(4, 128, 128) > 0.9).byte(), list(scenes(4, 0))


def test_an_untrained_network_changes_nothing(training: Training, words: Words) -> None:
    x, timesteps, rows = torch.randn(2, 4, 16, 16), torch.tensor([10, 900]), words.rows(["a cat", ""])
    with torch.no_grad():
        free = training.guided.painter(x, timesteps, rows)
        guided = training.guided(x, timesteps, rows, pictures(torch.ones(2, 128, 128)))
    assert torch.equal(free, guided)


def test_only_the_control_network_learns_and_resuming_gives_the_same_next_step(
    training: Training, words: Words, tmp_path: Path
) -> None:
    latents, hints, shown = lesson()
    painter = {name: value.clone() for name, value in training.guided.painter.state_dict().items()}
    begun = {name: value.clone() for name, value in training.guided.control.state_dict().items()}
    for _ in range(3):
        training.advance(latents, hints, shown)
    assert all(
        torch.equal(painter[name], value) for name, value in training.guided.painter.state_dict().items()
    )
    moved = [
        not torch.equal(begun[name], value) for name, value in training.guided.control.state_dict().items()
    ]
    assert sum(moved) > len(moved) / 2
    training.save(tmp_path / "control.pt")
    resumed = Training(PLAN, words, finished_painter(CHECKPOINT, words))
    resumed.load(tmp_path / "control.pt")
    assert resumed.advance(latents, hints, shown) == pytest.approx(
        training.advance(latents, hints, shown), rel=1e-4
    )


def test_the_exported_file_is_a_controlnet_of_ten_megabytes_at_most(
    training: Training, tmp_path: Path
) -> None:
    path = tmp_path / "edges.safetensors"
    export(training.guided.control.state_dict(), path)
    assert path.stat().st_size <= 10e6
    network = load_controlnet(path)
    assert isinstance(network, ControlNet)
    assert network.channels == 3
