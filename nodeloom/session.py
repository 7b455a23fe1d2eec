"""The engine from Python: everything loaded in this process, workflows in, values and files out."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from execution.cancel import CancelToken
from execution.check.validation import Validation, validate
from execution.events import Emit, Event, Failed
from execution.job import Job
from nodeloom.arguments import parse
from nodeloom.documents import Document, document, read
from nodeloom.parts import Parts, build_parts
from nodeloom.serving import option

Workflow = str | Path | Mapping[str, Any] | Document
"""A file's path, a JSON value of either form, or a document that was read before."""


class Refused(Exception):
    """A workflow that cannot run: the text names nodes and inputs, `validation` has it as data."""

    def __init__(self, validation: Validation) -> None:
        """Describe what validation found."""
        self.validation = validation
        super().__init__("\n".join(problems(validation)))


class RunFailed(Exception):
    """A node raised, or the run was cancelled; `result` has what was computed before."""

    def __init__(self, text: str, result: Result) -> None:
        """Keep the message and the result."""
        self.result = result
        super().__init__(text)


@dataclass(frozen=True)
class Result:
    """What a run gave: `outputs[node]` by slot, each a list of values; `ui[node]` what it shows."""

    status: str
    outputs: Mapping[str, tuple[list[Any], ...]]
    ui: Mapping[str, Any]
    executed: tuple[str, ...]
    cached: tuple[str, ...]
    files: tuple[Path, ...] = field(default=())

    def value(self, node: str, slot: int = 0) -> Any:
        """The first value of an output."""
        return self.outputs[node][slot][0]


class Engine:
    """Runs workflows in this process; what one run computed, the next finds.

    Options are those of the command line, with underscores: `Engine(models="m", precision="fp32", cpu=True)`.
    """

    def __init__(self, *, on_event: Emit | None = None, **options: Any) -> None:
        """Load node types and packs. `on_event` hears every fact about every run.

        Raises:
            BadOption: an option cannot be followed.
        """
        self._open(parse(words(options)), on_event)

    @classmethod
    def of(cls, options: argparse.Namespace, on_event: Emit | None = None) -> Engine:
        """An engine with options that are parsed already."""
        engine = cls.__new__(cls)
        engine._open(options, on_event)
        return engine

    def _open(self, options: argparse.Namespace, on_event: Emit | None) -> None:
        self._listeners: list[Emit] = [on_event] if on_event else []
        self.parts: Parts = build_parts(options, emit=self._tell, previews_wanted=lambda: False)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        self.parts.close()

    def read(self, workflow: Workflow) -> Document:
        """The prompt of a workflow in any form.

        Raises:
            BadDocument: it is none.
        """
        if isinstance(workflow, Document):
            return workflow
        specs, replacements = self.parts.registry.specs(), self.parts.replacements
        if isinstance(workflow, str | Path):
            return read(Path(workflow), specs, replacements)
        return document("workflow", workflow, specs, replacements=replacements)

    def lint(self, workflow: Workflow, targets: Collection[str] | None = None) -> Validation:
        """What is wrong with a workflow, without running it."""
        prompt = self.read(workflow).prompt
        return validate(
            prompt, self.parts.registry.specs(), targets, self.parts.folders, any_node=bool(targets)
        )

    def explain(self, workflow: Workflow) -> Any:
        """For each node whether it would run, and what of its key differs from the last run."""
        return self.parts.engine.explain(self.read(workflow).prompt)

    def run(
        self,
        workflow: Workflow,
        *,
        targets: Collection[str] | None = None,
        keep: Collection[str] | str = (),
        cancel: CancelToken | None = None,
        on_event: Emit | None = None,
    ) -> Result:
        """Run a workflow: all its output nodes, or just `targets` (any nodes), whose values are returned.

        `keep` names further nodes whose values to return, or is `"all"`.

        Raises:
            BadDocument: the file or value is no workflow.
            Refused: it is invalid.
            RunFailed: a node raised, or `cancel` was used.
        """
        found = self.read(workflow)
        checked = self.lint(found, targets)
        if not checked.ok:
            raise Refused(checked)
        wanted = tuple(targets or checked.outputs)
        kept = keep if isinstance(keep, str) else (*wanted, *keep)
        job = Job(uuid.uuid4().hex, found.prompt, wanted, found.extra_data)
        failures: list[Failed] = []
        listeners = [
            lambda event: failures.append(event) if isinstance(event, Failed) else None,
            *filter(None, [on_event]),
        ]
        self._listeners += listeners
        try:
            given = self.parts.engine.run_sync(job, cancel=cancel, keep=kept)
        finally:
            del self._listeners[-len(listeners) :]
        result = Result(
            given.status, given.outputs, given.ui, given.executed, given.cached, self._files(given.ui)
        )
        if result.status != "success":
            raise RunFailed(failure(failures, result.status), result)
        return result

    def _tell(self, event: Event) -> None:
        for listener in list(self._listeners):
            listener(event)

    def _files(self, ui: Mapping[str, Any]) -> tuple[Path, ...]:
        """The files that nodes say they saved."""
        found = []
        for shown in ui.values():
            for items in shown.values():
                for item in items if isinstance(items, list | tuple) else ():
                    if isinstance(item, Mapping) and {"filename", "type"} <= item.keys():
                        root = self.parts.folders.roots.get(item["type"])
                        found += [root / item.get("subfolder", "") / item["filename"]] if root else []
        return tuple(found)


def words(options: Mapping[str, Any]) -> list[str]:
    """Options of Python's spelling as words of the command line."""
    found: list[str] = []
    for name, given in options.items():
        if given is None or given is False:
            continue
        found.append(option(name))
        if given is not True:
            found += [str(each) for each in (given if isinstance(given, list | tuple) else [given])]
    return found


def problems(checked: Validation) -> list[str]:
    """What validation found, a line each: node, type, message, details."""
    lines = []
    for node, errors in checked.node_errors.items():
        for each in errors["errors"]:
            said = f"node {node} ({errors['class_type']}): {each['message']}: {each['details']}".rstrip(": ")
            advice = each.get("extra_info", {}).get("advice")
            lines.append(f"{said}. {advice}" if advice else said)
    if checked.error is not None and (
        not lines or checked.error["type"] != "prompt_outputs_failed_validation"
    ):
        lines.insert(0, f"{checked.error['message']}: {checked.error['details']}".rstrip(": "))
    return lines


def failure(failures: list[Failed], status: str) -> str:
    """One line that says why a run did not succeed."""
    for each in failures:
        where = f"node {each.place.real_node} ({each.place.class_type})"
        return f"{where}: {each.exception_type}: {each.exception_message}"
    return f"the run was {status}"
