"""The documents are true: their Python runs, their links lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not missing, f"{document.name} links to {missing}"


def examples(name: str) -> list[str]:
    return EXAMPLE.findall((ROOT / "docs" / name).read_text())


def test_the_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nodeloom.places.ROOT", tmp_path)
    (tmp_path / "workflow.json").write_text(
        '{"1": {"class_type": "EmptyImage",'
        ' "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},'
        ' "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}'
    )
    names: dict[str, Any] = {}
    for example in examples("python.md"):
        exec(compile(example, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert f"saved {tmp_path / 'output' / 'x_00001_.png'}" in printed
    assert "(1, 64, 64, 3)" in printed
    assert "ImageInvert" in printed


def test_the_native_node_examples_run() -> None:
    from execution.declare.node import node_types

    names: dict[str, Any] = {"__name__": "documented"}
    for example in examples("nodes.md"):
        exec(compile(example, "docs/nodes.md", "exec"), names)
    module = type("Module", (), {})()
    vars(module).update(names)
    found = {each.spec.name: each.spec for each in node_types(module)}
    assert {"BrightenImage", "PickImage", "CountCalls"} <= found.keys()
    shown = found["BrightenImage"].object_info()
    assert shown["input"]["required"]["amount"][1]["max"] == 4.0
    assert shown["display_name"] == "Brighten Image"
    assert [each.name for each in found["PickImage"].inputs if each.lazy] == ["on_true", "on_false"]


def test_every_route_is_documented() -> None:
    from server.app import TOPICS

    text = (ROOT / "docs" / "api.md").read_text()
    routes = [f"{route.method} {route.path}" for topic in TOPICS for route in topic.routes()]
    missing = [route for route in routes if f"`{route}`" not in text and f"`{route}?" not in text]
    assert len(routes) > 50
    assert not missing
