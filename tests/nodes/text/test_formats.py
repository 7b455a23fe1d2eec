"""Values go into texts by their letters, and come out of JSON by their keys."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.text.formats import filled, first_object, json_extract


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{a}; {b}", "1.5; word"),
        ("cx: {a:.3f}", "cx: 1.500"),
        ('{{"x": {a}}}', '{"x": 1.5}'),
        ("{b:>6}|", "  word|"),
        ("none", "none"),
    ],
)
def test_values_stand_in_the_places_of_their_letters(template: str, text: str) -> None:
    assert filled(template, {"a": 1.5, "b": "word"}) == text


@pytest.mark.parametrize("template", ["{c}", "{a.__class__}", "{a[0]}", "{}", "{0}", "{a!r.x}", "{"])
def test_other_places_are_refused(template: str) -> None:
    with pytest.raises(ValueError):
        filled(template, {"a": 1.5, "b": "word"})


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ('{"mu": 0.5}', "mu", "0.5"),
        ('Here:\n```json\n{"prompt": "a {cat}"}\n```', "prompt", "a {cat}"),
        ('{no} {"a": {"b": 1}}', "a", "{'b': 1}"),
        ('{"a": null}', "a", ""),
        ("nothing", "a", ""),
        ('{"a": 1}', "b", ""),
        ("[" * 100_000 + "{", "a", ""),
    ],
)
def test_the_first_object_of_a_text_is_read(text: str, key: str, value: str) -> None:
    assert json_extract(text, key) == value


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_any_object_is_found_again_among_words(values: dict[str, object]) -> None:
    assert first_object(f"words {json.dumps(values)} words") == values
