"""One engine for all tests here, on folders of its own; workflows that need no weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeloom import Engine


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of `engine`."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def engine(data: Path) -> Iterator[Engine]:
    """An engine with every native node and no packs."""
    with Engine(data_dir=data, cpu=True) as engine:
        yield engine


@pytest.fixture
def prompt() -> dict[str, Any]:
    """A grey picture, inverted and saved, in the API's form."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 16, "height": 8, "batch_size": 1, "color": 0x404040},
        },
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "grey"}},
    }


@pytest.fixture
def workflow() -> dict[str, Any]:
    """The same in the editor's form."""
    image = [{"name": "IMAGE", "type": "IMAGE"}]
    inverted = {"name": "image", "type": "IMAGE", "link": 1}
    saved = {"name": "images", "type": "IMAGE", "link": 2}
    return {
        "nodes": [
            {"id": 1, "type": "EmptyImage", "outputs": image, "widgets_values": [16, 8, 1, 0x404040]},
            {"id": 2, "type": "ImageInvert", "inputs": [inverted], "outputs": image},
            {"id": 3, "type": "SaveImage", "inputs": [saved], "widgets_values": ["grey"]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]],
        "version": 0.4,
    }
