"""comfyui-utils at a server: it submits, follows by callbacks and fetches, and has no other calls."""

import asyncio
import io
import sys
from typing import Any
from urllib.parse import urlparse

from comfyui_utils import comfy, gen_prompts
from PIL import Image
from pixels import inverse, is_close, picture
from steps import Server, address, inverting, perform, refused, sampling, unique, until


class Told(comfy.Callbacks):
    """What the client was told of a prompt."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.progress: list[tuple[int, int, int]] = []
        self.outputs: dict[str, Any] = {}
        self.cached: bool | None = None

    async def queue_position(self, position: int) -> None:
        """Its place."""
        self.positions.append(position)

    async def in_progress(self, node_id: int, progress: int, total: int) -> None:
        """A node works."""
        self.progress.append((node_id, progress, total))

    async def completed(self, outputs: dict[str, Any], cached: bool) -> None:
        """It is over."""
        self.outputs, self.cached = outputs, cached


class Steps:
    """The steps, in order."""

    def __init__(self, url: str) -> None:
        self._api, self._server = comfy.ComfyAPI(urlparse(url).netloc), Server(url)
        self._image, self._png = picture()
        self._name = f"{unique('utils')}.png"
        self._output: dict[str, Any] = {}

    def _submitted(self, prompt: dict[str, Any]) -> Told:
        told = Told()
        asyncio.run(self._api.submit(prompt, told))
        return told

    def _fetched(self, output: dict[str, Any]) -> bytes:
        found: list[bytes] = []

        async def keep(file: io.BytesIO) -> None:
            found.append(file.read())

        asyncio.run(self._api.fetch(output, keep))
        return found[0]

    def run(self) -> None:
        """A prompt is submitted and followed to its end."""
        self._server.upload(self._png, self._name)
        told = self._submitted(inverting(self._name, unique("utils")))
        (self._output,) = told.outputs["images"]
        assert self._output["type"] == "output"

    def download(self) -> None:
        """The picture is right pixel by pixel."""
        assert is_close(self._fetched(self._output), inverse(self._image))

    def progress(self) -> None:
        """Steps of a sampler are told, and no frame that the client cannot read; the saved picture comes."""
        told = self._submitted(sampling(10))
        values = [value for node, value, total in told.progress if (node, total) == (4, 10)]
        assert values == sorted(values)
        assert values[-1] == 10
        assert {4, 5, 6} <= {node for node, _, _ in told.progress}
        assert Image.open(io.BytesIO(self._fetched(told.outputs["images"][0]))).size == (64, 64)

    def finished_before(self) -> None:
        """The same prompt again ends with outputs, whether they are told or found in the history."""
        prompt = inverting(self._name, unique("utils"))
        outputs = [self._submitted(prompt).outputs["images"][0] for _ in range(3)]
        assert all(is_close(self._fetched(each), inverse(self._image)) for each in outputs)

    def queue_position(self) -> None:
        """The place in the queue is told while another prompt runs."""
        first = self._server.submit(sampling(5000))
        until(lambda: self._server.running() == [first], "the first runs")

        async def behind() -> Told:
            told = Told()
            waiting = asyncio.create_task(self._api.submit(inverting(self._name, unique("utils")), told))
            while not told.positions:
                await asyncio.sleep(0.02)
            await asyncio.to_thread(self._server.post, "/interrupt", {})
            await waiting
            return told

        told = asyncio.run(behind())
        assert told.positions[0] == 1
        assert told.outputs["images"]

    def refusal(self) -> None:
        """What is wrong with a prompt is told by node."""
        with refused(ValueError, "Node 4, steps"):
            self._submitted(sampling(0))

    def refusal_of_an_empty_prompt(self) -> None:
        """A prompt without outputs is refused."""
        with refused(ValueError):
            self._submitted({})

    def arguments_in_texts(self) -> None:
        """The client's own arguments in a text become inputs of a prompt that runs."""
        config = gen_prompts.make_config("Picture", [gen_prompts.IntArg("steps", 1, 1, 20)])
        parsed = gen_prompts.parse_args("a cup $steps=3", config)
        prompt = sampling(parsed.result.steps)
        prompt["2"]["inputs"]["text"] = parsed.cleaned
        assert (4, 3, 3) in self._submitted(prompt).progress


if __name__ == "__main__":
    sys.exit(perform(Steps(address())))
