"""Dates and values of other nodes in names of files."""

from datetime import datetime
from typing import Any

import pytest

from workflows.file_names import dated, spelt, with_names_replaced, writes_files

NOW = datetime(2024, 3, 5, 7, 8, 9)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [("yyyy-MM-dd", "2024-03-05"), ("yy/M/d", "24/3/5"), ("hh:mm:ss", "07:08:09"), ("h m s", "7 8 9")],
)
def test_a_date_is_spelt_by_its_pattern(pattern: str, meant: str) -> None:
    assert dated(pattern, NOW) == meant


def test_marks_are_filled_in_and_unknown_ones_stay() -> None:
    values: dict[tuple[str, str], Any] = {("KSampler", "seed"): 7, ("Text", "text"): 'a/b:c"d'}

    def lookup(node: str, widget: str) -> Any:
        return values.get((node, widget))

    text = "%date:yyyy%/%KSampler.seed%-%Text.text%-%Nobody.x%-%plain%"
    assert with_names_replaced(text, NOW, lookup) == "2024/7-a_b_c_d-%Nobody.x%-%plain%"


@pytest.mark.parametrize(
    ("value", "meant"), [(1.0, "1"), (1.5, "1.5"), (True, "true"), (None, ""), ("x", "x"), (3, "3")]
)
def test_values_are_spelt_as_the_editor_does(value: Any, meant: str) -> None:
    assert spelt(value) == meant


def test_only_nodes_that_write_files_have_their_names_filled_in() -> None:
    assert writes_files({"type": "SaveImage"})
    assert not writes_files({"type": "PreviewImage"})
