"""The editor's document under `node --test`, its types under `tsc`, its form under Biome."""

import json
import os
import re
import subprocess
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.floors import SCRIPT_LINES
from tests.web.node import NEEDS_NODE, NODE

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
TOOLS = ROOT / "node_modules" / ".bin"
WIDTH = 110
FLOORS = {
    "core": {"core"},
    "view": {"core", "view"},
    "client": {"core", "client", "view"},
    "interaction": {"core", "view", "interaction", "client", "panels"},
    "panels": {"core", "view", "client", "interaction", "panels"},
    "compat": {"core", "view", "client", "interaction", "compat"},
}
IMPORT = re.compile(r"(?:from\s+|import\(\s*|import\s+)\"(\.{1,2}/[^\"]+)\"")


def modules() -> list[Path]:
    return sorted(path for path in WEB.rglob("*.js") if "vendor" not in path.parts)


def runtime_imports(path: Path) -> list[Path]:
    """Modules a module loads; imports of types in comments do not count."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return [(path.parent / found).resolve() for found in IMPORT.findall(text)]


@NEEDS_NODE
def test_the_document_passes_its_own_tests() -> None:
    files = sorted(str(path) for path in (ROOT / "tests" / "web" / "core").glob("*.test.mjs"))
    done = subprocess.run(
        [
            str(NODE),
            "--test",
            "--test-reporter=tap",
            "--test-reporter-destination=stdout",
            *measuring(),
            *files,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert int(re.findall(r"^# pass (\d+)", done.stdout, re.MULTILINE)[0]) >= 25


def measuring() -> list[str]:
    """Under `coverage run`, which says so in the environment, the lines that are run are written down too."""
    if "COVERAGE_RUN" not in os.environ:
        return []
    SCRIPT_LINES.parent.mkdir(parents=True, exist_ok=True)
    only = "--test-coverage-include=web/core/**/*.js"
    into = [f"--test-reporter-destination={SCRIPT_LINES}", "--test-reporter=lcov"]
    return ["--experimental-test-coverage", only, *into]


def checked_by(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one of the pinned tools of `package.json`, which are scripts for the Node.js beside our Python."""
    if NODE is None or not (TOOLS / tool).exists():
        pytest.skip(f"no {tool}: ./check installs it")
    path = os.pathsep.join([str(Path(str(NODE)).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [str(TOOLS / tool), *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("project", ["tsconfig.core.json", "tsconfig.json"])
def test_the_types_hold(project: str) -> None:
    done = checked_by("tsc", "-p", str(WEB / project))
    assert done.returncode == 0, done.stdout


def test_scripts_are_formatted_and_linted() -> None:
    done = checked_by("biome", "check", "--error-on-warnings", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_line_is_too_long_to_read() -> None:
    scripts = [*modules(), *WEB.rglob("*.ts"), *(ROOT / "tests" / "web").rglob("*.mjs")]
    scripts += (ROOT / "server" / "pages").glob("*.js")
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in scripts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > WIDTH
    ]
    assert not long


def test_the_pinned_tools_are_exact_and_come_from_no_named_host() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert wanted == {name: locked[f"node_modules/{name}"]["version"] for name in wanted}
    assert all(
        "integrity" in package and "resolved" not in package for name, package in locked.items() if name
    )


def test_modules_import_from_their_own_floor_or_below() -> None:
    for path in modules():
        floor = path.relative_to(WEB).parts[0]
        if floor not in FLOORS:
            continue
        for target in runtime_imports(path):
            assert target.is_file(), f"{path} imports {target}, which does not exist"
            assert target.relative_to(WEB).parts[0] in FLOORS[floor], (
                f"{path.relative_to(WEB)} reaches {target.relative_to(WEB)}"
            )


def needed_to_load(text: str) -> list[str]:
    """What a module's text imports as it loads: no comment, and nothing that a function imports later."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.findall(r"^(?:import|export)\s[^;]*?\"(\.{1,2}/[^\"]+)\"", text, re.MULTILINE)


def test_no_two_modules_need_each_other_to_load() -> None:
    graph = {
        path.resolve(): [(path.parent / name).resolve() for name in needed_to_load(path.read_text())]
        for path in modules()
    }
    assert sum(map(len, graph.values())) > 2 * len(graph), "imports are seen"
    assert tuple(TopologicalSorter(graph).static_order())


def test_imports_that_load_a_module_are_told_from_others() -> None:
    text = """/** @import { A } from "./types.js" */
    import { b, type } from "./b.js";
export * from "./c.js";
import "../d.js";
import {
  e,
} from "./e.js";
const later = () => import("./f.js");
""".replace("    import", "import")
    assert needed_to_load(text) == ["./b.js", "./c.js", "../d.js", "./e.js"]
    with pytest.raises(CycleError):
        TopologicalSorter({"a": ["b"], "b": ["c"], "c": ["a"]}).prepare()


def test_core_knows_no_page() -> None:
    for path in (WEB / "core").glob("*.js"):
        words = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(
            r"\b(document\.(create|get|query|body)|window\.|CanvasRenderingContext2D|HTMLElement)", words
        ), path


def test_nothing_is_asked_of_other_hosts_and_no_markup_is_made_of_text() -> None:
    for path in [*modules(), WEB / "index.html", WEB / "style.css"]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), path
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        ), path


def test_the_page_has_no_inline_script_or_handler() -> None:
    text = (WEB / "index.html").read_text()
    assert re.findall(r"<script([^>]*)>", text) == [' type="module" src="main.js"']
    assert not re.search(r"\son\w+=|<style|\sstyle=", text)


def test_the_features_that_the_documentation_promises_name_tests_that_exist() -> None:
    text = (ROOT / "docs" / "editor.md").read_text()
    promised = text[text.index("## What is promised") : text.index("## Checking it")]
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", promised)
    assert len(named) > 50
    tests = ROOT / "tests" / "web"
    missing = [name for file, name in named if f"def {name}(" not in (tests / file).read_text()]
    core = "".join(path.read_text() for path in sorted((tests / "core").glob("*.mjs")))
    rows = [line for line in promised.splitlines() if "`core/`: " in line]
    titles = [
        title.split(", `test_")[0].removesuffix(" |")
        for line in rows
        for title in line.split("`core/`: ")[1:]
    ]
    missing += [title for title in titles if f'test("{title}"' not in core]
    assert not missing


def test_browser_tests_wait_for_states_and_never_for_a_time() -> None:
    waits = re.compile(r"wait_for_timeout|setTimeout|\bsleep\(\s*[\d.]+")
    found = {
        path.name: waits.findall(path.read_text())
        for path in (ROOT / "tests" / "web").glob("*.py")
        if path != Path(__file__) and waits.search(path.read_text())
    }
    # Each of these asks again and again: the page, the server as it starts, Chromium as it starts.
    assert {name: len(hits) for name, hits in found.items()} == {
        "chromium.py": 1,
        "test_run.py": 1,
        "test_flows.py": 1,
    }, found
