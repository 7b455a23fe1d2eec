"""What became of each pack: plain data for the server to show and the command line to print."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["loaded", "failed", "disabled"]


@dataclass(frozen=True)
class PackProblem:
    """One thing that went wrong in a pack.

    where: `"prestartup"`, `"import"`, `"entrypoint"`, or `"node NAME"`.
    file, line, text: the innermost line of the pack's own code, as far as known.
    """

    where: str
    reason: str
    file: str | None = None
    line: int | None = None
    text: str | None = None
    advice: str | None = None

    def __str__(self) -> str:
        place = f" ({self.file}:{self.line})" if self.file else ""
        advice = f" — {self.advice}" if self.advice else ""
        return f"{self.where}: {self.reason}{place}{advice}"


@dataclass(frozen=True)
class PackReport:
    """One pack. `seconds` is its import; `needs` are the placeholders it imports."""

    name: str
    path: str
    kind: Literal["file", "package"]
    state: State
    seconds: float = 0.0
    nodes: tuple[str, ...] = ()
    problems: tuple[PackProblem, ...] = ()
    web_directory: str | None = None
    routes: tuple[str, ...] = ()
    needs: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def problem_of(error: BaseException, where: str, root: Path) -> PackProblem:
    """An exception as a problem of the pack whose files lie under `root` (or are it)."""
    file, line, text = place_of(error, root)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return PackProblem(where, reason, file, line, text, advice_for(error, root))


def place_of(error: BaseException, root: Path) -> tuple[str | None, int | None, str | None]:
    """File, line and text of the pack's innermost line on the way to an exception."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno, (error.text or "").strip() or None
    inside = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(root))
    ]
    if not inside:
        return None, None, None
    return inside[-1].filename, inside[-1].lineno, inside[-1].line


def advice_for(error: BaseException, root: Path) -> str | None:
    """What to do about an exception at import, where we can tell."""
    if isinstance(error, ImportError) and error.name:
        top = error.name.partition(".")[0]
        if top in (
            "comfy",
            "comfy_extras",
            "comfy_execution",
            "comfy_api",
            "nodes",
            "server",
            "execution",
            "folder_paths",
        ):
            return "the pack needs a part of ComfyUI that Nodeloom does not have"
        if isinstance(error, ModuleNotFoundError):
            return install_advice(top, root)
    return None


def install_advice(module: str, root: Path) -> str:
    """How to get a module that is missing: by the pack's own list of requirements if it has one."""
    listed = root / "requirements.txt"
    if listed.is_file():
        return f"install what the pack requires: python -m pip install -r {listed}"
    return f"install the Python package that has the module {module!r}"


def summary(reports: Iterable[PackReport]) -> str:
    """The reports as lines of text, slowest pack first."""
    lines = []
    for each in sorted(reports, key=lambda report: -report.seconds):
        lines.append(f"{each.seconds:7.2f} s  {each.state:8}  {each.name}  ({len(each.nodes)} nodes)")
        lines += [f"            {problem}" for problem in each.problems]
    return "\n".join(lines)
