"""How much of each floor the tests run, held against what was reached before: `python -m tests.floors`.

Reads what `coverage run` (see pyproject.toml) and the tests of `web/core` left in `.cache/coverage`.
`floors.toml` holds a percentage of lines for each floor: below it the command fails.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parent.parent
FLOORS = Path(__file__).with_suffix(".toml")
SCRIPT_LINES = ROOT / ".cache" / "coverage" / "core.lcov"
SLACK = 1.0
"""Percent by which a floor may lie under what is measured before it should be raised."""


@dataclass(frozen=True)
class Share:
    """Lines that were run, of all that could be."""

    run: int = 0
    all: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.run + other.run, self.all + other.all)

    @property
    def percent(self) -> float:
        """Of no lines nothing was run: a floor that was not measured does not pass."""
        return 100 * self.run / self.all if self.all else 0.0


def python_lines() -> dict[str, Share]:
    """By the file's path: what `coverage` saw, in all processes."""
    report = ROOT / ".cache" / "coverage" / "report.json"
    measured = Coverage()
    measured.combine(keep=True)
    measured.json_report(outfile=str(report))
    files = json.loads(report.read_text())["files"]
    return {
        name: Share(each["summary"]["covered_lines"], each["summary"]["num_statements"])
        for name, each in files.items()
    }


def script_lines(lcov: str, folder: Path) -> dict[str, Share]:
    """By the file's path: what Node.js saw, in lcov's form; of a script that no test loads no line is run."""
    found = {
        path.relative_to(ROOT).as_posix(): Share(0, len(path.read_text().splitlines()))
        for path in folder.rglob("*.js")
    }
    name, run = "", 0
    for line in lcov.splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            name = (ROOT / value).resolve().relative_to(ROOT).as_posix()
        elif key == "LH":
            run = int(value)
        elif line == "end_of_record":
            found[name] = Share(run, found[name].all)
    return found


def by_floor(files: Mapping[str, Share], floors: Iterable[str]) -> dict[str, Share]:
    """The files of each floor together."""
    return {
        floor: sum((share for name, share in files.items() if name.startswith(f"{floor}/")), Share())
        for floor in floors
    }


def problems(measured: Mapping[str, Share], least: Mapping[str, float]) -> list[str]:
    """What is wrong: each floor that fell below what it had reached."""
    return [
        f"{floor}: {share.percent:.1f}% of lines are run, {least[floor]:.1f}% were; write the missing tests"
        for floor, share in measured.items()
        if share.percent < least[floor]
    ]


def main() -> int:
    """Prints the table; 1 when a floor has fallen."""
    least: dict[str, float] = tomllib.loads(FLOORS.read_text())
    lcov = SCRIPT_LINES.read_text() if SCRIPT_LINES.exists() else ""
    measured = by_floor(python_lines() | script_lines(lcov, ROOT / "web" / "core"), least)
    for floor, share in measured.items():
        more = "  (raise it)" if share.percent > least[floor] + SLACK else ""
        print(f"{floor:10} {share.percent:5.1f}% of {share.all:5} lines, at least {least[floor]:.1f}%{more}")
    found = problems(measured, least)
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
