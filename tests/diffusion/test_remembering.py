"""Hooks that share what they remember during a run."""

from diffusion.hooks import Hooks
from diffusion.remembering import methods


class Counting:
    """Two functions over one number."""

    def __init__(self) -> None:
        self.count = 0

    def up(self, place: object, value: int) -> int:
        """One more."""
        self.count += 1
        return value + self.count

    def read(self, place: object, value: int) -> int:
        """So far."""
        return self.count

    up.needs_negative = True  # type: ignore[attr-defined] # an attribute that others ask for


def test_both_functions_are_of_one_object_in_a_run_and_of_another_in_the_next() -> None:
    up, read = methods(Counting, "up", "read")
    hooks = Hooks().adding("block.middle", up).adding("block.input", read)
    first, second = hooks.for_run(), hooks.for_run()
    assert [first.change("block.middle", None, 0) for _ in range(3)] == [1, 2, 3]
    assert first.change("block.input", None, 0) == 3
    assert second.change("block.input", None, 0) == 0
    assert getattr(first["block.middle"][0], "needs_negative", False)


def test_outside_of_a_run_each_call_starts_anew() -> None:
    (up,) = methods(Counting, "up")
    assert [up(None, 0), up(None, 0)] == [1, 1]
