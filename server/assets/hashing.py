"""What a file's bytes are called: `blake3:` and 64 digits, known while its stamp is the same."""

import os
import re
import threading
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from server.files import open_regular

PREFIX = "blake3:"
HASH = re.compile(r"blake3:[0-9a-f]{64}")
CHUNK = 2**20


class Stopped(Exception):
    """The server closes; the rest of the file is not read."""


class Stamp(NamedTuple):
    """What changes when a file is written anew."""

    size: int
    mtime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)


def is_hash(text: str) -> bool:
    """Whether a text is a whole hash in canonical form."""
    return HASH.fullmatch(text) is not None


def digest(path: Path, stop: threading.Event) -> tuple[str, Stamp]:
    """The hash of a resolved file and the stamp it had; blocks. 404 for what is no plain file.

    A file that is written while it is read is read again, so that hash and stamp belong together.
    """
    while True:
        file, status = open_regular(path)
        with file:
            hasher = blake3()
            while chunk := file.read(CHUNK):
                if stop.is_set():
                    raise Stopped
                hasher.update(chunk)
            if Stamp.of(os.fstat(file.fileno())) == Stamp.of(status):
                return PREFIX + hasher.hexdigest(), Stamp.of(status)
