"""What a file's bytes are called, and when that is known to be stale."""

import os
import threading
from pathlib import Path

import pytest
from aiohttp import web
from blake3 import blake3

from server.assets.hashing import PREFIX, Stamp, Stopped, digest, is_hash


def hash_of(content: bytes) -> str:
    return PREFIX + blake3(content).hexdigest()


def test_a_hash_is_that_of_the_bytes_and_stops_when_told(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"abc" * 1_000_000)
    stop = threading.Event()
    assert digest(file, stop) == (hash_of(b"abc" * 1_000_000), Stamp.of(file.stat()))
    stop.set()
    with pytest.raises(Stopped):
        digest(file, stop)
    assert is_hash(hash_of(b""))
    for wrong in ("", "blake3:", "blake3:" + "G" * 64, hash_of(b"") + "0", hash_of(b"").upper(), "x" * 71):
        assert not is_hash(wrong), wrong


def test_links_and_folders_have_no_hash(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    for path in (tmp_path / "link", tmp_path, tmp_path / "absent"):
        with pytest.raises(web.HTTPNotFound):
            digest(path, threading.Event())


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    file, other = tmp_path / "x", tmp_path / "y"
    file.write_bytes(b"one")
    before = Stamp.of(file.stat())
    assert Stamp.of(file.stat()) == before
    other.write_bytes(b"two")
    os.utime(other, ns=(before.mtime_ns, before.mtime_ns))
    os.replace(other, file)
    assert Stamp.of(file.stat()) != before, "another file of the same size and time"
