"""The floors of the house: who may import whom, no cycles, no work and no state at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS: dict[str, set[str]] = {
    "execution": set(),
    "workflows": {"execution"},
    "diffusion": set(),
    "pictures": set(),
    "nodes": {"execution", "diffusion", "pictures"},
    "server": {"execution", "workflows", "pictures"},
    "compat": {"execution", "diffusion", "nodes", "pictures"},
    "nodeloom": {"execution", "workflows", "diffusion", "nodes", "server", "compat", "pictures"},
    "training": {"diffusion", "nodes"},
}
SOURCES = [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, anywhere in it."""
    for statement in ast.walk(ast.parse(path.read_text())):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0 and statement.module:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def top(name: str) -> str:
    return name.partition(".")[0]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("floor", FLOORS)
def test_no_floor_imports_from_above(floor: str) -> None:
    for path in (ROOT / floor).rglob("*.py"):
        above = {top(name) for name in imports(path)} & (FLOORS.keys() - FLOORS[floor] - {floor})
        assert not above, f"{relative(path)} reaches up to {above}"


ROOMS: dict[str, dict[str, set[str]]] = {
    "execution": {
        "files": set(),
        "declare": {"files"},
        "run": {"declare", "files"},
        "check": {"declare", "files", "run"},
        "wire": {"declare", "files", "run", "check"},
    },
}
"""Floor → room → the rooms it may import from. What stands in the floor itself serves all of its rooms."""

STOREYS: dict[str, tuple[str, ...]] = {
    "diffusion": (
        *("errors", "images", "hooks", "remembering"),
        *("weights", "residency", "noise", "samplers", "networks", "option_hooks"),
        *("latents", "text", "upscaling"),
        *("family", "model", "conditioning", "denoising", "guidance", "sampling", "together"),
        *("control", "patches", "families", "training"),
    ),
}
"""Floor → its rooms and the modules that stand between them, from the ground up: each imports from below."""


def room_of(floor: str, name: str) -> str:
    """The room that a module's full name stands in, or an empty text."""
    parts = name.split(".")
    inside = len(parts) > 1 and parts[0] == floor and (ROOT / floor / parts[1]).is_dir()
    return parts[1] if inside else ""


