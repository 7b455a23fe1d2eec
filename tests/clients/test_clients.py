"""Programs that others have written for ComfyUI, unchanged, at a real server: every step of each goes well.

A client's steps stand in its script, which its own environment runs; see `environments.py` and `steps.py`.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.environments import NODE, PYTHON, Environments, Unavailable, node_path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
IN_CI = any(os.environ.get(name) not in {None, "", "0", "false"} for name in ("CI", "NODELOOM_CI"))
ORDER = ["comfy-lint", *NODE, "comfy-api-simplified", "comfyui-utils", "pycomfy", "comfy-script", "comfy-sdk"]
"""The quick ones to install first; the proxy is the last."""
SCRIPT_SECONDS = 120
START_SECONDS = 60


@dataclass(frozen=True)
class Client:
    """A client and the number of its steps, so that none is lost unseen."""

    environment: str
    script: str
    steps: int
    arguments: tuple[str, ...] = ()


CLIENTS = [
    Client("comfy-lint", "comfy_lint_steps.py", 6),
    Client("comfy-ui-client", "comfy_ui_client_steps.mjs", 18),
    Client("saintno-comfyui-sdk", "saintno_steps.mjs", 23),
    Client("stable-canvas-comfyui-client", "stable_canvas_steps.mjs", 21),
    Client("comfy-api-simplified", "comfy_api_simplified_steps.py", 14),
    Client("comfyui-utils", "comfyui_utils_steps.py", 8),
    Client("pycomfy", "pycomfy_steps.py", 8),
    Client("comfy-script", "comfy_script_steps.py", 12),
    Client("comfy-sdk", "comfy_sdk_steps.py", 14),
]
PROXIED = Client("comfy-sdk", "comfy_sdk_steps.py", 11, ("proxied",))


@pytest.fixture(scope="module")
def environments() -> Iterator[Environments]:
    """All environments, made while the first clients already run."""
    made = Environments([*ORDER, "comfy-api-proxy"])
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as people start it, with a data folder of its own and the checkpoint that is shipped."""
    data = tmp_path_factory.mktemp("clients")
    (data / "input").mkdir()
    command = [sys.executable, str(ROOT / "main.py"), "--port", "0", "--base-directory", str(data), "--cpu"]
    around = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with running([*command, "--models", str(ROOT / "models")], around, data / "log") as log:
        yield asyncio.run(said(log, r"http://[\w.:]+"))


@contextlib.contextmanager
def running(command: list[str], around: dict[str, str], log: Path) -> Iterator[Path]:
    """A process while the block runs, and the file of what it says."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **around})
    try:
        yield log
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


async def said(log: Path, pattern: str) -> str:
    """The first text of a log that fits, once it is there."""
    async with asyncio.timeout(START_SECONDS):
        while (found := re.search(pattern, log.read_text())) is None:
            await asyncio.sleep(0.05)
    return found[0]


def folder_of(environments: Environments, name: str) -> Path:
    """An environment; without a registry the test is skipped, in CI it fails."""
    try:
        return environments.folder(name)
    except Unavailable as reason:
        return (pytest.fail if IN_CI else pytest.skip)(f"no environment for {reason}")


def all_steps_pass(client: Client, folder: Path, url: str) -> None:
    """Run a client's script; each of its steps must say that it went well."""
    script = str(HERE / client.script)
    if client.script.endswith(".mjs"):
        node = shutil.which("node", path=node_path())
        assert node is not None, "npm has made the environment"
        command = [node, script, url, str(folder)]
    else:
        command = [str(folder / "bin" / "python"), script, url, *client.arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SCRIPT_SECONDS, cwd=folder)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]
    wrong = "\n".join(f"{each['step']}: {each['detail']}" for each in told if not each["ok"])
    assert not wrong, f"{wrong}\n{done.stderr[-2000:]}"
    assert len(told) == client.steps, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.environment)
def test_every_step_of_a_client_passes(client: Client, environments: Environments, url: str) -> None:
    all_steps_pass(client, folder_of(environments, client.environment), url)


def test_every_step_through_the_proxy_passes(environments: Environments, url: str, tmp_path: Path) -> None:
    proxy, sdk = (folder_of(environments, name) for name in ("comfy-api-proxy", "comfy-sdk"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = [str(proxy / "bin" / "python"), "-m", "comfy_api_proxy.cli", "run"]
    around = {"COMFY_API_PROXY_STATE_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with running([*module, "--comfyui", url, "--port", str(port)], around, tmp_path / "log") as log:
        asyncio.run(said(log, r"Running on|http://127\.0\.0\.1:\d+"))
        all_steps_pass(PROXIED, sdk, f"http://127.0.0.1:{port}")


def test_every_environment_has_a_client() -> None:
    assert {client.environment for client in CLIENTS} | {"comfy-api-proxy"} == {*PYTHON, *NODE}
    assert set(ORDER) == {client.environment for client in CLIENTS}
