"""Texts in the EXIF of pictures, whole and damaged."""

import io
import json
import zlib

import pytest
from PIL import Image as PIL

from pictures import texts
from pictures.texts import exif_block, exif_texts, is_picture, png_chunks, png_texts, whole
from tests.server.attacks import chunk

TEXTS = {"prompt": json.dumps({"1": "ü"}), "workflow": json.dumps({"nodes": []})}


@pytest.mark.parametrize("format", ["WEBP", "JPEG", "AVIF"])
def test_texts_are_found_in_each_format(format: str) -> None:
    file = io.BytesIO()
    PIL.new("RGB", (16, 16)).save(file, format=format, exif=exif_block(TEXTS)[0])
    assert is_picture(file.getvalue())
    assert exif_texts(file.getvalue()) == TEXTS


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_other_pictures_are_none_of_these(format: str) -> None:
    file = io.BytesIO()
    PIL.new("RGB", (16, 16)).save(file, format=format)
    assert not is_picture(file.getvalue())


def test_damaged_exif_has_no_other_texts() -> None:
    block, _ = exif_block(TEXTS)
    for end in range(len(block)):
        assert set(exif_texts(block[:end])) <= TEXTS.keys()
    assert exif_texts(b"MM\0*" * 20) == {}


KEYS = ["помощь", "プロンプト", "a:b", "a=b", "x" * 100, " ", "", "half \ud800", "nul\0l", "café", "prompt"]


def test_a_png_holds_every_key_and_text() -> None:
    texts = dict.fromkeys(KEYS, "зелёный")
    file = io.BytesIO()
    PIL.new("RGB", (4, 4)).save(file, "PNG", pnginfo=png_chunks(texts))
    assert png_texts(file.getvalue()) == {whole(key) or "text": "зелёный" for key in KEYS}
    with PIL.open(io.BytesIO(file.getvalue())) as again:
        again.load()


@pytest.mark.parametrize("format", ["WEBP", "JPEG", "AVIF"])
def test_exif_holds_every_key_and_text(format: str) -> None:
    file = io.BytesIO()
    block, left_out = exif_block(dict.fromkeys(KEYS, "зелёный"))
    PIL.new("RGB", (16, 16)).save(file, format=format, exif=block)
    names = {whole(key).replace(":", "_").lower() for key in KEYS}
    assert exif_texts(file.getvalue()) == dict.fromkeys(names, "зелёный")
    assert not left_out


def test_an_exif_block_without_room_names_what_it_leaves_out() -> None:
    block, left_out = exif_block({str(number): "x" for number in range(400)})
    assert len(left_out) == 400 - 256
    assert len(exif_texts(block)) == 256


def test_packed_texts_share_what_they_may_unpack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "LONGEST_TEXT", 1_000)
    packed = zlib.compress(b"x" * 600)
    chunks = [chunk(b"zTXt", b"a\0\0" + packed), chunk(b"iTXt", b"b\0\1\0\0\0" + packed)]
    chunks += [chunk(b"zTXt", b"c\0\0" + packed), chunk(b"tEXt", b"d\0plain")]
    found = png_texts(texts.PNG_SIGNATURE + b"".join(chunks))
    assert {key: len(text) for key, text in found.items()} == {"a": 600, "b": 400, "c": 0, "d": 5}
