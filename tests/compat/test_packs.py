"""Finding and loading packs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from compat.packs import Found, find_packs, load_packs
from compat.reports import PackReport, summary

NODE = """
class Node:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 1})}}
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    def run(self, value):
        return (value,)
"""
PACK = NODE + 'NODE_CLASS_MAPPINGS = {"%s": Node}\n'


def report(packs, name: str) -> PackReport:
    return next(each for each in packs.reports if each.name == name)


def test_files_and_packages_are_packs_and_disabled_ones_are_passed_over(load) -> None:
    packs = load(
        {
            "single.py": PACK % "Single",
            "whole/__init__.py": "from .part import Node\nNODE_CLASS_MAPPINGS = {'Whole': Node}\n",
            "whole/part.py": NODE,
            "off.disabled/__init__.py": "raise SystemExit('must not be imported')",
            "gone.py.disabled": "raise SystemExit('must not be imported')",
            ".hidden/__init__.py": "raise SystemExit('must not be imported')",
            "__pycache__/x.py": "raise SystemExit('must not be imported')",
            "notes.txt": "no pack",
            "pictures/readme.md": "no pack",
        }
    )
    states = {each.name: (each.kind, each.state, each.nodes) for each in packs.reports}
    assert states == {
        "gone": ("file", "disabled", ()),
        "off": ("package", "disabled", ()),
        "single": ("file", "loaded", ("Single",)),
        "whole": ("package", "loaded", ("Whole",)),
    }


def test_a_name_in_two_folders_is_taken_from_the_first(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pack.py").touch()
    (tmp_path / "two" / "other.py").touch()
    found = find_packs([tmp_path / "one", tmp_path / "two", tmp_path / "absent"])
    assert found == [
        Found("pack", tmp_path / "one" / "pack.py", "file"),
        Found("other", tmp_path / "two" / "other.py", "file"),
    ]


FAILURES = {
    # what the pack is: code → words of its problem, line, words of the advice
    "a missing module": (
        "import os\nimport nowhere_to_be_found\n",
        "No module named 'nowhere_to_be_found'",
        2,
        "install",
    ),
    "a raise": ("x = 1\n\nraise RuntimeError('not on Tuesdays')\n", "RuntimeError: not on Tuesdays", 3, ""),
    "a syntax error": ("def broken(:\n    pass\n", "SyntaxError", 1, ""),
    "leaving the program": ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2, ""),
    "a ComfyUI name nobody has": (
        "from comfy.sd import no_such_name\n",
        "cannot import name",
        1,
        "does not have",
    ),
    "a ComfyUI module nobody has": ("import comfy.no_such_module\n", "No module named", 1, "does not have"),
    "no nodes at all": ("x = 1\n", "declares no nodes", None, "NODE_CLASS_MAPPINGS"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_pack_that_fails_fails_alone_with_reason_and_line(load, what: str) -> None:
    code, words, line, advice = FAILURES[what]
    packs = load({"good.py": PACK % "Good", "poor/__init__.py": code})
    poor, good = report(packs, "poor"), report(packs, "good")
    assert (poor.state, poor.nodes) == ("failed", ())
    assert (good.state, good.nodes, good.problems) == ("loaded", ("Good",), ())
    (problem,) = poor.problems
    assert problem.where == "import"
    assert words in problem.reason
    assert problem.line == line
    assert advice in (problem.advice or "")
    assert (problem.file or "").endswith("poor/__init__.py")
    kept = [name for name in sys.modules if name.startswith("custom_nodes.poor")]
    assert bool(kept) == (what == "no nodes at all"), "a half-imported module was left behind"


def test_the_line_reported_is_the_packs_innermost(load) -> None:
    packs = load(
        {"deep/__init__.py": "from . import inner\n", "deep/inner.py": "import json\n\njson.loads('{')\n"}
    )
    (problem,) = report(packs, "deep").problems
    assert (Path(problem.file or "").name, problem.line, problem.text) == ("inner.py", 3, "json.loads('{')")


def test_a_missing_requirement_is_traced_to_the_packs_own_list(load) -> None:
    packs = load({"wants/__init__.py": "import nowhere_to_be_found\n", "wants/requirements.txt": "nowhere\n"})
    assert "pip install -r" in (report(packs, "wants").problems[0].advice or "")
    assert "requirements.txt" in summary(packs.reports)


def test_a_folder_with_code_but_no_package_says_so(load) -> None:
    packs = load({"loose/nodes.py": NODE})
    assert "no __init__.py" in report(packs, "loose").problems[0].reason


def test_prestartup_scripts_run_before_any_pack(load) -> None:
    packs = load(
        {
            "a/__init__.py": "import os\nseen = os.environ.pop('NODELOOM_TEST_PRESTARTUP')\n" + PACK % "A",
            "z/__init__.py": PACK % "Z",
            "z/prestartup_script.py": "import os\nos.environ['NODELOOM_TEST_PRESTARTUP'] = 'yes'\n",
            "y/__init__.py": PACK % "Y",
            "y/prestartup_script.py": "1 / 0\n",
        }
    )
    assert sys.modules["custom_nodes.a"].seen == "yes"
    (problem,) = report(packs, "y").problems
    assert (problem.where, problem.line) == ("prestartup", 1)
    assert report(packs, "y").nodes == ("Y",)


def test_only_the_named_packs_are_loaded(load) -> None:
    packs = load({"a.py": PACK % "A", "b.py": PACK % "B"}, only={"b"})
    assert [(each.name, each.state) for each in packs.reports] == [("a", "disabled"), ("b", "loaded")]


def test_import_time_is_recorded(load) -> None:
    packs = load({"slow.py": "import time\ntime.sleep(0.05)\n" + PACK % "Slow", "quick.py": PACK % "Quick"})
    assert report(packs, "slow").seconds >= 0.05 > report(packs, "quick").seconds


def test_web_directories_stay_inside_their_pack(load, host) -> None:
    packs = load(
        {
            "shows/__init__.py": "WEB_DIRECTORY = './web'\n" + PACK % "Shows",
            "shows/web/main.js": "",
            "reaches/__init__.py": "WEB_DIRECTORY = '../shows/web'\n" + PACK % "Reaches",
            "absent/__init__.py": "WEB_DIRECTORY = 'web'\n" + PACK % "Absent",
            "configured/__init__.py": PACK % "Configured",
            "configured/pyproject.toml": "[tool.comfy]\nweb = 'js'\n",
            "configured/js/main.js": "",
            "scripts/__init__.py": "WEB_DIRECTORY = 'js'\n",
            "scripts/js/main.js": "",
        }
    )
    found = {each.name: each.web_directory and Path(each.web_directory).parts[-2:] for each in packs.reports}
    assert found == {
        "absent": None,
        "configured": ("configured", "js"),
        "reaches": None,
        "scripts": ("scripts", "js"),
        "shows": ("shows", "web"),
    }
    assert report(packs, "scripts").state == "loaded"
    assert set(host.web_directories) == {"configured", "scripts", "shows"}


def test_a_node_that_cannot_describe_itself_leaves_the_others(load, registry) -> None:
    packs = load(
        {
            "mixed.py": NODE
            + """
