"""The official comfy-sdk at a Nodeloom server, with no proxy between: `python comfy_sdk_direct.py URL`.

Needs an environment with `comfy-sdk[pil]` 0.5.0 and nothing of ours. Each step prints a line; the exit code
is the number of steps that failed. The server needs the checkpoint that the repository ships, and previews.
"""

import asyncio
import io
import os
import sys
import tempfile
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comfy_low.errors import ApiError
from comfy_sdk import AsyncComfy, Comfy
from comfy_sdk.events import OutputReady, Preview, Progress, StatusChange
from comfy_sdk.exceptions import ComfyError, JobFailed, NotFound
from PIL import Image

RUN = uuid.uuid4().hex[:8]
"""Makes this run's pictures new to the server."""
SIZE = (24, 16)
CHECKPOINT = "nodeloom-emoji.safetensors"


def picture() -> tuple[Image.Image, bytes]:
    """A picture that no run before had, and its PNG."""
    colours = os.urandom(SIZE[0] * SIZE[1] * 3)
    made = Image.frombytes("RGB", SIZE, colours)
    out = io.BytesIO()
    made.save(out, "PNG")
    return made, out.getvalue()


def inverting(image: Any, prefix: str = f"sdk-{RUN}") -> dict[str, Any]:
    """A workflow that loads, inverts and saves a picture."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}},
    }


def is_close(result: bytes, expected: bytes) -> bool:
    """Whether a PNG has these pixels, up to the rounding of the way from floats to bytes, which is one."""
    got = Image.open(io.BytesIO(result)).convert("RGB").tobytes()
    return len(got) == len(expected) and all(abs(a - b) <= 1 for a, b in zip(got, expected, strict=True))


def inverse(image: Image.Image) -> bytes:
    """The pixels of a picture with every channel inverted."""
    return bytes(255 - value for value in image.tobytes())


def slow(steps: int, width: int = 512) -> dict[str, Any]:
    """A workflow that samples long enough to be cancelled or followed; needs a checkpoint."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINT}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": f"a cup {RUN}", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": width, "height": width, "batch_size": 1}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0],
                "seed": int(RUN, 16), "steps": steps, "cfg": 2.0, "sampler_name": "euler",
                "scheduler": "normal", "denoise": 1.0,
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": f"slow-{RUN}"}},
    }  # fmt: skip


def refusal(ask: Callable[..., Any], *values: Any) -> Any:
    """The error that a call must end in."""
    try:
        ask(*values)
    except (ComfyError, ApiError) as error:
        return error
    raise AssertionError("it was taken")


