"""Where files are: the roots, the search paths of model kinds, and the one resolver from names to paths.

A name is relative to its kind's folders, with `/` (or `\\`) between parts, and never leads out of them.
Kinds `input`, `output` and `temp` are the roots themselves; `input:image` lists only pictures,
`input:audio+video` sounds and films, `input:.latent` only such files; there a name may end in ` [output]`.
"""

from __future__ import annotations

import difflib
import mimetypes
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from execution.errors import FileMissing, OutsideRoot
from execution.files.identity import Stamp
from execution.files.saving import Counters, SavePlace, atomic_write, filled_in
from execution.files.shards import first_of, shown_once, stamp_of_all

__all__ = ["MODEL_KINDS", "WEIGHTS", "Folders", "Kind", "SavePlace", "atomic_write"]

WEIGHTS = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})
"""Suffixes of weight files; what is inside decides whether they are read."""

MODEL_KINDS: Mapping[str, tuple[str, ...]] = {
    "checkpoints": ("checkpoints",),
    "configs": ("configs",),
    "loras": ("loras",),
    "vae": ("vae",),
    "text_encoders": ("text_encoders", "clip"),
    "diffusion_models": ("unet", "diffusion_models"),
    "clip_vision": ("clip_vision",),
    "style_models": ("style_models",),
    "embeddings": ("embeddings",),
    "diffusers": ("diffusers",),
    "vae_approx": ("vae_approx",),
    "controlnet": ("controlnet", "t2i_adapter"),
    "gligen": ("gligen",),
    "upscale_models": ("upscale_models",),
    "hypernetworks": ("hypernetworks",),
    "photomaker": ("photomaker",),
    "classifiers": ("classifiers",),
    "model_patches": ("model_patches",),
    "audio_encoders": ("audio_encoders",),
}
"""Model kinds and the names of their folders under `models/`."""

ALIASES: Mapping[str, str] = {"unet": "diffusion_models", "clip": "text_encoders"}
SUFFIXES: Mapping[str, frozenset[str]] = {
    "configs": frozenset({".yaml"}),
    "classifiers": frozenset(),
    **dict.fromkeys(("diffusion_models", "text_encoders"), WEIGHTS | {".gguf"}),
}
ROOTS = ("input", "output", "temp", "user")
ANNOTATED = re.compile(r"^(?P<name>.*?)\s*\[(?P<root>input|output|temp)\]$", re.DOTALL)


@dataclass
class Kind:
    """Search paths of a model kind, first one first, and the suffixes that count (none: all)."""

    paths: list[Path]
    suffixes: frozenset[str] = WEIGHTS


@dataclass
class _Listing:
    names: list[str]
    stamps: dict[str, int] = field(default_factory=dict)


