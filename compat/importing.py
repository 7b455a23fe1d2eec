"""How a pack's `import nodes` finds ComfyUI's `nodes` while ours keeps its name.

Two things happen while a `PackImporter` is installed, and none of them before:

- Names that clash with nothing of ours (`comfy`, `comfy_api`, `folder_paths` …) become real modules in
  `sys.modules`, made on first import by a finder. They are plain and writable, because packs write to them.
- Names that our own packages own (`nodes`, `server`, `execution`) mean ComfyUI's only inside files that lie
  under a pack's folder. Those files are loaded by `PackSourceLoader`, which gives the module its own
  `__builtins__` whose `__import__` answers the three names with the facade. Python looks `__import__` up in
  the builtins of the importing module, so the scope is exactly the pack's code: at import, inside functions,
  in its submodules and in the top-level modules it reaches by editing `sys.path`. Nobody else's import
  changes.

`sys.modules["nodes"]` read by hand is still ours: the one case this does not cover.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from compat.host import Host
from compat.placeholders import placeholder_names, placeholder_table

SHADOWED = frozenset({"nodes", "server", "execution"})
"""Module names of ComfyUI that are also packages of ours."""

OPEN_NAMES = frozenset(
    {
        "comfy",
        "comfy_api",
        "comfy_config",
        "comfy_execution",
        "comfy_extras",
        "folder_paths",
        "latent_preview",
        "node_helpers",
    }
)
"""Top-level module names of ComfyUI that nothing of ours uses."""

RENAMED: Mapping[str, str] = {
    "Blend": "ImageBlend",
    "Blur": "ImageBlur",
    "LatentRebatch": "RebatchLatents",
    "Quantize": "ImageQuantize",
    "Sharpen": "ImageSharpen",
}
"""Classes of `comfy_extras` whose node has another name."""

MODULES = "compat.modules"
"""Where the facades live: `comfy.utils` is built by `compat/modules/comfy/utils.py`."""


class PackImporter(importlib.abc.MetaPathFinder):
    """Finds ComfyUI's modules and loads packs' files, from `install` until `remove`."""

    def __init__(self, host: Host, roots: Iterable[Path]) -> None:
        self.host = host
        self.roots = tuple(str(root.resolve()) + "/" for root in roots)
        self.shadows: dict[str, ModuleType] = {}
        self.needs: set[str] = set()
        self._inside: dict[str, bool] = {}
        self.scope = {**vars(builtins), "__import__": self._import}
        self.importlib = self._scoped_importlib()

    def __enter__(self) -> PackImporter:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def install(self) -> None:
        """Start answering. Raises RuntimeError when another importer already does."""
        if any(isinstance(finder, PackImporter) for finder in sys.meta_path):
            raise RuntimeError(
                "Packs are already loaded in this process: close the first Packs before loading again."
            )
        known = [finder for finder in sys.meta_path if finder is importlib.machinery.PathFinder]
        sys.meta_path.insert(sys.meta_path.index(known[0]) if known else len(sys.meta_path), self)

    def remove(self) -> None:
        """Stop answering, and forget every module that came through here."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in [name for name, module in sys.modules.items() if self._ours(module)]:
            del sys.modules[name]
        sys.path_importer_cache.clear()

    def _ours(self, module: object) -> bool:
        spec = getattr(module, "__spec__", None)
        loader = getattr(spec, "loader", None)
        return isinstance(loader, PackSourceLoader | FacadeLoader) and loader.importer is self

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a ComfyUI module or of a file inside a pack; None for everything else."""
        if fullname.partition(".")[0] in OPEN_NAMES:
            return self._facade_spec(fullname)
        if not any(self.inside_pack(place) for place in (sys.path if path is None else path)):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.origin or not self.inside_pack(spec.origin):
            return None
        if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = PackSourceLoader(fullname, spec.origin, self)
        return spec

    def inside_pack(self, place: str) -> bool:
        """Whether a path lies under a folder of packs."""
        if place not in self._inside:
            resolved = str(Path(place).resolve()) + "/" if place else ""
            self._inside[place] = bool(resolved) and resolved.startswith(self.roots)
        return self._inside[place]

    def load(self, name: str, file: Path, package: Path | None) -> ModuleType:
        """Import one pack under `name` from its file, as a package when its folder is given.

        Whatever the pack raises comes through, and the half-made module is forgotten.
        """
        loader = PackSourceLoader(name, str(file), self)
        locations = [str(package)] if package else None
        spec = importlib.util.spec_from_file_location(
            name, file, loader=loader, submodule_search_locations=locations
        )
        assert spec is not None, f"{file} is not a Python file"
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            for made in [other for other in sys.modules if other == name or other.startswith(name + ".")]:
                del sys.modules[made]
            raise
        return module

    def _facade_spec(self, fullname: str) -> importlib.machinery.ModuleSpec | None:
        """A facade's spec when a file builds it or the table of placeholders knows it."""
        if not has_builder(fullname) and fullname not in placeholder_table():
            return None
        loader = FacadeLoader(self)
        spec = importlib.machinery.ModuleSpec(fullname, loader, origin="compat", is_package=True)
        spec.submodule_search_locations = []
        return spec

    def facade(self, name: str) -> dict[str, Any]:
        """The names a facade module holds: those its file builds; see `compat/modules`."""
        if not has_builder(name):
            return {}
        build: Callable[[Host], Mapping[str, Any]] = importlib.import_module(f"{MODULES}.{name}").names
        return dict(build(self.host))

    def fill(self, module: ModuleType) -> None:
        """Put a facade's names into its module; others answer as submodules or placeholders."""
        name = module.__name__
        module.__file__ = str(self.host.base.joinpath(*name.split("."))) + ".py"
        vars(module).update(self._fallbacks(name))
        vars(module).update(self.facade(name))

    def _fallbacks(self, name: str) -> dict[str, Any]:
        known = placeholder_names(name)

        def missing(attribute: str) -> Any:
            if name.startswith("comfy_extras.") and self._node_class(attribute) is not None:
                return self._node_class(attribute)
            if attribute in known:
                self.needs.add(f"{name}.{attribute}")
                return self.host.placeholder(f"{name}.{attribute}")
            if (
                not attribute.startswith("_")
                and name in sys.modules
                and self._facade_spec(f"{name}.{attribute}")
            ):
                return importlib.import_module(f"{name}.{attribute}")
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

        return {"__getattr__": missing}

    def _node_class(self, name: str) -> type | None:
        """The class of a native node, which ComfyUI keeps in one of its `comfy_extras` modules."""
        from compat.modules.nodes import class_mappings

        found: type | None = class_mappings(self.host).get(RENAMED.get(name, name))
        return found

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """`__import__` as the code of packs sees it."""
        top = name.partition(".")[0]
        if level or (top not in SHADOWED and top != "importlib"):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if top in SHADOWED:
            return self.shadow(name)
        found = builtins.__import__(name, globals, locals, fromlist or (), level)
        return self.importlib if found is importlib else found

    def shadow(self, name: str) -> ModuleType:
        """ComfyUI's module of a name that one of our packages has too."""
        if name not in SHADOWED:
            raise ModuleNotFoundError(
                f"No module named {name!r}; {name.partition('.')[0]!r} is not a package", name=name
            )
        if name not in self.shadows:
            self.shadows[name] = ModuleType(name)
            self.fill(self.shadows[name])
        return self.shadows[name]

    def _scoped_importlib(self) -> ModuleType:
        """A copy of `importlib` whose `import_module` knows the same names as a pack's import statement."""
        copy = ModuleType("importlib")
        vars(copy).update(vars(importlib))

        def import_module(name: str, package: str | None = None) -> ModuleType:
            return self.shadow(name) if name in SHADOWED else importlib.import_module(name, package)

        vars(copy)["import_module"] = import_module
        return copy


class PackSourceLoader(importlib.machinery.SourceFileLoader):
    """Loads a file of a pack with the builtins whose `__import__` knows ComfyUI's names."""

    def __init__(self, fullname: str, path: str, importer: PackImporter) -> None:
        super().__init__(fullname, path)
        self.importer = importer

    def exec_module(self, module: ModuleType) -> None:
        """Run the file's code in the module, seen from inside a pack."""
        vars(module)["__builtins__"] = self.importer.scope
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType | None:
        """Compile quietly: an invalid escape in somebody's docstring is not our user's concern."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return super().get_code(fullname)


class FacadeLoader(importlib.abc.Loader):
    """Fills a module of ComfyUI's name from `compat/modules` and from the table of placeholders."""

    def __init__(self, importer: PackImporter) -> None:
        self.importer = importer

    def exec_module(self, module: ModuleType) -> None:
        """Put the facade's names into the fresh module."""
        self.importer.fill(module)


def has_builder(name: str) -> bool:
    """Whether a file of `compat/modules` builds ComfyUI's module `name`."""
    place = Path(__file__).with_name("modules").joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
