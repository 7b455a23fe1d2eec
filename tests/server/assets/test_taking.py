"""Where an upload goes, by its tags and its name, and that it is taken once."""

from pathlib import Path

import pytest

from execution.files.folders import Folders
from server.assets.library import Assets
from server.assets.taking import Order, described_by, kind_of, place_for, take
from server.envelopes import Refusal
from tests.server.assets.test_hashing import hash_of


def test_tags_name_the_kind() -> None:
    cases = {
        (): "input",
        ("mine",): "input",
        ("output", "mine"): "output",
        ("temp",): "temp",
        ("models", "model_type:loras"): "loras",
        ("model_type:vae",): "vae",
        ("models", "checkpoints"): "checkpoints",
        ("models",): "models",
    }
    for tags, kind in cases.items():
        assert kind_of(tags) == kind, tags


def test_what_is_said_is_of_its_type() -> None:
    given = {
        "name": "x",
        "mime_type": "a/b",
        "user_metadata": {"a": 1},
        "tags": ("t",),
        "other": 7,
        "preview_id": None,
    }
    assert described_by(given) == {"name": "x", "type": "a/b", "metadata": {"a": 1}, "tags": ("t",)}
    for wrong in ({"name": 7}, {"user_metadata": []}, {"mime_type": {}}, {"preview_id": 1}):
        with pytest.raises(Refusal):
            described_by(wrong)


def test_a_model_goes_into_the_first_folder_of_its_kind(folders: Folders) -> None:
    place = place_for(folders, Order("loras", "style/x.safetensors"))
    assert place.folder == folders.models_root / "loras" / "style"
    for order in (Order("custom_nodes", "x.safetensors"), Order("none", "x.sft"), Order("loras", "x.py")):
        with pytest.raises(Refusal) as raised:
            place_for(folders, order)
        assert raised.value.status == 422


async def test_the_same_bytes_are_taken_once_a_kind(assets: Assets, folders: Folders, tmp_path: Path) -> None:
    file = tmp_path / "spooled"
    file.write_bytes(b"bytes")
    first, is_new = await take(assets, folders, file, Order("input", "a.png", described={"expires": 9e9}))
    again, is_again_new = await take(
        assets, folders, file, Order("input", "b.png", described={"expires": 8e9})
    )
    assert (is_new, is_again_new, again.id) == (True, False, first.id)
    assert again.expires == 9e9, "kept longer, never shorter"
    other, is_other_new = await take(assets, folders, file, Order("output", "a.png"))
    assert is_other_new
    assert other.id != first.id
    assert other.hash == first.hash == hash_of(b"bytes")
    for hash, code in ((hash_of(b"else"), "hash_mismatch"), ("md5:1", "invalid_hash")):
        with pytest.raises(Refusal) as raised:
            await take(assets, folders, file, Order("input", "c.png", hash))
        assert raised.value.code == code
