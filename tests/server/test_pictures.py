"""Previews, channels and masks of stored pictures within their budget of decoded bytes."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server.settings import MEGABYTE, Limits, Settings
from tests.server.attacks import chunk, form, png
from tests.server.client import Client
from tests.server.conftest import NOBODY, ROOT, Serve

SMALL = Limits(decoded=4 * MEGABYTE)


def store(settings: Settings, name: str, picture: Image.Image, **options: Any) -> None:
    picture.save(settings.folders.input / name, **options)


async def seen(client: Client, name: str, query: str) -> tuple[int, Any]:
    """The picture that is shown, or what the refusal says."""
    answer, body = await client.response("GET", f"/view?filename={name}&type=input&{query}")
    if answer.status == 200:
        return 200, Image.open(io.BytesIO(body))
    return answer.status, json.loads(body)["error"]


async def test_a_preview_too_large_to_encode_becomes_smaller(
    serve: Serve, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.pictures.FULL_PREVIEW_SIDE", 100)
    async with serve(worker_command=NOBODY, limits=SMALL) as client:
        for mode in ("RGB", "RGBA", "L", "P"):
            store(settings, f"{mode}.png", Image.new("RGB", (600, 300), "red").convert(mode))
            status, picture = await seen(client, f"{mode}.png", "preview=webp;90")
            assert (status, picture.size) == (200, (100, 50)), mode
        store(settings, "fits.png", Image.new("RGB", (300, 300), "red"))
        assert (await seen(client, "fits.png", "preview=webp;90"))[1].size == (300, 300)


async def test_what_does_not_fit_is_refused_with_sizes_and_budget(serve: Serve, settings: Settings) -> None:
    store(settings, "a.png", Image.new("RGB", (1200, 900)))
    store(settings, "a.jpg", Image.new("RGB", (1200, 900)))
    async with serve(worker_command=NOBODY, limits=SMALL) as client:
        for name in ("a.png", "a.jpg"):
            for query in ("channel=rgb", "channel=a", "preview=webp;90", "preview=jpeg;90", "size=64"):
                status, error = await seen(client, name, query)
                assert (status, error["type"]) == (400, "too_large"), (name, query)
                assert "1200×900 pixels" in error["details"]
                assert "4 MB is all" in error["details"]
        mask = io.BytesIO()
        Image.new("L", (1200, 900)).save(mask, "PNG")
        parts: Any = {
            "original_ref": (None, b'{"filename": "a.png", "type": "input"}'),
            "image": ("m.png", mask.getvalue()),
        }
        headers, body = form(parts)
        answer = await client.request("POST", "/upload/mask", headers, body)
        assert (answer.status, json.loads(answer.body)["error"]["type"]) == (400, "too_large")
        assert (await client.response("GET", "/view?filename=a.png&type=input"))[0].status == 200, "as it is"


async def test_pictures_of_a_request_share_its_budget(serve: Serve, settings: Settings) -> None:
    store(settings, "a.png", Image.new("RGB", (600, 500)))
    for size, status in (((600, 500), 200), ((900, 900), 400)):
        mask = io.BytesIO()
        Image.new("RGBA", size).save(mask, "PNG")
        parts: Any = {
            "original_ref": (None, b'{"filename": "a.png", "type": "input"}'),
            "image": ("m.png", mask.getvalue()),
        }
        headers, body = form(parts)
        async with serve(worker_command=NOBODY, limits=SMALL) as client:
            answer = await client.request("POST", "/upload/mask", headers, body)
        assert answer.status == status, answer.body
    assert "beside 2 MB of others" in json.loads(answer.body)["error"]["details"]


PEAK = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from server.pictures import preview_form, render
from server.settings import Limits
import PIL.Image, PIL.WebPImagePlugin, PIL.PngImagePlugin, numpy, pictures.decoding
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
form = preview_form(*sys.argv[2:5])
for _ in range(3):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(render, Path(sys.argv[1]), form, Limits().decoded).result()[:4] == b"RIFF"
held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, (held - before) // 1024)
"""


@pytest.mark.parametrize(("frames", "size"), [(1, ""), (60, "256")])
def test_a_picture_of_a_hundred_million_pixels_takes_less_than_600_megabytes(
    tmp_path: Path, frames: int, size: str
) -> None:
    packer = zlib.compressobj(1)
    row = b"\0" + bytes(range(250)) * 40 * 3
    rows = b"".join(packer.compress(row) for _ in range(10_000)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0))
    control = chunk(b"acTL", struct.pack(">II", frames, 0)) if frames > 1 else b""
    content = png(1, 1)[:8] + header + control + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(content)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "bomb.png"), "webp;90", "rgba", size]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    peak, held = map(int, printed.split())
    assert peak < 600
    assert held < 100, "what was taken is given back"
