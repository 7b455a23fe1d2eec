"""Texts in the EXIF of pictures, whole and damaged."""

import io
import json

import pytest
from PIL import Image as PIL

from nodeloom.picture_texts import exif_texts, is_picture
from nodes.encoding import exif

TEXTS = {"prompt": json.dumps({"1": "ü"}), "workflow": json.dumps({"nodes": []})}


@pytest.mark.parametrize("format", ["WEBP", "JPEG", "AVIF"])
def test_texts_are_found_in_each_format(format: str) -> None:
    file = io.BytesIO()
    PIL.new("RGB", (16, 16)).save(file, format=format, exif=exif(TEXTS)[0])
    assert is_picture(file.getvalue())
    assert exif_texts(file.getvalue()) == TEXTS


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_other_pictures_are_none_of_these(format: str) -> None:
    file = io.BytesIO()
    PIL.new("RGB", (16, 16)).save(file, format=format)
    assert not is_picture(file.getvalue())


def test_damaged_exif_has_no_other_texts() -> None:
    block, _ = exif(TEXTS)
    for end in range(len(block)):
        assert set(exif_texts(block[:end])) <= TEXTS.keys()
    assert exif_texts(b"MM\0*" * 20) == {}
