"""Every way to leave a test out is a failure in CI, and a skip elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import in_ci

ROOT = Path(__file__).parent.parent
WAYS = {
    "mark": "@pytest.mark.skipif(True, reason='no Chromium')\ndef test_it(): ...",
    "call": "def test_it(): pytest.skip('no tsc')",
    "fixture": "@pytest.fixture\ndef tool(): pytest.skip('no node')\ndef test_it(tool): ...",
    "file": "pytest.importorskip('a_module_that_nobody_has')\ndef test_it(): ...",
    "all of a file": "pytestmark = pytest.mark.skip(reason='no av')\ndef test_it(): ...",
}
STAYS = {
    "fact": "def test_it(): pytest.skip('spandrel, which knows more, is not installed: get it')",
    "expected failure": "@pytest.mark.xfail\ndef test_it(): assert False",
}
ENDINGS = re.compile(r"^(FAILED|ERROR|SKIPPED|XFAIL)[^\n]*", re.MULTILINE)


def told(folder: Path, **variables: str) -> str:
    """What pytest says of a folder in which each file leaves out its one test in another way."""
    for index, body in enumerate([*WAYS.values(), *STAYS.values()]):
        (folder / f"test_{index}.py").write_text(f"import pytest\n{body}\n")
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "NODELOOM_CI"}}
    options = ["-p", "tests.skips", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-n", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-rfEsx", "-c", os.devnull, "--rootdir", folder, folder],
        cwd=ROOT,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("variable", ["CI", "NODELOOM_CI"])
def test_a_missing_tool_is_a_failure_in_ci(tmp_path: Path, variable: str) -> None:
    said = told(tmp_path, **{variable: "true"})
    endings = [found[0] for found in ENDINGS.finditer(said)]
    failed = {
        Path(line.split()[1].partition(":")[0]).name
        for line in endings
        if line.startswith(("FAILED", "ERROR"))
    }
    assert failed == {f"test_{index}.py" for index in range(len(WAYS))}, said
    assert said.count("was left out, which CI does not allow: ") >= len(WAYS)
    assert "1 skipped, 1 xfailed" in said, "facts of the machine and expected failures stay what they are"


def test_elsewhere_it_is_a_skip(tmp_path: Path) -> None:
    said = told(tmp_path)
    assert f"= {len(WAYS) + 1} skipped, 1 xfailed in" in said


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("1", True), ("0", False), ("", False)])
def test_a_variable_means_ci_unless_it_is_empty_or_no(value: str, meant: bool) -> None:
    assert in_ci({"CI": value}) is meant
    assert in_ci({"NODELOOM_CI": value}) is meant
    assert not in_ci({})
