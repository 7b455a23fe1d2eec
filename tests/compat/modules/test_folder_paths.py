"""ComfyUI's folder_paths over our folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat.modules.folder_paths import names
from compat.v1_spec import FileNames
from execution.errors import OutsideRoot


@pytest.fixture
def paths(host):
    return names(host)


def test_the_roots_are_ours(paths, folders) -> None:
    for kind in ("input", "output", "temp"):
        assert paths["get_directory_by_type"](kind) == str(folders.roots[kind])
        assert paths[f"get_{kind}_directory"]() == paths[f"{kind}_directory"] == str(folders.roots[kind])
    assert paths["get_directory_by_type"]("user") is None
    assert paths["get_user_directory"]() == str(folders.user)
    assert paths["get_public_user_directory"]("anna") == str(folders.user / "anna")
    assert paths["get_public_user_directory"]("__system") is None


def test_setting_a_root_moves_it_for_everybody(paths, folders, tmp_path: Path) -> None:
    paths["set_output_directory"](str(tmp_path / "elsewhere"))
    assert folders.output == tmp_path / "elsewhere"
    assert paths["get_output_directory"]() == str(tmp_path / "elsewhere")


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_files_of_a_kind_are_listed_and_found(paths, folders) -> None:
    file = touch(folders.models("vae")[0] / "sub" / "a.safetensors")
    touch(folders.models("vae")[0] / "notes.txt")
    listed = paths["get_filename_list"]("vae")
    assert listed == ["sub/a.safetensors"]
    assert isinstance(listed, FileNames)
    assert listed.kind == "vae"
    assert paths["get_full_path"]("vae", "sub/a.safetensors") == str(file)
    assert paths["get_full_path_or_raise"]("vae", "sub/a.safetensors") == str(file)
    assert paths["get_full_path"]("vae", "../../secret") is None
    with pytest.raises(FileNotFoundError, match=r"did you mean 'sub/a\.safetensors'"):
        paths["get_full_path_or_raise"]("vae", "b.safetensors")
    with pytest.raises(KeyError):
        paths["get_filename_list"]("nothing_like_it")


def test_old_names_of_kinds_still_work(paths, folders) -> None:
    touch(folders.models("diffusion_models")[0] / "u.safetensors")
    assert (
        paths["get_filename_list"]("unet")
        == paths["get_filename_list"]("diffusion_models")
        == ["u.safetensors"]
    )
    assert "clip" in paths["folder_names_and_paths"]
    assert paths["map_legacy"]("clip") == "text_encoders"


def test_packs_add_kinds_by_function_and_by_writing_the_table(paths, folders, tmp_path: Path) -> None:
    table = paths["folder_names_and_paths"]
    touch(tmp_path / "one" / "a.onnx")
    touch(tmp_path / "two" / "b.onnx")
    touch(tmp_path / "three" / "c.pth")
    table["ipadapter"] = ([str(tmp_path / "one")], {".onnx"})
    table["ipadapter"][0].append(str(tmp_path / "two"))
    assert paths["get_filename_list"]("ipadapter") == ["a.onnx", "b.onnx"]
    assert not isinstance(paths["get_filename_list"]("ipadapter"), FileNames), (
        "the server does not know this kind"
    )
    paths["add_model_folder_path"]("ipadapter", str(tmp_path / "three"), is_default=True)
    assert paths["get_folder_paths"]("ipadapter")[0] == str(tmp_path / "three")
    table["ipadapter"][1].add(".pth")
    assert paths["get_filename_list"]("ipadapter") == ["a.onnx", "b.onnx", "c.pth"]
    assert folders.models("ipadapter") == [tmp_path / name for name in ("three", "one", "two")]
    assert (type(table["vae"][0]), type(table["vae"][1])) == (list, set)


def test_a_path_added_to_a_kind_of_ours_is_searched_too(paths, folders, tmp_path: Path) -> None:
    touch(tmp_path / "more" / "x.safetensors")
    paths["folder_names_and_paths"]["loras"][0].append(str(tmp_path / "more"))
    assert paths["get_filename_list"]("loras") == ["x.safetensors"]
    assert paths["get_full_path"]("loras", "x.safetensors") == str(tmp_path / "more" / "x.safetensors")


def test_annotated_names_stay_inside_their_root(paths, folders) -> None:
    file = touch(folders.output / "sub" / "x.png")
    assert paths["annotated_filepath"]("sub/x.png [output]") == ("sub/x.png", str(folders.output))
    assert paths["annotated_filepath"]("x.png") == ("x.png", None)
    assert paths["get_annotated_filepath"]("sub/x.png [output]") == str(file)
    assert paths["exists_annotated_filepath"]("sub/x.png [output]")
    assert not paths["exists_annotated_filepath"]("sub/x.png")
    assert not paths["exists_annotated_filepath"]("../output/sub/x.png")
    assert paths["get_annotated_filepath"]("x.png", "/other") == os.path.join("/other", "x.png")
    with pytest.raises(OutsideRoot):
        paths["get_annotated_filepath"]("../../etc/passwd")


def test_save_paths_count_on(paths, folders, tmp_path: Path) -> None:
    save = paths["get_save_image_path"]
    folder, stem, counter, subfolder, prefix = save("sub/pic_%width%", str(folders.output), 64, 32)
    assert (folder, stem, counter, subfolder, prefix) == (
        str(folders.output / "sub"),
        "pic_64",
        1,
        "sub",
        "sub/pic_64",
    )
    touch(folders.output / "sub" / "pic_64_00007_.png")
    assert save("sub/pic_64", str(folders.output))[2] == 8
    touch(tmp_path / "free" / "a" / "p_00002_.png")
    assert save("a/p", str(tmp_path / "free"))[:4] == (str(tmp_path / "free" / "a"), "p", 3, "a")
    for outside in (str(folders.output), str(tmp_path / "free")):
        with pytest.raises(OutsideRoot):
            save("../../x", outside)


def test_files_are_sorted_out_by_suffix_and_content(paths, tmp_path: Path) -> None:
    files = ["a.png", "b.MP4", "c.flac", "d.glb", "e.txt", "f.webp"]
    assert paths["filter_files_extensions"](files, [".png", ".mp4"]) == ["a.png", "b.MP4"]
    assert paths["filter_files_extensions"](files, []) == files
    assert paths["filter_files_content_types"](files, ["image", "model"]) == ["a.png", "d.glb", "f.webp"]
    assert paths["filter_files_content_types"](files, ["video", "audio"]) == ["b.MP4", "c.flac"]
    touch(tmp_path / "x" / "y.txt")
    touch(tmp_path / ".git" / "z")
    found, times = paths["recursive_search"](str(tmp_path / "x"), [".git"])
    assert found == ["y.txt"]
    assert list(times) == [str(tmp_path / "x")]


def test_subfolders_of_the_input_folder_are_listed(paths, folders) -> None:
    (folders.input / "a" / "b").mkdir(parents=True)
    assert paths["get_input_subfolders"]() == ["a", "a/b"]
