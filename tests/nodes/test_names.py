"""File prefixes that speak of the workflow."""

import time

import pytest

from nodes.names import filled

NOW = time.strptime("2031-02-03 04:05:06", "%Y-%m-%d %H:%M:%S")
PROMPT = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 20, "model": ["1", 0]}},
    "4": {"class_type": "KSampler", "inputs": {"seed": 8}, "_meta": {"title": "Second pass"}},
    "5": {"class_type": "Text", "inputs": {"text": "a/b: <c>?"}},
}
WORKFLOW = {"nodes": [{"id": 4, "title": "Mine", "properties": {"Node name for S&R": "upscale"}}]}


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("plain", "plain"),
        ("%date:yyyy-MM-dd%", "2031-02-03"),
        ("%date:yy/M/d hh.mm.ss%", "31/2/3 04.05.06"),
        ("%date:h_m_s%", "4_5_6"),
        ("%KSampler.seed%", "7"),
        ("%Second pass.seed%", "8"),
        ("%upscale.seed%-%Mine.seed%", "8-8"),
        ("%4.seed%", "8"),
        ("%Text.text%", "a_b_ _c__"),
        ("%KSampler.model%", "%KSampler.model%"),
        ("%KSampler.nothing% %Nobody.seed%", "%KSampler.nothing% %Nobody.seed%"),
        ("%width%x%height%", "%width%x%height%"),
        ("100% sure", "100% sure"),
    ],
)
def test_what_stands_between_percent_signs_is_filled_in(prefix: str, expected: str) -> None:
    assert filled(prefix, PROMPT, WORKFLOW, NOW) == expected


def test_without_a_prompt_nothing_is_known() -> None:
    assert filled("%KSampler.seed%", None, None, NOW) == "%KSampler.seed%"
