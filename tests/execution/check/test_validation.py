"""What is wrong with a prompt: ComfyUI's types, words and shapes, and which outputs can run all the same."""

from __future__ import annotations

import asyncio
import copy
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from execution.check.validation import types_match, validate, validate_with
from execution.declare.registry import Registry
from execution.declare.spec import InputSpec, NodeSpec, OutputSpec
from execution.files.folders import Folders
from tests.execution.toys import Toy, node, one, toy


def spec(name: str, *inputs: InputSpec, outputs: str = "IMAGE", **more: Any) -> NodeSpec:
    given = tuple(OutputSpec(each, each) for each in outputs.split())
    return NodeSpec(name, name, inputs=inputs, outputs=given, **more)


MANY = tuple(f"choice {index}" for index in range(30))
SPECS = {
    each.name: each
    for each in (
        spec("Load", InputSpec("file", ("a.png", "b.png"))),
        spec("Number", InputSpec("value", "INT", {"min": 0, "max": 10}), outputs="INT"),
        spec("Text", InputSpec("text", "STRING"), outputs="STRING"),
        spec("Join", InputSpec("a", "IMAGE"), InputSpec("b", "IMAGE", None, "optional")),
        spec("Scale", InputSpec("image", "IMAGE"), InputSpec("by", "FLOAT", {"min": 0.5, "max": 2.0})),
        spec("Pick", InputSpec("new", "COMBO", {"options": ["x", "y"], "multiselect": True})),
        spec("Long", InputSpec("one", MANY)),
        spec("Far", InputSpec("one", "COMBO", {"remote": {"route": "/x"}})),
        spec("Flag", InputSpec("on", "BOOLEAN"), outputs="BOOLEAN"),
        spec("Choices", outputs="COMBO"),
        spec("Odd", InputSpec("n", "INT", {"min": "zero"})),
        spec("Extra", InputSpec("a", "IMAGE", None, "optional"), accepts_extra_inputs=True),
        spec("Show", InputSpec("image", "IMAGE"), outputs="", output_node=True),
        spec("Any", InputSpec("value", "*"), outputs="", output_node=True),
        spec(
            "Save",
            InputSpec("image", "IMAGE"),
            InputSpec("filename_prefix", "STRING"),
            outputs="",
            output_node=True,
        ),
        spec("Model", InputSpec("name", ("none",)), folders={"name": "vae"}),
    )
}


def problems(prompt: Mapping[str, Any], node_id: str, **more: Any) -> list[dict[str, Any]]:
    found = validate(prompt, SPECS, **more).node_errors
    return list(found[node_id]["errors"]) if node_id in found else []


def shown(**nodes: Any) -> dict[str, Any]:
    """A prompt whose node `x` is shown."""
    return nodes | {"show": node("Any", value=("x", 0))}


def test_a_good_prompt_has_no_problems_and_is_not_changed() -> None:
    prompt = {
        "1": node("Load", file="a.png"),
        "2": node("Scale", image=("1", 0), by="1.5"),
        "3": node("Show", image=("2", 0)),
    }
    before = copy.deepcopy(prompt)
    result = validate(prompt, SPECS)
    assert (result.ok, result.error, result.node_errors, result.outputs) == (True, None, {}, ("3",))
    assert result.response() == (200, {"node_errors": {}})
    assert not result.needs_worker
    assert prompt == before


def unreadable(details: str, link: list[Any] | None, exception: str) -> dict[str, Any]:
    """What is said of a node before the output that leads nowhere, or has no inputs."""
    facts: dict[str, Any] = {"exception_type": exception, "exception_message": details, "traceback": []}
    if link is not None:
        facts |= {"input_name": "a", "input_config": ["IMAGE"], "received_value": link, "linked_node": link}
    return {
        "type": "exception_during_inner_validation",
        "message": "Exception when validating inner node",
        "details": details,
        "extra_info": facts,
    }


