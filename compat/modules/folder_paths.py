"""ComfyUI's `folder_paths`: its functions over our one resolver, `execution.files.folders.Folders`."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from compat.folder_table import FolderTable
from compat.host import Host
from compat.v1_spec import FileNames
from execution.errors import FolderError, OutsideRoot
from execution.files.folders import ALIASES, ANNOTATED, WEIGHTS, Folders
from execution.files.saving import filled_in, highest_number


class FolderPaths:
    """The functions; each is a name of the module."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.table = FolderTable(folders)

    def get_input_directory(self) -> str:
        """Where inputs are uploaded to."""
        return str(self.folders.input)

    def get_output_directory(self) -> str:
        """Where results are saved."""
        return str(self.folders.output)

    def get_temp_directory(self) -> str:
        """Where previews are saved."""
        return str(self.folders.temp)

    def get_user_directory(self) -> str:
        """Where users' files are."""
        return str(self.folders.user)

    def get_system_user_directory(self, name: str = "system") -> str:
        """Where a part of the program keeps files that are no user's."""
        return str(self.folders.user / f"__{name}")

    def get_public_user_directory(self, user_id: str) -> str | None:
        """Where one user's files are; None for a name that is no user's."""
        return None if not user_id or user_id.startswith("__") else str(self.folders.user / user_id)

    def set_input_directory(self, path: str) -> None:
        """Have inputs elsewhere from now on."""
        self.folders.roots["input"] = Path(path)

    def set_output_directory(self, path: str) -> None:
        """Have results elsewhere from now on."""
        self.folders.roots["output"] = Path(path)

    def set_temp_directory(self, path: str) -> None:
        """Have previews elsewhere from now on."""
        self.folders.roots["temp"] = Path(path)

    def set_user_directory(self, path: str) -> None:
        """Have users' files elsewhere from now on."""
        self.folders.roots["user"] = Path(path)

    def get_directory_by_type(self, type_name: str) -> str | None:
        """The folder of `"input"`, `"output"` or `"temp"`, or None."""
        return str(self.folders.roots[type_name]) if type_name in ("input", "output", "temp") else None

    def get_folder_paths(self, folder_name: str) -> list[str]:
        """The search paths of a model kind. Raises KeyError for an unknown one."""
        return list(self.table[folder_name][0])

    def add_model_folder_path(
        self, folder_name: str, full_folder_path: str, is_default: bool = False
    ) -> None:
        """Add a search path, before the others if it is the default."""
        kind = ALIASES.get(folder_name, folder_name)
        paths, _ = self.table.setdefault(kind, ([], set()))
        if is_default and full_folder_path in paths:
            paths.remove(full_folder_path)
        if full_folder_path not in paths:
            paths.insert(0 if is_default else len(paths), full_folder_path)
        self.table.sync()

    def get_filename_list(self, folder_name: str) -> list[str]:
        """The names of a kind's files. Raises KeyError for an unknown kind."""
        kind = ALIASES.get(folder_name, folder_name)
        self.table[kind]
        self.table.sync()
        names = self.folders.list(kind)
        return FileNames(kind, names) if self.table.untouched(kind) else names

    def get_full_path(self, folder_name: str, filename: str) -> str | None:
        """The path of a kind's file, or None."""
        self.table.sync()
        try:
            return str(self.folders.resolve(folder_name, str(filename)))
        except FolderError:
            return None

    def get_full_path_or_raise(self, folder_name: str, filename: str) -> str:
        """The path of a kind's file. Raises FileNotFoundError, naming the nearest files."""
        self.table.sync()
        try:
            return str(self.folders.resolve(folder_name, str(filename)))
        except FolderError as problem:
            raise FileNotFoundError(str(problem)) from problem

    def annotated_filepath(self, name: str) -> tuple[str, str | None]:
        """`"x.png [output]"` as `("x.png", output folder)`; a name alone has no folder."""
        found = ANNOTATED.match(name)
        return (found["name"], self.get_directory_by_type(found["root"])) if found else (name, None)

    def get_annotated_filepath(self, name: str, default_dir: str | None = None) -> str:
        """The path of a file in a root, there or not. Raises OutsideRoot for a name that leads out of it."""
        plain, folder = self.annotated_filepath(name)
        if folder is None and default_dir is not None:
            return os.path.join(default_dir, plain)
        root = next(
            (root for root in ("input", "output", "temp") if self.get_directory_by_type(root) == folder),
            "input",
        )
        return str(self.folders.inside(root, plain))

    def exists_annotated_filepath(self, name: str) -> bool:
        """Whether there is such a file in its root."""
        try:
            return os.path.exists(self.get_annotated_filepath(name))
        except OutsideRoot:
            return False

    def get_save_image_path(
        self, filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
    ) -> tuple[str, str, int, str, str]:
        """Where to save: folder, file stem, next free number, folder below `output_dir`, filled-in prefix."""
        root = next((name for name, path in self.folders.roots.items() if str(path) == str(output_dir)), None)
        prefix = filled_in(filename_prefix, image_width, image_height)
        if root is not None:
            place = self.folders.save_place(prefix, root, fresh=True)
            return str(place.folder), place.stem, place.counter, place.subfolder, prefix
        folder = Path(output_dir, os.path.dirname(prefix))
        if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(output_dir)):
            raise OutsideRoot(str(output_dir), filename_prefix)
        folder.mkdir(parents=True, exist_ok=True)
        stem = os.path.basename(prefix)
        return str(folder), stem, highest_number(folder, stem) + 1, os.path.dirname(prefix), prefix

    def get_input_subfolders(self) -> list[str]:
        """The folders in the input folder, by relative path."""
        root = self.folders.input
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir())


