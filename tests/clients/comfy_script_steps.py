"""comfy-script at a server: nodes as Python functions, results by awaiting. It has no calls for uploads,
single prompts of the queue, settings and userdata.
"""

import asyncio
import sys
from typing import Any

from comfy_script import client
from comfy_script.runtime import TaskProgress, Workflow, load, node, queue, util
from pixels import inverse, is_close, picture
from steps import Server, address, perform, sampling, unique, until

LONG = 5000


def sampled(steps: int) -> Any:
    """The sampling workflow as calls of nodes; its picture."""
    made = node.nodes
    inputs = sampling(steps)["4"]["inputs"]
    model, clip, vae = made["CheckpointLoaderSimple"]("nodeloom-emoji.safetensors")
    text = made["CLIPTextEncode"]("a cup", clip)
    latent = made["EmptyLatentImage"](64, 64, 1)
    taken = (inputs[name] for name in ("seed", "steps", "cfg", "sampler_name", "scheduler"))
    return made["VAEDecode"](made["KSampler"](model, *taken, text, text, latent, 1.0), vae)


class Steps:
    """The steps, in order."""

    def __init__(self, url: str) -> None:
        self._url, self._server = url, Server(url)
        self._image, self._png = picture()

    def _occupy(self) -> None:
        """Let what comes next wait a little. The client loses prompts that end before it has read the answer
        to their submission, with every server.
        """
        self._server.submit(sampling(40))

    def load(self) -> None:
        """All node types become Python classes, and the socket is open."""
        load(self._url)
        assert {"KSampler", "SaveImage", "LoadImage"} <= node.nodes.keys()
        assert len(node.nodes) > 300

    def object_info(self) -> None:
        """The node types as they are told."""
        assert client.get_nodes_info().keys() >= {"KSampler", "VAEDecode"}

    def embeddings(self) -> None:
        """A list."""
        assert isinstance(client.get_embeddings(), list)

    def run(self) -> None:
        """A picture is loaded, inverted and saved; the result is right pixel by pixel."""
        self._occupy()
        name = f"{unique('script')}.png"
        self._server.upload(self._png, name)
        image, _ = node.nodes["LoadImage"](name)
        saved = node.nodes["SaveImage"](node.nodes["ImageInvert"](image), unique("script"))
        result = saved.wait()
        assert is_close(result[0], inverse(self._image))

    def run_without_saving(self) -> None:
        """Pictures of a batch come as previews of nodes, each right."""
        self._occupy()
        images = util.get_images(node.nodes["EmptyImage"](8, 4, 2, 0x102030))
        assert [list(image.convert("RGB").tobytes()[:3]) for image in images] == [[0x10, 0x20, 0x30]] * 2

    def two_outputs(self) -> None:
        """One workflow with two outputs gives both."""
        self._occupy()
        with Workflow(wait=True) as workflow:
            first = node.nodes["PreviewImage"](node.nodes["EmptyImage"](8, 8, 1, 1))
            second = node.nodes["PreviewImage"](node.nodes["EmptyImage"](16, 8, 1, 2))
        assert [each.wait()[0].size for each in (first, second)] == [(8, 8), (16, 8)]
        assert len(workflow.task.wait()) == 2

    def progress(self) -> None:
        """Steps of a sampler are told with their prompt and node."""
        self._occupy()
        told: list[TaskProgress] = []
        with Workflow() as workflow:
            node.nodes["PreviewImage"](sampled(12))
        workflow.task.add_progress_callback(told.append)
        (result,) = workflow.task.wait()
        assert result[0].size == (64, 64)
        values = [each.value for each in told]
        assert values == sorted(values)
        assert (values[-1], told[-1].max, told[-1].task) == (12, 12, workflow.task)

    def history(self) -> None:
        """What a finished prompt gave is read from the history."""
        self._occupy()
        task = queue.put(node.nodes["PreviewImage"](node.nodes["EmptyImage"](8, 8, 1, 3)))
        task.wait()
        entry = asyncio.run(queue._get_history(task.prompt_id))
        assert entry["status"]["completed"] is True
        assert [list(output) for output in entry["outputs"].values()] == [["images"]]

    def interrupt(self) -> None:
        """What runs is stopped; who waits for it gets nothing, and goes on."""
        task = queue.put(node.nodes["PreviewImage"](sampled(LONG)))
        until(lambda: self._server.running() == [task.prompt_id], "it runs")
        queue.cancel_current()
        assert task.wait() == []
        assert self._server.status(task.prompt_id) == "execution_interrupted"

    def clear(self) -> None:
        """What waits is taken out, what runs goes on."""
        tasks = [queue.put(node.nodes["PreviewImage"](sampled(LONG))) for _ in range(3)]
        until(lambda: self._server.running() == [tasks[0].prompt_id], "the first runs")
        queue.cancel_remaining()
        assert self._server.waiting() == []
        assert self._server.running() == [tasks[0].prompt_id]
        self._stopped(tasks)

    def _stopped(self, tasks: list[Any]) -> None:
        """All are over. The client itself forgets the one that ran where others waited, with every server."""
        queue.cancel_current()
        assert [task.wait() for task in tasks[1:]] == [[]] * len(tasks[1:])
        assert until(lambda: self._server.status(tasks[0].prompt_id), "it ended") == "execution_interrupted"

    def cancel_all(self) -> None:
        """What runs and what waits, in one call."""
        tasks = [queue.put(node.nodes["PreviewImage"](sampled(LONG))) for _ in range(2)]
        until(self._server.running, "one runs")
        queue.cancel_all()
        self._stopped(tasks)
        assert self._server.waiting() == []

    def next_run(self) -> None:
        """After all that the next workflow runs to its end."""
        self._occupy()
        (image,) = util.get_images(node.nodes["EmptyImage"](8, 4, 1, 0xFFFFFF))
        assert set(image.convert("RGB").tobytes()) == {255}


if __name__ == "__main__":
    sys.exit(perform(Steps(address())))
