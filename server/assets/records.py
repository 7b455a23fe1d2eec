"""The tables of assets in SQLite, and what is asked of them. An asset never changes its bytes: when a file is
written anew it becomes another asset, and the old one is missing unless its bytes are elsewhere too.
"""

import base64
import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.answers import dumps, refusal
from server.assets.hashing import Stamp
from server.assets.places import Place

SCHEMA = """
CREATE TABLE IF NOT EXISTS files(
    kind TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, device INTEGER NOT NULL,
    hash TEXT, PRIMARY KEY(kind, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_hash ON files(hash);
CREATE TABLE IF NOT EXISTS assets(
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    kind TEXT NOT NULL,
    file TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT,
    size INTEGER NOT NULL,
    type TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    accessed REAL NOT NULL,
    expires REAL,
    preview TEXT,
    job TEXT,
    metadata TEXT NOT NULL DEFAULT '{}');
CREATE INDEX IF NOT EXISTS assets_place ON assets(kind, file);
CREATE INDEX IF NOT EXISTS assets_hash ON assets(hash);
CREATE INDEX IF NOT EXISTS assets_expires ON assets(expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS tags(
    asset TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY(asset, tag)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tags_tag ON tags(tag, asset);
CREATE TABLE IF NOT EXISTS once(
    session TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, asset TEXT NOT NULL,
    PRIMARY KEY(session, key)) WITHOUT ROWID;
"""
MISSING = "missing"
"""The tag of an asset whose file is gone."""
SORTS = ("name", "created_at", "updated_at", "size", "last_access_time")
COLUMNS = dict(zip(SORTS, ("name", "created", "updated", "size", "accessed"), strict=True))


@dataclass(frozen=True)
class Asset:
    """One asset. `hash` is None until the bytes have been read."""

    id: str
    place: Place
    name: str
    hash: str | None
    size: int
    type: str
    created: float
    updated: float
    accessed: float
    expires: float | None = None
    preview: str | None = None
    job: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What was last seen of a file."""

    place: Place
    stamp: Stamp
    hash: str | None


@dataclass(frozen=True)
class Wanted:
    """Which assets a list shows. `after` is the cursor of the page before."""

    limit: int = 20
    offset: int = 0
    after: str | None = None
    sort: str = "created_at"
    ascending: bool = False
    all_tags: tuple[str, ...] = ()
    any_tags: tuple[str, ...] = ()
    no_tags: tuple[str, ...] = ()
    name_contains: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    hash: str | None = None


# reading


def asset_of(connection: sqlite3.Connection, row: sqlite3.Row) -> Asset:
    """An asset from its row, with its tags."""
    tags = connection.execute("SELECT tag FROM tags WHERE asset = ? ORDER BY tag", (row["id"],)).fetchall()
    return Asset(
        id=row["id"],
        place=Place(row["kind"], row["file"]),
        name=row["name"],
        hash=row["hash"],
        size=row["size"],
        type=row["type"],
        created=row["created"],
        updated=row["updated"],
        accessed=row["accessed"],
        expires=row["expires"],
        preview=row["preview"],
        job=row["job"],
        metadata=json.loads(row["metadata"]),
        tags=tuple(tag[0] for tag in tags),
    )


def select_one(connection: sqlite3.Connection, where: str, *values: Any) -> Asset | None:
    """The oldest asset for which `where` holds and whose time has not run out."""
    statement = f"SELECT * FROM assets WHERE {where} AND coalesce(expires, 1e18) > ? ORDER BY ordinal"
    row = connection.execute(f"{statement} LIMIT 1", (*values, time.time())).fetchone()
    return asset_of(connection, row) if row else None


def known(connection: sqlite3.Connection, place: Place) -> Known | None:
    """What was last seen of a place's file."""
    row = connection.execute("SELECT * FROM files WHERE kind = ? AND name = ?", place).fetchone()
    return known_of(row) if row else None


def known_of(row: sqlite3.Row) -> Known:
    stamp = Stamp(row["size"], row["mtime_ns"], row["inode"], row["device"])
    return Known(Place(row["kind"], row["name"]), stamp, row["hash"])


def holders(connection: sqlite3.Connection, hash: str) -> list[Known]:
    """Files that had these bytes when they were last seen."""
    rows = connection.execute("SELECT * FROM files WHERE hash = ? ORDER BY kind, name", (hash,))
    return [known_of(row) for row in rows.fetchall()]


