"""Errors are one tree, which its docstring draws; raised for real, they name the place and the cure."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from execution import errors
from execution.declare.node import node
from execution.errors import (
    Cancelled,
    DeclarationError,
    DependencyCycle,
    DuplicateNode,
    FileMissing,
    FolderError,
    NodeloomError,
    OutsideRoot,
)
from execution.files.folders import Folders
from execution.run.graph import Graph, ordered
from tests.drawn_trees import drawn, real


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    assert drawn(errors.__doc__ or "") == real(errors)


def test_a_cancel_is_no_error_that_a_node_could_swallow() -> None:
    assert not issubclass(Cancelled, Exception)
    others = real(errors).keys() - {"Cancelled"}
    assert all(issubclass(getattr(errors, kind), NodeloomError) for kind in others)


def test_a_wrong_declaration_names_node_parameter_and_cure() -> None:
    with pytest.raises(DeclarationError) as raised:

        @node("Odd", category="x")
        def odd(size) -> int:  # type: ignore[no-untyped-def]
            """Odd."""

    assert (raised.value.node, raised.value.parameter) == ("Odd", "size")
    said = "node 'Odd', parameter 'size': has no annotation; write its type, such as `: int`"
    assert str(raised.value) == said
    assert str(DeclarationError("A", None, "is bad", "do this")) == "node 'A': is bad; do this"


def test_nodes_that_wait_for_one_another_are_named_in_a_round() -> None:
    with pytest.raises(DependencyCycle) as raised:
        list(ordered(["1"], lambda name: {"1": ["2"], "2": ["3"], "3": ["2"]}[name]))
    assert set(raised.value.nodes) == {"2", "3"}
    first = raised.value.nodes[0]
    assert str(raised.value).endswith(f"-> {first}"), "the round is closed"


def test_an_expansion_that_takes_an_id_twice_says_which() -> None:
    graph = Graph({"1": {"class_type": "A", "inputs": {}}})
    with pytest.raises(DuplicateNode) as raised:
        graph.expand("1", {"1": {"class_type": "B", "inputs": {}}})
    assert raised.value.node == "1"
    assert "prefix" in str(raised.value)


def test_files_that_are_not_there_or_outside_are_told_apart(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    vae = tmp_path / "models" / "vae"
    vae.mkdir(parents=True)
    (vae / "kl-f8.safetensors").touch()
    with pytest.raises(FileMissing, match=r"did you mean 'kl-f8\.safetensors'") as missing:
        folders.resolve("vae", "kl-f9.safetensors")
    with pytest.raises(OutsideRoot, match="use a name relative to it") as outside:
        folders.resolve("vae", "../x")
    for error in (missing.value, outside.value):
        assert isinstance(error, FolderError)
        assert error.kind == "vae"
    assert missing.value.nearest == ("kl-f8.safetensors",)
    assert "nothing like it" in str(FileMissing("vae", "x"))


def test_errors_without_facts_survive_a_pickle() -> None:
    for kind in (errors.WorkflowError, errors.ChannelClosed, errors.GraphError):
        assert str(pickle.loads(pickle.dumps(kind("said")))) == "said"