def filter_files_extensions(files: Collection[str], extensions: Collection[str]) -> list[str]:
    """Those files whose suffix is among `extensions`, sorted; all of them when there are none."""
    return sorted(file for file in files if not extensions or os.path.splitext(file)[1].lower() in extensions)


def filter_files_content_types(files: Iterable[str], content_types: Collection[str]) -> list[str]:
    """Those files that are `"image"`, `"video"`, `"audio"` or `"model"` by their names."""
    return [file for file in files if content_type(file) in content_types]


def content_type(file: str) -> str:
    """What a file is by its name."""
    if file.lower().endswith((".glb", ".gltf", ".obj", ".stl", ".fbx")):
        return "model"
    return (mimetypes.guess_type(file)[0] or "").partition("/")[0]


def recursive_search(
    directory: str, excluded_dir_names: Collection[str] | None = None
) -> tuple[list[str], dict[str, float]]:
    """All files below a folder by relative path, and each folder's time of change."""
    files: list[str] = []
    times: dict[str, float] = {}
    for folder, subfolders, names in os.walk(directory, followlinks=True):
        subfolders[:] = [name for name in subfolders if name not in (excluded_dir_names or ())]
        times[folder] = os.path.getmtime(folder)
        files += [os.path.relpath(os.path.join(folder, name), directory) for name in names]
    return files, times


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    ours = FolderPaths(host.folders)
    functions = {
        name: getattr(ours, name)
        for name in dir(ours)
        if name.startswith(("get_", "set_", "add_", "exists_", "annotated"))
    }
    return {
        **functions,
        "base_path": str(host.base),
        "cache_helper": None,
        "extension_mimetypes_cache": {"webp": "image"},
        "filename_list_cache": {},
        "filter_files_content_types": filter_files_content_types,
        "filter_files_extensions": filter_files_extensions,
        "folder_names_and_paths": ours.table,
        "input_directory": str(host.folders.input),
        "map_legacy": lambda name: ALIASES.get(name, name),
        "models_dir": str(host.folders.models_root),
        "output_directory": str(host.folders.output),
        "recursive_search": recursive_search,
        "supported_pt_extensions": set(WEIGHTS),
        "temp_directory": str(host.folders.temp),
        "user_directory": str(host.folders.user),
    }