def conditions(wanted: Wanted) -> tuple[str, list[Any]]:
    """The WHERE of a list, without its cursor."""
    parts, values = ["coalesce(expires, 1e18) > ?"], list[Any]([time.time()])
    has = "EXISTS(SELECT 1 FROM tags WHERE asset = assets.id AND tag "
    for tag in wanted.all_tags:
        parts.append(f"{has}= ?)")
        values.append(tag)
    for tags, negation in ((wanted.any_tags, ""), (wanted.no_tags, "NOT ")):
        if tags:
            parts.append(f"{negation}{has}IN ({','.join('?' * len(tags))}))")
            values += tags
    if wanted.name_contains:
        parts.append("instr(lower(name), lower(?)) > 0")
        values.append(wanted.name_contains)
    if wanted.hash is not None:
        parts.append("hash = ?")
        values.append(wanted.hash)
    for name, value in wanted.metadata.items():
        path, choices = f'$."{name}"', value if isinstance(value, list) else [value]
        if value is None:
            parts.append("coalesce(json_type(metadata, ?), 'null') = 'null'")
            values.append(path)
        else:
            marks = ",".join("?" * len(choices))
            parts.append(f"EXISTS(SELECT 1 FROM json_each(metadata, ?) WHERE atom IN ({marks}))")
            values += [path, *choices]
    return " AND ".join(parts), values


def select_page(connection: sqlite3.Connection, wanted: Wanted) -> tuple[list[Asset], int, str | None]:
    """A page of assets, how many there are in all, and the cursor of the next page if there is one."""
    where, values = conditions(wanted)
    total = connection.execute(f"SELECT count(*) FROM assets WHERE {where}", values).fetchone()[0]
    column, way = COLUMNS[wanted.sort], "ASC" if wanted.ascending else "DESC"
    offset = wanted.offset
    if wanted.after is not None:
        value, ordinal = read_cursor(wanted.after, wanted.sort)
        where = f"{where} AND ({column}, ordinal) {'>' if wanted.ascending else '<'} (?, ?)"
        values, offset = [*values, value, ordinal], 0
    statement = f"SELECT * FROM assets WHERE {where} ORDER BY {column} {way}, ordinal {way} LIMIT ? OFFSET ?"
    rows = connection.execute(statement, [*values, wanted.limit + 1, offset]).fetchall()
    page = rows[: wanted.limit]
    more = len(rows) > wanted.limit
    cursor = write_cursor(wanted.sort, page[-1][column], page[-1]["ordinal"]) if more else None
    return [asset_of(connection, row) for row in page], total, cursor


def write_cursor(sort: str, value: float | str, ordinal: int) -> str:
    """Where a page ended, in a form that clients only hand back."""
    return base64.urlsafe_b64encode(dumps([sort, value, ordinal]).encode()).decode()


def read_cursor(text: str, sort: str) -> tuple[float | str, int]:
    """What `write_cursor` wrote; 400 for anything else, and for a cursor of another order."""
    try:
        kind, value, ordinal = json.loads(base64.urlsafe_b64decode(text))
        fits = kind == sort and isinstance(value, str if sort == "name" else int | float)
        if fits and isinstance(ordinal, int):
            return value, ordinal
    except (ValueError, TypeError, RecursionError):
        pass
    raise refusal(400, "invalid_cursor", "after must be the next_cursor of a list in the same order.")


def count_tags(
    connection: sqlite3.Connection, wanted: Wanted, prefix: str, most: int, offset: int = 0
) -> tuple[list[tuple[str, int]], int]:
    """Tags of the wanted assets that start with `prefix`, the most used first, and how many there are."""
    where, values = conditions(wanted)
    source = f"tags JOIN assets ON assets.id = tags.asset WHERE {where} AND substr(tag, 1, ?) = ?"
    values = [*values, len(prefix), prefix]
    total = connection.execute(f"SELECT count(DISTINCT tag) FROM {source}", values).fetchone()[0]
    statement = (
        f"SELECT tag, count(*) FROM {source} GROUP BY tag ORDER BY count(*) DESC, tag LIMIT ? OFFSET ?"
    )
    return [(row[0], row[1]) for row in connection.execute(statement, [*values, most, offset])], total


# writing


def see(connection: sqlite3.Connection, place: Place, stamp: Stamp, hash: str | None) -> str | None:
    """Note a file as it is now; its hash, which stays known while the stamp is the same."""
    before = known(connection, place)
    if hash is None and before is not None and before.stamp == stamp:
        hash = before.hash
    if before != Known(place, stamp, hash):
        connection.execute("INSERT OR REPLACE INTO files VALUES(?, ?, ?, ?, ?, ?, ?)", (*place, *stamp, hash))
    return hash


def forget_file(connection: sqlite3.Connection, place: Place) -> None:
    """A place has no file any more; its assets are missing, unless their bytes are elsewhere."""
    connection.execute("DELETE FROM files WHERE kind = ? AND name = ?", place)
    mark(connection, place, None)


