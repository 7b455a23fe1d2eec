"""What is kept, what goes first, and how bytes are counted."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.files.identity import trace_of
from execution.run.cache import (
    LEAST_BYTES,
    Budgeted,
    Entry,
    LastUsed,
    NoCache,
    cache_for,
    python_storages,
)


def sized(value: Any) -> Mapping[Hashable, int]:
    """Takes an entry's outputs for a list of (storage, bytes)."""
    return dict(item for column in value for item in column)


def entry(*storages: tuple[str, int], seconds: float = 1.0, kind: str = "A") -> Entry:
    return Entry(([*storages],), seconds=seconds, class_type=kind)


def key(name: str) -> bytes:
    return name.encode()


def put(cache: Budgeted, name: str, size: int, seconds: float = 1.0) -> None:
    cache.put(key(name), entry((name, size), seconds=seconds))


def names(cache: Budgeted, among: str = "abcdefgh") -> str:
    return "".join(name for name in among if cache.has(key(name)))


def test_what_is_put_is_there_and_what_is_discarded_is_not() -> None:
    cache = Budgeted(10_000, sized)
    kept = entry(("a", 100))
    cache.put(key("a"), kept)
    assert cache.get(key("a")) is kept
    assert cache.get(key("b")) is None
    cache.discard(key("a"))
    cache.discard(key("a"))
    assert cache.get(key("a")) is None
    assert (len(cache), cache.bytes) == (0, 0)


def test_a_storage_that_entries_share_is_counted_once() -> None:
    cache = Budgeted(100_000, sized)
    cache.put(key("a"), entry(("shared", 1000), ("own", 10)))
    cache.put(key("b"), entry(("shared", 1000)))
    assert cache.bytes == 1010 + 2 * LEAST_BYTES
    cache.discard(key("a"))
    assert cache.bytes == 1000 + LEAST_BYTES
    cache.discard(key("b"))
    assert cache.bytes == 0


def test_putting_again_replaces() -> None:
    cache = Budgeted(100_000, sized)
    put(cache, "a", 100)
    put(cache, "a", 300)
    assert cache.bytes == 300 + LEAST_BYTES


def test_the_budget_is_kept_and_what_is_cheap_to_compute_again_goes_first() -> None:
    cache = Budgeted(3000 + 3 * LEAST_BYTES, sized)
    put(cache, "a", 1000, seconds=10)
    put(cache, "b", 1000, seconds=0.1)
    put(cache, "c", 1000, seconds=5)
    put(cache, "d", 1000, seconds=5)
    assert names(cache) == "acd"


def test_of_equal_seconds_the_biggest_goes_first() -> None:
    cache = Budgeted(5000, sized)
    put(cache, "a", 300)
    put(cache, "b", 3000)
    put(cache, "c", 1000)
    put(cache, "d", 500)
    assert names(cache) == "acd"


def test_age_wears_worth_away() -> None:
    cache = Budgeted(2000 + 2 * LEAST_BYTES, sized)
    put(cache, "a", 1000, seconds=3)
    for index in range(40):
        put(cache, f"x{index}", 1000, seconds=1)
    assert not cache.has(key("a"))


def test_use_makes_young_again() -> None:
    cache = Budgeted(2000 + 2 * LEAST_BYTES, sized)
    put(cache, "a", 1000, seconds=3)
    for index in range(40):
        put(cache, f"x{index}", 1000, seconds=1)
        assert cache.get(key("a")) is not None


def test_much_use_of_a_few_entries_gathers_nothing() -> None:
    cache = Budgeted(10_000, sized)
    put(cache, "a", 10)
    for _ in range(1000):
        cache.get(key("a"))
    assert len(cache._heap) < 100
    assert cache.free() == 10 + LEAST_BYTES


def test_what_belongs_to_the_last_run_goes_last() -> None:
    cache = Budgeted(3000 + 3 * LEAST_BYTES, sized)
    put(cache, "a", 1000, seconds=0.01)
    put(cache, "b", 1000, seconds=100)
    put(cache, "c", 1000, seconds=50)
    cache.begin([key("a"), key("x")])
    put(cache, "d", 1000, seconds=1)
    assert names(cache) == "abd"
    put(cache, "e", 1000, seconds=1)
    assert names(cache) == "ade"
    put(cache, "f", 1000, seconds=1)
    assert names(cache) == "def"


def test_what_is_bigger_than_the_budget_is_not_kept_and_costs_nobody_a_place() -> None:
    cache = Budgeted(2000, sized)
    put(cache, "a", 1000)
    put(cache, "b", 5000)
    assert names(cache) == "a"


