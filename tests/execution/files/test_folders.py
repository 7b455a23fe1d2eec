"""Names become paths inside their folders, and nothing else does."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.errors import FileMissing, FolderError, OutsideRoot
from execution.files.folders import Folders


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("a.safetensors", "sub/b.ckpt", "sub/deep/c.pt", "notes.txt", ".git/d.pt"):
        put(tmp_path / "models" / "checkpoints" / name)
    for name in ("one.png", "two.jpg", "sound.wav", "x.latent", ".hidden.png", "sub/three.png"):
        put(tmp_path / "input" / name)
    put(tmp_path / "output" / "out.png")
    put(tmp_path / "secret.png")
    return Folders(tmp_path)


def test_roots_lie_under_the_base_unless_said_otherwise(tmp_path: Path) -> None:
    folders = Folders(tmp_path, output=tmp_path / "elsewhere", models=tmp_path / "m")
    assert (folders.input, folders.output) == (tmp_path / "input", tmp_path / "elsewhere")
    assert (folders.temp, folders.user) == (tmp_path / "temp", tmp_path / "user")
    assert folders.models("vae") == [tmp_path / "m" / "vae"]
    assert (
        folders.models("clip")
        == folders.models("text_encoders")
        == [tmp_path / "m" / "text_encoders", tmp_path / "m" / "clip"]
    )
    assert folders.models("nonesuch") == []


def test_models_are_listed_by_suffix_in_all_folders_below(folders: Folders) -> None:
    assert folders.list("checkpoints") == ["a.safetensors", "sub/b.ckpt", "sub/deep/c.pt"]
    assert folders.list("vae") == []
    assert folders.list("nonesuch") == []


def test_inputs_are_listed_at_the_top_and_by_medium_or_suffix(folders: Folders) -> None:
    assert folders.list("input") == ["one.png", "sound.wav", "two.jpg", "x.latent"]
    assert folders.list("input:image") == ["one.png", "two.jpg"]
    assert folders.list("input:.latent") == ["x.latent"]
    assert folders.list("output") == ["out.png"]
    assert folders.list("temp") == []


def test_a_changed_folder_is_read_again(folders: Folders) -> None:
    folders.list("checkpoints")
    put(folders.models("checkpoints")[0] / "sub" / "new.pt")
    assert "sub/new.pt" in folders.list("checkpoints")
    (folders.models("checkpoints")[0] / "sub" / "new.pt").unlink()
    assert "sub/new.pt" not in folders.list("checkpoints")


def test_folders_that_lead_into_themselves_are_read_once(folders: Folders) -> None:
    root = folders.models("checkpoints")[0]
    (root / "again").symlink_to(root)
    (root / "sub" / "up").symlink_to(root / "sub")
    assert folders.list("checkpoints") == ["a.safetensors", "sub/b.ckpt", "sub/deep/c.pt"]


def test_listing_many_files_again_costs_little(folders: Folders) -> None:
    root = folders.models("loras")[0]
    root.mkdir(parents=True)
    for index in range(3000):
        (root / f"{index}.pt").touch()
    assert len(folders.list("loras")) == 3000
    started = time.perf_counter()
    for _ in range(20):
        folders.list("loras")
    assert (time.perf_counter() - started) / 20 < 0.02


def test_a_name_is_resolved_in_the_first_folder_that_has_it(folders: Folders, tmp_path: Path) -> None:
    first = put(tmp_path / "more" / "a.safetensors")
    folders.add_models("checkpoints", tmp_path / "more", first=True)
    assert folders.resolve("checkpoints", "a.safetensors") == first
    assert (
        folders.resolve("checkpoints", "sub/b.ckpt") == tmp_path / "models" / "checkpoints" / "sub" / "b.ckpt"
    )


def test_adding_a_folder_again_only_moves_it(folders: Folders, tmp_path: Path) -> None:
    before = folders.models("checkpoints")
    folders.add_models("checkpoints", tmp_path / "more")
    folders.add_models("checkpoints", tmp_path / "more")
    assert folders.models("checkpoints") == [*before, tmp_path / "more"]
    folders.add_models("checkpoints", tmp_path / "more", first=True)
    assert folders.models("checkpoints") == [tmp_path / "more", *before]
    put(tmp_path / "mine" / "a.gguf")
    folders.add_models("mine", tmp_path / "mine", suffixes=[".gguf"])
    assert folders.list("mine") == ["a.gguf"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.safetensors", "a.safetensors"),
        ("sub\\deep\\c.pt", "sub/deep/c.pt"),
        ("c.pt", "sub/deep/c.pt"),
        ("wrong/place/b.ckpt", "sub/b.ckpt"),
        ("gone.pt", None),
        (3, None),
    ],
)
def test_a_name_may_have_backslashes_or_lack_its_folder(
    folders: Folders, name: str, expected: str | None
) -> None:
    assert folders.match("checkpoints", name) == expected
    if isinstance(expected, str):
        assert folders.resolve("checkpoints", name) == folders.models("checkpoints")[0] / expected


def test_a_last_part_that_two_files_have_is_no_match(folders: Folders) -> None:
    put(folders.models("checkpoints")[0] / "other" / "c.pt")
    assert folders.match("checkpoints", "c.pt") is None


def test_a_missing_file_is_named_with_the_nearest_ones(folders: Folders) -> None:
    with pytest.raises(
        FileMissing,
        match=r"no file 'a.safetensor' in the 'checkpoints' folder; did you mean 'a.safetensors'\?",
    ):
        folders.resolve("checkpoints", "a.safetensor")
    with pytest.raises(FileMissing, match="the folder has nothing like it"):
        folders.resolve("vae", "a.pt")
    put(folders.models("checkpoints")[0] / "other" / "c.pt")
    with pytest.raises(FileMissing) as caught:
        folders.resolve("checkpoints", "c.pt")
    assert caught.value.nearest[:2] == ("other/c.pt", "sub/deep/c.pt")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "..\\secret.png",
        "/etc/passwd",
        "sub/../../secret.png",
        "C:\\x.png",
        "c:x",
        "a\0b",
        "..",
        "\\\\host\\share",
    ],
)
def test_no_name_leads_out_of_its_folder(folders: Folders, name: str) -> None:
    for kind in ("checkpoints", "input"):
        with pytest.raises(OutsideRoot, match="is not inside the"):
            folders.resolve(kind, name)
    with pytest.raises(OutsideRoot):
        folders.save_place(name)
    assert folders.match("input", name) is None
    assert folders.stamp("input", name) is None


def test_a_link_out_of_a_root_is_not_followed_but_models_may_lie_elsewhere(
    folders: Folders, tmp_path: Path
) -> None:
    (folders.input / "link.png").symlink_to(tmp_path / "secret.png")
    (folders.input / "etc").symlink_to("/etc")
    for name in ("link.png", "etc/passwd"):
        with pytest.raises(OutsideRoot):
            folders.input_file(name)
    elsewhere = put(tmp_path / "disk" / "big.ckpt")
    (folders.models("checkpoints")[0] / "big.ckpt").symlink_to(elsewhere)
    assert folders.resolve("checkpoints", "big.ckpt").read_text() == "x"


def test_an_input_may_say_which_root_it_is_in(folders: Folders) -> None:
    assert folders.input_file("one.png") == Path(os.path.realpath(folders.input)) / "one.png"
    assert folders.input_file("sub/three.png").name == "three.png"
    assert folders.resolve("input:image", "out.png [output]").parent.name == "output"
    assert folders.input_file("one.png [input]", "output").parent.name == "input"
    assert folders.match("input:image", "out.png [output]") == "out.png [output]"
    assert folders.match("input", "gone.png") is None
    with pytest.raises(FileMissing):
        folders.input_file("one.png [temp]")
    with pytest.raises(OutsideRoot):
        folders.input_file("../secret.png [output]")
    assert (
        folders.inside("output", "new/file.png")
        == Path(os.path.realpath(folders.output)) / "new" / "file.png"
    )


def test_a_stamp_changes_with_its_file(folders: Folders) -> None:
    path = folders.models("checkpoints")[0] / "a.safetensors"
    stamp = folders.stamp("checkpoints", "a.safetensors")
    assert stamp is not None
    assert stamp[:3] == (str(path), 1, path.stat().st_mtime_ns)
    path.write_text("longer")
    assert folders.stamp("checkpoints", "a.safetensors") != stamp
    assert folders.stamp("checkpoints", "gone") is None


def test_extra_model_paths_are_added_as_comfyui_reads_them(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_AT", "mounted")
    config = {
        "other_ui": {
            "base_path": "ui",
            "checkpoints": "models/sd",
            "loras": "models/lora\nmodels/lyco\n",
            "clip": "c",
        },
        "mine": {"is_default": True, "vae": "/abs/vae", "new_kind": "$MODELS_AT/x"},
        "empty": None,
    }
    before = folders.models("vae")
    folders.add_extra(config, tmp_path)
    assert folders.models("checkpoints")[-1] == tmp_path / "ui" / "models" / "sd"
    assert folders.models("loras")[-2:] == [
        tmp_path / "ui" / "models" / "lora",
        tmp_path / "ui" / "models" / "lyco",
    ]
    assert folders.models("text_encoders")[-1] == tmp_path / "ui" / "c"
    assert folders.models("vae") == [Path("/abs/vae"), *before]
    assert folders.models("new_kind") == [tmp_path / "mounted" / "x"]


def test_places_to_save_are_numbered_on_and_lie_in_their_subfolder(folders: Folders) -> None:
    put(folders.output / "sub" / "pic_00007_.png")
    place = folders.save_place("sub/pic", count=2)
    assert (place.counter, place.subfolder, place.stem) == (8, "sub", "pic")
    assert place.path(".png", 1) == Path(os.path.realpath(folders.output)) / "sub" / "pic_00009_.png"
    assert folders.save_place("sub\\pic").counter == 10
    temp = folders.save_place("%width%x%height%", "temp", width=3, height=4)
    assert temp.name(".png") == "3x4_00001_.png"
    assert temp.folder.is_dir()


@settings(max_examples=200)
@given(st.text(alphabet="./\\ab:\0 [output]C", max_size=14))
def test_whatever_the_name_what_is_resolved_lies_inside(name: str) -> None:
    folders = Folders(Path("/tmp/no-such-base"))
    root = os.path.realpath(folders.input)
    with contextlib.suppress(FolderError):
        assert os.path.commonpath([root, folders.inside("input", name)]) == root


def test_a_link_that_leads_nowhere_is_not_offered_until_it_does(folders: Folders, tmp_path: Path) -> None:
    root, target = folders.models("checkpoints")[0], tmp_path / "disk" / "late.ckpt"
    (root / "late.ckpt").symlink_to(target)
    (root / "gone.ckpt").symlink_to(tmp_path / "nothing")
    assert folders.list("checkpoints") == ["a.safetensors", "sub/b.ckpt", "sub/deep/c.pt"]
    assert folders.match("checkpoints", "gone.ckpt") is None
    put(target)
    assert "late.ckpt" in folders.list("checkpoints")
    target.unlink()
    assert "late.ckpt" not in folders.list("checkpoints")


def test_inputs_that_cannot_be_loaded_are_not_offered(folders: Folders, tmp_path: Path) -> None:
    (folders.input / "gone.png").symlink_to(tmp_path / "nothing.png")
    (folders.input / "outside.png").symlink_to(put(tmp_path / "secret.png"))
    (folders.input / "same.png").symlink_to(folders.input / "one.png")
    os.mkfifo(folders.input / "pipe.png")
    names = folders.list("input:image")
    assert "same.png" in names
    assert not {"gone.png", "outside.png", "pipe.png"} & set(names)
    for name in names:
        assert folders.input_file(name).is_file()


def test_the_files_that_a_node_shows_are_found(folders: Folders) -> None:
    shown = {
        "images": [
            {"filename": "a.png", "subfolder": "x", "type": "output"},
            {"filename": "b.png", "subfolder": "", "type": "temp"},
            {"filename": "../../c.png", "subfolder": "", "type": "output"},
            {"filename": "d.png", "subfolder": "", "type": "elsewhere"},
            {"filename": 7},
            "e.png",
        ],
        "text": ["a"],
        "animated": True,
    }
    roots = {name: Path(os.path.realpath(folders.roots[name])) for name in ("output", "temp")}
    assert list(folders.shown_files(shown)) == [roots["output"] / "x" / "a.png", roots["temp"] / "b.png"]


def test_a_model_in_several_files_is_listed_once_and_chosen_by_any(folders: Folders, tmp_path: Path) -> None:
    unets = tmp_path / "models" / "diffusion_models"
    names = [f"big/flux-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    for name in (*names, "lost-00002-of-00002.safetensors", "q.gguf", "flux.safetensors.index.json"):
        put(unets / name)
    assert folders.list("unet") == [names[0], "lost-00002-of-00002.safetensors", "q.gguf"]
    assert [folders.match("unet", name) for name in names] == [names[0]] * 3
    assert folders.match("unet", "flux-00002-of-00003.safetensors") == names[0]
    assert folders.resolve("unet", names[1]) == unets / names[1]
    before = folders.stamp("unet", names[0])
    put(unets / names[2], "other")
    assert folders.stamp("unet", names[0]) != before


def test_gguf_files_are_offered_where_models_and_text_encoders_are(folders: Folders, tmp_path: Path) -> None:
    for kind in ("unet", "clip", "loras"):
        put(tmp_path / "models" / kind / f"{kind}.gguf")
    listed = [folders.list(kind) for kind in ("diffusion_models", "text_encoders", "loras")]
    assert listed == [["unet.gguf"], ["clip.gguf"], []]
