"""References to assets in workflows become the names that loaders take."""

from typing import Any

import pytest

from execution.files.folders import Folders
from server.assets.library import Assets
from server.assets.places import Place
from server.assets.references import resolve_references
from server.envelopes import Refusal


def reference(asset: Any) -> dict[str, Any]:
    return {"__type": "core/ASSET", "info": {"id": asset}}


async def test_each_becomes_the_name_for_its_folder(assets: Assets, folders: Folders) -> None:
    (folders.models_root / "loras" / "l.safetensors").write_bytes(b"l")
    (folders.input / "i.png").write_bytes(b"i")
    (folders.output / "o.png").write_bytes(b"o")
    made = [
        await assets.note(place)
        for place in (Place("input", "i.png"), Place("output", "o.png"), Place("loras", "l.safetensors"))
    ]
    ids = [asset.id for asset in made if asset is not None]
    workflow: dict[str, Any] = {
        "1": {"inputs": {"image": reference(ids[0]), "deep": [{"x": [reference(ids[1]), 1]}]}},
        "2": {"inputs": {"lora_name": reference(ids[2]), "plain": {"__type": "other"}, "link": ["1", 0]}},
    }
    before = [asset.accessed for asset in made if asset is not None]
    await resolve_references(assets, workflow)
    assert workflow == {
        "1": {"inputs": {"image": "i.png", "deep": [{"x": ["o.png [output]", 1]}]}},
        "2": {"inputs": {"lora_name": "l.safetensors", "plain": {"__type": "other"}, "link": ["1", 0]}},
    }
    used = [await assets.find(name) for name in ids]
    assert [asset.accessed for asset in used if asset is not None] > before, "the use is noted"


async def test_one_that_means_nothing_is_named_with_its_place(assets: Assets) -> None:
    wrong: tuple[Any, ...] = ("absent", 7, None)
    for asset in wrong:
        with pytest.raises(Refusal) as raised:
            await resolve_references(assets, {"7": {"inputs": {"image": reference(asset)}}})
        refused = raised.value
        assert (refused.status, refused.code) == (422, "missing_asset")
        assert refused.details == {"input": "7.inputs.image"}
    for info in (None, [], "x"):
        with pytest.raises(Refusal):
            await resolve_references(assets, {"7": {"__type": "core/ASSET", "info": info}})
