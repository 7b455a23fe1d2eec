# ruff: noqa: E501 - scripts and tables that stand in one line each read better than wrapped
"""The page on the real server: the starter workflow makes a picture with the default checkpoint, and the picture brings the workflow back."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.chromium import ARGUMENTS, CHROMIUM, ready, until

sync_api = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parents[2]
CHECKPOINTS = sorted((ROOT / "models" / "checkpoints").glob("nodeloom-*.safetensors"))
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path; install it, or set CHROMIUM"),
    pytest.mark.skipif(not CHECKPOINTS, reason="the default checkpoint is not in models/checkpoints"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    (data / "models").mkdir()
    shutil.copytree(ROOT / "models" / "checkpoints", data / "models" / "checkpoints", copy_function=os.link)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (data / "log.txt").open("w")
    server = subprocess.Popen(
        [sys.executable, "main.py", "--data-dir", str(data), "--port", str(port)],
        cwd=ROOT,
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}/"
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{url}api/object_info", timeout=5) as answer:
                if b"KSampler" in answer.read():
                    break
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.5)
    yield url
    server.terminate()
    server.wait(30)
    log.close()


def test_the_starter_makes_a_picture_that_opens_again(address: str) -> None:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = ready(browser.new_context(viewport={"width": 1280, "height": 800}), address)
        page.evaluate(
            "() => { window.ended = undefined; nodeloom.runs.addEventListener('ended', (event) => { window.ended = event.detail.how; }); }"
        )
        page.keyboard.press("Control+Enter")
        finished(page)
        files: list[dict[str, Any]] = page.evaluate(
            "[...nodeloom.editor.tab.results.outputs.values()].flatMap((output) => output.images ?? [])"
        )
        assert len(files) == 1
        sent = page.evaluate("async () => (await app.graphToPrompt()).output")
        page.evaluate(
            "async (file) => { const blob = await (await fetch(nodeloom.server.view(file))).blob(); await app.handleFile(new File([blob], file.filename, { type: 'image/png' })); }",
            files[0],
        )
        until(page, "nodeloom.documents.tabs.length === 2")
        assert page.evaluate("async () => (await app.graphToPrompt()).output") == sent
        page.keyboard.press("q")
        page.wait_for_selector("#side .row img")
        browser.close()


def finished(page: Any) -> None:
    for _ in range(240):
        how = page.evaluate("window.ended ?? null")
        if how is not None:
            assert how == "success"
            return
        page.wait_for_timeout(500)
    raise AssertionError("the run did not end within two minutes")
