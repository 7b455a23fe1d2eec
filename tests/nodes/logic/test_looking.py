"""Any value as text."""

from typing import Any

import pytest
import torch

from nodes.logic.looking import LONGEST, as_text, preview_any


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("plain", "plain"),
        (1, "1"),
        (True, "true"),
        (0.5, "0.5"),
        (None, "null"),
        (["ü"], '[\n    "ü"\n]'),
        (torch.tensor([[0.0, 1.0]]), '"tensor 1×2, float32, 0 … 1, mean 0.5"'),
        (torch.zeros(0), '"tensor 0, float32"'),
        ({1: {2}}, '{\n    "1": [\n        2\n    ]\n}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
    ],
)
def test_a_value_in_words(value: Any, wanted: str) -> None:
    assert as_text(value) == wanted
    outcome = preview_any(value)
    assert (outcome.outputs, outcome.ui) == ((wanted,), {"text": [wanted]})


def test_a_latent_is_described() -> None:
    text = as_text({"samples": torch.ones(1, 4, 8, 8), "batch_index": [0]})
    assert "tensor 1×4×8×8, float32, 1 … 1, mean 1" in text


def test_a_text_without_end_is_shown_cut_and_handed_on_whole() -> None:
    whole = "x" * (LONGEST + 5)
    outcome = preview_any(whole)
    assert outcome.outputs == (whole,)
    assert outcome.ui == {"text": [f"{whole[:LONGEST]} … ({LONGEST + 5} characters)"]}