CONFIG = ["INT", {"min": 0, "max": 10}]
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        node("Number"),
        {
            "type": "required_input_missing",
            "message": "Required input is missing",
            "details": "value",
            "extra_info": {"input_name": "value"},
        },
    ),
    (
        node("Number", value=-1),
        {
            "type": "value_smaller_than_min",
            "message": "Value -1 smaller than min of 0",
            "details": "value",
            "extra_info": {"input_name": "value", "input_config": CONFIG, "received_value": -1},
        },
    ),
    (
        node("Number", value="11"),
        {
            "type": "value_bigger_than_max",
            "message": "Value 11 bigger than max of 10",
            "details": "value",
            "extra_info": {"input_name": "value", "input_config": CONFIG, "received_value": 11},
        },
    ),
    (
        node("Number", value="many"),
        {
            "type": "invalid_input_type",
            "message": "Failed to convert an input value to a INT value",
            "details": "value, many, invalid literal for int() with base 10: 'many'",
            "extra_info": {
                "input_name": "value",
                "input_config": CONFIG,
                "received_value": "many",
                "exception_message": "invalid literal for int() with base 10: 'many'",
            },
        },
    ),
    (
        node("Load", file="c.png"),
        {
            "type": "value_not_in_list",
            "message": "Value not in list",
            "details": "file: 'c.png' not in ['a.png', 'b.png']",
            "extra_info": {
                "input_name": "file",
                "input_config": [["a.png", "b.png"]],
                "received_value": "c.png",
            },
        },
    ),
    (
        node("Long", one="none"),
        {
            "type": "value_not_in_list",
            "message": "Value not in list",
            "details": "one: 'none' not in (list of length 30)",
            "extra_info": {"input_name": "one", "input_config": None, "received_value": "none"},
        },
    ),
    (
        node("Long", one="choise 12"),
        {
            "type": "value_not_in_list",
            "message": "Value not in list",
            "details": "one: 'choise 12' not in (list of length 30); "
            "did you mean 'choice 12' or 'choice 2' or 'choice 1'?",
            "extra_info": {"input_name": "one", "input_config": None, "received_value": "choise 12"},
        },
    ),
    (
        {"class_type": "Join", "inputs": {"a": ["load"]}},
        {
            "type": "bad_linked_input",
            "message": "Bad linked input, must be a length-2 list of [node_id, slot_index]",
            "details": "a",
            "extra_info": {"input_name": "a", "input_config": ["IMAGE"], "received_value": ["load"]},
        },
    ),
    (
        {"class_type": "Join", "inputs": {"a": ["load", "0"]}},
        unreadable("a, Load has no output '0'", ["load", "0"], "TypeError"),
    ),
    (
        node("Join", a=("gone", 0)),
        unreadable("a, node 'gone' does not exist", ["gone", 0], "KeyError"),
    ),
    (
        node("Join", a=("load", 1)),
        unreadable("a, Load has no output 1", ["load", 1], "IndexError"),
    ),
    (
        {"class_type": "Join"},
        unreadable('the node has no inputs; send {"inputs": {…}}, empty if it takes none', None, "KeyError"),
    ),
    (
        {"class_type": "Join", "inputs": [1]},
        unreadable('the node has no inputs; send {"inputs": {…}}, empty if it takes none', None, "TypeError"),
    ),
    (
        node("Join", a=("number", 0)),
        {
            "type": "return_type_mismatch",
            "message": "Return type mismatch between linked nodes",
            "details": "a, received_type(INT) mismatch input_type(IMAGE)",
            "extra_info": {
                "input_name": "a",
                "input_config": ["IMAGE"],
                "received_type": "INT",
                "linked_node": ["number", 0],
            },
        },
    ),
    (
        node("Odd", n=3),
        {
            "type": "exception_during_inner_validation",
            "message": "Exception when validating inner node",
            "details": "'<' not supported between instances of 'int' and 'str'",
            "extra_info": {
                "input_name": "n",
                "input_config": ["INT", {"min": "zero"}],
                "received_value": 3,
                "exception_type": "TypeError",
            },
        },
    ),
]


