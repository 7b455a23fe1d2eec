"""The engine from Python: values out, files saved, and errors that name node and input."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from execution.cancel import CancelToken
from execution.events import Event, Finished, Running
from nodeloom import Engine
from nodeloom.places import BadOption
from nodeloom.session import Refused, RunFailed
from pictures.texts import png_texts


def test_a_run_gives_values_and_files(engine: Engine, prompt: dict[str, Any]) -> None:
    result = engine.run(prompt, targets=["2", "3"])
    image = result.value("2")
    assert image.shape == (1, 8, 16, 3)
    assert image.mean().item() == pytest.approx(1 - 64 / 255)
    (file,) = result.files
    with Image.open(file) as saved:
        assert saved.size == (16, 8)
    assert json.loads(png_texts(file.read_bytes())["prompt"]) == prompt


def test_the_editors_form_runs_too_and_is_kept_in_the_picture(
    engine: Engine, workflow: dict[str, Any]
) -> None:
    workflow["nodes"][0]["widgets_values"][3] = 0x010203
    (file,) = engine.run(workflow).files
    assert json.loads(png_texts(file.read_bytes())["workflow"]) == workflow


def test_what_was_computed_is_found_again(engine: Engine, prompt: dict[str, Any]) -> None:
    prompt["1"]["inputs"]["color"] = 0x112233
    renamed = {"a": prompt["1"], "b": {**prompt["2"], "inputs": {"image": ["a", 0]}}}
    assert set(engine.run(prompt, targets=["2"]).executed) == {"1", "2"}
    again = engine.run(renamed, targets=["b"])
    assert again.executed == ()
    assert again.value("b").shape == (1, 8, 16, 3)


def test_events_tell_what_happens(engine: Engine, prompt: dict[str, Any]) -> None:
    prompt["1"]["inputs"]["color"] = 0x998877
    heard: list[Event] = []
    engine.run(prompt, on_event=heard.append)
    assert [each.place.node for each in heard if isinstance(each, Running)] == ["1", "2", "3"]
    assert isinstance(heard[-1], Finished)
    assert [each.number for each in heard] == list(range(1, len(heard) + 1))


@pytest.mark.parametrize(
    ("node", "name", "given", "complaint"),
    [
        ("1", "width", 0, r"node 1 \(EmptyImage\).*width"),
        ("1", "width", "wide", r"node 1 \(EmptyImage\).*width"),
        ("2", "image", ["9", 0], r"node 2 \(ImageInvert\).*image"),
        ("2", "image", ["1", 5], r"node 2 \(ImageInvert\).*image"),
        ("3", "filename_prefix", "../../x", r"node 3 \(SaveImage\).*filename_prefix|outside|not inside"),
    ],
)
def test_what_cannot_run_is_refused_by_name(
    engine: Engine, prompt: dict[str, Any], node: str, name: str, given: Any, complaint: str
) -> None:
    prompt[node]["inputs"][name] = given
    with pytest.raises((Refused, RunFailed), match=complaint):
        engine.run(prompt)


def test_an_unknown_node_type_is_refused_with_the_nearest_names(
    engine: Engine, prompt: dict[str, Any]
) -> None:
    prompt["2"]["class_type"] = "ImageInvrt"
    with pytest.raises(Refused, match="ImageInvert"):
        engine.run(prompt)


def test_a_failing_node_is_named_and_the_next_run_works(engine: Engine, prompt: dict[str, Any]) -> None:
    load = {"class_type": "LoadImage", "inputs": {"image": "broken.png"}}
    (engine.parts.folders.input / "broken.png").write_bytes(b"no picture")
    with pytest.raises((Refused, RunFailed), match=r"node 1 \(LoadImage\).*broken\.png"):
        engine.run({"1": load, "2": prompt["2"], "3": prompt["3"]})
    assert engine.run(prompt).status == "success"


def test_a_cancelled_run_says_so(engine: Engine, prompt: dict[str, Any]) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(RunFailed, match="interrupted") as raised:
        engine.run(prompt, cancel=cancel)
    assert raised.value.result.status == "interrupted"


def test_lint_finds_every_fault_without_running(engine: Engine, prompt: dict[str, Any]) -> None:
    prompt["1"]["inputs"]["width"] = 0
    del prompt["2"]["inputs"]["image"]
    found = engine.lint(prompt)
    assert not found.ok
    assert set(found.node_errors) >= {"2"}


def test_explain_is_data(engine: Engine, prompt: dict[str, Any]) -> None:
    assert json.loads(json.dumps(engine.explain(prompt)))


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadOption, match="input folder"):
        Engine(data_dir=tmp_path, input_dir=tmp_path / "file" / "in")


def test_a_picture_that_was_deleted_or_changed_is_saved_again(engine: Engine, prompt: dict[str, Any]) -> None:
    prompt["1"]["inputs"]["color"] = 0x334455
    (first,) = engine.run(prompt).files
    assert engine.run(prompt).files == (first,)
    first.unlink()
    assert engine.explain(prompt)["nodes"]["3"] == {
        "state": "will_run",
        "reasons": [{"kind": "file", "path": str(first)}],
        "problems": [],
    }
    again = engine.run(prompt)
    (second,) = again.files
    assert again.executed == ("3",)
    assert second.is_file()
    second.write_bytes(b"something else")
    (third,) = engine.run(prompt).files
    with Image.open(third) as saved:
        assert saved.size == (16, 8)
