"""An asset in the words of the API."""

from server.assets.places import Place
from server.assets.records import Asset
from server.assets.shown import moment, shown


def test_times_are_told_in_utc() -> None:
    assert moment(0.0) == "1970-01-01T00:00:00.000Z"


def test_pictures_are_their_own_preview_and_other_files_have_none() -> None:
    picture = Asset(
        "id", Place("input", "a.png"), "mine.png", "blake3:x", 3, "image/png", 1.0, 2.0, 3.0, job="j"
    )
    told = shown(picture)
    assert (told["preview_id"], told["preview_url"]) == ("id", "/api/assets/id/content?disposition=inline")
    assert (told["name"], told["file_path"], told["loader_path"]) == ("mine.png", "input/a.png", "a.png")
    assert told["hash"] == told["asset_hash"] == "blake3:x"
    assert told["job_id"] == told["prompt_id"] == "j"
    model = Asset("id", Place("vae", "x.sft"), "x.sft", None, 3, "application/octet-stream", 1.0, 2.0, 3.0)
    assert (shown(model)["preview_id"], shown(model)["preview_url"], shown(model)["hash"]) == (
        None,
        None,
        None,
    )