@pytest.mark.parametrize(("wrong", "problem"), CASES, ids=[each[1]["type"] for each in CASES])
def test_each_problem_has_comfyuis_shape(wrong: dict[str, Any], problem: dict[str, Any]) -> None:
    prompt = shown(x=wrong, load=node("Load", file="a.png"), number=node("Number", value=1))
    assert problems(prompt, "x") == [problem]
    status, body = validate(prompt, SPECS).response()
    assert status == 400
    assert body["node_errors"]["x"] == {
        "errors": [problem],
        "dependent_outputs": ["show"],
        "class_type": wrong["class_type"],
    }
    assert body["error"] == {
        "type": "prompt_outputs_failed_validation",
        "message": "Prompt outputs failed validation",
        "details": f"* {wrong['class_type']} x: {problem['message']}: {problem['details']}",
        "extra_info": {},
    }
    json.dumps(body)


GOOD: list[dict[str, Any]] = [
    node("Number", value="7"),
    node("Number", value=7.0),
    node("Number", value=True),
    node("Text", text=5),
    node("Flag", on="yes"),
    node("Pick", new="x"),
    {"class_type": "Pick", "inputs": {"new": {"__value__": ["x", "y"]}}},
    node("Far", one="whatever"),
    node("Load", file=("choices", 0)),
    node("Pick", new=("choices", 0)),
    node("Join", a=("load", 0), unknown="ignored"),
    {"class_type": "Join", "inputs": {"a": ["load", 0.0]}},
    {"class_type": "Scale", "inputs": {"image": ["load", 0], "by": math.nan}},
    node("Extra", a=("load", 0), b=("number", 0), c=5),
    {"class_type": "Extra", "inputs": {}},
]


@pytest.mark.parametrize("good", GOOD, ids=lambda each: json.dumps(each))
def test_these_are_no_problems(good: dict[str, Any]) -> None:
    others = {
        "load": node("Load", file="a.png"),
        "number": node("Number", value=1),
        "choices": node("Choices"),
    }
    assert validate(shown(x=good, **others), SPECS).response() == (200, {"node_errors": {}})


def test_a_link_may_name_its_node_by_number() -> None:
    prompt = {"4": node("Load", file="a.png"), "5": {"class_type": "Show", "inputs": {"image": [4, 0]}}}
    assert validate(prompt, SPECS).ok
    assert problems({**prompt, "4": node("Load", file="x")}, "4") != []


def test_a_text_may_not_be_linked_to_a_choice() -> None:
    prompt = shown(x=node("Load", file=("t", 0)), t=node("Text", text="a.png"))
    assert problems(prompt, "x")[0]["type"] == "return_type_mismatch"


TYPES = [
    ("A", "A", True),
    ("A", "B", False),
    ("A", "*", True),
    ("*", "B", True),
    ("A,B", "B", True),
    ("A", "B, A", True),
    ("A,B", "B,C", True),
    ("A,B", "C,D", False),
    ("A,*", "C", True),
    ("COMBO", "COMBO", True),
    ("STRING", "COMBO", False),
]


@pytest.mark.parametrize(("given", "wanted", "match"), TYPES)
def test_types_match_when_they_are_equal_overlap_or_are_anything(
    given: str, wanted: str, match: bool
) -> None:
    assert types_match(given, wanted) is match


def test_problems_above_a_wrong_link_are_told_too() -> None:
    prompt = {"n": node("Number", value=-1), "s": node("Show", image=("n", 0))}
    found = validate(prompt, SPECS).node_errors
    assert [each["type"] for each in found["n"]["errors"]] == ["value_smaller_than_min"]
    assert [each["type"] for each in found["s"]["errors"]] == ["return_type_mismatch"]


def test_outputs_that_fail_are_left_out_when_others_are_good() -> None:
    prompt = {
        "bad": node("Load", file="x"),
        "mid": node("Join", a=("bad", 0)),
        "s1": node("Show", image=("mid", 0)),
        "s2": node("Show", image=("bad", 0)),
        "good": node("Load", file="a.png"),
        "s3": node("Show", image=("good", 0)),
    }
    result = validate(prompt, SPECS)
    assert result.ok
    assert result.outputs == ("s3",)
    assert list(result.node_errors) == ["bad"]
    assert result.node_errors["bad"]["dependent_outputs"] == ["s1", "s2"]
    assert result.response()[0] == 200


