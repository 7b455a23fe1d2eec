"""Errors name the file, say what is wrong and what to do, and carry the facts for others to show."""

from pathlib import Path

import pytest

from diffusion import errors
from diffusion.errors import DiffusionError, FileProblem, OutOfMemory, UnknownModel
from diffusion.weights.files import open_weights
from tests.drawn_trees import drawn, real

FILE = Path("/somewhere/models/x.safetensors")
ERRORS = (
    FileProblem(FILE, "It is cut short."),
    UnknownModel(FILE, "Nothing fits:", ["SD 1.x: it has not y"], "Choose another."),
    OutOfMemory("cpu", "decoding"),
)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_says_what_to_do(error: DiffusionError) -> None:
    assert isinstance(error, DiffusionError)
    assert error.advice  # type: ignore[attr-defined]
    assert error.advice in str(error)  # type: ignore[attr-defined]


def test_a_file_is_named_without_its_folders() -> None:
    for error in ERRORS[:2]:
        assert "x.safetensors" in str(error)
        assert "/somewhere" not in str(error), "where files lie is nobody else's business"


def test_the_nearest_families_stand_one_a_line() -> None:
    assert "Nothing fits:\n  - SD 1.x: it has not y\nChoose another." in str(ERRORS[1])


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    assert drawn(errors.__doc__ or "") == real(errors)


def test_a_broken_file_is_named_with_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(FileProblem) as raised:
        open_weights(path)
    assert raised.value.path == path
    assert str(raised.value) == f"broken.safetensors: {raised.value.problem} {raised.value.advice}"
    assert raised.value.problem
