"""What nodes showed, as assets of their job."""

from typing import Any

from execution.files.folders import Folders
from server.assets.library import Assets
from server.assets.outputs import Shown, files_of, note_outputs, note_texts
from server.assets.places import Place


def test_every_file_is_found_under_whatever_word_and_nothing_else() -> None:
    outputs: dict[str, Any] = {
        "9": {
            "images": [
                {"filename": "a.png", "subfolder": "sub/", "type": "output"},
                {"filename": "b.png", "subfolder": "w\\in", "type": "temp"}, {"filename": 7}, "x", None,
                {"filename": "c.png", "type": "elsewhere"}, {"filename": "", "type": "output"},
            ],
            "animated": (True,), "text": ["words"],
        },
        "10": {"latents": [{"filename": "l.latent", "subfolder": ""}], "odd": 7}, "11": "no ui",
    }  # fmt: skip
    assert list(files_of(outputs)) == [
        Shown("9", "images", Place("output", "sub/a.png")),
        Shown("9", "images", Place("temp", "w/in/b.png")),
        Shown("10", "latents", Place("output", "l.latent")),
    ]


async def test_files_that_are_there_are_assets_of_the_job(assets: Assets, folders: Folders) -> None:
    (folders.output / "a.png").write_bytes(b"x")
    images = [{"filename": "a.png", "type": "output"}, {"filename": "../assets.sqlite", "type": "output"}]
    ((shown, asset),) = await note_outputs(assets, "job", {"9": {"images": images}})
    assert (shown.node, asset.name, asset.job) == ("9", "a.png", "job")
    ((_, again),) = await note_outputs(assets, "later", {"9": {"images": images}})
    assert (again.id, again.job) == (asset.id, "job"), "shown again from the cache it is the first job's"


async def test_texts_are_kept_once_as_files(assets: Assets, folders: Folders) -> None:
    outputs = {"3": {"text": ["one", "", 7, "zwei ü"]}, "4": {"text": ["one"]}, "5": {"text": "plain"}}
    noted = await note_texts(assets, folders, "job", outputs)
    assert [(shown.node, asset.size) for shown, asset in noted] == [("3", 3), ("3", 7), ("4", 3)]
    assert noted[0][1].id == noted[2][1].id
    assert len(list((folders.temp / "texts").iterdir())) == 2
