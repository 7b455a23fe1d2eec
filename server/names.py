"""Names of files that users give: taken as they are, mended where a system could not keep them, refused where
they lead elsewhere.
"""

import os
import re
import unicodedata

from aiohttp import web

from server.answers import refusal

RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
MOST_LETTERS = 255
"""What systems allow at most; more is no name of a file."""
MOST_BYTES = 240
"""What is kept of a name in UTF-8, with room for a number behind it."""
UNFIT = frozenset('\\/:*?"<>|')
INVISIBLE_ORDERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that turn the reading direction, so that `gnp.exe` may look like `exe.png`."""


def bad_name(name: str) -> web.HTTPException:
    """The 400 for a name that is no plain file name."""
    message = "A file name must be a plain name: no folders, nothing a system reserves, no dot at its end."
    return refusal(400, "bad_name", message, name[:100].encode("ascii", "replace").decode())


def is_control(letter: str) -> bool:
    """Whether a letter is none, but an order to a terminal, half of a letter, or the end of a line."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in INVISIBLE_ORDERS


def is_plain(name: str) -> bool:
    """Whether all signs of a name are letters, signs or spaces of some script."""
    return not any(is_control(letter) for letter in name)


def file_name(name: str) -> str:
    """`name`, or the nearest that every system can keep; 400 for a path, and for what systems reserve.

    Letters of any script, joined emoji and all kinds of spaces stay. Signs that a system does not allow
    become `_`, spaces at the ends go, and a name that is too long loses the end of its stem.
    """
    leads = name in (".", "..") or any(each in name for each in "/\\\0") or len(name) > MOST_LETTERS
    mended = "".join("_" if letter in UNFIT or is_control(letter) else letter for letter in name).strip()
    if leads or not mended or mended.endswith(".") or RESERVED.match(mended):
        raise bad_name(name)
    return shortened(mended)


def folder_name(path: str) -> str:
    """A folder below another, `/` between its parts, each as `file_name` gives it; may be empty."""
    path = path.replace("\\", "/").removesuffix("/")
    return "/".join(map(file_name, path.split("/"))) if path else ""


def shortened(name: str) -> str:
    """A name of at most `MOST_BYTES`, its suffix kept."""
    if len(name.encode()) <= MOST_BYTES:
        return name
    stem, suffix = os.path.splitext(name)
    if len(suffix.encode()) > MOST_BYTES // 2:
        stem, suffix = name, ""
    kept = stem.encode()[: MOST_BYTES - len(suffix.encode())].decode("utf-8", "ignore")
    return kept.rstrip(". ") + suffix