def storey_of(floor: str, name: str) -> str:
    """The room or the module of a floor that a full name belongs to, or an empty text."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == floor else ""


@pytest.mark.parametrize(("floor", "storey"), [(floor, one) for floor in STOREYS for one in STOREYS[floor]])
def test_no_storey_imports_from_above(floor: str, storey: str) -> None:
    below = {"", storey, *STOREYS[floor][: STOREYS[floor].index(storey)]}
    room = ROOT / floor / storey
    for path in room.rglob("*.py") if room.is_dir() else [room.with_suffix(".py")]:
        above = {storey_of(floor, name) for name in imports_at_run(path)} - below
        assert not above, f"{relative(path)} reaches up to {above}"


@pytest.mark.parametrize("floor", STOREYS)
def test_every_room_and_module_has_its_storey(floor: str) -> None:
    modules = {path.stem for path in (ROOT / floor).glob("*.py")} - {"__init__"}
    rooms = {path.parent.name for path in (ROOT / floor).glob("*/__init__.py")}
    assert modules | rooms == set(STOREYS[floor])


@pytest.mark.parametrize(("floor", "room"), [(floor, room) for floor in ROOMS for room in ROOMS[floor]])
def test_no_room_imports_from_above(floor: str, room: str) -> None:
    for path in (ROOT / floor / room).rglob("*.py"):
        above = {room_of(floor, name) for name in imports(path)} - ROOMS[floor][room] - {room, ""}
        assert not above, f"{relative(path)} reaches up to {above}"


@pytest.mark.parametrize("floor", ROOMS)
def test_every_room_has_its_arrows(floor: str) -> None:
    rooms = {path.parent.name for path in (ROOT / floor).glob("*/__init__.py")}
    assert rooms == ROOMS[floor].keys()


def test_the_engine_stands_on_the_standard_library_alone() -> None:
    for path in (ROOT / "execution").rglob("*.py"):
        foreign = {top(name) for name in imports(path)} - set(sys.stdlib_module_names) - {"execution"}
        assert not foreign, f"{relative(path)} imports {foreign}"


def test_the_server_never_touches_torch() -> None:
    for path in (ROOT / "server").rglob("*.py"):
        heavy = {top(name) for name in imports(path)} & {"torch", "transformers", "safetensors", "numpy"}
        assert not heavy, f"{relative(path)} imports {heavy}"


def test_frames_are_made_in_one_place() -> None:
    for path in (ROOT / "server").rglob("*.py"):
        if path != ROOT / "server/frames.py":
            made = {node.func.id for node in calls(path) if isinstance(node.func, ast.Name)} & {
                "Frame",
                "Picture",
            }
            assert not made, f"{relative(path)} makes a {made}; server/frames.py makes them"


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_at_run(path: Path) -> Iterator[str]:
    """All imports but those for the type checker alone."""
    tree = ast.parse(path.read_text())
    checked = [node for node in ast.walk(tree) if isinstance(node, ast.If) and for_types(node)]
    left_out = {id(inner) for node in checked for each in node.body for inner in ast.walk(each)}
    for statement in ast.walk(tree):
        if id(statement) in left_out:
            continue
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module
            if "." not in statement.module:
                yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def for_types(branch: ast.If) -> bool:
    """Whether a branch is taken by the type checker alone."""
    return "TYPE_CHECKING" in ast.dump(branch.test)


def imports_at_load(path: Path) -> Iterator[str]:
    """Imports outside functions and outside `if TYPE_CHECKING`: those that can make a cycle."""
    pending: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)
        elif isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.Try):
            pending += statement.body
        elif isinstance(statement, ast.If) and not for_types(statement):
            pending += statement.body + statement.orelse


def test_modules_make_no_cycle() -> None:
    modules = {module_name(path): path for path in SOURCES}
    graph = {
        name: {other for other in imports_at_load(path) if other in modules and other != name}
        for name, path in modules.items()
    }
    # A package's __init__ re-exports its parts; a part that names its own package makes no cycle of code.
    for name, others in graph.items():
        graph[name] = {other for other in others if not name.startswith(other + ".")}
    assert tuple(TopologicalSorter(graph).static_order())


MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_module_keeps_state(path: Path) -> None:
    """Constants are UPPER_CASE and never declared global; anything else mutable at module level is state."""
    tree = ast.parse(path.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)], "a global statement"
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        if not isinstance(getattr(statement, "value", None), MUTABLE):
            continue
        for target in targets:
            name = target.id if isinstance(target, ast.Name) else ""
            constant = name.lstrip("_").isupper() or name.startswith("__")
            assert constant, f"{relative(path)}:{statement.lineno} keeps state in {name}"


@pytest.mark.parametrize("module", ["server.app", "execution.engine"])
def test_the_light_floors_import_fast_and_light(module: str) -> None:
    code = f"import {module}, sys; print(sorted({{'torch', 'numpy', 'transformers'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FACADE = "packs see the façade alone; tests/compat/test_facade.py and test_modules.py use it through packs"
NO_MIRROR = {
    "compat/modules/comfy_api/latest/_io.py": f"another name for `io`: {FACADE}",
    "compat/modules/comfy_api/v0_0_1.py": f"another name for `latest`: {FACADE}",
    "compat/modules/comfy_api/v0_0_2.py": f"another name for `latest`: {FACADE}",
    "compat/modules/comfy_execution/graph.py": f"names without code: {FACADE}",
    "compat/modules/comfy_extras/nodes_post_processing.py": f"one function of ours by name: {FACADE}",
    "compat/modules/execution.py": f"a placeholder: {FACADE}",
}
"""Modules without a test of their own, and why; besides these there are only packages' `__init__`."""
UNTESTED = ROOT / "tests" / "untested.txt"
"""Modules that others' tests reach and that still need their own, one a line. The list may only shrink."""


def mirror_of(path: Path) -> Path:
    """Where a module's own test stands."""
    return ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{path.stem}.py"


def test_every_module_has_its_mirror_test() -> None:
    untested = set(UNTESTED.read_text().split())
    for path in SOURCES:
        name = relative(path)
        if path.stem == "__init__" or name in NO_MIRROR:
            continue
        mirror = mirror_of(path)
        assert mirror.exists() or name in untested, f"write {relative(mirror)}, a test of {name}"
        stale = f"{name} has its test now: take its line out of {relative(UNTESTED)}"
        assert not (mirror.exists() and name in untested), stale


def test_what_needs_no_mirror_test_or_lacks_one_is_there() -> None:
    for name in (*NO_MIRROR, *UNTESTED.read_text().split()):
        assert (ROOT / name).exists(), f"{name} is gone: take its line out too"


def test_mirror_tests_test() -> None:
    for path in SOURCES:
        if path.stem != "__init__" and mirror_of(path).exists():
            functions = [
                node.name
                for node in ast.walk(ast.parse(mirror_of(path).read_text()))
                if hasattr(node, "name")
            ]
            assert any(name.startswith("test_") for name in functions), relative(mirror_of(path))
