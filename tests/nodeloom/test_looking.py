"""Values on links in words and small pictures."""

import base64
import io

import pytest

from nodeloom.looking import described

torch = pytest.importorskip("torch")


def test_what_is_not_kept_is_said() -> None:
    assert described(None, 0) == {"kept": False}
    assert described(([1],), 3) == {"kept": False}
    assert described(([],), 0) == {"kept": False}


def test_plain_values_are_shown_as_they_are() -> None:
    assert described(([1.5],), 0) == {"kept": True, "count": 1, "lines": ["1.5"]}
    told = described((["x" * 1000, "y"],), 0)
    assert told["count"] == 2
    assert told["lines"] == ["x" * 600 + "…", "1000 characters"]


def test_images_bring_a_picture_and_statistics() -> None:
    from PIL import Image

    images = torch.zeros(2, 512, 256, 3)
    images[0, :, :, 0] = 1
    told = described(([images],), 0)
    assert told["lines"] == ["2 × 512 × 256 × 3 float32, cpu, 3.15 MB", "0 … 1, mean 0.1667"]
    picture = Image.open(io.BytesIO(base64.b64decode(told["picture"].partition(",")[2])))
    assert picture.size == (128, 256)
    red, green, _ = picture.convert("RGB").getpixel((60, 60))
    assert red > 240
    assert green < 15


def test_masks_are_pictures_and_latents_are_numbers() -> None:
    assert described(([torch.ones(1, 8, 8)],), 0)["picture"].startswith("data:image/webp")
    latent = described(([{"samples": torch.ones(1, 4, 16, 16), "batch_index": [0]}],), 0)
    assert latent["lines"] == [
        "samples: 1 × 4 × 16 × 16 float32, cpu, 4.1 kB",
        "1 … 1, mean 1",
        "batch_index: list",
    ]
    assert "picture" not in latent


def test_conditionings_tell_their_entries() -> None:
    value = [[torch.zeros(1, 77, 64), {"pooled_output": None}]]
    assert described(([value],), 0)["lines"] == [
        "1 entry",
        "1 × 77 × 64 float32, cpu, 19.7 kB",
        "0 … 0, mean 0",
        "pooled_output",
    ]


def test_other_values_are_named() -> None:
    assert described(([object()],), 0)["lines"] == ["object"]
    assert described(([[1, 2]],), 0)["lines"] == ["list of 2"]
