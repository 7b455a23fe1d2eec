"""Where an asset's file is, in the words of tags, loaders and paths; never outside of its folder."""

from pathlib import Path

from execution.files.folders import Folders
from server.assets.places import Place, path_of


def test_a_place_is_told_in_the_words_of_loaders_tags_and_paths() -> None:
    cases = {
        Place("input", "a/b.png"): ("a/b.png", "input/a/b.png", ("input",)),
        Place("output", "x.png"): ("x.png [output]", "output/x.png", ("output",)),
        Place("temp", "x.png"): ("x.png [temp]", "temp/x.png", ("temp",)),
        Place("loras", "style/x.safetensors"): (
            "style/x.safetensors", "models/loras/style/x.safetensors", ("models", "model_type:loras"),
        ),
    }  # fmt: skip
    for place, (choice, file_path, tags) in cases.items():
        assert (place.choice, place.file_path, place.tags) == (choice, file_path, tags)


def test_a_users_link_out_of_its_folder_is_no_place_and_a_models_is(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    secret = tmp_path / "secret.safetensors"
    secret.write_bytes(b"x")
    for folder in (folders.input, folders.models_root / "loras"):
        folder.mkdir(parents=True)
        (folder / "link.safetensors").symlink_to(secret)
    assert path_of(folders, Place("input", "link.safetensors")) is None
    assert path_of(folders, Place("loras", "link.safetensors")) == secret.resolve()
    for name in ("../secret.safetensors", "/etc/passwd", "absent.png", "", "a\0b"):
        assert path_of(folders, Place("input", name)) is None, name
        assert path_of(folders, Place("loras", name)) is None, name
