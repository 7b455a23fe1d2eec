"""The walk over the folders: what it finds, and what it leaves alone."""

import asyncio

from execution.files.folders import Folders
from server.assets.library import Assets
from server.assets.places import Place
from server.assets.records import MISSING, Wanted
from server.assets.seeding import Seeding, found_files


async def test_a_walk_finds_all_and_a_deleted_asset_does_not_come_back(
    assets: Assets, folders: Folders
) -> None:
    (folders.input / "sub").mkdir()
    for path in ("input/sub/a.png", "input/.hidden", "output/b.png", "models/loras/x.safetensors"):
        (folders.base / path).write_bytes(path.encode())
    (folders.input / "link.png").symlink_to("/etc/passwd")
    seeding = Seeding(assets, folders)
    await seeding.start()
    assert (seeding.state, seeding.last.scanned, seeding.last.created) == ("IDLE", 3, 3)
    found, total, _ = await assets.page(Wanted(sort="name", ascending=True))
    assert ([asset.place.file_path for asset in found], total) == (
        ["input/sub/a.png", "output/b.png", "models/loras/x.safetensors"], 3,
    )  # fmt: skip
    await assets.delete(found[0], with_content=False)
    await seeding.start(("input",), read=True)
    assert seeding.last.created == 0
    (folders.output / "b.png").unlink()
    assert await assets.prune() == 1
    assert await assets.prune() == 0
    gone = await assets.find(found[1].id)
    assert gone is not None
    assert gone.tags == (MISSING, "output")


async def test_a_walk_can_be_stopped(assets: Assets, folders: Folders) -> None:
    for index in range(600):
        (folders.output / f"{index}.png").write_bytes(b"x")
    seeding = Seeding(assets, folders)
    assert not seeding.cancel()
    walking = asyncio.create_task(seeding.start(("output",)))
    assert (seeding.state, seeding.cancel()) == ("RUNNING", True)
    assert seeding.state == "CANCELLING"
    await walking
    assert seeding.last.scanned < 600
    assert seeding.state == "IDLE"


def test_a_model_is_found_once_in_the_first_of_its_folders(folders: Folders) -> None:
    other = folders.base / "more"
    other.mkdir()
    folders.add_models("loras", other)
    folders.add_models("custom_nodes", other, suffixes=())
    for folder in (folders.models_root / "loras", other):
        (folder / "x.safetensors").write_bytes(folder.name.encode())
    (other / "y.safetensors").symlink_to(folders.base / "absent")
    found = list(found_files(folders, ("models",)))
    assert [place for place, _ in found] == [Place("loras", "x.safetensors")]
    assert found[0][1].size == len("loras")