def test_bytes_are_given_back_the_least_worth_first_or_all() -> None:
    cache = Budgeted(100_000, sized)
    put(cache, "a", 1000, seconds=9)
    put(cache, "b", 1000, seconds=1)
    put(cache, "c", 1000, seconds=5)
    assert cache.free(500) == 1000 + LEAST_BYTES
    assert names(cache) == "ac"
    assert cache.free() == 2 * (1000 + LEAST_BYTES)
    assert (len(cache), cache.bytes) == (0, 0)
    assert cache.free() == 0


def test_the_last_used_are_kept_whatever_their_worth() -> None:
    cache = LastUsed(2, sized)
    cache.begin([key("a")])
    put(cache, "a", 10**9, seconds=100)
    put(cache, "b", 1, seconds=0)
    cache.get(key("a"))
    put(cache, "c", 1)
    assert names(cache) == "ac"
    assert cache.stats()["policy"] == "lru:2"


def test_no_cache_keeps_nothing() -> None:
    cache = NoCache()
    cache.begin([key("a")])
    cache.put(key("a"), entry())
    cache.discard(key("a"))
    assert (cache.get(key("a")), cache.has(key("a")), cache.free()) == (None, False, 0)
    assert cache.stats() == {"policy": "none", "entries": 0, "bytes": 0}
    assert not cache.shares


def test_the_state_is_shown_by_type() -> None:
    cache = Budgeted(100_000, sized)
    cache.put(key("a"), entry(("a", 1000), seconds=2, kind="Load"))
    cache.put(key("b"), entry(("b", 10), seconds=1, kind="Load"))
    cache.get(key("a"))
    cache.get(key("x"))
    assert cache.stats() == {
        "policy": "classic",
        "entries": 2,
        "bytes": 1010 + 2 * LEAST_BYTES,
        "budget_bytes": 100_000,
        "hits": 1,
        "misses": 1,
        "evictions": 0,
        "types": {"Load": {"entries": 2, "bytes": 1000 + LEAST_BYTES, "seconds": 3.0}},
    }


def test_policies_have_names() -> None:
    assert isinstance(cache_for("none", 1), NoCache)
    assert isinstance(cache_for("lru:5", 1), LastUsed)
    classic = cache_for("classic", 77)
    assert isinstance(classic, Budgeted)
    assert classic.budget_bytes == 77
    for wrong in ("lru", "lru:0", "lru:x", "classic:1", "best", ""):
        with pytest.raises(ValueError, match="use classic, lru:N or none"):
            cache_for(wrong, 1)


def test_python_objects_are_counted_with_what_is_in_them_once_each() -> None:
    text = "x" * 1000
    assert sum(python_storages([text, text, {"a": text}]).values()) < 2 * 1000
    assert sum(python_storages({"a": ["x" * 1000], "b": ("y" * 1000, {"z" * 1000})}).values()) > 3000


@settings(max_examples=200)
@given(
    st.integers(1000, 20_000),
    st.lists(
        st.tuples(
            st.sampled_from(["put", "get", "discard", "begin", "free"]),
            st.sampled_from("abcdefghijkl"),
            st.integers(0, 6000),
            st.floats(0, 100),
        ),
        max_size=60,
    ),
)
def test_whatever_happens_the_count_is_right_and_within_the_budget(
    budget: int, steps: list[tuple[str, str, int, float]]
) -> None:
    cache = Budgeted(budget, sized)
    sizes: dict[str, int] = {}
    for what, name, size, seconds in steps:
        if what == "put":
            sizes[name] = size
            cache.put(key(name), entry((f"{name}{size}", size), ("shared", 500), seconds=seconds))
        elif what == "get":
            cache.get(key(name))
        elif what == "discard":
            cache.discard(key(name))
        elif what == "begin":
            cache.begin([key(name)])
        else:
            cache.free(size)
        kept = [each for each in sizes if cache.has(key(each))]
        assert len(kept) == len(cache)
        assert cache.bytes == sum(sizes[each] + LEAST_BYTES for each in kept) + (500 if kept else 0)
        assert cache.bytes <= budget or len(kept) == 1


def test_a_result_whose_files_are_gone_or_others_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    cache, entry = Budgeted(), Entry(([1],))
    cache.put(b"k", entry)
    entry.files = {path: trace_of(path)}
    assert cache.has(b"k")
    assert cache.get(b"k") is entry
    assert not cache.changed_files(b"k")
    path.unlink()
    assert cache.changed_files(b"k") == [path]
    assert not cache.has(b"k")
    assert cache.get(b"k") is None
    assert len(cache) == 0
    assert not cache.changed_files(b"k")
