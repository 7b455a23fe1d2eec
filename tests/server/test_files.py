"""Uploads, /view, previews and channels, ranges, model lists: what they give when nobody attacks them."""

import io
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pictures.texts import exif_block, png_texts
from server.answers import refusal
from server.files import INLINE_TYPES, matches, wanted_range
from server.names import file_name
from server.settings import Settings
from tests.server.client import Client
from tests.server.test_attacks import upload


def png(picture: Image.Image, **texts: str) -> bytes:
    out, chunks = io.BytesIO(), PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    picture.save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def opened(body: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(body))
    picture.load()
    return picture


@pytest.fixture
def stored(settings: Settings) -> Path:
    """A half transparent picture with texts, in the output folder."""
    path = settings.folders.output / "sub" / "p.png"
    path.parent.mkdir()
    path.write_bytes(png(Image.new("RGBA", (64, 32), (200, 100, 50, 128)), prompt='{"1": {}}', workflow="{}"))
    return path


def without_asset(body: bytes) -> dict[str, Any]:
    """What an upload answers, its asset (see `routes/test_assets.py`) left out."""
    told: dict[str, Any] = json.loads(body)
    assert told.pop("asset")["name"] == told["name"]
    return told


VIEW = "/view?filename=p.png&subfolder=sub&type=output"


async def test_an_upload_is_stored_under_its_name(calm: Client, settings: Settings) -> None:
    answer = await upload(calm, "/upload/image", "a b.png", b"one")
    assert without_asset(answer.body) == {"name": "a b.png", "subfolder": "", "type": "input"}
    answer = await upload(calm, "/api/upload/image", "ü.png", b"two", subfolder="pasted/x", type="temp")
    assert without_asset(answer.body) == {"name": "ü.png", "subfolder": "pasted/x", "type": "temp"}
    assert (settings.folders.input / "a b.png").read_bytes() == b"one"
    assert (settings.folders.temp / "pasted" / "x" / "ü.png").read_bytes() == b"two"
    assert (settings.folders.input / "a b.png").stat().st_mode & 0o777 == 0o644


async def test_equal_uploads_are_one_file_and_others_are_numbered(calm: Client, settings: Settings) -> None:
    cases = [
        (b"one", "false", "a.png"), (b"one", "false", "a.png"), (b"two", "false", "a (1).png"),
        (b"two", "false", "a (1).png"), (b"three", "false", "a (2).png"), (b"four", "true", "a.png"),
    ]  # fmt: skip
    for content, overwrite, name in cases:
        answer = await upload(calm, "/upload/image", "a.png", content, overwrite=overwrite)
        assert json.loads(answer.body)["name"] == name, (content, overwrite)
    assert sorted(path.name for path in settings.folders.input.iterdir()) == [
        "a (1).png",
        "a (2).png",
        "a.png",
    ]
    assert (settings.folders.input / "a.png").read_bytes() == b"four"


async def test_a_mask_becomes_the_alpha_of_its_picture(
    calm: Client, settings: Settings, stored: Path
) -> None:
    mask = Image.new("RGBA", (64, 32), (0, 0, 0, 10))
    reference = json.dumps({"filename": "p.png", "subfolder": "sub", "type": "output"})
    answer = await upload(
        calm, "/upload/mask", "m.png", png(mask), original_ref=reference, subfolder="clipspace"
    )
    assert without_asset(answer.body) == {"name": "m.png", "subfolder": "clipspace", "type": "input"}
    merged = opened((settings.folders.input / "clipspace" / "m.png").read_bytes())
    assert merged.getpixel((3, 3)) == (200, 100, 50, 10)
    assert merged.info["prompt"] == '{"1": {}}'
    wrong = await upload(calm, "/upload/mask", "m.png", png(mask.resize((5, 5))), original_ref=reference)
    assert wrong.status == 400
    assert "the mask has 5×5 pixels" in json.loads(wrong.body)["error"]["details"]


async def test_channels_of_a_picture(calm: Client, stored: Path) -> None:
    cases: dict[str, Any] = {
        "rgba": ("RGBA", (200, 100, 50, 128)), "rgb": ("RGB", (200, 100, 50)), "a": ("RGBA", (0, 0, 0, 128)),
    }  # fmt: skip
    for channel, (mode, pixel) in cases.items():
        response, body = await calm.response("GET", f"{VIEW}&channel={channel}")
        assert response.content_type == "image/png", channel
        picture = opened(body)
        assert (picture.mode, picture.getpixel((1, 1))) == (mode, pixel), channel