class Steps:
    """The steps, in order; each is given the client."""

    def __init__(self, client: Comfy) -> None:
        self.client = client
        self.image, self.png = picture()
        self.job: Any = None

    def upload(self) -> None:
        """An asset from bytes is uploaded once; the same bytes are found by their hash."""
        first = self.client.assets.from_bytes(self.png, filename=f"{RUN}.png", content_type="image/png")
        identity = first.commit()
        assert first.created_new is True
        again = self.client.assets.from_bytes(self.png, filename=f"{RUN}.png")
        assert again.commit() == identity
        assert again.created_new is False
        assert self.client.assets.get(identity).hash == first.hash

    def upload_file(self) -> None:
        """An asset from a file in the same words."""
        _, png = picture()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"file-{RUN}.png"
            path.write_bytes(png)
            asset = self.client.assets.from_file(path)
            reference = asset.as_reference()
        assert reference["__type"] == "core/ASSET"
        address = asset.get_download_url()
        assert address.url.endswith(f"/api/v2/assets/{asset.id}/content")
        asset.delete()

    def run(self) -> None:
        """A workflow with an asset runs to its end; the picture is right pixel by pixel."""
        workflow = self.client.workflows.from_json(inverting(""))
        workflow.set_input("1", "image", self.client.assets.from_bytes(self.png, filename=f"{RUN}.png"))
        self.job = self.client.run(workflow)
        assert self.job.status == "succeeded"
        (output,) = self.job.get_outputs("3")
        assert (output.type, output.content_type, output.job_id) == ("image", "image/png", self.job.id)
        assert is_close(output.to_bytes(), inverse(self.image))

    def download(self) -> None:
        """Outputs as files, as streams, in ranges, by address."""
        (output,) = self.job.get_outputs("3")
        whole = output.to_bytes()
        assert len(whole) == output.size_bytes
        assert output.to_bytes(range=(1, 3)) == whole[1:4] == b"PNG"
        with tempfile.TemporaryDirectory() as folder:
            assert output.to_file(Path(folder) / output.name).read_bytes() == whole
        stream = io.BytesIO()
        assert output.to_stream(stream) == len(whole)
        assert output.get_download_url().url.endswith(f"/api/v2/assets/{output.id}/content")

    def rehydrate(self) -> None:
        """A job by its id, its workflow, its labels."""
        job = self.client.jobs.get(self.job.id)
        assert job.status == "succeeded"
        assert [output.id for output in job.outputs] == [output.id for output in self.job.outputs]
        workflow = job.get_workflow()
        assert workflow.format == "api"
        assert workflow.graph["2"]["class_type"] == "ImageInvert"

    def output_as_input(self) -> None:
        """An output is the input of the next job."""
        (output,) = self.job.get_outputs("3")
        workflow = self.client.workflows.from_json(inverting("", f"twice-{RUN}"))
        workflow.set_input("1", "image", self.client.assets.get(output.id))
        job = self.client.run(workflow)
        before = Image.open(io.BytesIO(output.to_bytes())).convert("RGB")
        assert is_close(job.get_outputs("3")[0].to_bytes(), inverse(before))

    def idempotent(self) -> None:
        """A key makes one job; another workflow with it is refused."""
        key = str(uuid.uuid4())
        asset = self.client.assets.from_bytes(self.png, filename=f"{RUN}.png")
        workflow = self.client.workflows.from_json(inverting(asset.as_reference(), f"once-{RUN}"))
        low = self.client._low
        first = low.post_jobs(workflow.json, idempotency_key=key)
        again = low.post_jobs(workflow.json, idempotency_key=key)
        assert first.id == again.id
        other = inverting(asset.as_reference(), f"other-{RUN}")
        error = refusal(lambda: low.post_jobs(other, idempotency_key=key))
        assert error.code == "idempotency_key_reuse", error
        self.client.jobs.get(first.id).wait(60)

    def labelled(self) -> None:
        """Jobs by their labels, a page at a time."""
        labels = {"run": RUN}
        for index in range(3):
            blank = {"width": 16, "height": 16, "batch_size": 1, "color": index}
            graph = {
                "1": {"class_type": "EmptyImage", "inputs": blank},
                "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
            }
            job = self.client.submit(self.client.workflows.from_json(graph), metadata=labels)
            assert job.metadata == labels
            job.wait(60)
        listed = list(self.client.list_jobs(metadata=labels, limit=2))
        assert len(listed) == 3
        assert all(each.metadata == labels and each.create_time for each in listed)

    def invalid(self) -> None:
        """What cannot run is refused with the node named."""
        graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "no such picture.png"}}}
        graph["2"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}
        error = refusal(lambda: self.client.submit(self.client.workflows.from_json(graph)))
        assert error.code == "invalid_workflow", error
        assert "1" in error.details["node_errors"]

    def failing(self) -> None:
        """A node that raises makes the job fail, with node and message."""
        graph = inverting("", f"fail-{RUN}")
        broken = self.client.assets.from_bytes(b"no picture " + self.png[:8], filename=f"broken-{RUN}.png")
        graph["1"]["inputs"]["image"] = broken.as_reference()
        error = refusal(lambda: self.client.run(self.client.workflows.from_json(graph)))
        assert isinstance(error, JobFailed), error
        assert (error.error.node_id, error.error.class_type) == ("1", "LoadImage")

    def unknown(self) -> None:
        """What is not there is NotFound."""
        for ask in (self.client.jobs.get, self.client.assets.get):
            assert isinstance(refusal(ask, str(uuid.uuid4())), NotFound)

    def events(self) -> None:
        """Progress, previews, outputs and the end come as events."""
        job = self.client.submit(self.client.workflows.from_json(slow(12, 256)))
        told = list(job.events())
        assert isinstance(told[-1], StatusChange)
        assert told[-1].status == "succeeded"
        progress = [each for each in told if isinstance(each, Progress)]
        assert any(each.steps == 12 for each in progress)
        assert [each.value for each in progress] == sorted(each.value for each in progress)
        assert any(isinstance(each, Preview) and each.to_pil().size for each in told)
        (ready,) = [each.output for each in told if isinstance(each, OutputReady)]
        assert Image.open(io.BytesIO(ready.to_bytes())).size == (256, 256)

    def cancel(self) -> None:
        """A running and a waiting job are cancelled."""
        running = self.client.submit(self.client.workflows.from_json(slow(2000)))
        waiting = self.client.submit(self.client.workflows.from_json(slow(1999)))
        assert waiting.cancel().status == "canceled"
        for event in running.events():
            if isinstance(event, Progress) and event.step:
                break
        assert running.cancel().status in ("canceling", "canceled")
        assert running.wait(60).status == "canceled"

    def asynchronous(self) -> None:
        """The same by the asynchronous client."""
        asyncio.run(self._asynchronous())

    async def _asynchronous(self) -> None:
        image, png = picture()
        async with AsyncComfy() as client:
            asset = client.assets.from_bytes(png, filename=f"async-{RUN}.png")
            workflow = client.workflows.from_json(inverting(await asset.as_reference(), f"async-{RUN}"))
            job = await client.submit(workflow)
            statuses = [each.status async for each in job.events() if isinstance(each, StatusChange)]
            assert statuses[-1] == "succeeded"
            await job.refresh()
            assert is_close(await job.get_outputs("3")[0].to_bytes(), inverse(image))
            await asset.delete()


def main() -> int:
    """Run every step; how many failed."""
    os.environ["COMFY_BASE_URL"] = sys.argv[1]
    failed = 0
    with Comfy() as client:
        steps = Steps(client)
        names = [name for name in vars(Steps) if not name.startswith("_")]
        for name in names:
            step: Callable[[], None] = getattr(steps, name)
            try:
                step()
            except Exception:
                failed += 1
                print(f"FAILED {name}")
                traceback.print_exc(limit=4)
            else:
                print(f"ok {name}")
    print(f"{len(names) - failed} of {len(names)} steps")
    return failed


if __name__ == "__main__":
    sys.exit(main())
