"""Workflows of image transformers whose tensors equal the reference's, from the same stand-in weights.

Each case runs through the real engine and registry in fp32. A group of cases is a family's; the folders here
hold a few cases of each (`tests.golden.bundle` says how to add some, and how to run all).
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from execution.engine import Engine
from execution.files.folders import Folders
from execution.job import Job
from execution.run.cache import Budgeted
from nodes.program import build_registry
from nodes.values import named_tensors, storages
from tests.golden.bundle import RTOL, Bundle, bundles, differences, file_of, named, stand_ins

HERE = Path(__file__).parent
MEGABYTE = 2**20
MODELS = stand_ins(HERE.name)
CASES = list(named(bundles(HERE)))
WITH_VOCABULARIES = ("hidream/", "hunyuan-dit/")
"""Groups whose texts need vocabularies that the repository may not carry; `./check` installs them."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine over the stand-in models, computing in fp32 on the processor."""
    folders = Folders(tmp_path_factory.mktemp("golden"), models=MODELS, input=HERE / "input")
    residency = Residency(Precision("fp32"), "cpu", budget=lambda device: 2000 * MEGABYTE)
    with Engine(build_registry(folders, residency), Budgeted(500 * MEGABYTE, storages)) as engine:
        yield engine
    residency.close()


@pytest.mark.timeout(1800)  # the first case of a model writes it
@pytest.mark.parametrize(("bundle", "case"), CASES, ids=[case["name"] for _, case in CASES])
def test_a_workflow_gives_the_tensors_of_the_reference(
    engine: Engine, bundle: Bundle, case: dict[str, Any]
) -> None:
    if (
        case["name"].startswith(WITH_VOCABULARIES)
        and find_spec("diffsynth") is None
        and "CI" not in os.environ
    ):
        pytest.skip("the package diffsynth, whose vocabularies these texts are read with, is not installed")
    for model in bundle.models_of(case["workflow"]):
        bundle.ensure(model, MODELS)
    result = engine.run_sync(Job(case["name"], case["workflow"], targets=case["want"]))
    assert result.error is None
    ours = {
        f"{node}/{path}": tensor
        for node in case["want"]
        for path, tensor in named_tensors(result.outputs[node]).items()
    }
    assert differences(ours, bundle.expected(case), case.get("rtol", RTOL)) == {}


def test_every_recorded_tensor_belongs_to_a_case() -> None:
    for group in HERE.glob("*/cases.json"):
        bundle = Bundle(group.parent, HERE)
        recorded = {path.name for path in (bundle.path / "expected").iterdir()}
        assert recorded == {file_of(case["name"]) for case in bundle.cases}
        for case in bundle.cases:
            assert bundle.expected(case).keys() == case["expect"].keys()


def test_what_the_repository_carries_stays_small() -> None:
    assert sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file()) < 6 * MEGABYTE
