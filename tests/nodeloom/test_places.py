"""Folders from options: defaults, ComfyUI's extra paths, and clear complaints."""

from pathlib import Path

import pytest

from nodeloom.arguments import parse
from nodeloom.places import ROOT, SAMPLES, BadOption, build_folders, make_folders, pack_folders, state_dir


def test_everything_lies_in_the_checkout_unless_told_otherwise() -> None:
    folders = build_folders(parse([]))
    assert (folders.input, folders.output) == (ROOT / "input", ROOT / "output")
    assert state_dir(parse([])) == ROOT / "state"


def test_a_data_folder_moves_all_and_keeps_the_shipped_models_in_reach(tmp_path: Path) -> None:
    folders = build_folders(
        parse(["--data-dir", str(tmp_path), "--output-directory", str(tmp_path / "elsewhere")])
    )
    assert (folders.input, folders.output) == (tmp_path / "input", tmp_path / "elsewhere")
    assert folders.models("checkpoints") == [
        tmp_path / "models" / "checkpoints",
        ROOT / "models" / "checkpoints",
    ]


def test_extra_model_paths_add_folders_of_models_and_packs(tmp_path: Path) -> None:
    config = tmp_path / "extra.yaml"
    config.write_text(
        "theirs:\n  base_path: old\n  checkpoints: a\n  loras: |\n    b\n    c\n  custom_nodes: packs\n"
    )
    options = parse(["--extra-model-paths-config", str(config), "--data-dir", str(tmp_path)])
    folders = build_folders(options)
    assert tmp_path / "old" / "a" in folders.models("checkpoints")
    assert {tmp_path / "old" / "b", tmp_path / "old" / "c"} <= set(folders.models("loras"))
    assert pack_folders(options, folders) == [tmp_path / "custom_nodes", tmp_path / "old" / "packs"]


def test_an_extra_model_paths_file_beside_the_data_is_found_by_itself(tmp_path: Path) -> None:
    (tmp_path / "extra_model_paths.yaml").write_text("mine: {vae: v}")
    assert tmp_path / "v" in build_folders(parse(["--data-dir", str(tmp_path)])).models("vae")


@pytest.mark.parametrize("text", [None, "a: [", "just words", "a: 3", "\xff\xfe"])
def test_an_unusable_extra_model_paths_file_is_named(tmp_path: Path, text: str | None) -> None:
    config = tmp_path / "extra.yaml"
    if text is not None:
        config.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadOption, match=r"extra-model-paths-config .*extra\.yaml"):
        build_folders(parse(["--extra-model-paths-config", str(config)]))


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folders = build_folders(
        parse(["--output-dir", str(tmp_path / "file" / "out"), "--data-dir", str(tmp_path)])
    )
    with pytest.raises(BadOption, match="output folder"):
        make_folders(folders)


def test_only_a_new_input_folder_begins_with_sample_pictures(tmp_path: Path) -> None:
    make_folders(build_folders(parse(["--data-dir", str(tmp_path / "new")])))
    shipped = {path.name: path.read_bytes() for path in SAMPLES.iterdir()}
    assert {"example.png", "scribble.png"} <= shipped.keys()
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "input").iterdir()} == shipped
    (tmp_path / "old" / "input").mkdir(parents=True)
    make_folders(build_folders(parse(["--data-dir", str(tmp_path / "old")])))
    assert not list((tmp_path / "old" / "input").iterdir())
