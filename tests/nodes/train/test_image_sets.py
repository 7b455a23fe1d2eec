"""Folders of pictures to learn from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from execution.declare.registry import Registry
from execution.errors import OutsideRoot
from execution.files.folders import Folders
from nodes.train.image_sets import folders_of_input, pictures_in, stamps

Call = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of three pictures, of two sizes, two with a text."""
    root = tmp_path / "input" / "cats"
    (root / "2_more").mkdir(parents=True)
    Image.new("RGB", (8, 6), "red").save(root / "a.png")
    Image.new("RGB", (8, 6), "lime").save(root / "b.JPG", format="PNG")
    Image.new("RGB", (6, 6), "blue").save(root / "2_more" / "c.png")
    (root / "a.txt").write_text("a red cat\n")
    (root / "2_more" / "c.txt").write_text("a blue cat")
    return root


def test_pictures_come_by_name_and_as_often_as_their_folder_says(folder: Path) -> None:
    assert [path.name for path in pictures_in(folder)] == ["a.png", "b.JPG", "c.png", "c.png"]
    with pytest.raises(ValueError, match="'2_more' holds no picture"):
        (folder / "2_more" / "c.png").unlink()
        pictures_in(folder / "2_more")


@pytest.mark.parametrize("method", ["Stretch", "Crop", "Pad"])
def test_sizes_are_brought_to_the_first(call: Call, folder: Path, method: str) -> None:
    (images,) = call("LoadImageSetFromFolderNode", folder="cats", resize_method=method)
    assert images.shape == (4, 6, 8, 3)
    blue = torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(images[3][3, 4], blue)
    torch.testing.assert_close(images[3][3, 0], blue * 0 if method == "Pad" else blue)


def test_other_sizes_are_named_if_they_are_to_stay(call: Call, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"'c.png' is not 8×6; choose Stretch"):
        call("LoadImageSetFromFolderNode", folder="cats", resize_method="None")


def test_each_picture_has_its_text(call: Call, folder: Path) -> None:
    clip = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")[1]
    images, texts = call(
        "LoadImageTextSetFromFolderNode", folder="cats", clip=clip, resize_method="Crop", width=16, height=-1
    )
    assert images.shape == (4, 6, 16, 3)
    assert len(texts) == 4
    for line, words in zip(texts, ("a red cat", "", "a blue cat", "a blue cat"), strict=True):
        assert torch.equal(line[0], clip.text(words).cond)


def test_folders_are_offered_and_changes_seen(registry: Registry, folder: Path, tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    assert folders_of_input(folders) == ["cats"]
    before = stamps("cats", folders)
    (folder / "b.txt").write_text("a green cat")
    assert stamps("cats", folders) != before


def test_no_folder_outside_is_read(call: Call, folder: Path) -> None:
    with pytest.raises(OutsideRoot):
        call("LoadImageSetFromFolderNode", folder="../..", resize_method="Crop")
