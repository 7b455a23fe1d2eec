"""Two images shown over each other, and one in the colours of another."""

from pathlib import Path
from typing import Any

import pytest
import torch

from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.image.encoding import Embedding
from nodes.library import native_types


@pytest.fixture
def nodes(tmp_path: Path) -> Any:
    """The nodes of the module, with folders to write into."""
    provide = {Folders: Folders(tmp_path), Embedding: Embedding()}
    return Registry(native_types("image.comparing"), provide=provide).types


def test_each_side_is_written_and_named(nodes: Any, tmp_path: Path) -> None:
    shown = nodes["ImageCompare"](
        {"image_a": torch.zeros(1, 8, 8, 3), "image_b": torch.ones(2, 8, 8, 3)}, Run()
    ).ui
    assert {side: len(files) for side, files in shown.items()} == {"a_images": 1, "b_images": 2}
    assert all((tmp_path / "temp" / each["filename"]).exists() for files in shown.values() for each in files)
    assert list(nodes["ImageCompare"]({"image_a": torch.zeros(1, 8, 8, 3)}, Run()).ui) == ["a_images"]


def transferred(nodes: Any, **inputs: Any) -> torch.Tensor:
    """What `ColorTransfer` gives."""
    given = {name.replace("__", "."): value for name, value in inputs.items()}
    found: torch.Tensor = nodes["ColorTransfer"](
        {"method": "reinhard_lab", "source_stats": "per_frame", "strength": 1.0, **given}, Run()
    ).outputs[0]
    return found


def test_images_are_measured_each_by_itself_together_or_by_one(nodes: Any) -> None:
    target = torch.stack([torch.full((8, 8, 3), 0.2), torch.full((8, 8, 3), 0.6)])
    like = torch.full((1, 8, 8, 3), 0.4)
    each = transferred(nodes, image_target=target, image_ref=like)
    assert torch.allclose(each, like.expand(2, -1, -1, -1), atol=1e-3)
    together = transferred(nodes, image_target=target, image_ref=like, source_stats="uniform")
    assert together[0].mean() <= 0.41
    assert together[1].mean() >= 0.39
    one = {"source_stats": "target_frame", "source_stats__target_index": 7}
    by_last = transferred(nodes, image_target=target, image_ref=like, **one)
    assert torch.allclose(by_last[1], like[0], atol=1e-3)


def test_strength_mixes_transparency_stays_and_nothing_to_take_changes_nothing(nodes: Any) -> None:
    target = torch.cat([torch.full((1, 8, 8, 3), 0.2), torch.full((1, 8, 8, 1), 0.3)], dim=-1)
    like = torch.full((1, 8, 8, 3), 0.4)
    half = transferred(nodes, image_target=target, image_ref=like, strength=0.5)
    assert torch.allclose(half[..., :3], torch.full((1, 8, 8, 3), 0.3), atol=1e-3)
    assert torch.equal(half[..., 3], target[..., 3])
    assert transferred(nodes, image_target=target) is target
    assert transferred(nodes, image_target=target, image_ref=like, strength=0.0) is target
