"""A family is named in its own folder and in the list, and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffusion.families import NAMES, families

ROOM = Path(__file__).parents[3] / "diffusion"
THEIRS = {ROOM / "latents" / "latent_format.py", ROOM / "text" / "recipes.py"}
"""Spaces of latents and ways to read texts have names of their own, some of which are the same."""

OWN = {ROOM / "families" / "__init__.py", *THEIRS}
OTHERS = [
    path
    for path in sorted(ROOM.rglob("*.py"))
    if path not in OWN and not any(ROOM / "families" / name in path.parents for name in NAMES)
]


def words(path: Path) -> Iterator[str]:
    """The texts that stand in a file, and the modules that it imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOM)))
def test_no_other_file_names_a_family(path: Path) -> None:
    named = {family.name for family in families()}
    folders = {f"diffusion.families.{name}" for name in NAMES}
    found = set(words(path))
    assert not found & named
    assert not any(word.startswith(folder) for word in found for folder in folders)


def test_every_folder_is_listed() -> None:
    folders = {path.parent.name for path in (ROOM / "families").glob("*/__init__.py")}
    assert folders == set(NAMES)
