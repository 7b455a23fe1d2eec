"""pycomfy at a server: it submits, follows and downloads, and has no other calls."""

import json
import sys
import tempfile
from pathlib import Path

from pixels import inverse, is_close, picture
from pycomfy import ComfyAPI, ComfyAPIError
from requests import HTTPError
from steps import HERE, Server, address, perform, refused, sampling, unique

CHECKPOINT = "nodeloom-emoji.safetensors"


class Steps:
    """The steps, in order."""

    def __init__(self, url: str) -> None:
        self._api, self._server = ComfyAPI(url), Server(url)
        self._image, self._png = picture()
        self._name = f"{unique('pycomfy')}.png"

    def connect(self) -> None:
        """The socket opens."""
        self._api.connect()
        assert self._api.ws.connected

    def run(self) -> None:
        """A workflow from a file, changed by its nodes; the picture is right pixel by pixel."""
        self._server.upload(self._png, self._name)
        workflow = self._api.load_workflow(str(HERE / "invert.json"))
        workflow.set_node(workflow.get_nodes_by_class("LoadImage")[0], {"image": self._name})
        workflow.set_node(workflow.get_nodes_by_class("SaveImage")[0], {"filename_prefix": unique("pycomfy")})
        (image,) = workflow.execute()
        assert is_close(image, inverse(self._image))

    def run_cached(self) -> None:
        """The same again, nothing of which need run."""
        workflow = self._api.load_workflow(str(HERE / "invert.json"))
        workflow.set_node(workflow.get_nodes_by_class("LoadImage")[0], {"image": self._name})
        pictures = [workflow.execute() for _ in range(2)]
        assert all(is_close(image, inverse(self._image)) for (image,) in pictures)

    def sample(self) -> None:
        """A sampled picture, by the client's short names of inputs."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "workflow.json"
            path.write_text(json.dumps(sampling(4)))
            workflow = self._api.load_workflow(str(path))
        workflow.set(seed=7)
        (image,) = workflow.execute(positive_prompt="a red cup")
        assert (image.format, image.size) == ("PNG", (64, 64))

    def text_to_image(self) -> None:
        """The client's own template, with another checkpoint."""
        (image,) = self._api.text_to_image(
            "a cup", checkpoint_name=CHECKPOINT, steps=2, width=64, height=64, cfg=2.0, seed=3
        )
        assert image.size == (64, 64)

    def refusal(self) -> None:
        """A model that is not there is refused at once."""
        with refused(HTTPError, "400"):
            self._api.text_to_image("a cup", checkpoint_name="absent.safetensors")

    def failure(self) -> None:
        """A node that raises is told by id and type."""
        broken = f"{unique('broken')}.png"
        self._server.upload(b"no picture at all", broken)
        workflow = self._api.load_workflow(str(HERE / "invert.json"))
        workflow.set_node(workflow.get_nodes_by_class("LoadImage")[0], {"image": broken})
        with refused(ComfyAPIError, "node 1 (LoadImage)"):
            workflow.execute()

    def close(self) -> None:
        """The socket closes, and opens again for the next workflow."""
        self._api.close()
        self.run_cached()


if __name__ == "__main__":
    sys.exit(perform(Steps(address())))
