"""Finding and loading packs of nodes: each alone, so that one that fails fails by itself.

A pack is a `.py` file or a folder with `__init__.py` in a folder of packs. Names ending in `.disabled` are
passed over. Every pack's `prestartup_script.py` runs before the first pack is imported. V1 classes are read
from NODE_CLASS_MAPPINGS, V3 classes from `comfy_entrypoint`.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import time
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from compat.folder_table import FolderTable
from compat.host import Host
from compat.importing import FacadeLoader, PackImporter
from compat.later import run_now
from compat.reports import PackProblem, PackReport, problem_of
from compat.v1 import V1Node
from compat.v1_spec import Origin
from compat.v3.adapter import V3Node, is_v3
from execution.declare.node import NodeType

PARENT = "custom_nodes"
"""The package that all packs are imported under."""

Failure = (Exception, SystemExit)
"""What importing a pack may end in. A cancelled job or Ctrl-C comes through."""


@dataclass(frozen=True)
class Found:
    """A pack on disk: its name, its path, and the file to import."""

    name: str
    path: Path
    kind: Literal["file", "package"]
    enabled: bool = True

    @property
    def file(self) -> Path:
        """The Python file that is the pack, or its package's `__init__.py`."""
        return self.path / "__init__.py" if self.kind == "package" else self.path

    @property
    def module(self) -> str:
        """The name it is imported under; dots would mean packages."""
        return f"{PARENT}.{self.name.replace('.', '_')}"


@dataclass
class Packs:
    """What loading gave. `close` takes everything back that loading put into Python's module tables."""

    host: Host
    importer: PackImporter
    node_types: list[NodeType] = field(default_factory=list)
    reports: list[PackReport] = field(default_factory=list)

    def close(self) -> None:
        """Forget the packs' modules and ComfyUI's module names."""
        self.importer.remove()

    def __enter__(self) -> Packs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_packs(folders: Iterable[Path]) -> list[Found]:
    """The packs in some folders, by name; a name found twice is taken from the first folder."""
    found: dict[str, Found] = {}
    for folder in folders:
        entries = sorted(folder.iterdir(), key=lambda path: path.name.lower()) if folder.is_dir() else []
        for entry in entries:
            pack = _found(entry)
            if pack is not None:
                found.setdefault(pack.name, pack)
    return list(found.values())


def _found(entry: Path) -> Found | None:
    enabled = entry.suffix != ".disabled"
    plain = entry if enabled else entry.with_suffix("")
    if entry.name.startswith(".") or entry.name == "__pycache__":
        return None
    if entry.is_dir():
        holds_code = (entry / "__init__.py").is_file() or any(entry.glob("*.py"))
        return Found(plain.name, entry, "package", enabled) if holds_code else None
    return Found(plain.stem, entry, "file", enabled) if plain.suffix == ".py" else None


def load_packs(folders: Iterable[Path], host: Host, only: Collection[str] | None = None) -> Packs:
    """Import the packs in `folders`, maybe `only` some. A pack's failure is reported, never raised."""
    folders = [folder.resolve() for folder in folders]
    found = find_packs(folders)
    importer = PackImporter(host, [*folders, *(pack.path.resolve() for pack in found)])
    importer.install()
    packs = Packs(host, importer)
    _make_parent(importer, folders)
    wanted = [pack for pack in found if pack.enabled and (only is None or pack.name in only)]
    early = {pack.name: _prestartup(pack, importer) for pack in wanted}
    for pack in found:
        if pack in wanted:
            types, report = _Loading(pack, host, importer, early[pack.name]).load()
            packs.node_types += types
            packs.reports.append(report)
        else:
            packs.reports.append(PackReport(pack.name, str(pack.path), pack.kind, "disabled"))
    return packs


def _make_parent(importer: PackImporter, folders: list[Path]) -> None:
    """The package `custom_nodes`, so that packs may import one another by it."""
    parent = ModuleType(PARENT)
    parent.__path__ = [str(folder) for folder in folders]
    parent.__spec__ = ModuleSpec(PARENT, FacadeLoader(importer), is_package=True)
    sys.modules[PARENT] = parent


def _prestartup(pack: Found, importer: PackImporter) -> list[PackProblem]:
    """Run a pack's script that wants to be first."""
    script = pack.path / "prestartup_script.py"
    if pack.kind == "file" or not script.is_file():
        return []
    try:
        importer.load(f"{pack.module}_prestartup", script, None)
    except Failure as error:
        return [problem_of(error, "prestartup", pack.path)]
    return []