def mark(connection: sqlite3.Connection, place: Place, hash: str | None) -> None:
    """Tag the assets of a place whose bytes are nowhere, now that it has the bytes `hash`, or none."""
    rows = connection.execute("SELECT id, hash FROM assets WHERE kind = ? AND file = ?", place).fetchall()
    for row in rows:
        there = row["hash"] is not None and (row["hash"] == hash or bool(holders(connection, row["hash"])))
        if there or (row["hash"] is None and known(connection, place) is not None):
            connection.execute("DELETE FROM tags WHERE asset = ? AND tag = ?", (row["id"], MISSING))
        else:
            tag(connection, row["id"], (MISSING,))


def enter(connection: sqlite3.Connection, asset: Asset) -> None:
    """Write a new asset with its tags."""
    columns = {
        "id": asset.id,
        "kind": asset.place.kind,
        "file": asset.place.name,
        "name": asset.name,
        "hash": asset.hash,
        "size": asset.size,
        "type": asset.type,
        "created": asset.created,
        "updated": asset.updated,
        "accessed": asset.accessed,
        "expires": asset.expires,
        "preview": asset.preview,
        "job": asset.job,
        "metadata": dumps(dict(asset.metadata)),
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    connection.execute(f"INSERT INTO assets({names}) VALUES({marks})", tuple(columns.values()))
    tag(connection, asset.id, asset.tags)


def read_at_last(connection: sqlite3.Connection, place: Place, size: int, hash: str | None) -> None:
    """The assets of a place whose bytes nobody had read are those that it has now."""
    unread = "UPDATE assets SET size = ?, hash = ? WHERE kind = ? AND file = ? AND hash IS NULL"
    connection.execute(unread, (size, hash, *place))


def change(connection: sqlite3.Connection, asset: str, columns: Mapping[str, Any]) -> None:
    """Set columns of an asset; says when, unless only the access is noted."""
    columns = dict(columns) if set(columns) == {"accessed"} else {**columns, "updated": time.time()}
    changes = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE assets SET {changes} WHERE id = ?", (*columns.values(), asset))


def tag(connection: sqlite3.Connection, asset: str, tags: Iterable[str]) -> None:
    """Add tags; those it has already stay."""
    connection.executemany("INSERT OR IGNORE INTO tags VALUES(?, ?)", [(asset, each) for each in tags])


def untag(connection: sqlite3.Connection, asset: str, tags: Iterable[str]) -> None:
    """Take tags away."""
    connection.executemany("DELETE FROM tags WHERE asset = ? AND tag = ?", [(asset, each) for each in tags])


def remove(connection: sqlite3.Connection, asset: str) -> None:
    """Drop an asset, its tags and the keys that asked for it; its file stays."""
    connection.execute("DELETE FROM once WHERE asset = ?", (asset,))
    connection.execute("DELETE FROM tags WHERE asset = ?", (asset,))
    connection.execute("DELETE FROM assets WHERE id = ?", (asset,))


def shares(connection: sqlite3.Connection, asset: Asset) -> bool:
    """Whether another asset needs the file of this one."""
    other = "SELECT 1 FROM assets WHERE kind = ? AND file = ? AND id != ?"
    return connection.execute(other, (*asset.place, asset.id)).fetchone() is not None


def expired(connection: sqlite3.Connection) -> list[Asset]:
    """The assets whose time has run out."""
    rows = connection.execute("SELECT * FROM assets WHERE expires <= ?", (time.time(),)).fetchall()
    return [asset_of(connection, row) for row in rows]


def places(connection: sqlite3.Connection) -> list[Place]:
    """Every place that was seen or that an asset has."""
    rows = connection.execute("SELECT kind, name FROM files UNION SELECT kind, file FROM assets").fetchall()
    return [Place(*row) for row in rows]


def missing(connection: sqlite3.Connection) -> int:
    """How many assets are missing."""
    return int(connection.execute("SELECT count(*) FROM tags WHERE tag = ?", (MISSING,)).fetchone()[0])


def answered(connection: sqlite3.Connection, session: str, key: str) -> tuple[str, Asset] | None:
    """See `library.Assets.answered`."""
    statement = "SELECT request, asset FROM once WHERE session = ? AND key = ?"
    row = connection.execute(statement, (session, key)).fetchone()
    asset = select_one(connection, "id = ?", row["asset"]) if row else None
    return (row["request"], asset) if asset else None


def answer_once(connection: sqlite3.Connection, session: str, key: str, request: str, asset: str) -> None:
    """See `library.Assets.answer_once`."""
    connection.execute("INSERT OR REPLACE INTO once VALUES(?, ?, ?, ?)", (session, key, request, asset))
