"""Assets over real files: what is known of them, what becomes of them when the files change."""

import asyncio
import os
from pathlib import Path

import pytest

from execution.files.folders import Folders
from server.assets import library
from server.assets.library import Assets
from server.assets.places import Place
from server.assets.records import MISSING
from tests.server.assets.test_hashing import hash_of


async def test_a_file_is_one_asset_however_often_it_is_noted(assets: Assets, folders: Folders) -> None:
    (folders.input / "a.png").write_bytes(b"one")
    place = Place("input", "a.png")
    first, again = await assets.note(place), await assets.note(place)
    assert first == again
    assert first is not None
    assert (first.hash, first.size, first.type, first.tags) == (hash_of(b"one"), 3, "image/png", ("input",))
    assert await assets.note(Place("input", "absent.png")) is None
    assert await assets.note(Place("input", "../assets.sqlite")) is None


async def test_a_file_written_anew_is_another_asset_and_the_old_bytes_are_missing(
    assets: Assets, folders: Folders
) -> None:
    file, place = folders.input / "a.png", Place("input", "a.png")
    file.write_bytes(b"one")
    old = await assets.note(place)
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    new = await assets.note(place)
    assert old is not None
    assert new is not None
    assert (new.hash, new.id != old.id) == (hash_of(b"two"), True)
    gone = await assets.find(old.id)
    assert gone is not None
    assert MISSING in gone.tags
    assert await assets.whereabouts(old) is None
    assert await assets.by_hash(hash_of(b"one")) is None
    (folders.input / "copy.png").write_bytes(b"one")
    await assets.note(Place("input", "copy.png"))
    copy = (Place("input", "copy.png"), (folders.input / "copy.png").resolve())
    assert await assets.whereabouts(old) == copy, "the bytes are what counts"


async def test_a_change_behind_its_back_is_seen_before_bytes_are_given(
    assets: Assets, folders: Folders
) -> None:
    file = folders.input / "a.png"
    file.write_bytes(b"one")
    asset = await assets.note(Place("input", "a.png"))
    assert asset is not None
    file.write_bytes(b"six")
    os.utime(file, ns=(2, 2))
    assert await assets.by_hash(hash_of(b"one")) is None
    assert await assets.whereabouts(asset) is None
    found = await assets.by_hash(hash_of(b"six"))
    assert found is not None
    assert found[0] == Place("input", "a.png")


async def test_large_files_are_hashed_only_when_asked(
    assets: Assets, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "EAGER_BYTES", 2)
    (folders.models_root / "loras" / "x.safetensors").write_bytes(b"weights")
    place = Place("loras", "x.safetensors")
    asset = await assets.note(place)
    assert asset is not None
    assert asset.hash is None
    await assets.hash_later(asset)
    known = await assets.find(asset.id)
    assert known is not None
    assert known.hash == hash_of(b"weights")
    assert await assets.note(place) == known, "and stays known while the file is the same"


async def test_bytes_are_referred_to_by_their_hash(assets: Assets, folders: Folders) -> None:
    (folders.input / "a.png").write_bytes(b"one")
    first = await assets.note(Place("input", "a.png"))
    described = {"tags": ("mine",), "metadata": {"note": "copy"}, "preview": first.id if first else ""}
    second = await assets.refer(hash_of(b"one"), "other.png", described)
    assert first is not None
    assert second is not None
    assert (second.place, second.name) == (first.place, "other.png")
    assert (second.tags, second.metadata) == (("input", "mine"), {"note": "copy"})
    assert await assets.refer(hash_of(b"none"), None, {}) is None
    await assets.delete(first, with_content=True)
    assert (folders.input / "a.png").exists(), "the other one needs it"
    await assets.delete(second, with_content=True)
    assert not (folders.input / "a.png").exists()
    assert await assets.by_hash(hash_of(b"one")) is None


async def test_a_model_is_never_deleted_with_its_asset(assets: Assets, folders: Folders) -> None:
    file = folders.models_root / "loras" / "x.safetensors"
    file.write_bytes(b"weights")
    asset = await assets.note(Place("loras", "x.safetensors"))
    assert asset is not None
    await assets.delete(asset, with_content=True)
    assert file.exists()
    assert await assets.find(asset.id) is None


async def test_time_runs_out(assets: Assets, folders: Folders) -> None:
    (folders.input / "a.png").write_bytes(b"one")
    asset = await assets.note(Place("input", "a.png"))
    assert asset is not None
    await assets.describe(asset.id, {"expires": 1.0})
    assert await assets.find(asset.id) is None
    assert await assets.expire() == 1
    assert not (folders.input / "a.png").exists()


async def test_assets_survive_a_restart(tmp_path: Path, folders: Folders) -> None:
    (folders.input / "a.png").write_bytes(b"one")
    first = Assets(tmp_path / "kept.sqlite", folders)
    asset = await first.note(Place("input", "a.png"), job="j")
    await asyncio.to_thread(first.close)
    second = Assets(tmp_path / "kept.sqlite", folders)
    assert asset is not None
    assert await second.find(asset.id) == asset
    assert asset.job == "j"
    await asyncio.to_thread(second.close)