class _Loading:
    """One pack being loaded."""

    def __init__(self, pack: Found, host: Host, importer: PackImporter, problems: list[PackProblem]) -> None:
        self.pack, self.host, self.importer = pack, host, importer
        self.problems = list(problems)
        self.types: list[NodeType] = []
        self.code = ""

    def load(self) -> tuple[list[NodeType], PackReport]:
        """Import the pack and read its nodes; never raises what the pack raises."""
        started = time.perf_counter()
        self.importer.needs.clear()
        routes = len(self.host.server.routes) if self.host.server else 0
        module = self._attempt("import", self._import)
        if module is not None:
            self.code = code_of(self.pack)
            self._read(module)
        self._sync_folders()
        return self.types, PackReport(
            name=self.pack.name,
            path=str(self.pack.path),
            kind=self.pack.kind,
            state="failed" if module is None or self._empty(module) else "loaded",
            seconds=time.perf_counter() - started,
            nodes=tuple(each.spec.name for each in self.types),
            problems=tuple(self.problems),
            web_directory=self._web_directory(module),
            routes=tuple(_route_names(self.host)[routes:]),
            needs=tuple(sorted(self.importer.needs)),
        )

    def _attempt(self, where: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Failure as error:
            self.problems.append(problem_of(error, where, self.pack.path))
            return None

    def _import(self) -> ModuleType:
        if not self.pack.file.is_file():
            raise FileNotFoundError(f"{self.pack.path} has no __init__.py, so it is no package")
        known = sys.modules.get(self.pack.module)
        package = self.pack.path if self.pack.kind == "package" else None
        return known or self.importer.load(self.pack.module, self.pack.file, package)

    def _read(self, module: ModuleType) -> None:
        """Make node types of what the module offers."""
        mappings = getattr(module, "NODE_CLASS_MAPPINGS", None)
        titles = getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {}
        self.host.display_names.update({str(name): str(title) for name, title in titles.items()})
        for name, cls in list(mappings.items()) if isinstance(mappings, Mapping) else []:
            self._add(str(name), cls)
        for name, cls in self._v3_classes(module):
            self._add(name, cls)
        for name, cls in self._written_directly():
            self._add(name, cls)

    def _v3_classes(self, module: ModuleType) -> Iterator[tuple[str, type]]:
        entry = getattr(module, "comfy_entrypoint", None)
        classes = self._attempt("entrypoint", lambda: run_now(_listed(entry))) if callable(entry) else None
        for cls in classes or ():
            name = self._attempt(f"node {cls.__name__}", partial(_schema_name, cls))
            if name is not None:
                yield name, cls

    def _written_directly(self) -> list[tuple[str, type]]:
        """Classes that the pack has put into `nodes.NODE_CLASS_MAPPINGS` by itself."""
        ours = {each.spec.name for each in self.types}
        return [
            (name, cls)
            for name, cls in list(self.host.classes.items())
            if name not in ours and name not in self.host.types and name not in self.host.foreign
        ]

    def _add(self, name: str, cls: type) -> None:
        native = self.host.types.get(name)
        if native is not None and not native.spec.python_module.startswith(PARENT + "."):
            reason = "the name belongs to a node of Nodeloom's own, which stays"
            self.problems.append(PackProblem(f"node {name}", reason))
            return
        title = self.host.display_names.get(name)
        origin = Origin(name, title, f"{PARENT}.{self.pack.name}", self.code)
        made = self._attempt(f"node {name}", lambda: node_type_of(cls, origin, self.host))
        if made is not None:
            self._attempt(f"node {name}", made.describe)  # a node that cannot say what it is now may later
            self.types.append(made)
            self.host.classes[name] = cls
            self.host.foreign.add(name)

    def _empty(self, module: ModuleType) -> bool:
        """Whether the module is no pack at all; says so among the problems."""
        offers = ("NODE_CLASS_MAPPINGS", "comfy_entrypoint", "WEB_DIRECTORY")
        if any(getattr(module, name, None) is not None for name in offers) or self.types:
            return False
        advice = "define NODE_CLASS_MAPPINGS or comfy_entrypoint in it"
        self.problems.append(
            PackProblem("import", "the module declares no nodes", str(self.pack.file), advice=advice)
        )
        return True

    def _web_directory(self, module: ModuleType | None) -> str | None:
        """The folder of the pack's scripts for the page, if there is one inside the pack."""
        named = getattr(module, "WEB_DIRECTORY", None) or _configured_web(self.pack.path)
        if module is None or not isinstance(named, str) or self.pack.kind == "file":
            return None
        folder = (self.pack.path / named).resolve()
        if not folder.is_dir() or not folder.is_relative_to(self.pack.path.resolve()):
            return None
        self.host.web_directories[self.pack.name] = str(folder)
        return str(folder)

    def _sync_folders(self) -> None:
        module = sys.modules.get("folder_paths")
        table = getattr(module, "folder_names_and_paths", None)
        if isinstance(table, FolderTable):
            self._attempt("import", table.sync)


def node_type_of(cls: type, origin: Origin, host: Host) -> NodeType:
    """A class of a pack as a node type. Raises TypeError for what is no node class."""
    if is_v3(cls):
        return V3Node(cls, origin, host)
    if not hasattr(cls, "INPUT_TYPES"):
        raise TypeError(f"{cls!r} has no INPUT_TYPES")
    return V1Node(cls, origin, host)


async def _listed(entry: Callable[[], Any]) -> list[type]:
    """The classes of a V3 extension, from its entry point."""
    extension = entry()
    extension = await extension if inspect.isawaitable(extension) else extension
    await extension.on_load()
    return list(await extension.get_node_list())


def _schema_name(cls: Any) -> str:
    """The name that a V3 class gives itself."""
    return str(cls.GET_SCHEMA().node_id)


def _configured_web(path: Path) -> str | None:
    """`web` under `[tool.comfy]` in a pack's pyproject.toml."""
    try:
        config = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    web = config.get("tool", {}).get("comfy", {}).get("web")
    return web if isinstance(web, str) and web else None


def _route_names(host: Host) -> list[str]:
    """`METHOD /path` of the routes added so far."""
    table = host.server.routes if host.server else ()
    return [
        f"{getattr(route, 'method', 'STATIC')} {getattr(route, 'path', getattr(route, 'prefix', ''))}"
        for route in table
    ]


def code_of(pack: Found) -> str:
    """A fingerprint of a pack's code: names, sizes and times of its Python files."""
    files = sorted(pack.path.rglob("*.py")) if pack.kind == "package" else [pack.path]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        status = file.stat()
        digest.update(
            f"{file.relative_to(pack.path.parent)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode()
        )
    return digest.hexdigest()
