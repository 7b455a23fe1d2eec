"""Names that can be imported and subclassed, and raise only when used."""

from __future__ import annotations

import abc
import sys

import pytest

from compat.placeholders import NotAvailable, placeholder, placeholder_table, read_table


def test_a_placeholder_is_a_class_that_refuses_to_be_used() -> None:
    name = placeholder("comfy.model_patcher.ModelPatcher")
    with pytest.raises(NotAvailable, match=r"comfy\.model_patcher\.ModelPatcher is an internal of ComfyUI"):
        name(1, 2, x=3)
    assert repr(name) == "<placeholder for comfy.model_patcher.ModelPatcher>"
    assert not isinstance(object(), name)
    assert len({name, name}) == 1


def test_attributes_of_a_placeholder_are_placeholders() -> None:
    kind = placeholder("comfy.model_base.ModelType")
    assert kind.EPS is kind.EPS
    with pytest.raises(NotAvailable, match=r"ModelType\.EPS"):
        kind.EPS()
    assert not hasattr(kind, "__set_name__")


def test_a_class_may_derive_from_placeholders_and_others() -> None:
    base = placeholder("comfy.ldm.X")

    class Own(base, abc.ABC):
        def clone(self) -> int:
            return 1

    class Init(base):
        def __init__(self) -> None:
            self.fine = True

    assert not hasattr(Own, "IS_CHANGED"), "a derived class answers only what it has"
    assert Init().fine
    with pytest.raises(NotAvailable):
        Own()


def test_the_table_is_read_line_by_line() -> None:
    assert read_table("# nothing\na.b: C d # more\nno colon here\ne:\n") == {
        "a.b": {"C", "d"},
        "e": frozenset(),
    }


def test_every_parent_of_a_module_in_the_table_is_there() -> None:
    table = placeholder_table()
    for module in table:
        assert module.rpartition(".")[0] in {*table, ""}
    assert {"comfy", "comfy.ldm", "comfy.ldm.modules", "comfy_extras"} <= set(table)


def test_every_name_of_the_table_can_be_imported_by_a_pack(load) -> None:
    """The table and the files beside it agree: no name is lost, and each is real or refuses."""
    lines = [
        f"from {module} import {name}"
        for module, names in placeholder_table().items()
        for name in sorted(names)
    ]
    packs = load({"greedy.py": "\n".join([*lines, "NODE_CLASS_MAPPINGS = {}"])})
    assert packs.reports[0].problems == ()
    assert "comfy.model_patcher.ModelPatcher" in packs.reports[0].needs
    assert "comfy.samplers.KSampler" not in packs.reports[0].needs


def test_what_a_pack_needs_is_in_its_report_and_not_in_others(load) -> None:
    packs = load(
        {
            "a.py": "from comfy.lora import load_lora\nNODE_CLASS_MAPPINGS = {}\n",
            "b.py": "import comfy\nx = comfy.sd.VAE\nNODE_CLASS_MAPPINGS = {}\n",
            "c.py": "import comfy.lora\nNODE_CLASS_MAPPINGS = {}\n",
        }
    )
    needs = {each.name: each.needs for each in packs.reports}
    assert needs == {"a": ("comfy.lora.load_lora",), "b": ("comfy.sd.VAE",), "c": ()}
    assert sys.modules["comfy.lora"].load_lora.__name__ == "load_lora"
