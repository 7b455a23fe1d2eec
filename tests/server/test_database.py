"""Writes are joined into one commit, and whoever asked is told only what is on disk."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from server.database import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS names(name TEXT PRIMARY KEY)"


def add(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("INSERT INTO names VALUES(?)", (name,))


def names(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM names ORDER BY name")]


async def test_a_refusal_is_told_after_what_it_rests_on_is_on_disk(tmp_path: Path) -> None:
    database, go = Database(tmp_path / "x.sqlite", SCHEMA), threading.Event()
    held = asyncio.create_task(database.write(lambda connection: go.wait(10)))
    await asyncio.sleep(0)
    first = asyncio.create_task(database.write(lambda connection: add(connection, "a")))
    second = asyncio.create_task(database.write(lambda connection: add(connection, "a")))
    other = asyncio.create_task(database.write(lambda connection: add(connection, "b")))
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(sqlite3.IntegrityError):
        await second
    assert await database.read(names) == ["a", "b"], "the reader sees what made it fail"
    await asyncio.gather(held, first, other)
    await asyncio.to_thread(database.close)


async def test_what_was_written_survives_a_close(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite", SCHEMA)
    database.post(lambda connection: add(connection, "a"))
    await asyncio.to_thread(database.close)
    again = Database(tmp_path / "x.sqlite", SCHEMA)
    assert await again.read(names) == ["a"]
    await asyncio.to_thread(again.close)
