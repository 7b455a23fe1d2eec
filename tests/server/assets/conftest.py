"""Assets over the folders of an empty installation."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from execution.files.folders import Folders
from server.assets.library import Assets


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    for folder in (folders.input, folders.output, folders.models_root / "loras"):
        folder.mkdir(parents=True)
    return folders


@pytest.fixture
async def assets(tmp_path: Path, folders: Folders) -> AsyncIterator[Assets]:
    made = Assets(tmp_path / "assets.sqlite", folders)
    yield made
    await asyncio.to_thread(made.close)
