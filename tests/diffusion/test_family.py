"""What a family says is written down, field by field."""

from dataclasses import fields
from pathlib import Path

import pytest

from diffusion.family import Family, having, lacking
from tests.diffusion.small_models import as_weights
from tests.diffusion.small_runs import family

PAGE = (Path(__file__).parents[2] / "docs" / "families.md").read_text("utf-8")


@pytest.mark.parametrize("name", [field.name for field in fields(Family)])
def test_every_field_has_its_row(name: str) -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|")]
    assert any(f"`{name}`" in row for row in rows)


def test_signs_say_what_a_file_misses() -> None:
    weights = as_weights({})
    assert (having("a", "b").words, having("a").holds(weights)) == ("a or b", False)
    assert (lacking("a").words, lacking("a").holds(weights)) == ("no a", True)
    assert family("zero123").missing(weights) == ["input_blocks.0.0.weight", "cc_projection.weight"]


def test_points_around_the_network_are_every_familys() -> None:
    assert family("sd1").has("guidance.after")
    assert family("sd1").has("attention.self.attend")
    assert not family("sd1").has("nowhere")
