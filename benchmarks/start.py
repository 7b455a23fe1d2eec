"""From the command to an answer: port, node specs, first picture.

    python -m benchmarks.start [--rounds 5] [--checkpoint NAME]

Starts the server as a user would, on a data folder of its own, and prints the seconds until `/queue` answers,
until `/object_info` does (first start: no cache; later: from the cache), the milliseconds of `/object_info`
itself, and with a checkpoint the seconds from the command to the first picture saved.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(port: int, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server with a data folder of its own; ended at the end."""
    command = [sys.executable, "main.py", "--port", str(port), "--data-dir", str(data), "--cpu"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def get(url: str) -> bytes:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=120) as answer:
        body: bytes = answer.read()
        return body


def seconds_until(ask: Callable[[], bytes], since: float) -> float:
    """Seconds from `since` until `ask` succeeds."""
    while True:
        try:
            ask()
            return time.perf_counter() - since
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)


def first_picture(url: str, checkpoint: str, size: int, since: float) -> float:
    """Seconds from `since` until a picture of 4 steps is saved."""
    from benchmarks.picture import workflow

    prompt: dict[str, Any] = workflow(checkpoint, size, 4)
    prompt["7"] = {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "bench"}}
    body = json.dumps({"prompt": prompt}).encode()
    request = urllib.request.Request(f"{url}/prompt", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        number = json.loads(answer.read())["prompt_id"]
    while True:
        history = json.loads(get(f"{url}/history/{number}"))
        if history:
            status = history[number]["status"]["status_str"]
            if status != "success":
                raise SystemExit(f"the picture failed: {history[number]['status']}")
            return time.perf_counter() - since
        time.sleep(0.02)


def main() -> None:
    """Start some times; print each and the median of the later ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checkpoint", default=None)
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    found: list[tuple[float, float, float, float]] = []
    with tempfile.TemporaryDirectory() as data:
        for number in range(options.rounds):
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            since = time.perf_counter()
            with server(port, Path(data)):
                port_open = seconds_until(lambda url=url: get(f"{url}/queue"), since)
                specs = seconds_until(lambda url=url: get(f"{url}/object_info"), since)
                asked = time.perf_counter()
                get(f"{url}/object_info")
                specs_again = time.perf_counter() - asked
                picture = (
                    first_picture(url, options.checkpoint, options.size, since) if options.checkpoint else 0.0
                )
            found.append((port_open, specs, specs_again, picture))
            kind = "no cached specs" if number == 0 else "cached specs"
            print(f"start {number + 1} ({kind}): {shown(found[-1])}", flush=True)
    later = found[1:] or found
    print(f"median, cached: {shown(tuple(statistics.median(each) for each in zip(*later, strict=True)))}")


def shown(figures: tuple[float, ...]) -> str:
    """One line of figures."""
    port_open, specs, again, picture = figures
    text = f"port {port_open:.2f} s   object_info {specs:.2f} s, then {again * 1000:.0f} ms"
    return text + (f"   first picture {picture:.1f} s" if picture else "")


if __name__ == "__main__":
    main()
