"""Texts drawn by chance: `{a|b}`, and lines of files by name, `__colour__`."""

import hashlib
import random
import re
from pathlib import Path
from typing import Annotated

from execution.declare.node import Multiline, Tip, node
from execution.files.folders import Folders
from nodes.widgets import Seed

FOLDER = "wildcards"
"""Below the input folder."""
NAMED = re.compile(r"__([\w\-./]+?)__")
CHOICE = re.compile(r"\{([^{}]*)\}")
MOST_DRAWS = 1000
LARGEST_FILE = 16 * 2**20


def wildcard_files(folders: Folders, text: str | None = None) -> list[list[str]]:
    """What the key of a text adds to its words: the contents of the files that it, or they, may name.

    Of a text that is not known yet: of all files.
    """
    pending = _all_names(folders) if text is None else NAMED.findall(text)
    found: dict[str, str] = {}
    while pending:
        name = pending.pop()
        if name not in found and wildcard_path(folders, name).is_file():
            content = "\n".join(lines(folders, name))
            found[name] = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
            pending += NAMED.findall(content)
    return [[name, found[name]] for name in sorted(found)]


def _all_names(folders: Folders) -> list[str]:
    root = folders.input / FOLDER
    return [path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.txt")]


def wildcard_path(folders: Folders, name: str) -> Path:
    """The file of a wildcard.

    Raises:
        OutsideRoot: the name leads out of the folder.
    """
    return folders.inside("input", f"{FOLDER}/{name}.txt")


def lines(folders: Folders, name: str) -> list[str]:
    """What a wildcard may become: its file's lines that are neither empty nor begin with `#`.

    Raises:
        ValueError: there is no such file, or it is too large or has no such lines.
    """
    path = wildcard_path(folders, name)
    if not path.is_file():
        raise ValueError(f"input 'text': no file '{FOLDER}/{name}.txt' in the input folder for __{name}__")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"'{path.name}' is larger than {LARGEST_FILE >> 20} MB; split it")
    read = (line.strip() for line in path.read_text("utf-8", errors="replace").splitlines())
    kept = [line for line in read if line and not line.startswith("#")]
    if not kept:
        raise ValueError(f"'{FOLDER}/{name}.txt' in the input folder has no lines to choose from")
    return kept


@node(
    "WildcardText",
    category="utils/string",
    fingerprint=wildcard_files,
    search_aliases=("wildcard", "random", "dynamic prompt"),
)
def wildcard_text(
    text: Annotated[
        str,
        Multiline(),
        Tip("{red|blue} becomes one of them, __colour__ a line of wildcards/colour.txt in the input folder."),
    ],
    seed: Seed = 0,
    *,
    folders: Folders,
) -> str:
    """Wildcards.

    Draws words by chance; the same seed draws the same. What a file gives may name further files.
    """
    return drawn(text, seed, folders)


def drawn(text: str, seed: int, folders: Folders) -> str:
    """`text` with all chances taken, left to right, innermost first.

    Raises:
        ValueError: a file is missing, or files name one another without end.
    """
    chance = random.Random(seed)

    def replaced(found: re.Match[str]) -> str:
        if found.re is CHOICE:
            return chance.choice(str(found[1]).split("|"))
        return chance.choice(lines(folders, found[1]))

    for _ in range(MOST_DRAWS):
        found = CHOICE.search(text) or NAMED.search(text)
        if found is None:
            return text
        text = text[: found.start()] + replaced(found) + text[found.end() :]
    raise ValueError(f"input 'text' draws more than {MOST_DRAWS} times; do its files name one another?")
