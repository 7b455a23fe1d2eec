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
MAKERS = {"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict"}
MAKERS |= {"WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "Lock", "RLock", "count", "local"}
REMEMBERING = {"cache", "lru_cache"}
CHANGING = {"append", "add", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"}
CHANGING |= {"setdefault", "update", "appendleft", "popleft"}


PURE = {"painted remembers"}  # backgrounds that are painted once for a training run and cannot be written to


def name_of(node: ast.AST) -> str:
    """The last word of a name, a dotted name, a call or a subscript of one."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def state_in(tree: ast.Module) -> list[str]:
    """What a module keeps between calls: mutable values at its top that are no constants, constants that it
    changes, globals that functions assign, functions that remember, mutable defaults.
    """
    found = [f"{node.lineno}: a global statement" for node in ast.walk(tree) if isinstance(node, ast.Global)]
    own: set[str] = set()
    for statement in tree.body:
        value = getattr(statement, "value", None)
        mutable = isinstance(value, MUTABLE) or (isinstance(value, ast.Call) and name_of(value) in MAKERS)
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        for name in (target.id for target in targets if mutable and isinstance(target, ast.Name)):
            own.add(name)
            if not (name.lstrip("_").isupper() or name.startswith("__")):
                found.append(f"{statement.lineno}: keeps state in {name}")
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = function.args.args or function.args.kwonlyargs  # without, it is a constant made late
        if given and {name_of(each) for each in function.decorator_list} & REMEMBERING:
            found.append(f"{function.lineno}: {function.name} remembers")
        defaults = [*function.args.defaults, *function.args.kw_defaults]
        found += [f"{each.lineno}: a mutable default" for each in defaults if isinstance(each, MUTABLE)]
        own_names = {each.arg for each in ast.walk(function) if isinstance(each, ast.arg)}
        found += [
            f"{node.lineno}: changes {name}"
            for node in ast.walk(function)
            for name in changed_by(node)
            if name in own - own_names
        ]
    return found


def changed_by(node: ast.AST) -> Iterator[str]:
    """The names whose values a statement or a call changes in place."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
        yield node.func.value.id if isinstance(node.func.value, ast.Name) else ""
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
        yield from (name_of(each) for each in targets if isinstance(each, ast.Subscript))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_module_keeps_state(path: Path) -> None:
    kept = [each for each in state_in(ast.parse(path.read_text())) if each.split(": ")[1] not in PURE]
    assert kept == [], relative(path)


@pytest.mark.parametrize(
    "text",
    [
        "seen = []",
        "seen: dict[str, int] = {}",
        "seen = defaultdict(list)",
        "lock = threading.Lock()",
        "def f():\n    global seen\n    seen = 1",
        "SEEN = {}\ndef f(x):\n    SEEN[x] = 1",
        "SEEN = []\ndef f(x):\n    SEEN.append(x)",
        "SEEN = set()\ndef f(x):\n    del SEEN[x]",
        "COUNT = {}\nclass A:\n    def f(self, x):\n        COUNT[x] += 1",
        "@lru_cache(8)\ndef f(x): ...",
        "@functools.cache\ndef f(x): ...",
        "def f(x=[]): ...",
    ],
)
def test_state_is_seen(text: str) -> None:
    assert state_in(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "NAMES = {'a': 1}\ndef f(x):\n    return NAMES[x]",
        "__all__ = ['f']",
        "def f(x):\n    seen = []\n    seen.append(x)",
        "NAMES = []\ndef f(NAMES):\n    NAMES.append(1)",
        "@cached_property\ndef f(x=()): ...",
        "@cache\ndef table(): ...",
    ],
)
def test_constants_and_what_lives_in_a_call_are_no_state(text: str) -> None:
    assert state_in(ast.parse(text)) == []


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
