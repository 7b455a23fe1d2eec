"""A user's files: workflows, settings. Written whole, each with a revision, so that two tabs cannot overwrite
each other unseen.
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from execution.errors import OutsideRoot
from execution.files.folders import Folders, atomic_write
from server.answers import not_found, refusal
from server.files import matches, open_regular
from server.names import is_plain

DEFAULT_USER = "default"
CLOSED = frozenset({"comfyui-manager"})
"""Folders in which a pack keeps what decides over safety: no route reads or writes them."""
CLOSED_SUFFIXES = (".ini", ".cfg", ".toml", ".py", ".pth", ".env")
MOST_LISTED = 100_000


@dataclass(frozen=True)
class Entry:
    """A listed file or folder: `path` relative to the user's root, with `/`."""

    path: str
    size: int
    modified: float
    created: float
    is_folder: bool

    def to_json(self) -> dict[str, Any]:
        """Times in milliseconds, as ComfyUI gives them."""
        times = {"modified": round(self.modified * 1000), "created": round(self.created * 1000)}
        return {"path": self.path, "size": self.size, **times}


def revision(content: bytes) -> str:
    """The ETag of a content."""
    return f'"{hashlib.sha256(content).hexdigest()[:24]}"'


class UserFiles:
    """The files of one user. All paths go through the one resolver; methods block and are called in
    threads.
    """

    def __init__(self, folders: Folders, user: str = DEFAULT_USER) -> None:
        self._folders = folders
        self._user = user
        self._lock = threading.Lock()

    def path(self, name: str) -> Path:
        """The place of a name. 404 for one that leads out, or to what no route may touch."""
        parts = [part for part in name.replace("\\", "/").split("/") if part]
        closed = any(part in (".", "..") or part.startswith("__") or part.lower() in CLOSED for part in parts)
        unfit = not parts or name.startswith("/") or not is_plain(name)
        if unfit or closed or parts[-1].lower().endswith(CLOSED_SUFFIXES):
            not_found()
        return self._inside("/".join(parts))

    def _inside(self, relative: str) -> Path:
        try:
            root = self._folders.inside("user", self._user)
            path = self._folders.inside("user", f"{self._user}/{relative}" if relative else self._user)
        except (OutsideRoot, ValueError, OSError):
            not_found()
        if path != root and root not in path.parents:
            not_found()
        return path

    def read(self, name: str) -> tuple[bytes, str]:
        """A file's content and revision."""
        file, _ = open_regular(self.path(name))
        with file:
            content = file.read()
        return content, revision(content)

    def write(self, name: str, content: bytes, overwrite: bool, if_match: str, if_none_match: str) -> Entry:
        """Write a whole file. 409 when it exists and must not be overwritten, 412 when it is not the revision
        it should be.
        """
        path = self.path(name)
        with self._lock:
            self._check(path, overwrite, if_match, if_none_match)
            try:
                with atomic_write(path) as file:
                    file.write(content)
            except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
                raise refusal(
                    400,
                    "bad_name",
                    "A file stands where the name has a folder, or a folder where it has a file.",
                ) from error
        return self._entry(path)

    def _check(self, path: Path, overwrite: bool, if_match: str, if_none_match: str) -> None:
        exists = path.exists()
        if if_match:
            there = revision(path.read_bytes()) if path.is_file() else None
            if there is None or not matches(if_match, there):
                raise refusal(
                    412,
                    "changed",
                    "The file has been changed since you read it; load it again, or save under another name.",
                )
        elif if_none_match and exists:
            raise refusal(412, "exists", "The file exists already.")
        elif exists and not overwrite:
            raise refusal(
                409, "exists", "The file exists already; allow overwriting, or choose another name."
            )

    def delete(self, name: str, if_match: str) -> None:
        """Remove a file. 404 when there is none."""
        path = self.path(name)
        with self._lock:
            if not path.is_file():
                not_found()
            self._check(path, True, if_match, "")
            path.unlink()

    def move(self, name: str, target: str, overwrite: bool) -> Entry:
        """Rename a file. 404 when there is none, 409 when the new name is taken."""
        old, new = self.path(name), self.path(target)
        with self._lock:
            if not old.is_file():
                not_found()
            if new.exists() and not overwrite:
                raise refusal(409, "exists", "A file of the new name exists already.")
            if new.is_dir():
                raise refusal(409, "exists", "A folder has the new name.")
            new.parent.mkdir(parents=True, exist_ok=True)
            os.replace(old, new)
        return self._entry(new)

    def entries(self, folder: str, recurse: bool, with_folders: bool = False) -> list[Entry]:
        """Files below a folder, paths relative to it, sorted. 404 when there is no such folder."""
        path = self.path(folder) if folder.strip("/\\") else self._inside("")
        if not path.is_dir():
            not_found()
        found = []
        for entry in walk(path, path, recurse):
            if with_folders or not entry.is_folder:
                found.append(entry)
            if len(found) >= MOST_LISTED:
                break
        return sorted(found, key=lambda entry: entry.path)

    def _entry(self, path: Path) -> Entry:
        status = path.stat()
        relative = path.relative_to(self._inside("")).as_posix()
        return Entry(relative, status.st_size, status.st_mtime, status.st_ctime, False)


def walk(root: Path, folder: Path, recurse: bool) -> Iterator[Entry]:
    """What lies in a folder, links left out, closed folders too."""
    pending = [folder]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.is_symlink() or entry.name.startswith("__") or entry.name.lower() in CLOSED:
                continue
            status = entry.stat(follow_symlinks=False)
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and recurse:
                pending.append(Path(entry.path))
            relative = Path(entry.path).relative_to(root).as_posix()
            yield Entry(relative, status.st_size, status.st_mtime, status.st_ctime, is_folder)


async def in_thread(call: Any, *values: Any) -> Any:
    """Run a blocking method of `UserFiles` beside the loop."""
    return await asyncio.to_thread(call, *values)
