"""What the scripts of the Python clients share: steps that are told one by one, and the two workflows.

A script is `python CLIENT_steps.py URL`, run by the client's own environment, which has nothing of ours. Each
step is a method; when it is over a line of JSON says its name, whether it went well, and what went wrong.
"""

import copy
import json
import random
import signal
import sys
import time
import traceback
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECONDS = 60
"""What a step may take."""


def perform(steps: object, left_out: Iterable[str] = ()) -> int:
    """Call every public method of `steps`, in the order they are written; how many went wrong."""
    signal.signal(signal.SIGALRM, too_late)
    failed = 0
    for name in [name for name in vars(type(steps)) if not name.startswith("_") and name not in left_out]:
        detail = ""
        signal.alarm(SECONDS)
        try:
            getattr(steps, name)()
        except Exception:
            detail, failed = traceback.format_exc(limit=-4), failed + 1
        finally:
            signal.alarm(0)
        print(json.dumps({"step": name, "ok": not detail, "detail": detail}), flush=True)
    return failed


def too_late(*_: object) -> None:
    """A step hangs."""
    raise TimeoutError(f"nothing came within {SECONDS} seconds")


def inverting(image: str, prefix: str = "inverted") -> dict[str, Any]:
    """A workflow that loads, inverts and saves a picture."""
    prompt: dict[str, Any] = json.loads((HERE / "invert.json").read_text())
    prompt["1"]["inputs"]["image"] = image
    prompt["3"]["inputs"]["filename_prefix"] = prefix
    return prompt


def sampling(steps: int, side: int = 64) -> dict[str, Any]:
    """A workflow that samples a picture that no run before had; thousands of steps are to be stopped."""
    prompt: dict[str, Any] = json.loads((HERE / "sample.json").read_text())
    prompt["3"]["inputs"].update(width=side, height=side)
    prompt["4"]["inputs"].update(steps=steps, seed=random.getrandbits(48))
    return prompt


def sent(prompt: dict[str, Any]) -> dict[str, Any]:
    """The same workflow with its picture sent over the socket instead of saved."""
    changed = copy.deepcopy(prompt)
    (saving,) = [node for node in changed.values() if node["class_type"] == "SaveImage"]
    saving["class_type"] = "SaveImageWebsocket"
    del saving["inputs"]["filename_prefix"]
    return changed


def unique(prefix: str) -> str:
    """A name that no run before had."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def until(true: Callable[[], Any], what: str) -> Any:
    """Ask again and again until the answer is true; that answer."""
    for _ in range(SECONDS * 40):
        if answer := true():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never came true: {what}")


@contextmanager
def refused(kind: type[Exception], word: str = "") -> Iterator[None]:
    """The block must end in this error, with this word in its text."""
    try:
        yield
    except kind as error:
        if word not in str(error):
            raise AssertionError(f"{word!r} is not in {error!r}") from error
        return
    raise AssertionError(f"it went well, without {kind.__name__}")


class Server:
    """The server as it is seen without the client: here is looked up what a client did."""

    def __init__(self, url: str) -> None:
        """Of the server at this address."""
        self.url = url.rstrip("/")

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        with urllib.request.urlopen(self.url + path, timeout=SECONDS) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any) -> Any:
        """The JSON that a body is answered with, None if the answer is empty."""
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.loads(answer.read() or b"null")

    def submit(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt; its id."""
        found: str = self.post("/prompt", {"prompt": prompt})["prompt_id"]
        return found

    def upload(self, png: bytes, name: str) -> None:
        """Put a picture into the input folder, for clients that upload none."""
        border = uuid.uuid4().hex
        head = f'--{border}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'.encode()
        body = head + b"Content-Type: image/png\r\n\r\n" + png + f"\r\n--{border}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/upload/image", body, kind)) as answer:
            assert json.load(answer)["name"] == name

    def running(self) -> list[str]:
        """The ids of the prompts that run."""
        return [entry[1] for entry in self.get("/queue")["queue_running"]]

    def waiting(self) -> list[str]:
        """The ids of the prompts that wait, first first."""
        return [entry[1] for entry in sorted(self.get("/queue")["queue_pending"])]

    def status(self, prompt_id: str) -> str | None:
        """How a prompt ended: the last message of its history; None while it has none."""
        entry = self.get(f"/history/{prompt_id}").get(prompt_id)
        return entry and entry["status"]["messages"][-1][0]


def address() -> str:
    """The server's, from the command line."""
    return sys.argv[1]
