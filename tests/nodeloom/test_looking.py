"""Values on links in words and small pictures."""

import base64
import io

import pytest

from nodeloom.looking import described, looked_at, nearest

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


PROMPT = {
    "loader": {"inputs": {"name": "a"}},
    "empty": {"inputs": {"width": 64}},
    "sampler": {"inputs": {"model": ["loader", 0], "latent": ["empty", 0], "sizes": [1, 2]}},
    "decode": {"inputs": {"samples": ["sampler", 0], "vae": ["loader", 1]}},
    "alone": {"inputs": {}},
}


def test_the_nodes_around_one_come_nearest_first() -> None:
    assert list(nearest(PROMPT, "empty")) == ["empty", "sampler", "loader", "decode"]
    assert list(nearest(PROMPT, "decode")) == ["decode", "sampler", "loader", "empty"]
    assert list(nearest(PROMPT, "alone")) == ["alone"]


class Coloured:
    """What a model tells of its latents."""

    def __init__(self, latent_format: object) -> None:
        self.latent_format = latent_format


def test_a_latent_is_shown_in_the_colours_of_the_model_near_it() -> None:
    from PIL import Image

    from diffusion.latents.latent_format import LatentFormat

    red = LatentFormat("toy", scale=2.0, rgb=((1.0, -1.0, -1.0), (0, 0, 0), (0, 0, 0), (0, 0, 0)))
    samples = torch.zeros(2, 4, 8, 16)
    samples[0, 0] = 0.5
    results: dict[str, tuple[list[object], ...]] = {
        "loader": ([Coloured(red)], ["vae"]),
        "empty": ([{"samples": samples}],),
        "sampler": ([{"samples": torch.zeros(1, 4, 8, 8)}],),
    }
    told = looked_at(results.get, PROMPT, "empty", 0)
    assert told["lines"][0] == "samples: 2 × 4 × 8 × 16 float32, cpu, 4.1 kB"
    picture = Image.open(io.BytesIO(base64.b64decode(told["picture"].partition(",")[2])))
    assert picture.size == (128, 64)
    colour = picture.convert("RGB").getpixel((60, 30))
    assert all(abs(found - wanted) < 8 for found, wanted in zip(colour, (255, 0, 0), strict=True))
    assert "picture" not in looked_at(results.get, PROMPT, "sampler", 0)  # nothing to see yet
    assert looked_at(results.get, PROMPT, "decode", 0) == {"kept": False}
    del results["loader"]
    assert "picture" not in looked_at(results.get, PROMPT, "empty", 0)
    results["loader"] = ([Coloured(LatentFormat("other", channels=16, rgb=((0.0, 0.0, 0.0),) * 16))],)
    assert "picture" not in looked_at(results.get, PROMPT, "empty", 0)


def test_images_are_shown_without_a_model() -> None:
    told = looked_at({"sampler": ([torch.ones(1, 8, 8, 3)],)}.get, PROMPT, "sampler", 0)
    assert told["picture"].startswith("data:image/webp")