class Folders:
    """Roots, model kinds, listing and resolving. Safe between threads."""

    def __init__(
        self,
        base: Path,
        *,
        models: Path | None = None,
        input: Path | None = None,
        output: Path | None = None,
        temp: Path | None = None,
        user: Path | None = None,
    ) -> None:
        """Lay ComfyUI's folder tree under `base`, any part of which may be elsewhere."""
        self.base = Path(base)
        self.models_root = Path(models or self.base / "models")
        given = {"input": input, "output": output, "temp": temp, "user": user}
        self.roots = {name: Path(given[name] or self.base / name) for name in ROOTS}
        self.kinds = {
            kind: Kind([self.models_root / name for name in names], SUFFIXES.get(kind, WEIGHTS))
            for kind, names in MODEL_KINDS.items()
        }
        self._counters = Counters()
        self._listings: dict[str, _Listing] = {}
        self._lock = threading.Lock()

    @property
    def input(self) -> Path:
        """Where inputs are uploaded to."""
        return self.roots["input"]

    @property
    def output(self) -> Path:
        """Where results are saved."""
        return self.roots["output"]

    @property
    def temp(self) -> Path:
        """Where previews are saved."""
        return self.roots["temp"]

    @property
    def user(self) -> Path:
        """Where workflows and settings of users are."""
        return self.roots["user"]

    def models(self, kind: str) -> list[Path]:
        """The search paths of a model kind; none for an unknown one."""
        found = self.kinds.get(ALIASES.get(kind, kind))
        return list(found.paths) if found else []

    def add_models(
        self, kind: str, path: Path, first: bool = False, suffixes: Iterable[str] | None = None
    ) -> None:
        """Add a search path, preferred if `first`; a new kind lists `suffixes` (default: weight files)."""
        kind = ALIASES.get(kind, kind)
        known = self.kinds.setdefault(kind, Kind([], frozenset(WEIGHTS if suffixes is None else suffixes)))
        if path in known.paths and first:
            known.paths.remove(path)
        if path not in known.paths:
            known.paths.insert(0 if first else len(known.paths), path)
        self._listings.pop(kind, None)

    def add_extra(self, config: Mapping[str, Any], beside: Path) -> None:
        """Add what a parsed `extra_model_paths.yaml` names.

        Relative paths count from the section's `base_path`, that one from `beside`.
        """
        for section in config.values():
            entries = dict(section or {})
            base = beside / os.path.expandvars(os.path.expanduser(str(entries.pop("base_path", "") or "")))
            first = bool(entries.pop("is_default", False))
            for kind, lines in entries.items():
                for line in filter(None, (each.strip() for each in str(lines).split("\n"))):
                    self.add_models(kind, base / os.path.expandvars(os.path.expanduser(line)), first)

    def list(self, kind: str) -> list[str]:
        """The names of a kind's files, sorted, parts joined by `/`; read anew when a folder has changed.

        A model in several files is there once, by its first.
        """
        name, _, medium = kind.partition(":")
        name = ALIASES.get(name, name)
        if name in self.roots:
            return _top_files(self.roots[name], medium)
        if name not in self.kinds:
            return []
        with self._lock:
            known = self._listings.get(name)
            if known is None or not _fresh(known.stamps):
                known = self._listings[name] = _read(self.kinds[name])
            return list(known.names)

    def whereabouts(self, kind: str) -> str:
        """Where a person puts a file of a kind, in words."""
        name, _, _ = kind.partition(":")
        name = ALIASES.get(name, name)
        return f"the {name} folder" if name in self.roots else f"models/{name}"

    def match(self, kind: str, name: str) -> str | None:
        """The listed name meant: `name`, with `/` for `\\`, or the only one of that last part; else None."""
        if not isinstance(name, str):
            return None
        root, _, _ = kind.partition(":")
        if root in self.roots:
            return name if self._is_in_root(root, name) else None
        names = self.list(kind)
        wanted = first_of(name.replace("\\", "/"))
        if not _is_relative(wanted):
            return None
        if name in names or wanted in names:
            return name if name in names else wanted
        same = [each for each in names if each.rpartition("/")[2] == wanted.rpartition("/")[2]]
        return same[0] if len(same) == 1 else None

    def resolve(self, kind: str, name: str) -> Path:
        """The path of a kind's file.

        Raises:
            OutsideRoot: the name leads out of the folder.
            FileMissing: there is none; the error has the nearest names.
        """
        root, _, _ = kind.partition(":")
        if root in self.roots:
            return self.input_file(name, root)
        relative = _relative(kind, name)
        for each in (relative, self.match(kind, name)):
            for folder in self.models(kind) if each else ():
                if (folder / str(each)).exists():
                    return folder / str(each)
        raise FileMissing(kind, name, _nearest(name, self.list(kind)))

    def input_file(self, name: str, root: str = "input") -> Path:
        """The path of a file in a root; `"x.png [output]"` names another root than the given one.

        Raises:
            OutsideRoot: the name, or a link on its way, leads out of the root.
            FileMissing: there is none.
        """
        found = self._in_root(root, name)
        if found is None:
            raise FileMissing(root, name, _nearest(name, self.list(root)))
        return found

    def _in_root(self, root: str, name: str) -> Path | None:
        annotated = ANNOTATED.match(name)
        if annotated:
            name, root = annotated["name"], annotated["root"]
        return self.inside(root, name) if self.inside(root, name).is_file() else None

    def is_inside(self, root: str, name: str) -> bool:
        """Whether a name stays in its root."""
        try:
            self.inside(root, name)
        except OutsideRoot:
            return False
        return True

    def _is_in_root(self, root: str, name: str) -> bool:
        try:
            return self._in_root(root, name) is not None
        except OutsideRoot:
            return False

    def inside(self, root: str, name: str) -> Path:
        """A path in a root, whether or not it is there yet.

        Raises:
            OutsideRoot: the name, or a link on its way, leads out of the root.
        """
        real = os.path.realpath(self.roots[root])
        path = os.path.realpath(os.path.join(real, _relative(root, name)))
        if path != real and not path.startswith(real.rstrip(os.sep) + os.sep):
            raise OutsideRoot(root, name)
        return Path(path)

    def stamp(self, kind: str, name: str) -> Stamp | None:
        """The fingerprint of the file behind a choice; None without one."""
        try:
            return stamp_of_all(self.resolve(kind, name))
        except (FileMissing, OutsideRoot, OSError):
            return None

    def shown_files(self, shown: Mapping[str, Any]) -> Iterator[Path]:
        """The files that a node says it shows: objects with `filename`, `subfolder` and `type` (a root)."""
        lists = (value for value in shown.values() if isinstance(value, list | tuple))
        for each in (item for items in lists for item in items if isinstance(item, Mapping)):
            name, subfolder, root = (each.get(key) for key in ("filename", "subfolder", "type"))
            if isinstance(name, str) and root in self.roots:
                try:
                    yield self.inside(str(root), f"{subfolder}/{name}" if subfolder else name)
                except OutsideRoot:
                    continue

    def save_place(
        self,
        prefix: str,
        root: str = "output",
        *,
        width: int = 0,
        height: int = 0,
        count: int = 1,
        fresh: bool = False,
    ) -> SavePlace:
        """Reserve `count` numbers for files `"sub/name"` (with `%year%` and the like), making the folder.

        Raises:
            OutsideRoot: the prefix leads out of the root.
        """
        filled = _relative(root, filled_in(prefix, width, height))
        subfolder, _, stem = filled.rpartition("/")
        folder = self.inside(root, subfolder) if subfolder else Path(os.path.realpath(self.roots[root]))
        folder.mkdir(parents=True, exist_ok=True)
        counter = self._counters.reserve(folder, stem, count, fresh)
        return SavePlace(folder, stem, counter, subfolder.strip("/"))


