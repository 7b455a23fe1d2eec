"""comfy-api-simplified at a server. It has no calls for taking from the queue, settings and userdata."""

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper
from comfy_api_simplified.exceptions import ComfyApiError
from PIL import Image
from pixels import inverse, is_close, picture
from steps import HERE, Server, address, perform, refused, sampling, sent, unique, until


class Steps:
    """The steps, in order."""

    def __init__(self, url: str) -> None:
        self._api, self._server = ComfyApiWrapper(url), Server(url)
        self._image, self._png = picture()
        self._uploaded = ""
        self._done = ""

    def _stored(self, name: str, data: bytes) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            answer: dict[str, Any] = self._api.upload_image(path)
        return answer

    def system_stats(self) -> None:
        """Machine and devices."""
        stats = self._api.get_system_stats()
        assert stats["system"]["comfyui_version"]
        assert stats["devices"][0]["vram_total"] > 0

    def embeddings(self) -> None:
        """A list."""
        assert isinstance(self._api.get_embeddings(), list)

    def object_info(self) -> None:
        """One node type, and all of them."""
        assert list(self._api.get_object_info("KSampler")) == ["KSampler"]
        assert {"KSampler", "SaveImage", "LoadImage"} <= self._api.get_object_info().keys()

    def upload(self) -> None:
        """A picture goes into the folder that the client makes up."""
        name = f"{unique('simplified')}.png"
        answer = self._stored(name, self._png)
        assert answer == answer | {"name": name, "subfolder": "default_upload_folder", "type": "input"}
        self._uploaded = f"{answer['subfolder']}/{answer['name']}"

    def upload_download(self) -> None:
        """What was uploaded can be read back, byte by byte."""
        folder, name = self._uploaded.split("/")
        assert self._api.get_image(name, folder, "input") == self._png

    def run(self) -> None:
        """A workflow from a file, changed by its titles; the picture is right pixel by pixel."""
        workflow = ComfyWorkflowWrapper(HERE / "invert.json")
        workflow.set_node_param("Load", "image", self._uploaded)
        workflow.set_node_param("Save", "filename_prefix", unique("simplified"))
        (data,) = self._api.queue_and_wait_images(workflow, "Save").values()
        assert is_close(data, inverse(self._image))

    def run_cached(self) -> None:
        """The same again, nothing of which need run."""
        workflow = ComfyWorkflowWrapper(HERE / "invert.json")
        workflow.set_node_param("Load", "image", self._uploaded)
        workflow.set_node_param("Save", "filename_prefix", unique("simplified"))
        pictures = [self._api.queue_and_wait_images(workflow, "Save") for _ in range(2)]
        assert [is_close(data, inverse(self._image)) for each in pictures for data in each.values()] == [
            True,
            True,
        ]

    def sample(self) -> None:
        """A sampled picture is the saved one, not a glimpse of an unfinished one."""
        (data,) = self._api.queue_and_wait_images(ComfyWorkflowWrapper(sampling(4)), "Save").values()
        image = Image.open(io.BytesIO(data))
        assert (image.format, image.size) == ("PNG", (64, 64))

    def pictures_by_socket(self) -> None:
        """Pictures that are sent instead of saved come over the socket, each of the batch."""
        prompt = sent(sampling(8))
        prompt["3"]["inputs"]["batch_size"] = 3
        pictures = self._api.queue_and_wait_images(ComfyWorkflowWrapper(prompt), "Save")
        assert [Image.open(io.BytesIO(data)).format for data in pictures.values()] == ["PNG"] * 3

    def history(self) -> None:
        """A finished prompt with what it gave."""
        self._done, pictures = asyncio.run(self._api.queue_prompt_and_wait(sampling(2)))
        assert pictures == []
        entry = self._api.get_history(self._done)[self._done]
        assert entry["status"] == entry["status"] | {"status_str": "success", "completed": True}
        assert entry["outputs"]["6"]["images"][0]["type"] == "output"

    def refusal(self) -> None:
        """A prompt that cannot run is refused."""
        with refused(ComfyApiError, "400"):
            self._api.queue_prompt(sampling(0))

    def failure(self) -> None:
        """A node that raises ends the waiting."""
        name = f"{unique('broken')}.png"
        self._stored(name, b"no picture at all")
        workflow = ComfyWorkflowWrapper(HERE / "invert.json")
        workflow.set_node_param("Load", "image", f"default_upload_folder/{name}")
        with refused(ComfyApiError, "Execution error"):
            self._api.queue_and_wait_images(workflow, "Save")

    def queue(self) -> None:
        """The place of prompts in the queue."""
        jobs = [self._api.queue_prompt(sampling(5000))["prompt_id"] for _ in range(3)]
        until(lambda: self._server.running() == [jobs[0]], "the first runs")
        assert [self._api.get_queue_size_before(job) for job in jobs] == [0, 1, 2]
        queue = self._api.get_queue()
        assert [len(queue[name]) for name in ("queue_running", "queue_pending")] == [1, 2]
        self._server.post("/queue", {"clear": True})
        with refused(ValueError, "not in the queue"):
            self._api.get_queue_size_before(jobs[2])

    def interrupt(self) -> None:
        """What runs is stopped."""
        (job,) = self._server.running()
        self._api.interrupt()
        assert until(lambda: self._server.status(job), "it ended") == "execution_interrupted"


if __name__ == "__main__":
    sys.exit(perform(Steps(address())))