class Broken(Node):
    ready = False
    @classmethod
    def INPUT_TYPES(cls):
        if not cls.ready:
            raise LookupError("no camera found")
        return {"required": {}}
NODE_CLASS_MAPPINGS = {"Fine": Node, "Broken": Broken, "NoClass": object()}
"""
        }
    )
    where = {problem.where: problem for problem in report(packs, "mixed").problems}
    assert report(packs, "mixed").nodes == ("Fine", "Broken")
    assert set(where) == {"node Broken", "node NoClass"}
    assert where["node Broken"].reason == "LookupError: no camera found"
    for node_type in packs.node_types:
        registry.add(node_type)
    assert "Broken" not in registry.specs()
    assert registry.failures == {"Broken": "LookupError: no camera found"}
    sys.modules["custom_nodes.mixed"].Broken.ready = True
    assert "Broken" in registry.specs()


def test_packs_do_not_replace_native_nodes(load) -> None:
    packs = load({"thief.py": NODE + 'NODE_CLASS_MAPPINGS = {"ToyTwice": Node, "Own": Node}\n'})
    assert report(packs, "thief").nodes == ("Own",)
    assert "Nodeloom's own" in report(packs, "thief").problems[0].reason


def test_a_pack_may_write_to_the_shared_mappings(load) -> None:
    packs = load(
        {
            "writes.py": NODE
            + """
import nodes
nodes.NODE_CLASS_MAPPINGS["Direct"] = Node
nodes.NODE_DISPLAY_NAME_MAPPINGS["Direct"] = "Put In By Hand"
NODE_CLASS_MAPPINGS = {}
"""
        }
    )
    (direct,) = packs.node_types
    assert (direct.spec.name, direct.spec.display_name) == ("Direct", "Put In By Hand")


def test_titles_modules_and_code_stand_in_the_spec(load, tmp_path: Path) -> None:
    packs = load(
        {"my.pack/__init__.py": PACK % "Thing" + "NODE_DISPLAY_NAME_MAPPINGS = {'Thing': 'A Thing'}\n"}
    )
    (thing,) = packs.node_types
    assert (thing.spec.display_name, thing.spec.python_module) == ("A Thing", "custom_nodes.my.pack")
    before = thing.spec.code
    packs.close()
    again = load({"my.pack/more.py": "x = 1\n"})
    assert before
    assert again.node_types[0].spec.code != before


def test_reports_are_plain_data(load) -> None:
    import json

    packs = load({"good.py": PACK % "Good", "poor.py": "1/0\n"})
    shapes = json.loads(json.dumps([each.to_json() for each in packs.reports]))
    assert [shape["state"] for shape in shapes] == ["loaded", "failed"]
    assert shapes[1]["problems"][0]["line"] == 1
    assert "poor" in summary(packs.reports)


def test_closing_takes_everything_back(host, tmp_path: Path) -> None:
    before, finders = set(sys.modules), list(sys.meta_path)
    (tmp_path / "pack.py").write_text("import comfy.utils, folder_paths, nodes\n" + PACK % "X")
    with load_packs([tmp_path], host):
        assert "comfy.utils" in sys.modules
    left = {
        name
        for name in set(sys.modules) - before
        if name.partition(".")[0] in ("comfy", "folder_paths", "custom_nodes")
    }
    assert not left
    assert sys.meta_path == finders


def test_packs_import_one_another_by_custom_nodes(load) -> None:
    packs = load(
        {
            "a.py": "import custom_nodes.b as b\nfrom custom_nodes import c\nvalues = (b.value, c.value)\n"
            + PACK % "A",
            "b.py": "value = object()\n" + PACK % "B",
            "c/__init__.py": "value = 3\n" + PACK % "C",
        }
    )
    assert [each.state for each in packs.reports] == ["loaded"] * 3
    assert sys.modules["custom_nodes.a"].values == (sys.modules["custom_nodes.b"].value, 3)
