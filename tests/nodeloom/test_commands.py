"""The command line, called in this process: what it prints, writes and returns."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from main import main


@pytest.fixture
def flow(tmp_path: Path, prompt: dict[str, Any]) -> Path:
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(prompt))
    return path


def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["main.py", *words, "--data-dir", str(tmp_path / "data"), "--cpu"])
    return main()


def test_run_saves_pictures_and_dumps_tensors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "run",
        str(flow),
        str(flow),
        "--set",
        "1.width=24",
        "--dump",
        str(tmp_path / "dump"),
        "--output-dir",
        str(tmp_path),
    ]
    assert call(monkeypatch, tmp_path, *words) == 0
    printed = capsys.readouterr().out
    assert "3 nodes run, 0 found in the cache" in printed
    assert (tmp_path / "grey_00001_.png").is_file()
    assert str(tmp_path / "grey_00001_.png") in printed
    assert load_file(tmp_path / "dump" / "flow" / "2.safetensors")["0.0"].shape == (1, 8, 24, 3)


def test_run_refuses_what_is_wrong_and_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, tmp_path, "run", str(flow), "--set", "1.width=0") == 1
    assert "flow.json: node 1 (EmptyImage)" in capsys.readouterr().err
    assert call(monkeypatch, tmp_path, "run", str(tmp_path / "none.json")) == 2
    assert "none.json: No such file" in capsys.readouterr().err


def test_lint_looks_at_all_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(flow.read_text().replace("ImageInvert", "ImageInvret"))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert call(monkeypatch, tmp_path, "lint", str(broken), str(bad), str(flow)) == 1
    printed = capsys.readouterr().out
    assert "broken.json is not a workflow" in printed
    assert "ImageInvret" in printed
    assert f"{flow}: fine" in printed
    assert call(monkeypatch, tmp_path, "lint", str(flow)) == 0


def test_explain_and_nodes_print_what_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, tmp_path, "explain", str(flow)) == 0
    assert json.loads(capsys.readouterr().out)
    assert call(monkeypatch, tmp_path, "nodes", "list") == 0
    assert "KSampler " in capsys.readouterr().out
    assert call(monkeypatch, tmp_path, "nodes", "show", "KSampler") == 0
    assert json.loads(capsys.readouterr().out)["KSampler"]["output"] == ["LATENT"]
    assert call(monkeypatch, tmp_path, "nodes", "show", "KSampelr") == 2
    assert "did you mean KSampler" in capsys.readouterr().err