def test_what_no_wanted_output_needs_is_not_looked_at() -> None:
    prompt = {
        "bad": node("Load", file="x"),
        "s1": node("Show", image=("bad", 0)),
        "s2": node("Show", image=("ok", 0)),
        "ok": node("Load", file="a.png"),
    }
    result = validate(prompt, SPECS, targets=["s2"])
    assert (result.outputs, result.node_errors) == (("s2",), {})
    assert validate(prompt, SPECS, targets=["ok"]).error == {
        "type": "prompt_no_outputs",
        "message": "Prompt has no outputs",
        "details": "",
        "extra_info": {},
    }
    assert validate(prompt, SPECS, targets=["ok"], any_node=True).outputs == ("ok",)
    assert validate(prompt, SPECS, any_node=True).outputs == ("s2", "ok")


MISSING = "missing_node_type: Node ID '#1'"
WHOLE: list[tuple[Any, str, str]] = [
    ({}, "prompt_no_outputs", ""),
    ({"1": {}}, "invalid_prompt", "Node ID '#1'"),
    ({"1": 5}, "invalid_prompt", "Node ID '#1'"),
    ({"1": {"class_type": 5}}, "invalid_prompt", "Node ID '#1'"),
    ({"1": {"class_type": "Gone", "_meta": {"title": "My Node"}}}, "invalid_prompt", MISSING),
    ({"1": {"class_type": "Gone", "_meta": 3}}, "invalid_prompt", MISSING),
]


@pytest.mark.parametrize("inputs", [{}, {"inputs": None}, {"inputs": 5}, {"inputs": {"image": ["gone", 0]}}])
def test_an_output_that_cannot_be_read_is_told_from_a_node_before_it(inputs: dict[str, Any]) -> None:
    prompt = {"1": {"class_type": "Show", **inputs}, **shown(x={"class_type": "Join"})}
    result = validate(prompt, SPECS)
    (error,) = result.node_errors["1"]["errors"]
    assert (error["type"], error["message"]) == (
        "exception_during_validation",
        "Exception when validating node",
    )
    assert error["extra_info"]["traceback"] == []
    (inner,) = result.node_errors["x"]["errors"]
    assert inner["type"] == "exception_during_inner_validation"


@pytest.mark.parametrize(("prompt", "kind", "details"), WHOLE)
def test_some_problems_make_the_whole_prompt_useless(prompt: Any, kind: str, details: str) -> None:
    status, body = validate(prompt, SPECS).response()
    assert status == 400
    assert (body["error"]["type"], body["error"]["details"], body["node_errors"]) == (kind, details, {})


def test_a_missing_type_is_named_as_its_user_named_it() -> None:
    error = validate({"1": {"class_type": "Gone", "_meta": {"title": "My Node"}}}, SPECS).error
    assert error is not None
    assert error["message"] == "Node 'My Node' not found. The custom node may not be installed."
    assert error["extra_info"] == {
        "node_id": "1",
        "class_type": "Gone",
        "node_title": "My Node",
        "nearest": [],
    }


def test_a_cycle_is_a_problem_of_each_node_on_it_and_spares_other_outputs() -> None:
    prompt = {
        "a": node("Join", a=("b", 0)),
        "b": node("Join", a=("a", 0)),
        "s": node("Show", image=("b", 0)),
        "ok": node("Load", file="a.png"),
        "t": node("Show", image=("ok", 0)),
    }
    result = validate(prompt, SPECS)
    assert result.outputs == ("t",)
    assert set(result.node_errors) == {"a", "b"}
    assert result.node_errors["a"]["errors"][0]["type"] == "dependency_cycle"
    assert result.node_errors["a"]["errors"][0]["extra_info"] == {"node_ids": ["b", "a"]}


