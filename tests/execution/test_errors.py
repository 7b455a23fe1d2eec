"""Errors carry facts and say what to do."""

from __future__ import annotations

import inspect

from execution import errors
from execution.errors import (
    DeclarationError,
    DependencyCycle,
    FileMissing,
    NodeloomError,
    OutsideRoot,
)


def test_all_errors_but_a_cancel_are_of_one_tree_which_the_docstring_draws() -> None:
    kinds = [
        each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__
    ]
    for kind in kinds:
        assert kind.__name__ in (errors.__doc__ or ""), kind
        assert issubclass(kind, NodeloomError) or kind is errors.Cancelled


def test_messages_name_the_place_and_the_cure() -> None:
    messages = {
        str(DeclarationError("A", "x", "is bad", "do this")): "node 'A', parameter 'x': is bad; do this",
        str(DeclarationError("A", None, "is bad", "do this")): "node 'A': is bad; do this",
        str(DependencyCycle(["1", "2"])): "dependency cycle between nodes 1 -> 2 -> 1",
        str(OutsideRoot("vae", "../x")): "'../x' is not inside the 'vae' folder; use a name relative to it",
        str(FileMissing("vae", "x", ["y"])): "no file 'x' in the 'vae' folder; did you mean 'y'?",
    }
    for said, expected in messages.items():
        assert said == expected
