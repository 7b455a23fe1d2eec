"""The conditioning nodes, called as functions."""

import logging
from typing import Any

import pytest
import torch

from nodes.text import conditioning as nodes


def entry(tokens: int = 3, fill: float = 1.0, **options: Any) -> list[Any]:
    """One entry: an embedding of `tokens` vectors, all `fill`."""
    return [torch.full((1, tokens, 2), fill), options]


def test_combining_lists_the_entries_of_both() -> None:
    a, b = [entry()], [entry(), entry()]
    assert nodes.combine(a, b) == [*a, *b]


def test_concatenating_puts_the_first_entry_behind_each() -> None:
    out = nodes.concat([entry(3, kept=1), entry(2)], [entry(4, 0.0)])
    assert [each[0].shape[1] for each in out] == [7, 6]
    assert out[0][0][0, :, 0].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert out[0][1] == {"kept": 1}


@pytest.mark.parametrize("tokens", [2, 3, 5])
def test_averaging_fills_or_cuts_the_other_to_length(tokens: int) -> None:
    out = nodes.average([entry(3, 1.0)], [entry(tokens, 3.0)], 0.25)
    expected = [0.25 + 0.75 * 3 if place < tokens else 0.25 for place in range(3)]
    assert out[0][0][0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("own", "other", "expected"), [(1.0, 3.0, 2.5), (None, 3.0, 3.0), (1.0, None, 1.0), (None, None, None)]
)
def test_averaging_mixes_pooled_embeddings_where_both_have_one(
    own: float | None, other: float | None, expected: float | None
) -> None:
    def options(fill: float | None) -> dict[str, Any]:
        return {} if fill is None else {"pooled_output": torch.full((1, 2), fill)}

    out = nodes.average([entry(**options(own))], [entry(**options(other))], 0.25)
    pooled = out[0][1].get("pooled_output")
    assert (pooled if pooled is None else pooled[0, 0].item()) == expected


def test_several_entries_where_one_counts_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        nodes.concat([entry()], [entry(), entry()])
    assert "ConditioningConcat: input 'conditioning_from' has several entries" in caplog.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda c: nodes.set_area(c, 64, 128, 8, 16, 0.5),
            {"area": (16, 8, 2, 1), "strength": 0.5, "set_area_to_bounds": False},
        ),
        (
            lambda c: nodes.set_area_percentage_video(c, 0.5, 0.25, 0.9, 0.125, 0.75, 0.1, 2.0),
            {
                "area": ("percentage", 0.9, 0.25, 0.5, 0.1, 0.75, 0.125),
                "strength": 2.0,
                "set_area_to_bounds": False,
            },
        ),
        (
            lambda c: nodes.set_area_percentage(c, 0.5, 0.25, 0.125, 0.75, 2.0),
            {"area": ("percentage", 0.25, 0.5, 0.75, 0.125), "strength": 2.0, "set_area_to_bounds": False},
        ),
        (lambda c: nodes.set_area_strength(c, 0.25), {"strength": 0.25}),
        (lambda c: nodes.set_timestep_range(c, 0.25, 0.5), {"start_percent": 0.25, "end_percent": 0.5}),
    ],
)
def test_what_is_set_stands_in_the_options_of_every_entry(change: Any, expected: dict[str, Any]) -> None:
    original = [entry(kept=1), entry()]
    changed = change(original)
    assert changed[0][1] == {"kept": 1, **expected}
    assert changed[1][1] == expected
    assert original[0][1] == {"kept": 1}


def test_a_mask_is_set_with_a_batch_axis() -> None:
    ((_, options),) = nodes.set_mask([entry()], torch.ones(4, 5), 0.5, set_cond_area="mask bounds")
    assert options["mask"].shape == (1, 4, 5)
    assert (options["mask_strength"], options["set_area_to_bounds"]) == (0.5, True)
    ((_, options),) = nodes.set_mask([entry()], torch.ones(2, 4, 5), set_cond_area="default")
    assert options["set_area_to_bounds"] is False


def test_zeroing_out_keeps_everything_but_the_embeddings() -> None:
    out = nodes.zero_out([entry(pooled_output=torch.ones(1, 2), kept=1), entry()])
    assert out[0][0].abs().sum() == out[0][1]["pooled_output"].abs().sum() == 0
    assert out[0][1]["kept"] == 1
    assert out[1][1] == {}
