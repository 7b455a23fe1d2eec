"""Types by name; one that fails to describe itself fails alone."""

from __future__ import annotations

import pytest

from execution.declare.registry import Registry
from execution.declare.spec import NodeSpec
from execution.errors import DeclarationError
from tests.execution.toys import Toy, one, toy


class Moody(Toy):
    """Its choices come from something that may be broken."""

    broken = False

    def describe(self) -> NodeSpec:
        if self.broken:
            raise OSError("no such folder")
        return self.spec


def test_types_are_found_by_name_and_a_pack_may_replace_one() -> None:
    first, second = toy("A", lambda i, run: one(1)), toy("A", lambda i, run: one(2))
    registry = Registry([first])
    assert registry.types == {"A": first}
    registry.add(second)
    assert registry.types["A"] is second
    assert registry.spec("A") is second.spec
    assert registry.spec("B") is None


def test_two_of_one_name_at_once_are_a_mistake() -> None:
    with pytest.raises(DeclarationError, match="node 'A': is declared twice; rename one of them"):
        Registry([toy("A", lambda i, run: one(1)), toy("A", lambda i, run: one(2))])


def test_a_type_that_cannot_describe_itself_is_left_out_with_its_reason_until_it_can() -> None:
    moody = Moody(NodeSpec("M"), lambda i, run: one(1))
    registry = Registry([moody, toy("A", lambda i, run: one(1))])
    moody.broken = True
    assert sorted(registry.specs()) == ["A"]
    assert registry.failures == {"M": "OSError: no such folder"}
    moody.broken = False
    assert sorted(registry.specs()) == ["A", "M"]
    assert registry.failures == {}
