"""A worker process of toy nodes: `python -m tests.server.toys --data DIR --channel FD`.

Environment: TOYS_DELAY seconds before it is ready, TOYS_CHOICES a file whose lines a combo offers, TOYS_DIE
to die at once.
"""

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from execution.declare.node import (
    Choice,
    Folder,
    Options,
    Outcome,
    Range,
    Run,
    Socket,
    Ui,
    node,
    node_types,
)
from execution.declare.registry import Registry
from execution.declare.spec import InputSpec, NodeSpec
from execution.engine import Engine
from execution.events import Preview
from execution.files.folders import Folders, atomic_write
from execution.wire.channel import Channel
from execution.wire.messages import Broadcast, Hello
from execution.wire.worker import Worker

Whole = Annotated[int, Range(0, 2**53)]
Picture = Annotated[bytes, Socket("IMAGE")]
ONE_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc000000301010018dd8db00000000049454e44ae426082"
)
REPLACEMENTS = [
    {"old_node_id": "ToyOldAdd", "new_node_id": "ToyNone"},
    {
        "old_node_id": "ToyOldAdd",
        "new_node_id": "ToyAdd",
        "input_mapping": [{"new_id": "a", "old_id": "left"}, {"new_id": "b", "old_id": "right"}],
        "output_mapping": [{"old_idx": 1, "new_idx": 0}],
    },
    {
        "old_node_id": "ToyOldNumber",
        "new_node_id": "ToyNumber",
        "old_widget_ids": ["unused", "count"],
        "input_mapping": [{"new_id": "value", "old_id": "count"}],
    },
    {"old_node_id": "ToySleep", "new_node_id": "ToyNumber"},
]


@node("ToyNumber", category="toys")
def number(value: Whole = 0) -> int:
    """Toy Number."""
    return value


@node("ToyAdd", category="toys")
def add(a: Annotated[int, Options(forceInput=True)], b: Annotated[int, Options(forceInput=True)]) -> int:
    """Toy Add."""
    return a + b


@node("ToyShow", category="toys", output_node=True)
def show(value: Annotated[Any, Socket("*")]) -> Ui:
    """Toy Show."""
    return Ui(text=[str(value)])


@node("ToySave", category="toys", output_node=True)
def save(filename_prefix: str, value: Annotated[Any, Socket("*")], folders: Folders, run: Run) -> Ui:
    """Toy Save."""
    place = folders.save_place(filename_prefix)
    place.path(".png").write_bytes(ONE_PIXEL)
    return Ui(images=[{"filename": place.name(".png"), "subfolder": place.subfolder, "type": "output"}])


@node("ToyWrite", category="toys", output_node=True)
def write(filename_prefix: str, kilobytes: Whole, seed: Whole, folders: Folders) -> Ui:
    """Toy Write: saves a file in small pieces, each on disk before the next."""
    place = folders.save_place(filename_prefix)
    with atomic_write(place.path(".bin")) as file:
        for _ in range(kilobytes):
            file.write(b"x" * 1024)
            file.flush()
            time.sleep(0.001)
    return Ui(images=[{"filename": place.name(".bin"), "subfolder": place.subfolder, "type": "output"}])


@node("ToySleep", category="toys")
def sleep(run: Run, seconds: Annotated[float, Range(0, 1000)] = 0.1, seed: Whole = 0) -> int:
    """Toy Sleep."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.check()
        time.sleep(0.01)
    return seed


@node("ToyDeaf", category="toys")
def deaf(seconds: Annotated[float, Range(0, 1000)] = 1.0, seed: Whole = 0) -> int:
    """Toy Deaf: looks at no cancel."""
    time.sleep(seconds)
    return seed


@node("ToyGil", category="toys")
def gil(rounds: Whole = 1, seed: Whole = 0) -> int:
    """Toy Gil: holds the interpreter's lock in one long call, about a second a round."""
    return sum(range(rounds * 40_000_000)) * 0 + seed


@node("ToySteps", category="toys")
def steps(run: Run, count: Whole = 5, pause: Annotated[float, Range(0, 10)] = 0.02, seed: Whole = 0) -> int:
    """Toy Steps: progress with previews."""
    for step in range(count):
        time.sleep(pause)
        run.progress(step + 1, count, preview=lambda: Preview("png", ONE_PIXEL, (1, 1)))
    return seed


