"""What holds for every test: a skip for a missing tool is a failure in CI."""

import pytest

from tests.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_collection_modifyitems", "pytest_make_collect_report", "pytest_runtest_makereport"]


AGAIN = ("web", "clients")
"""Folders whose tests drive browsers and clients, which may miss a moment on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Such a test may fail once; the report counts how many were run again."""
    for item in items:
        if item.path.parent.name in AGAIN:
            item.add_marker(pytest.mark.flaky(reruns=1))