def _relative(kind: str, name: str) -> str:
    relative = name.replace("\\", "/")
    if not _is_relative(relative):
        raise OutsideRoot(kind, name)
    return relative


def _is_relative(name: str) -> bool:
    """Whether a name with `/` between its parts goes down only."""
    leads_up = ".." in name.split("/") or "\0" in name
    return not leads_up and not name.startswith("/") and not re.match(r"^[A-Za-z]:", name)


def _nearest(name: str, names: Sequence[str]) -> list[str]:
    last = name.replace("\\", "/").rpartition("/")[2]
    same = [each for each in names if each.rpartition("/")[2] == last]
    by_last = {each.rpartition("/")[2]: each for each in names}
    close = [by_last[each] for each in difflib.get_close_matches(last, by_last, n=3, cutoff=0.5)]
    return list(dict.fromkeys(same + close))[:3]


def _top_files(folder: Path, medium: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(each.name for each in entries if _is_offered(each, medium))
    except FileNotFoundError:
        return []
    return names


def _is_offered(entry: os.DirEntry[str], medium: str) -> bool:
    """Whether a file of a root can be chosen: it is there, not hidden, and no link leads out of the root."""
    if entry.name.startswith(".") or not _is_of(entry.name, medium) or not entry.is_file():
        return False
    root = os.path.realpath(os.path.dirname(entry.path)).rstrip(os.sep) + os.sep
    return not entry.is_symlink() or os.path.realpath(entry.path).startswith(root)


def _is_of(name: str, medium: str) -> bool:
    if medium.startswith("."):
        return name.lower().endswith(medium)
    media = tuple(f"{each}/" for each in medium.split("+"))
    return (mimetypes.guess_type(name)[0] or "").startswith(media) if medium else True


def _fresh(stamps: Mapping[str, int]) -> bool:
    return all(_changed_at(folder) == stamp for folder, stamp in stamps.items())


def _changed_at(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return -1


def _read(kind: Kind) -> _Listing:
    listing = _Listing([])
    for root in kind.paths:
        listing.stamps.setdefault(str(root), _changed_at(str(root)))
        listing.names += _walk(root, kind.suffixes, listing.stamps)
    listing.names = shown_once(listing.names)
    return listing


def _walk(root: Path, suffixes: frozenset[str], stamps: dict[str, int]) -> Iterator[str]:
    pending, seen = [str(root)], {os.path.realpath(root)}
    while pending:
        folder = pending.pop()
        stamps[folder] = _changed_at(folder)
        for entry in _entries(folder):
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if entry.name != ".git" and real not in seen:
                    seen.add(real)
                    pending.append(entry.path)
            elif not suffixes or os.path.splitext(entry.name)[1].lower() in suffixes:
                if entry.is_symlink():
                    stamps[entry.path] = _changed_at(entry.path)
                if entry.is_file():
                    yield os.path.relpath(entry.path, root).replace(os.sep, "/")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
