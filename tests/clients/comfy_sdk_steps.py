"""The official comfy-sdk at a Nodeloom server with no proxy between, or through comfy-api-proxy.

`python comfy_sdk_steps.py URL [proxied]`. Before every server the proxy takes an idempotency key only once,
takes no labels, looks for an output among the inputs when it is used as one, says 0 for the size of outputs,
mixes two measures of progress, and calls a job that was cancelled while it waited expired.
"""

import asyncio
import io
import os
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comfy_low.errors import ApiError
from comfy_sdk import AsyncComfy, Comfy
from comfy_sdk.events import OutputReady, Preview, Progress, StatusChange
from comfy_sdk.exceptions import ComfyError, JobFailed, NotFound
from PIL import Image
from pixels import inverse, is_close, picture
from steps import address, inverting, perform, sampling, until

RUN = uuid.uuid4().hex[:8]
"""Makes this run's pictures new to the server."""
NOT_PROXIED = ("output_as_input", "idempotent", "labelled")


def refusal(ask: Callable[..., Any], *values: Any) -> Any:
    """The error that a call must end in."""
    try:
        ask(*values)
    except (ComfyError, ApiError) as error:
        return error
    raise AssertionError("it was taken")


class Steps:
    """The steps, in order; each is given the client."""

    def __init__(self, client: Comfy, proxied: bool) -> None:
        self.client, self.proxied = client, proxied
        self.image, self.png = picture()
        self.job: Any = None

    def _finished(self, workflow: Any) -> Any:
        """The job of a workflow, at its end. The proxy looks in the history, then in the queue, and says that
        a job which ends between the two has expired; asked again it knows better.
        """
        if not self.proxied:
            return self.client.run(workflow)
        job = self.client.submit(workflow)
        until(lambda: self.client.jobs.get(job.id).status in ("succeeded", "failed"), "it ends")
        return self.client.jobs.get(job.id)

    def _failure(self, workflow: Any) -> Any:
        """What the client says of a job that fails."""
        if self.proxied:
            return self._finished(workflow).error
        error = refusal(lambda: self.client.run(workflow))
        assert isinstance(error, JobFailed), error
        return error.error

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
        workflow = self.client.workflows.from_json(inverting("", f"sdk-{RUN}"))
        workflow.set_input("1", "image", self.client.assets.from_bytes(self.png, filename=f"{RUN}.png"))
        self.job = self._finished(workflow)
        assert self.job.status == "succeeded"
        (output,) = self.job.get_outputs("3")
        assert (output.type, output.content_type, output.job_id) == ("image", "image/png", self.job.id)
        assert is_close(output.to_bytes(), inverse(self.image))

    def download(self) -> None:
        """Outputs as files, as streams, in ranges, by address."""
        (output,) = self.job.get_outputs("3")
        whole = output.to_bytes()
        assert output.size_bytes == (0 if self.proxied else len(whole))
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
        error = self._failure(self.client.workflows.from_json(graph))
        assert (error.node_id, error.class_type) == ("1", "LoadImage")

    def unknown(self) -> None:
        """What is not there is NotFound."""
        for ask in (self.client.jobs.get, self.client.assets.get):
            assert isinstance(refusal(ask, str(uuid.uuid4())), NotFound)

    def events(self) -> None:
        """Progress, previews, outputs and the end come as events."""
        job = self.client.submit(self.client.workflows.from_json(sampling(12, 256)))
        told = list(job.events())
        assert isinstance(told[-1], StatusChange)
        assert told[-1].status == "succeeded"
        progress = [each for each in told if isinstance(each, Progress)]
        assert any(each.steps == 12 for each in progress)
        values = [each.value for each in progress]
        assert self.proxied or values == sorted(values)
        assert any(isinstance(each, Preview) and each.to_pil().size for each in told)
        ready = [each.output for each in told if isinstance(each, OutputReady)]
        if self.proxied:  # which may tell of the end before the outputs, where the client stops to listen
            ready = self.client.jobs.get(job.id).get_outputs("6")
        assert len(ready) == 1
        assert Image.open(io.BytesIO(ready[0].to_bytes())).size == (256, 256)

    def cancel(self) -> None:
        """A running and a waiting job are cancelled."""
        running = self.client.submit(self.client.workflows.from_json(sampling(5000)))
        waiting = self.client.submit(self.client.workflows.from_json(sampling(5000)))
        assert waiting.cancel().status == ("expired" if self.proxied else "canceled")
        for event in running.events():
            if isinstance(event, Progress) and event.step:
                break
        running.cancel()
        if self.proxied:  # which looks in the history, then in the queue, and calls what ends between expired
            until(lambda: self.client.jobs.get(running.id).status == "canceled", "it is cancelled")
        assert self.client.jobs.get(running.id).wait(60).status == "canceled"

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
            assert self.proxied or statuses[-1] == "succeeded"
            while job.status != "succeeded":  # see `_finished`
                await job.refresh()
            assert is_close(await job.get_outputs("3")[0].to_bytes(), inverse(image))
            await asset.delete()


if __name__ == "__main__":
    os.environ["COMFY_BASE_URL"] = address()
    with Comfy() as client:
        proxied = "proxied" in sys.argv
        sys.exit(perform(Steps(client, proxied), NOT_PROXIED if proxied else ()))
