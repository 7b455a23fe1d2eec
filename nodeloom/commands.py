"""What the command line does beside serving: run, lint, explain, nodes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from execution.events import Cached, Done, Event, Failed, Noticed, Progress, Running, Started
from nodeloom.documents import BadDocument, change
from nodeloom.places import BadOption

if TYPE_CHECKING:
    from tqdm import tqdm

    from nodeloom.session import Engine, Result

FAILED, WRONG = 1, 2
"""Exit codes: a run or check that failed; a command that could not be followed."""


def run(options: argparse.Namespace) -> int:
    """Run each file in one engine; says what was saved. Stops at the first that fails."""
    from nodeloom.session import Refused, RunFailed

    with opened(options) as engine:
        for path in options.files:
            found = change(engine.read(path), options.settings)
            started = time.monotonic()
            try:
                with progress_bar(path.name, options.quiet) as show:
                    result = engine.run(found, keep="all" if options.dump else (), on_event=show)
            except (Refused, RunFailed) as error:
                print(f"{path}: {error}", file=sys.stderr)
                return FAILED
            seconds = time.monotonic() - started
            ran, kept = len(result.executed), len(result.cached)
            print(f"{path}: {ran} nodes run, {kept} found in the cache, {seconds:.1f} s")
            for file in result.files:
                print(f"  {file}")
            if options.dump:
                dump(result, options.dump / found.name)
    return 0


def dump(result: Result, folder: Path) -> None:
    """Write every node's tensors as `FOLDER/NODE.safetensors`, named `SLOT.PATH`."""
    from safetensors.torch import save

    from execution.files.folders import atomic_write
    from nodes.values import named_tensors

    folder.mkdir(parents=True, exist_ok=True)
    for node, outputs in result.outputs.items():
        tensors = named_tensors(outputs)
        if tensors:
            with atomic_write(folder / f"{node.replace(':', '_')}.safetensors") as file:
                file.write(save(tensors))


def lint(options: argparse.Namespace) -> int:
    """Say what is wrong with each file; all are looked at."""
    from nodeloom.session import problems

    worst = 0
    with opened(options) as engine:
        for path in options.files:
            try:
                checked = engine.lint(path)
            except BadDocument as error:
                print(error)
                worst = FAILED
                continue
            found = problems(checked)
            print(f"{path}: " + ("fine" if not found else f"{len(found)} problems"))
            for line in found:
                print(f"  {line}")
            worst = max(worst, FAILED if found else 0)
    return worst


def explain(options: argparse.Namespace) -> int:
    """Say what each node would do, and why."""
    with opened(options) as engine:
        print(json.dumps(engine.explain(options.files[0]), indent=2, ensure_ascii=False, default=str))
    return 0


def nodes(options: argparse.Namespace) -> int:
    """List the node types, or show one."""
    with opened(options) as engine:
        specs = engine.parts.registry.specs()
        if options.action == "list":
            for name, spec in sorted(specs.items()):
                print(f"{name:40} {spec.category:28} {spec.display_name or ''}".rstrip())
            return 0
        if options.name not in specs:
            near = get_close_matches(options.name, specs, 3)
            hint = f"did you mean {', '.join(near)}?" if near else "`nodes list` lists them"
            raise BadOption(f"there is no node type {options.name!r}; {hint}")
        shown = specs[options.name].object_info(engine.parts.folders.list)
        print(json.dumps({options.name: shown}, indent=2, ensure_ascii=False))
    return 0


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Engine]:
    """An engine with these options, closed at the end."""
    from nodeloom.session import Engine

    engine = Engine.of(options)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Any]:
    """A bar over a run's nodes, fed by its events; shown on a terminal only."""
    from tqdm import tqdm

    with tqdm(desc=title, unit="node", disable=True if quiet else None, leave=False) as bar:
        yield lambda event: move(bar, event)


def move(bar: tqdm[Any], event: Event) -> None:
    """Show one fact on the bar."""
    if isinstance(event, Started):
        bar.total = len(event.nodes)
        bar.refresh()
    elif isinstance(event, Cached):
        bar.update(len(event.nodes))
    elif isinstance(event, Running):
        bar.set_postfix_str(event.place.class_type)
    elif isinstance(event, Progress):
        bar.set_postfix_str(f"{event.place.class_type} {event.value:g}/{event.maximum:g}")
    elif isinstance(event, Noticed):
        bar.write(
            f"{event.place.class_type} (node {event.place.real_node}): {event.message}", file=sys.stderr
        )
    elif isinstance(event, Done) and not event.cached:
        bar.update()
    elif isinstance(event, Failed):
        bar.set_postfix_str("failed")
