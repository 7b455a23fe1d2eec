"""Conditioning nodes for models that go on from a picture."""

from collections.abc import Callable
from typing import Any

import torch

Call = Callable[..., Any]
WORDS = [[torch.ones(1, 7, 32), {"pooled_output": torch.ones(1, 8)}]]


def test_the_upscaler_gets_the_picture_at_a_quarter_of_the_result(call: Call) -> None:
    picture = torch.rand(2, 16, 24, 3)
    inputs = {"images": picture, "positive": WORDS, "negative": WORDS}
    positive, negative, latent = call("SD_4XUpscale_Conditioning", noise_augmentation=0.3, **inputs)
    assert latent["samples"].shape == (2, 4, 16, 24)
    for ((embedding, options),) in (positive, negative):
        assert torch.equal(embedding, WORDS[0][0])
        assert options["noise_augmentation"] == 0.3
        torch.testing.assert_close(options["concat_image"], picture.movedim(-1, 1) * 2 - 1)
        assert "pooled_output" in options
    *_, latent = call("SD_4XUpscale_Conditioning", scale_ratio=2.0, **inputs)
    assert latent["samples"].shape == (2, 4, 8, 12)
    *_, latent = call("SD_4XUpscale_Conditioning", scale_ratio=0.0, **inputs)
    assert latent["samples"].shape == (2, 4, 1, 1)
