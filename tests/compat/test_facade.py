"""Native nodes in the shape of V1 classes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from compat.current import calling
from compat.facade import native_class
from compat.modules.nodes import class_mappings
from execution.declare.node import ExecutionBlocker, Outcome, Run, node
from execution.declare.run import Run as PlainRun


def test_a_native_node_looks_like_a_v1_class(registry) -> None:
    cls = native_class(registry.types["ToyTwice"])
    assert cls.__name__ == "ToyTwice"
    assert cls.INPUT_TYPES() == {"required": {"value": ("INT", {"default": 1, "min": 0, "max": 100})}}
    assert (cls.RETURN_TYPES, cls.RETURN_NAMES, cls.OUTPUT_NODE, cls.CATEGORY) == (
        ("INT",),
        ("INT",),
        False,
        "toys",
    )
    pair = native_class(registry.types["ToyPair"])
    assert (pair.RETURN_TYPES, pair.RETURN_NAMES, pair.OUTPUT_IS_LIST) == (
        ("INT", "INT"),
        ("first", "second"),
        (False,) * 2,
    )


def test_it_is_called_by_keyword_position_or_default(registry) -> None:
    twice = native_class(registry.types["ToyTwice"])()
    assert twice.execute(value=4) == twice.execute(4) == (8,)
    assert twice.execute() == (2,)


async def test_async_nodes_are_waited_for_with_and_without_a_loop(registry) -> None:
    pair = native_class(registry.types["ToyPair"])()
    assert pair.execute(3) == (3, 4)
    assert await asyncio.to_thread(pair.execute, 5) == (5, 6)


def test_hidden_inputs_come_from_the_running_job_or_by_name(registry) -> None:
    text = native_class(registry.types["ToyText"])()
    with calling(PlainRun(prompt={"1": {}})):
        assert text.execute("a")["ui"] == {"text": ["a", "{'1': {}}"]}
        assert text.execute("a", prompt={"2": {}}) == {"ui": {"text": ["a", "{'2': {}}"]}, "result": ("a",)}
    assert text.execute("a")["ui"]["text"][1] == "{}"


@node("ToyFull", category="toys")
def full(stop: bool = False) -> Outcome[int]:
    """Full."""
    if stop:
        return Outcome(blocked=ExecutionBlocker("no"))
    return Outcome((["x", 0],), expand={"x": {"class_type": "ToyTwice", "inputs": {}}})


def test_blockers_and_expansions_come_back_in_v1s_shape(registry) -> None:
    from execution.declare.node import node_types
    from execution.declare.registry import Registry

    module = __import__("types").ModuleType(full.__module__)
    module.full = full
    cls = native_class(Registry(node_types(module)).types["ToyFull"])
    assert cls().execute(stop=True).message == "no"
    assert cls().execute() == {
        "result": (["x", 0],),
        "expand": {"x": {"class_type": "ToyTwice", "inputs": {}}},
    }


def test_the_mappings_are_one_object_with_all_types(host) -> None:
    mappings = class_mappings(host)
    assert mappings is class_mappings(host)
    assert set(mappings) == {"ToyTwice", "ToyPair", "ToyText"}


@node("SaveImage", category="image", output_node=True)
def save(images: int = 0, filename_prefix: str = "x") -> None:
    """Save Image."""


def test_pictures_are_saved_where_a_derived_class_says(host, registry, folders, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from PIL import Image

    registry.add(save.native)
    cls = class_mappings(host)["SaveImage"]
    images = torch.rand(2, 4, 6, 3)
    shown = cls().save_images(images, "p", prompt={"1": {}}, extra_pnginfo={"workflow": {"a": 1}})
    assert [each["filename"] for each in shown["ui"]["images"]] == ["p_00001_.png", "p_00002_.png"]
    assert {each["type"] for each in shown["ui"]["images"]} == {"output"}
    with Image.open(folders.output / "p_00002_.png") as picture:
        assert picture.size == (6, 4)
        assert picture.text == {"prompt": '{"1": {}}', "workflow": '{"a": 1}'}

    class Elsewhere(cls):
        def __init__(self) -> None:
            self.output_dir, self.type, self.prefix_append, self.compress_level = (
                str(tmp_path / "t"),
                "temp",
                "_t",
                1,
            )

    assert Elsewhere.INPUT_TYPES()["required"].keys() == {"images", "filename_prefix"}
    shown = Elsewhere().save_images(images[:1], "q")
    assert shown["ui"]["images"] == [{"filename": "q_t_00001_.png", "subfolder": "", "type": "temp"}]
    assert (tmp_path / "t" / "q_t_00001_.png").is_file()
    assert Run is PlainRun
