"""References to assets in a workflow: `{"__type": "core/ASSET", "info": {"id"}}` where a file name would be.
Before the workflow is checked each becomes the name by which loaders find the file.
"""

from collections.abc import Iterator
from typing import Any

from server.assets.library import Assets
from server.assets.records import Asset
from server.envelopes import Refusal

TYPE, REFERENCE = "__type", "core/ASSET"
Spot = tuple[Any, Any, str]
"""A list or object, the index or name in it, and the whole way there for people."""


async def resolve_references(assets: Assets, workflow: dict[str, Any]) -> None:
    """Put names in the place of references. 422 for one that means no asset, saying where it is."""
    used: dict[str, Asset] = {}
    for holder, name, way in list(references(workflow)):
        asset = await referred_to(assets, holder[name])
        found = await assets.whereabouts(asset) if asset is not None else None
        if asset is None or found is None:
            raise Refusal(422, "missing_asset", f"{way} refers to an asset that is not here.", {"input": way})
        holder[name] = found[0].choice
        used[asset.id] = asset
    if used:
        await assets.used(used.values())


async def referred_to(assets: Assets, reference: dict[str, Any]) -> Asset | None:
    """The asset of a reference, by the id in it."""
    info = reference.get("info")
    asset = info.get("id") if isinstance(info, dict) else None
    return await assets.find(asset) if isinstance(asset, str) else None


def references(workflow: dict[str, Any]) -> Iterator[Spot]:
    """Every place of a reference, at any depth."""
    pending: list[tuple[Any, str]] = [(workflow, "")]
    while pending:
        holder, way = pending.pop()
        for name, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            there = f"{way}.{name}" if way else str(name)
            if isinstance(value, dict) and value.get(TYPE) == REFERENCE:
                yield holder, name, there
            elif isinstance(value, dict | list):
                pending.append((value, there))
