"""`folder_paths.folder_names_and_paths`: the mapping of model kinds that packs read and write directly.

Its shape is theirs, `{kind: ([path, …], {suffix, …})}`, plain lists and sets of text. The truth about folders
is `execution.files.folders.Folders`; `sync` carries over what packs have changed. It is called after each
pack's import and before each look-up made through `folder_paths`.
"""

from __future__ import annotations

from pathlib import Path

from execution.files.folders import ALIASES, MODEL_KINDS, Folders

Row = tuple[list[str], set[str]]


class FolderTable(dict[str, Row]):
    """The writable mapping, filled from `folders`."""

    def __init__(self, folders: Folders) -> None:
        super().__init__()
        self.folders = folders
        for kind, known in folders.kinds.items():
            self[kind] = ([str(path) for path in known.paths], set(known.suffixes))
        self.initial = {kind: (list(paths), set(suffixes)) for kind, (paths, suffixes) in self.items()}

    def __contains__(self, kind: object) -> bool:
        return super().__contains__(ALIASES.get(kind, kind) if isinstance(kind, str) else kind)

    def __missing__(self, kind: str) -> Row:
        if kind in ALIASES:
            return self[ALIASES[kind]]
        raise KeyError(kind)

    def sync(self) -> None:
        """Tell `folders` about kinds and paths that packs have added here."""
        for kind, row in list(self.items()):
            paths, suffixes = list(row[0]), frozenset(row[1]) if len(row) > 1 else frozenset()
            known = self.folders.kinds.get(kind)
            if (
                known is not None
                and [str(path) for path in known.paths] == paths
                and known.suffixes == suffixes
            ):
                continue
            if known is not None:
                known.paths[:] = [Path(path) for path in paths]
                known.suffixes = suffixes
            for path in paths[:1]:
                self.folders.add_models(kind, Path(path), first=True, suffixes=suffixes)
            for path in paths[1:]:
                self.folders.add_models(kind, Path(path))

    def untouched(self, kind: str) -> bool:
        """Whether a kind is one of ours with our folders, so that every process lists the same files."""
        return kind in MODEL_KINDS and self.initial.get(kind) == (self[kind][0], set(self[kind][1]))
