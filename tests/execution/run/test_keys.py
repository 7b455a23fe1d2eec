"""What has the same key, what has not, and what has none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.run.keys import MOST_PARTS, Parts, Source, canonical, fresh_key, has_nan, key_of

ABOVE, OTHER = b"a" * 16, b"b" * 16


def parts(
    constants: Mapping[str, Any] | None = None, links: Mapping[str, Source] | None = None, **more: Any
) -> Parts:
    return Parts("Type", "code", constants or {}, links or {}, **more)


class Size(IntEnum):
    BIG = 3


class Word(StrEnum):
    HI = "hi"


class Pair(NamedTuple):
    left: int
    right: int


DIFFERENT: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 0.0, -0.0, math.inf, math.nan,
    "", "1", "True", "None", b"1",
    [], [1], [[1]], [1, 2], [2, 1], [[], []], [[[]]],
    {}, {"a": 1}, {"a": 1.0}, {"a": [1]}, {"a": 1, "b": 2}, {"1": 1}, {1: 1}, {1}, {1, 2},
]  # fmt: skip


def test_values_that_are_not_the_same_have_different_names() -> None:
    names = [canonical(each) for each in DIFFERENT]
    assert None not in names
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            assert name != other, (name, other)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ((1, 2), [1, 2]),
        (Pair(1, 2), [1, 2]),
        (Size.BIG, 3),
        (Word.HI, "hi"),
        (math.nan, -math.nan),
        ({2, 1}, {1, 2}),
        (frozenset({1}), {1}),
    ],
)
def test_values_that_mean_the_same_have_the_same_name(left: Any, right: Any) -> None:
    assert canonical(left) == canonical(right) or canonical([left]) == canonical([right])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_two_documents_have_one_name_only_if_they_are_equal(left: Any, right: Any) -> None:
    if canonical(left) == canonical(right):
        assert same(left, right)


def same(left: Any, right: Any) -> bool:
    """Equality as keys see it: types count, NaN equals itself, the order of members does not count."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return repr(left) == repr(right)


def test_depth_costs_no_stack_and_something_endless_has_no_name() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert canonical(deep) is not None
    assert not has_nan(deep)
    round_and_round: list[Any] = []
    round_and_round.append(round_and_round)
    assert canonical(round_and_round) is None
    assert not has_nan(round_and_round)
    assert canonical([0] * (MOST_PARTS + 1)) is None


def test_an_unknown_value_has_the_name_the_program_gives_it_or_none() -> None:
    class Thing:
        pass

    assert canonical(Thing()) is None
    assert canonical([1, Thing()]) is None
    named = canonical({"a": Thing()}, lambda value: "7" if isinstance(value, Thing) else None)
    assert named is not None
    assert named != canonical({"a": "7"})
    assert canonical([1, 2], lambda value: "list" if isinstance(value, list) else None) != canonical([1, 2])


def test_a_key_depends_on_each_of_its_parts() -> None:
    some = parts({"a": 1}, {"b": Source(ABOVE, 0)}, fingerprint=1)
    others = [
        some._replace(class_type="Other"),
        some._replace(code="other"),
        some._replace(constants={"a": 2}),
        some._replace(constants={"c": 1}),
        some._replace(constants={"a": 1, "c": 1}),
        some._replace(links={"b": Source(ABOVE, 1)}),
        some._replace(links={"b": Source(OTHER, 0)}),
        some._replace(links={"b": Source(ABOVE, 0, 3)}),
        some._replace(links={"c": Source(ABOVE, 0)}),
        some._replace(links={}),
        some._replace(fingerprint=2),
        some._replace(fingerprint=None),
        some._replace(node_id="5"),
    ]
    keys = [key_of(each) for each in (some, *others)]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert key_of(some) == key_of(some._replace())


def test_the_order_of_inputs_does_not_matter() -> None:
    one = parts({"a": 1, "b": 2}, {"x": Source(ABOVE, 0), "y": Source(OTHER, 0)})
    two = parts({"b": 2, "a": 1}, {"y": Source(OTHER, 0), "x": Source(ABOVE, 0)})
    assert key_of(one) == key_of(two)


@pytest.mark.parametrize(
    "nameless",
    [
        parts({"a": object()}),
        parts(fingerprint=math.nan),
        parts(fingerprint=[1, (2, {"a": {math.nan}})]),
        parts(fingerprint=object()),
    ],
)
def test_what_cannot_be_named_or_always_runs_has_no_key(nameless: Parts) -> None:
    assert key_of(nameless) is None


def test_a_nan_among_the_constants_is_a_constant_like_others() -> None:
    assert key_of(parts({"a": math.nan})) == key_of(parts({"a": float("nan")}))


def test_text_that_no_encoding_holds_still_has_a_key() -> None:
    assert key_of(parts({"a\ud800": "\ud800"})) != key_of(parts({"a\ud800": "\ud801"}))


def test_fresh_keys_are_like_no_other() -> None:
    assert len({fresh_key() for _ in range(100)}) == 100
