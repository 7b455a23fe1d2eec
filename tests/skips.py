"""Skips in CI: a test that is left out because a tool is missing fails there, whichever way it was left out.

`CI` or `NODELOOM_CI` set to anything but an empty text, `0` or `false` means CI. What stays a skip there is a
fact of the machine that no set-up can change; each is listed here with its reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from types import MappingProxyType

import pytest

FACTS: Mapping[str, str] = MappingProxyType(
    {
        r"spandrel, which knows more, (is not installed|does not import)": (
            "spandrel brings torchvision, which has no build beside every build of torch; "
            "tests with a stand-in for it run everywhere"
        ),
    }
)
"""What the reason of a skip begins with → why it stays a skip in CI."""


def in_ci(environment: Mapping[str, str]) -> bool:
    """Whether these variables say that this is CI."""
    return any(environment.get(name, "") not in {"", "0", "false"} for name in ("CI", "NODELOOM_CI"))


def fail_if_a_tool_is_missing(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns the report of a skip into that of a failure, in CI and unless it is one of the facts."""
    if report.outcome != "skipped" or hasattr(report, "wasxfail") or not in_ci(os.environ):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if any(re.match(fact, reason) for fact in FACTS):
        return
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was left out, which CI does not allow: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip of one test: by its mark, or by a call in it or in one of its fixtures."""
    report = yield
    fail_if_a_tool_is_missing(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A skip of a whole file, as `pytest.importorskip` makes at its top."""
    report = yield
    fail_if_a_tool_is_missing(report)
    return report
