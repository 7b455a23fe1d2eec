"""Taking a file in as an asset: where its tags say it goes, under its own name, and only once."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from execution.files.folders import Folders
from server.assets.hashing import digest, is_hash
from server.assets.library import Assets
from server.assets.places import MODEL_TYPE, MODELS, ROOTS, Place
from server.assets.records import Asset
from server.assets.seeding import UNWALKED
from server.bodies import document
from server.envelopes import Refusal
from server.names import file_name, folder_name
from server.uploads import Destination, Received, put_or_refuse, user_destination

MOST_LEVELS = 32
"""Of nesting in what is said of an asset in a form."""


@dataclass(frozen=True)
class Order:
    """What an upload asks for: a kind of folder, a name in it (`/` between parts), the hash that the bytes
    should have, and what is said of the asset.
    """

    kind: str
    name: str
    hash: str | None = None
    described: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, received: Received, tags_of: Callable[[object], tuple[str, ...]]) -> "Order":
        """What a form asks for; 400 for what makes no sense."""
        fields, several = received.fields, received.repeated.get("tags", [])
        tags = tags_of(several if len(several) > 1 else fields.get("tags"))
        metadata = json_object(fields.get("user_metadata", ""))
        given = {name: fields[name] for name in ("mime_type", "preview_id") if fields.get(name)}
        described = described_by({**given, "tags": tags, **({"user_metadata": metadata} if metadata else {})})
        name = fields.get("name") or (received.form.name if received.form else "")
        return cls(kind_of(tags), name, fields.get("hash") or None, described)


def json_object(text: str) -> dict[str, Any]:
    """The JSON object in a form's field; 400 when it is none."""
    try:
        found = document((text or "{}").encode(), MOST_LEVELS)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal(400, "invalid_body", "user_metadata must be a JSON object.")
    return found


def described_by(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of an asset, in the words of `Assets.describe`; 400 for values of the wrong type."""
    names = {"name": "name", "mime_type": "type", "preview_id": "preview", "user_metadata": "metadata"}
    described = {names[name]: value for name, value in given.items() if name in names and value is not None}
    for name, value in described.items():
        if not isinstance(value, dict if name == "metadata" else str):
            raise Refusal(
                400, "invalid_body", f"{name} must be {'an object' if name == 'metadata' else 'a text'}."
            )
    if given.get("tags"):
        described["tags"] = given["tags"]
    return described


def kind_of(tags: tuple[str, ...]) -> str:
    """The kind of folder that tags name: `model_type:KIND`, `models` and a kind, or a root; else `input`."""
    named = next((tag.removeprefix(MODEL_TYPE) for tag in tags if tag.startswith(MODEL_TYPE)), None)
    if named is not None:
        return named
    if MODELS in tags:
        return next((tag for tag in tags if tag != MODELS), MODELS)
    return next((tag for tag in tags if tag in ROOTS), "input")


def place_for(folders: Folders, order: Order) -> Destination:
    """Where an order's file goes; 400 or 422 when that is nowhere."""
    subfolder, _, name = order.name.replace("\\", "/").rpartition("/")
    if order.kind in ROOTS:
        return user_destination(folders, order.kind, subfolder, name)
    kind = folders.kinds.get(order.kind)
    if kind is None or not kind.paths or order.kind in UNWALKED:
        known = ", ".join(each for each in folders.kinds if each not in UNWALKED)
        raise Refusal(
            422, "unknown_model_type", f"A model needs a tag {MODEL_TYPE}KIND; the kinds are {known}."
        )
    subfolder, name = folder_name(subfolder), file_name(name)
    if kind.suffixes and Path(name).suffix.lower() not in kind.suffixes:
        suffixes = ", ".join(sorted(kind.suffixes))
        raise Refusal(422, "unsupported_type", f"A file of {order.kind} ends in one of {suffixes}.")
    return Destination(order.kind, subfolder, name, kind.paths[0] / subfolder)


async def take(assets: Assets, folders: Folders, file: Path, order: Order) -> tuple[Asset, bool]:
    """The asset of a spooled file, put in place unless its kind has these bytes already; whether it is new.

    409 when the bytes have another hash than the order says.
    """
    hash = await checked_hash(file, order)
    return await put_in_place(assets, folders, file, order, hash)


async def checked_hash(file: Path, order: Order) -> str:
    """The hash of a spooled file; 409 when it is not the one that the order says."""
    hash, _ = await asyncio.to_thread(digest, file, threading.Event())
    if order.hash is not None and order.hash != hash:
        code = "hash_mismatch" if is_hash(order.hash) else "invalid_hash"
        raise Refusal(409, code, f"The bytes that came have the hash {hash}, not the one that was said.")
    return hash


async def put_in_place(
    assets: Assets, folders: Folders, file: Path, order: Order, hash: str
) -> tuple[Asset, bool]:
    """See `take`; the hash is known."""
    destination = place_for(folders, order)
    found = await assets.by_hash(hash, order.kind)
    if found is not None:
        place = found[0]
    else:
        name = await asyncio.to_thread(put_or_refuse, file, destination, False)
        place = Place(order.kind, f"{destination.subfolder}/{name}" if destination.subfolder else name)
    asset = await assets.note(place, hash=hash)
    if asset is None:
        raise Refusal(507, "not_kept", "The file was taken, and is gone again.")
    described = dict(order.described)
    if found is not None and "expires" in described:  # taken again it is kept longer, never shorter
        described["expires"] = asset.expires and max(asset.expires, described["expires"])
    return await assets.describe(asset.id, described) or asset, found is None
