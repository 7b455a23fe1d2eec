"""Pictures to look at: one after the other, laid as said, at sizes that Kontext knows."""

from typing import Any

import pytest
import torch

from nodes.control import references


def entry(**options: Any) -> list[Any]:
    return [torch.zeros(1, 2, 3), options]


def test_references_are_added_behind_those_before() -> None:
    first, second = {"samples": torch.zeros(1, 16, 2, 2)}, {"samples": torch.ones(1, 16, 2, 2)}
    once = references.look_at([entry(kept=1)], first)
    twice = references.look_at(once, second)
    assert len(once[0][1]["reference_latents"]) == 1
    assert [each.max().item() for each in twice[0][1]["reference_latents"]] == [0, 1]
    assert twice[0][1]["kept"] == 1
    assert references.look_at(once, None) is once


@pytest.mark.parametrize(("choice", "method"), [("offset", "offset"), ("index", "index"), ("uxo/uno", "uxo")])
def test_how_they_lie_is_said(choice: str, method: str) -> None:
    assert references.lay_references([entry()], choice)[0][1] == {"reference_latents_method": method}


@pytest.mark.parametrize(
    ("width", "height", "found"),
    [(80, 80, (1024, 1024)), (160, 90, (1392, 752)), (90, 160, (752, 1392)), (500, 10, (1568, 672))],
)
def test_a_picture_gets_the_nearest_shape_that_kontext_knows(
    width: int, height: int, found: tuple[int, int]
) -> None:
    image = references.scale_for_kontext(torch.rand(1, height, width, 3))
    assert (image.shape[2], image.shape[1]) == found
