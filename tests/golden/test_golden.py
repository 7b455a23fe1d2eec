"""Workflows whose tensors equal what the reference implementation computed from the same weights.

The weights are stand-ins (`weights.py`), so pictures are noise: what is proved is arithmetic. Each case runs
through the real engine and registry in fp32. Passing means the same shape and a largest
difference of at most `rtol` of the largest expected value plus 1e-5.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from execution.engine import Engine
from execution.files.folders import Folders
from execution.job import Job
from execution.run.cache import Budgeted
from nodes.program import build_registry
from nodes.values import named_tensors, storages
from tests.golden.bundle import RTOL, differences
from tests.golden.weights import HERE, ensure, models_folder, needed

STAND_IN_DIGEST = "c10fc35b168c1659c92c57ab9fe70ffd5626c6f223a03e97c788acefabeabe67"
MEGABYTE = 2**20
MEMORY = 6000 * MEGABYTE  # holds the largest checkpoint


def checkpoint(case: dict[str, Any]) -> str:
    """The checkpoint of a case; cases that share one stand together, so that it is loaded once."""
    return max((name for name in needed(case["workflow"]) if name.startswith("checkpoints")), default="")


CASES: list[dict[str, Any]] = sorted(json.loads((HERE / "cases.json").read_text()), key=checkpoint)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine over the stand-in models, computing in fp32 on the processor."""
    folders = Folders(tmp_path_factory.mktemp("golden"), models=models_folder(), input=HERE)
    residency = Residency(Precision("fp32"), "cpu", budget=lambda device: MEMORY)
    with Engine(build_registry(folders, residency), Budgeted(500 * MEGABYTE, storages)) as engine:
        yield engine
    residency.close()


def expected(case: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What the reference computed, by `NODE/SLOT.PATH`."""
    return load_file(HERE / "expected" / f"{case['name'].replace('/', '__')}.safetensors")


@pytest.mark.timeout(1800)  # the first case of a checkpoint writes it
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_workflow_gives_the_tensors_of_the_reference(engine: Engine, case: dict[str, Any]) -> None:
    for path in needed(case["workflow"]):
        ensure(path)
    result = engine.run_sync(Job(case["name"], case["workflow"], targets=case["want"]))
    assert result.error is None
    ours = {
        f"{node}/{path}": tensor
        for node in case["want"]
        for path, tensor in named_tensors(result.outputs[node]).items()
    }
    assert differences(ours, expected(case), case.get("rtol", RTOL)) == {}


def test_every_recorded_tensor_belongs_to_a_case() -> None:
    recorded = {path.stem.replace("__", "/") for path in (HERE / "expected").iterdir()}
    assert recorded == {case["name"] for case in CASES}
    for case in CASES:
        assert expected(case).keys() == case["expect"].keys()


def test_stand_ins_are_the_same_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODELOOM_TEST_CACHE", str(tmp_path))
    path = ensure("loras/lora_sd15_mini.safetensors")
    assert path.is_relative_to(tmp_path)
    written = load_file(path)
    digest = hashlib.sha256(b"".join(written[key].numpy().tobytes() for key in sorted(written)))
    assert digest.hexdigest() == STAND_IN_DIGEST
