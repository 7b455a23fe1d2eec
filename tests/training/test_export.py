"""The finished file says what its shapes do not."""

import json

import torch

from training.export import preview_colours


def test_the_colours_of_previews_are_those_that_made_the_pictures() -> None:
    random = torch.Generator().manual_seed(1)
    latents = torch.randn(6, 4, 2, 2, generator=random) / 8
    factors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, -0.5, 0.25]])
    bias = torch.tensor([0.1, -0.2, 0.3])
    seen = torch.einsum("nchw,cr->nhwr", latents, factors) + bias
    pictures = ((seen + 1) / 2).repeat_interleave(8, 1).repeat_interleave(8, 2).numpy()
    rows = torch.tensor(json.loads(preview_colours(latents, list(pictures))))
    assert torch.allclose(rows, torch.cat([factors, bias[None]]), atol=1e-3)
