"""Packs in temporary folders, and an engine that has loaded some."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from compat.host import Host
from compat.packs import Packs, load_packs
from execution.check.validation import Validation, validate_with
from execution.declare.node import node_types
from execution.declare.registry import Registry
from execution.engine import Engine, Result
from execution.events import Event, Failed, Running
from execution.files.folders import Folders
from execution.job import Job
from tests.compat import toys

PACKS = Path(__file__).with_name("packs")
Load = Callable[..., Packs]


Prompt = Mapping[str, Any]


class Bench:
    """An engine that writes down what happens."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.events: list[Event] = []
        self.engine = Engine(registry, emit=self.events.append)
        self.jobs = 0

    def job(self, prompt: Prompt, *targets: str, extra: Mapping[str, Any] | None = None) -> Job:
        """A job for some nodes of a prompt."""
        self.events.clear()
        self.jobs += 1
        return Job(f"job{self.jobs}", prompt, targets=targets or None, extra_data=extra or {})

    def result(self, prompt: Prompt, *targets: str, **more: Any) -> Result:
        """What becomes of a job, of which all outputs are kept."""
        return self.engine.run_sync(self.job(prompt, *targets, **more), keep="all")

    def run(self, prompt: Prompt, *targets: str, extra: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The outputs by node, each a tuple of lists; what failed is raised."""
        result = self.result(prompt, *targets, extra=extra)
        assert result.status == "success", result.error
        return result.outputs

    def fail(self, prompt: Prompt, *targets: str) -> Failed:
        """The failure that a prompt ends in."""
        result = self.result(prompt, *targets)
        assert result.status == "error"
        (failed,) = self.of(Failed)
        return failed

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ran(self) -> list[str]:
        """The nodes that were called in the last run, in order, in the expanded graph."""
        return [event.place.node for event in self.of(Running)]

    async def validated(self, prompt: Prompt) -> Validation:
        """The prompt checked with the nodes' own checks."""
        return await validate_with(prompt, self.registry)


def graph(**nodes: Any) -> dict[str, Any]:
    """A prompt from `name=("Type", {inputs})`; a pair `(name, slot)` among the inputs is a link."""
    return {
        name: {
            "class_type": kind,
            "inputs": {
                key: list(value) if isinstance(value, tuple) else value for key, value in inputs.items()
            },
        }
        for name, (kind, inputs) in nodes.items()
    }


@pytest.fixture
def bench(registry: Registry) -> Iterator[Bench]:
    made = Bench(registry)
    yield made
    made.engine.close()


@pytest.fixture
def behaviours(load: Load, bench: Bench) -> Bench:
    """A bench with the two packs of `tests/compat/packs`."""
    packs = load({}, PACKS)
    assert [each.state for each in packs.reports] == ["loaded", "loaded"]
    return bench


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
def load(host: Host, registry: Registry, tmp_path: Path) -> Iterator[Load]:
    """Writes files given as `{"pack/__init__.py": code}` and loads the packs they make into the registry."""
    loaded: list[Packs] = []

    def write_and_load(files: Mapping[str, str] | None = None, *more: Path, **options: Any) -> Packs:
        folder = tmp_path / "custom_nodes"
        folder.mkdir(exist_ok=True)
        for name, code in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(code))
        loaded.append(load_packs([folder, *more], host, **options))
        for node_type in loaded[-1].node_types:
            registry.add(node_type)
        return loaded[-1]

    yield write_and_load
    for packs in loaded:
        packs.close()
