"""Packs in temporary folders, and an engine that has loaded some."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from compat.host import Host
from compat.packs import Packs, load_packs
from execution.folders import Folders
from execution.node import node_types
from execution.registry import Registry
from tests.compat import toys

PACKS = Path(__file__).with_name("packs")
Load = Callable[..., Packs]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "base")


@pytest.fixture
def registry(folders: Folders) -> Registry:
    return Registry(node_types(toys), provide={Folders: folders})


@pytest.fixture
def host(folders: Folders, registry: Registry) -> Host:
    return Host(folders=folders, types=registry.types)


@pytest.fixture
def load(host: Host, tmp_path: Path) -> Iterator[Load]:
    """Writes files given as `{"pack/__init__.py": code}` and loads the packs they make."""
    loaded: list[Packs] = []

    def write_and_load(files: Mapping[str, str] | None = None, *more: Path, **options: Any) -> Packs:
        folder = tmp_path / "custom_nodes"
        folder.mkdir(exist_ok=True)
        for name, code in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(code))
        loaded.append(load_packs([folder, *more], host, **options))
        return loaded[-1]

    yield write_and_load
    for packs in loaded:
        packs.close()
