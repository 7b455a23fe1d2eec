"""Adds cases of a whole bundle to the small part of it that the repository carries.

    python -m tests.golden.take BUNDLE CASE …

BUNDLE is the bundle's folder, whose name is that of the folder in `tests/`; a CASE is a name of `cases.json`.
Every group of cases has a folder of its own: cases, shapes of the models they need, and what is expected.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.golden.bundle import Bundle, file_of

TESTS = Path(__file__).parents[1]


def take(bundle: Bundle, names: list[str], into: Path) -> None:
    """Adds cases to a folder of a bundle's part."""
    chosen = [case for case in bundle.cases if case["name"] in names]
    strange = set(names) - {case["name"] for case in chosen}
    if strange:
        raise SystemExit(f"{bundle.path} has no case named {', '.join(sorted(strange))}.")
    for group in sorted({name.split("/")[0] for name in names}):
        taken = [case for case in chosen if case["name"].startswith(f"{group}/")]
        _add(bundle, taken, into / group, into)


def _add(bundle: Bundle, cases: list[dict[str, Any]], group: Path, into: Path) -> None:
    (group / "expected").mkdir(parents=True, exist_ok=True)
    listed = group / "cases.json"
    before = json.loads(listed.read_text()) if listed.exists() else []
    by_name = {case["name"]: case for case in (*before, *cases)}
    everything = [by_name[name] for name in sorted(by_name)]
    listed.write_text("[\n" + ",\n".join(json.dumps(case) for case in everything) + "\n]\n")
    models = sorted({model for case in everything for model in bundle.models_of(case["workflow"])})
    shapes = json.dumps({model: bundle.manifests[model] for model in models}).encode()
    (group / "manifests.json.gz").write_bytes(gzip.compress(shapes, mtime=0))
    files = {model: bundle.files[model] for model in models}
    (group / "files.json").write_text(json.dumps(files, indent=1) + "\n")
    for case in cases:
        shutil.copy(bundle.path / "expected" / file_of(case["name"]), group / "expected")
    for about in files.values():
        for blob in about.get("blobs", {}).values():
            shutil.copy(bundle.path / blob, into)


if __name__ == "__main__":
    whole = Path(sys.argv[1])
    take(Bundle(whole, whole), sys.argv[2:], TESTS / whole.name)