@pytest.mark.parametrize("last", ["0", "9999"])
def test_ten_thousand_nodes_in_a_chain_or_a_circle_are_judged_soon(last: str) -> None:
    prompt = {str(index): node("Join", a=(str(index - 1), 0)) for index in range(1, 10_000)}
    prompt["0"] = node("Load", file="a.png") if last == "9999" else node("Join", a=("9999", 0))
    prompt["s"] = node("Show", image=("9999", 0))
    started = time.process_time()
    result = validate(prompt, SPECS)
    assert time.process_time() - started < 3  # a third of that when nothing else runs
    assert result.ok is (last == "9999")


def test_files_are_looked_for_in_their_folder(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    (tmp_path / "models" / "vae" / "sub").mkdir(parents=True)
    (tmp_path / "models" / "vae" / "sub" / "a.pt").touch()
    for name, kinds in (
        ("sub/a.pt", []),
        ("sub\\a.pt", []),
        ("a.pt", []),
        ("none", []),
        ("b.pt", ["value_not_in_list"]),
        ("../a.pt", ["value_not_in_list"]),
    ):
        prompt = shown(x=node("Model", name=name))
        assert [each["type"] for each in problems(prompt, "x", folders=folders)] == kinds, name
        assert problems(prompt, "x") == []
    assert (
        problems(shown(x=node("Model", name="b")), "x", folders=folders)[0]["details"]
        == "name: 'b' not in ['sub/a.pt', 'none']"
    )


def test_a_missing_file_comes_with_where_it_belongs(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    (problem,) = problems(shown(x=node("Model", name="b")), "x", folders=folders)
    assert problem["extra_info"]["advice"] == "Put the file into models/vae, or choose another."
    assert folders.whereabouts("clip") == "models/text_encoders"
    assert folders.whereabouts("input:image") == "the input folder"


def test_an_input_that_leads_out_of_its_folder_is_like_one_that_is_not_there(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.input.mkdir()
    (tmp_path / "secret.png").touch()
    specs = {**SPECS, "Load": spec("Load", InputSpec("file", ()), folders={"file": "input:image"})}
    found = []
    for name in ("../secret.png", "../gone.png", "gone.png"):
        prompt = {"l": node("Load", file=name), "s": node("Show", image=("l", 0))}
        problem = validate(prompt, specs, folders=folders).node_errors["l"]["errors"][0]
        found.append(json.dumps(problem).replace(name, "NAME"))
    assert len(set(found)) == 1


@pytest.mark.parametrize("value", ["gone.png", "gone.png [output]"])
def test_a_saved_file_whose_list_the_editor_fetches_is_checked_too(value: str, tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    saved = InputSpec("file", "COMBO", {"remote": {"route": "/internal/files/output"}})
    specs = {**SPECS, "Load": spec("Load", saved, folders={"file": "output:image"})}
    prompt = {"l": node("Load", file=value), "s": node("Show", image=("l", 0))}
    (problem,) = validate(prompt, specs, folders=folders).node_errors["l"]["errors"]
    assert problem["details"] == f"file - Invalid image file: {value}"
    assert problem["extra_info"]["advice"] == "Put the file into the output folder, or choose another."
    folders.output.mkdir()
    (folders.output / "gone.png").touch()
    assert validate(prompt, specs, folders=folders).node_errors == {}


@pytest.mark.parametrize("prefix", ["../up", "/etc/x", "a/../../b", "C:\\x", "a\0"])
def test_a_file_prefix_that_leads_out_of_the_output_folder_is_refused(prefix: str, tmp_path: Path) -> None:
    prompt = {"l": node("Load", file="a.png"), "s": node("Save", image=("l", 0), filename_prefix=prefix)}
    assert [each["type"] for each in problems(prompt, "s", folders=Folders(tmp_path))] == [
        "custom_validation_failed"
    ]
    prompt["s"]["inputs"]["filename_prefix"] = "sub/%year%/name"
    assert problems(prompt, "s", folders=Folders(tmp_path)) == []


# --- types that check by themselves ---


def picky(says: Any, names: str) -> Toy:
    made = toy("Picky", lambda i, run: one(1), "a INT, b INT, c IMAGE", says=says)
    limits = {"min": 0, "max": 5}
    inputs = (
        InputSpec("a", "INT", limits),
        InputSpec("b", "INT", limits),
        InputSpec("c", "IMAGE", None, "optional"),
    )
    made.spec = NodeSpec(
        "Picky",
        inputs=inputs,
        outputs=made.spec.outputs,
        custom_validation=frozenset(names.split()),
        output_node=True,
    )
    return made


def checked(made: Toy, loads: str = "IMAGE", **inputs: Any) -> Any:
    load = toy("Load", lambda i, run: one(1), "", loads)
    registry = Registry([made, load])
    prompt = {"p": node("Picky", **inputs), "load": node("Load")}
    return asyncio.run(validate_with(prompt, registry))


def test_the_server_says_when_a_type_has_to_be_asked_itself() -> None:
    made = picky(lambda inputs, linked: (), "a")
    prompt = {"p": node("Picky", a=99, b=1)}
    assert validate(prompt, {"Picky": made.spec}).needs_worker
    assert not validate({"p": node("Picky", a=1)}, {"Picky": made.spec}).needs_worker


def test_a_type_that_checks_an_input_is_asked_instead_of_its_limits() -> None:
    asked: list[Any] = []

    def says(inputs: Any, linked: Any) -> list[str]:
        asked.append((inputs, linked))
        return [] if inputs["a"] == 99 else ["not 99", ""]

    assert checked(picky(says, "a"), a="99", b=1, c=("load", 0)).ok
    assert asked == [({"a": 99}, {"c": "IMAGE"})]
    result = checked(picky(says, "a"), a=98, b=1)
    assert [(each["type"], each["details"]) for each in result.node_errors["p"]["errors"]] == [
        ("custom_validation_failed", "a - not 99"),
        ("custom_validation_failed", "a"),
    ]
    assert result.node_errors["p"]["errors"][0]["extra_info"] == {"input_name": "a"}
    assert (
        checked(picky(says, "a"), a=98, b=6).node_errors["p"]["errors"][0]["type"] == "value_bigger_than_max"
    )


def test_a_type_that_takes_all_inputs_is_asked_about_all() -> None:
    result = checked(
        picky(lambda inputs, linked: ["no"] if inputs != {"a": 77, "b": 78, "c": None} else [], "**"),
        a=77,
        b=78,
        c=("load", 0),
    )
    assert result.ok


def test_a_type_that_wants_the_types_of_links_judges_them_itself() -> None:
    def says(inputs: Any, linked: Any) -> list[str]:
        return [] if linked == {"c": "INT"} else ["wrong type"]

    assert checked(picky(says, "input_types"), "INT", a=1, b=1, c=("load", 0)).ok
    wrong = checked(picky(says, "a"), "INT", a=1, b=1, c=("load", 0)).node_errors["p"]["errors"]
    assert [each["type"] for each in wrong] == ["return_type_mismatch"]
    assert (
        checked(picky(lambda inputs, linked: ["no"], "input_types"), a=1, b=1).node_errors["p"]["errors"][0][
            "details"
        ]
        == "input_types - no"
    )


def test_a_check_may_be_async_or_raise() -> None:
    async def slow(inputs: Any, linked: Any) -> list[str]:
        await asyncio.sleep(0)
        return ["slowly no"]

    def raises(inputs: Any, linked: Any) -> list[str]:
        raise KeyError("what")

    assert checked(picky(slow, "a"), a=1, b=1).node_errors["p"]["errors"][0]["details"] == "a - slowly no"
    problem = checked(picky(raises, "a"), a=1, b=1).node_errors["p"]["errors"][0]
    assert (problem["type"], problem["details"]) == ("exception_during_validation", "'what'")
    assert problem["extra_info"]["exception_type"] == "KeyError"
    assert "in raises" in problem["extra_info"]["traceback"][-1]


def test_a_prompt_that_is_useless_as_a_whole_is_so_with_a_registry_too() -> None:
    assert asyncio.run(validate_with({"1": node("Gone"), "2": 5}, Registry([]))).response()[0] == 400