async def test_previews_are_small_and_of_the_form_asked_for(calm: Client, stored: Path) -> None:
    cases = {
        "preview=webp;90": ("WEBP", (64, 32)), "preview=jpeg;40": ("JPEG", (64, 32)),
        "preview=webp": ("WEBP", (64, 32)),
        "preview=webp;90&size=16": ("WEBP", (16, 8)), "size=32": ("WEBP", (32, 16)), "size=0": ("WEBP", (1,
        1)),
        "preview=jpeg;90&channel=rgb": ("JPEG", (64, 32)), "preview=webp;80&channel=a": ("PNG", (64, 32)),
    }  # fmt: skip
    for query, (form, size) in cases.items():
        for _ in range(2):  # the second comes from memory
            response, body = await calm.response("GET", f"{VIEW}&{query}")
            picture = opened(body)
            assert (picture.format, picture.size) == (form, size), query
            assert response.content_type == f"image/{form.lower()}"


async def test_a_changed_picture_is_not_shown_from_memory(calm: Client, stored: Path) -> None:
    for colour in ("red", "blue"):
        stored.write_bytes(png(Image.new("RGB", (8, 8), colour)))
        os.utime(stored, ns=(0, hash(colour) % 10**15))
        _, body = await calm.response("GET", f"{VIEW}&preview=webp;100")
        assert opened(body).convert("RGB").getpixel((0, 0)) == pytest.approx(
            opened(stored.read_bytes()).getpixel((0, 0)), abs=3
        )


async def test_ranges_and_validators(calm: Client, settings: Settings) -> None:
    (settings.folders.output / "v.mp4").write_bytes(bytes(range(200)))
    target = "/view?filename=v.mp4&type=output"
    whole, body = await calm.response("GET", target)
    assert (whole.content_type, len(body), whole.headers["Accept-Ranges"]) == ("video/mp4", 200, "bytes")
    etag = whole.headers["ETag"]
    part, body = await calm.response("GET", target, headers={"Range": "bytes=10-19"})
    assert (part.status, body, part.headers["Content-Range"]) == (
        206,
        bytes(range(10, 20)),
        "bytes 10-19/200",
    )
    old, body = await calm.response("GET", target, headers={"Range": "bytes=1-2", "If-Range": '"old"'})
    assert (old.status, len(body)) == (200, 200)
    assert (await calm.response("GET", target, headers={"Range": "bytes=500-"}))[0].status == 416
    assert (await calm.response("GET", target, headers={"If-None-Match": etag}))[0].status == 304
    head, body = await calm.response("HEAD", target)
    assert (head.status, head.headers["Content-Length"], body) == (200, "200", b"")


def test_ranges_are_read_strictly() -> None:
    cases: dict[str | None, tuple[int, int] | None] = {
        None: None, "": None, "bytes=0-": (0, 100), "bytes=0-9": (0, 10), "bytes=90-200": (90, 10),
        "bytes=-5": (95, 5),
        "bytes=-500": (0, 100), "bytes=5-2": None, "bytes=-": None, "bytes=0-1,3-4": None, "lines=0-1": None,
        "bytes=a-b": None, "bytes=" + "9" * 90 + "-": None,
    }  # fmt: skip
    for header, expected in cases.items():
        assert wanted_range(header, 100) == expected, header


def test_validators_match_weakly() -> None:
    assert matches('"a", W/"b"', '"b"')
    assert matches("*", '"x"')
    assert not matches("", '"x"')
    assert not matches('"xy"', '"x"')


def test_active_types_are_never_inline() -> None:
    assert {kind.partition("/")[0] for kind in INLINE_TYPES.values()} == {"image", "audio", "video"}
    assert not any("svg" in kind or "xml" in kind for kind in INLINE_TYPES.values())


def test_plain_names_pass() -> None:
    for name in ("a.png", "ComfyUI_00001_.png", "ü 1 (2).webp", "..a", "a..b", "console.png", ".hidden"):
        assert file_name(name) == name
    assert refusal(400, "x", "y").status == 400


