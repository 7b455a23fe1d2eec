"""Classes by number as a conditioning."""

from collections.abc import Callable
from typing import Any


def test_a_class_travels_as_an_option(call: Callable[..., Any]) -> None:
    ((entry,),) = call("ClassLabel", label=207)
    assert entry[0].shape == (1, 1, 1)
    assert entry[1] == {"class_label": 207}
