"""Hooks are a value: adding makes a new table, and what a hook remembers lasts for one run."""

import pytest

from diffusion.hooks import POINTS, Hooks, Place, only


def test_every_point_says_what_it_gives_and_takes() -> None:
    for point, words in POINTS.items():
        assert "→" in words, point
        assert words.startswith("("), point


def test_adding_leaves_the_first_table_alone() -> None:
    empty = Hooks()
    one = empty.adding("block.middle", lambda place, h: h + 1)
    two = one.adding("block.middle", lambda place, h: h * 10)
    assert [len(table["block.middle"]) for table in (empty, one, two)] == [0, 1, 2]
    assert (bool(empty), bool(one)) == (False, True)
    assert two.change("block.middle", None, 1) == 20
    assert list(two.without("block.middle")) == []


def test_two_tables_join_in_order() -> None:
    add = Hooks().adding("block.middle", lambda place, h: h + 1)
    double = Hooks().adding("block.middle", lambda place, h: h * 2)
    assert (add + double).change("block.middle", None, 1) == 4
    assert (double + add).change("block.middle", None, 1) == 3


def test_several_values_pass_together() -> None:
    swap = Hooks().adding("block.output", lambda place, h, skip: (skip, h))
    assert swap.change_all("block.output", None, 1, 2) == (2, 1)
    assert Hooks().change_all("block.output", None, 1, 2) == (1, 2)


def test_the_wrapper_added_last_is_asked_first() -> None:
    calls: list[str] = []

    def wrapper(name: str) -> object:
        def hook(place: object, q: int, attend: object) -> int:
            calls.append(name)
            return attend(q) + 1  # type: ignore[operator]

        return hook

    hooks = Hooks().adding("attention.self.attend", wrapper("first"), wrapper("last"))  # type: ignore[arg-type]
    assert hooks.wrap("attention.self.attend", None, lambda q: q * 10)(2) == 22
    assert calls == ["last", "first"]


def test_an_unknown_point_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no hook point 'block\.botom'.*block\.middle"):
        Hooks().adding("block.botom", lambda place, h: h)
    with pytest.raises(ValueError, match="no hook point"):
        Hooks({"x": ()})


class Counting:
    """Adds how often it was called in this run."""

    def __init__(self) -> None:
        self.calls = 0

    def for_run(self) -> "Counting":
        return Counting()

    def __call__(self, place: object, h: int) -> int:
        self.calls += 1
        return h + self.calls


def test_what_a_hook_remembers_starts_afresh_with_each_run() -> None:
    hooks = Hooks().adding("block.middle", Counting())
    for _ in range(2):
        run = hooks.for_run()
        assert [run.change("block.middle", None, 0) for _ in range(3)] == [1, 2, 3]


def test_only_acts_at_the_chosen_places() -> None:
    zero = only(lambda place, q, k, v, attend: 0, block="middle", index=0)
    places = {("middle", 0): 0, ("middle", 1): 6, ("input", 0): 6}
    for (block, index), expected in places.items():
        assert zero(Place(block, index), 1, 2, 3, lambda q, k, v: q + k + v) == expected