async def test_model_lists_and_metadata(calm: Client, settings: Settings) -> None:
    folder = settings.folders.base / "models"
    header = json.dumps(
        {
            "__metadata__": {"modelspec.title": "T"},
            "w": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
        }
    )
    (folder / "checkpoints" / "deep").mkdir()
    (folder / "checkpoints" / "deep" / "m.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header.encode()
    )
    (folder / "checkpoints" / "deep" / "m.preview.png").write_bytes(png(Image.new("RGB", (4, 4))))
    (folder / "embeddings" / "e.pt").write_bytes(b"x")
    assert "checkpoints" in (await calm.get("/models"))[1]
    assert await calm.get("/models/checkpoints") == (200, ["deep/m.safetensors"])
    assert await calm.get("/embeddings") == (200, ["e"])
    metadata = await calm.get("/view_metadata/checkpoints?filename=deep/m.safetensors")
    assert metadata == (200, {"modelspec.title": "T"})
    _, files = await calm.get("/experiment/models/checkpoints")
    assert (files[0]["name"], files[0]["pathIndex"]) == ("deep/m.safetensors", 0)
    response, _ = await calm.response("GET", "/experiment/models/preview/checkpoints/0/deep%2fm.safetensors")
    assert (response.status, response.content_type) == (200, "image/png")


async def test_internal_lists_are_newest_first(calm: Client, settings: Settings) -> None:
    for index, name in enumerate(("old.png", "new.png")):
        (settings.folders.output / name).write_bytes(b"x")
        os.utime(settings.folders.output / name, (index, index))
    assert await calm.get("/internal/files/output") == (200, ["new.png", "old.png"])
    assert "checkpoints" in (await calm.get("/internal/folder_paths"))[1]


def lying_photograph() -> bytes:
    """A JPEG stored as 64×32 whose EXIF turns it upright: 32×64, red above blue."""
    lying, exif, out = Image.new("RGB", (64, 32), "red"), Image.Exif(), io.BytesIO()
    lying.paste("blue", (32, 0, 64, 32))
    exif[0x0112] = 6
    lying.save(out, "JPEG", exif=exif, quality=95)
    return out.getvalue()


@pytest.mark.parametrize("query", ["preview=webp;90", "channel=rgb", "channel=a", "size=64"])
async def test_a_photograph_is_shown_upright(calm: Client, settings: Settings, query: str) -> None:
    (settings.folders.input / "photo.jpg").write_bytes(lying_photograph())
    _, body = await calm.get(f"/view?filename=photo.jpg&type=input&{query}")
    picture = opened(body)
    assert picture.size == (32, 64)
    if query != "channel=a":
        shown = picture.convert("RGB")
        assert shown.getpixel((16, 8)) == pytest.approx((254, 0, 0), abs=6)
        assert shown.getpixel((16, 56)) == pytest.approx((0, 0, 254), abs=6)


async def test_a_mask_is_painted_on_the_upright_photograph(calm: Client, settings: Settings) -> None:
    (settings.folders.input / "photo.jpg").write_bytes(lying_photograph())
    mask = Image.new("RGBA", (32, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 32))
    reference = json.dumps({"filename": "photo.jpg", "subfolder": "", "type": "input"})
    answer = await upload(calm, "/upload/mask", "m.png", png(mask), original_ref=reference)
    assert answer.status == 200, answer.body
    merged = opened((settings.folders.input / "m.png").read_bytes())
    assert merged.size == (32, 64)
    assert merged.getpixel((16, 8)) == pytest.approx((254, 0, 0, 0), abs=6)
    assert merged.getpixel((16, 56)) == pytest.approx((0, 0, 254, 255), abs=6)


async def test_a_ramp_of_sixteen_bits_is_shown_as_a_ramp(calm: Client, settings: Settings) -> None:
    deep = Image.new("I;16", (256, 1))
    deep.putdata([257 * step for step in range(256)])
    (settings.folders.input / "deep.png").write_bytes(png(deep))
    _, body = await calm.get("/view?filename=deep.png&type=input&channel=rgb")
    shown = opened(body)
    assert [shown.getpixel((step, 0)) for step in range(256)] == [(step,) * 3 for step in range(256)]


async def test_a_masked_photograph_keeps_the_texts_of_its_exif(calm: Client, settings: Settings) -> None:
    block, _ = exif_block({"workflow": "{}", "помощь": "да"})
    Image.new("RGB", (8, 8)).save(settings.folders.input / "photo.jpg", exif=block)
    reference = json.dumps({"filename": "photo.jpg", "type": "input"})
    mask = png(Image.new("RGBA", (8, 8)))
    assert (await upload(calm, "/upload/mask", "m.png", mask, original_ref=reference)).status == 200
    merged = (settings.folders.input / "m.png").read_bytes()
    assert png_texts(merged) == {"workflow": "{}", "помощь": "да"}