@node("ToyFail", category="toys")
def fail(message: str = "no", seed: Whole = 0) -> int:
    """Toy Fail."""
    raise ValueError(message)


@node("ToyKill", category="toys")
def kill(file: str = "", times: Whole = 1000, seed: Whole = 0) -> int:
    """Toy Kill: kills its process, as often as `times`, counted in a file."""
    path = Path(file)
    killed = len(path.read_bytes()) if path.is_file() else 0
    if killed < times:
        path.write_bytes(b"x" * (killed + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return seed


@node("ToyLoad", category="toys")
def load(folders: Folders, image: Annotated[str, Folder("input:image")]) -> Picture:
    """Toy Load."""
    return folders.input_file(image).read_bytes()


@node("ToyCheckpoint", category="toys")
def checkpoint(ckpt_name: Annotated[str, Folder("checkpoints")]) -> str:
    """Toy Checkpoint."""
    return ckpt_name


@node("ToyTell", category="toys", output_node=True)
def tell(name: str, text: str, channel: Channel, run: Run) -> Ui:
    """Toy Tell: sends messages of its own, as packs do: to its client, to all, and bytes."""
    channel.send(Broadcast(name, {"text": text}, run.client_id))
    channel.send(Broadcast(f"{name}.all", [text]))
    channel.send(Broadcast("9", None, run.client_id, text.encode()))
    return Ui(text=[text])


def offered() -> Sequence[str]:
    """What the file of choices says now."""
    file = os.environ.get("TOYS_CHOICES", "")
    return Path(file).read_text().split() if file and Path(file).exists() else ["first"]


@node("ToyChoice", category="toys")
def choice(name: Annotated[str, Choice(offered)]) -> str:
    """Toy Choice."""
    return name


class Secret:
    """A node with a hidden key, that checks its value by itself; written out like a pack's node."""

    asynchronous = False
    spec = NodeSpec(
        "ToySecret",
        inputs=(
            InputSpec("word", "STRING", {"default": ""}),
            InputSpec("key", "API_KEY_COMFY_ORG", None, "hidden"),
        ),
        output_node=True,
        custom_validation=frozenset({"word"}),
        code="1",
    )

    def describe(self) -> NodeSpec:
        return self.spec

    def fingerprint(self, inputs: Mapping[str, Any], run: Run) -> Any:
        return float("nan")

    def validate(self, inputs: Mapping[str, Any], linked: Mapping[str, str]) -> Iterable[str]:
        return ["that is a bad word"] if inputs.get("word") == "bad" else []

    def wanted(self, inputs: Mapping[str, Any], run: Run) -> Iterable[str]:
        return ()

    def __call__(self, inputs: dict[str, Any], run: Run) -> Outcome[Any]:
        return Outcome((), Ui(text=[str(len(run.hidden("API_KEY_COMFY_ORG") or ""))]))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--data", type=Path)
    options.add_argument("--channel", type=int)
    given = options.parse_args()
    if os.environ.get("TOYS_DIE"):
        sys.exit("toys were told to die")
    channel = Channel(socket.socket(fileno=given.channel))
    channel.send(Hello(os.getpid(), "cpu"))
    time.sleep(float(os.environ.get("TOYS_DELAY", "0")))
    folders = Folders(given.data)
    registry = Registry([*node_types(sys.modules[__name__]), Secret()], {Folders: folders, Channel: channel})
    worker = Worker(channel)
    engine = Engine(registry, emit=worker.emit, previews=lambda: worker.previews_wanted)
    packs = [
        {"name": "toys", "path": str(Path(__file__).parent), "web_directory": str(given.data / "toys-web")}
    ]
    services = {
        "stats": lambda: {"devices": [{"name": "cpu", "type": "cpu", "index": 0}], "pytorch_version": "none"},
        "packs": lambda: packs,
        "cache": lambda: {"entries": []},
        "value": lambda prompt, node, output: {"kept": engine.look(prompt, node), "output": output},
        "free": lambda unload_models, free_memory: [unload_models, free_memory],
    }
    worker.serve(engine, registry, services, folders=folders, replacements=REPLACEMENTS)


if __name__ == "__main__":
    main()
