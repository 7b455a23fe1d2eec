"""Taking files in: the form read within its caps, names that are only names, and files put in place whole,
never through a link.
"""

import asyncio
import filecmp
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from aiohttp import BodyPartReader, web

from execution.errors import OutsideRoot
from execution.files.folders import Folders
from execution.files.partial import claimed
from server.answers import refusal
from server.bodies import CHUNK, read_field, too_large
from server.names import file_name, folder_name

UPLOAD_ROOTS = ("input", "output", "temp")
MOST_FIELDS = 128
MOST_COPIES = 10_000


@dataclass
class Form:
    """A multipart form with one file, which lies in a temporary place until it is put where it belongs."""

    name: str
    held: IO[bytes]
    """Keeps the file from being swept up."""
    file: Path
    fields: dict[str, str] = field(default_factory=dict)

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self.held.close()


@dataclass
class Received:
    """What came in a form: each field's last value, all its values, and the file, if there is one."""

    fields: dict[str, str] = field(default_factory=dict)
    repeated: dict[str, list[str]] = field(default_factory=dict)
    form: Form | None = None

    def discard(self) -> None:
        if self.form is not None:
            self.form.discard()


async def read_form(request: web.Request, spool: Path, cap: int) -> Form:
    """Read a form whose part `image` is the file. The caller discards it."""
    received = await read_parts(request, spool, cap, "image")
    if received.form is None or not received.form.name:
        received.discard()
        raise refusal(
            400, "bad_form", "The form has no file: send it in a part named image, with a filename."
        )
    return received.form


async def read_parts(request: web.Request, spool: Path, cap: int, file_part: str) -> Received:
    """Read a form whose part `file_part` may be a file. The caller discards it."""
    if request.content_type != "multipart/form-data":
        message = f"Send the file as multipart/form-data, in a part named {file_part}."
        raise refusal(400, "bad_form", message)
    if (request.content_length or 0) > cap + 2**20:
        raise too_large(cap)
    received = Received()
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or count(received) >= MOST_FIELDS:
                raise refusal(400, "bad_form", "The form has too many or nested parts.")
            if part.name == file_part and part.filename is not None and received.form is None:
                received.form = Form(part.filename, *await spooled(part, spool, cap), received.fields)
            else:
                text = received.fields[part.name or ""] = await read_field(part)
                received.repeated.setdefault(part.name or "", []).append(text)
    except BaseException as error:
        received.discard()
        if isinstance(error, ValueError | AssertionError):
            raise refusal(400, "bad_form", "The form cannot be read.", str(error)[:200]) from error
        raise
    return received


def count(received: Received) -> int:
    """How many fields came so far."""
    return sum(map(len, received.repeated.values()))


async def spooled(part: BodyPartReader, spool: Path, cap: int) -> tuple[IO[bytes], Path]:
    """Write a part to a temporary file, and give it open."""
    os.makedirs(spool, exist_ok=True)
    file, path = claimed(spool)
    try:
        size = 0
        while chunk := await part.read_chunk(CHUNK):
            size += len(chunk)
            if size > cap:
                raise too_large(cap)
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.flush)
    except BaseException:
        path.unlink()
        file.close()
        raise
    return file, path


@dataclass(frozen=True)
class Destination:
    """Where an upload goes: a root, a folder in it, a plain name."""

    root: str
    subfolder: str
    name: str
    folder: Path


def destination(folders: Folders, form: Form) -> Destination:
    """Where a form's fields `type` and `subfolder` and its file name say the file goes; 400 when that is
    nowhere.
    """
    root = form.fields.get("type", "input") or "input"
    return user_destination(folders, root, form.fields.get("subfolder", ""), form.name)


def user_destination(folders: Folders, root: str, subfolder: str, name: str) -> Destination:
    """A place for a user's file in `input`, `output` or `temp`; 400 for names that lead elsewhere."""
    if root not in UPLOAD_ROOTS:
        raise refusal(400, "bad_type", f"type must be one of {', '.join(UPLOAD_ROOTS)}.")
    name = file_name(name)
    subfolder = folder_name(subfolder)
    try:
        folder = folders.inside(root, subfolder) if subfolder else Path(os.path.realpath(folders.roots[root]))
    except OutsideRoot as error:
        raise refusal(400, "bad_subfolder", "subfolder leads out of its folder.") from error
    return Destination(root, subfolder, name, folder)


def put(file: Path, place: Destination, overwrite: bool) -> str:
    """Put a file in place whole and give its name: numbered `name (1)` where another file has that name
    already.

    Neither replacing nor comparing follows a link out of the folder: a link of that name counts as another
    file, and is itself replaced.
    """
    place.folder.mkdir(parents=True, exist_ok=True)
    with staged_in(file, place.folder) as staged:
        if overwrite:
            os.replace(staged, place.folder / place.name)
            return place.name
        stem, suffix = os.path.splitext(place.name)
        for copy in range(MOST_COPIES):
            name = f"{stem} ({copy}){suffix}" if copy else place.name
            target = place.folder / name
            if not target.is_symlink() and target.is_file() and filecmp.cmp(staged, target, shallow=False):
                return name
            try:
                os.link(staged, target)
            except FileExistsError:
                continue
            return name
        raise refusal(409, "exists", "There are too many files of this name.")


@contextmanager
def staged_in(file: Path, folder: Path) -> Iterator[Path]:
    """A hidden copy of `file` in `folder`, on disk, ready to be renamed; gone afterwards, if it was not.

    Costs nothing on the same file system: it is a second name of the file, under the lock of who holds that.
    """
    linked = folder / f".{secrets.token_hex(4)}.part"
    try:
        os.link(file, linked)
        copy: IO[bytes] = linked.open("rb")
        staged = linked
    except OSError:
        copy, staged = claimed(folder)
        with file.open("rb") as source:
            shutil.copyfileobj(source, copy, CHUNK)
        copy.flush()
    try:
        with copy:
            os.fchmod(copy.fileno(), 0o644)
            os.fsync(copy.fileno())
            yield staged
    finally:
        staged.unlink(missing_ok=True)


def put_or_refuse(file: Path, place: Destination, overwrite: bool) -> str:
    """Put a file in place; a full or closed disk is said so."""
    try:
        return put(file, place, overwrite)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise refusal(
            400, "bad_subfolder", "A file stands where the subfolder would be, or the other way round."
        ) from error
    except OSError as error:
        raise refusal(507, "not_kept", "The file could not be written.", error.strerror or "") from error
