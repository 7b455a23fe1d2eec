"""Bundles of recorded workflows: cases, the shapes of their stand-in models, and what the reference computed.

A bundle is a folder with `cases.json`, `manifests.json.gz` (model → key → shape), `files.json` (model → its
folder, and bytes that stand in it beside the tensors) and `expected/`. The repository carries a small part
of each, a folder for each group of cases; `python -m tests.golden.take` adds cases to it. With
`NODELOOM_GOLDENS` naming a folder that holds whole bundles, all of their cases run.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.golden import llama2
from tests.golden.weights import models_folder, single_thread, state_dict

RTOL, ATOL = 1e-4, 1e-5
READ_BY_LLAMA2 = ("auraflow_mini", "pile_t5xl_mini")
"""Stand-ins that read texts with LLaMA 2's tokenizer, which then has to lie beside them."""
PAIRS = ("encoder", "decoder")  # a tiny autoencoder is named without them

Case = Mapping[str, Any]


def file_of(case: str) -> str:
    """The name of the file that holds what is expected of a case."""
    return f"{case.replace('/', '__')}.safetensors"


@dataclass(frozen=True)
class Bundle:
    """A folder of recorded cases; `blobs` is where bytes lie that model files carry."""

    path: Path
    blobs: Path

    @cached_property
    def cases(self) -> list[dict[str, Any]]:
        """Its cases; those that share a network stand together, so that it is loaded once."""
        cases: list[dict[str, Any]] = json.loads((self.path / "cases.json").read_text())
        return sorted(cases, key=lambda case: sorted(self.models_of(case["workflow"])))

    @cached_property
    def manifests(self) -> dict[str, dict[str, list[int]]]:
        """Model → key → shape."""
        with gzip.open(self.path / "manifests.json.gz") as file:
            found: dict[str, dict[str, list[int]]] = json.load(file)
        return found

    @cached_property
    def files(self) -> dict[str, dict[str, Any]]:
        """Model → its folder, and key → file of the bytes in it."""
        found: dict[str, dict[str, Any]] = json.loads((self.path / "files.json").read_text())
        return found

    def models_of(self, workflow: Mapping[str, Any]) -> set[str]:
        """The stand-ins that a prompt names."""
        values = [value for node in workflow.values() for value in node["inputs"].values()]
        names = {value.removesuffix(".safetensors") for value in values if isinstance(value, str)}
        names |= {f"{name}_{half}" for name in names for half in PAIRS}
        return names & self.files.keys()

    def expected(self, case: Case) -> dict[str, Tensor]:
        """What the reference computed, by `NODE/SLOT.PATH`."""
        return load_file(self.path / "expected" / file_of(case["name"]))

    def ensure(self, model: str, models: Path) -> Path:
        """A stand-in in its folder below `models`, written now if it is not there yet."""
        about = self.files[model]
        target = models / about["folder"] / f"{model}.safetensors"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(f".{os.getpid()}.part")
            with single_thread():
                tensors = state_dict(self.manifests[model])
            for key, name in about.get("blobs", {}).items():
                tensors[key] = torch.frombuffer(
                    bytearray((self.blobs / name).read_bytes()), dtype=torch.uint8
                )
            save_file(tensors, part)
            part.replace(target)
        if model in READ_BY_LLAMA2:
            target.with_name("llama2.tokenizer.model").write_bytes(llama2.model())
        return target


def bundles(here: Path) -> list[Bundle]:
    """The whole bundle of the name of a folder here if there is one, else the parts that stand in it."""
    whole = os.environ.get("NODELOOM_GOLDENS")
    if whole and (Path(whole) / here.name / "cases.json").exists():
        return [Bundle(Path(whole) / here.name, Path(whole) / here.name)]
    return [Bundle(path.parent, here) for path in sorted(here.glob("*/cases.json"))]


def stand_ins(name: str) -> Path:
    """The models folder of a bundle's stand-ins."""
    return models_folder().with_name(name)


def differences(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], rtol: float) -> dict[str, str]:
    """What is wrong, by the name of the tensor."""
    found = {key: difference(ours.get(key), each, rtol) for key, each in theirs.items()}
    return {key: problem for key, problem in found.items() if problem}


def difference(ours: Tensor | None, theirs: Tensor, rtol: float) -> str | None:
    """What is wrong with a tensor, or None."""
    if ours is None:
        return "is missing"
    if ours.shape != theirs.shape:
        return f"has shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    theirs = theirs.float()
    most, allowed = (ours.float() - theirs).abs().max().item(), rtol * theirs.abs().max().item() + ATOL
    return None if most <= allowed else f"differs by {most:.3g}, allowed are {allowed:.3g}"


def named(found: Sequence[Bundle]) -> Iterator[tuple[Bundle, dict[str, Any]]]:
    """Every case of some bundles with its bundle."""
    for bundle in found:
        for case in bundle.cases:
            yield bundle, case
