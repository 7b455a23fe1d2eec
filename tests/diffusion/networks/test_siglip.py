"""SigLIP's picture encoder gives what `transformers` gives of the same weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import SiglipVisionConfig, SiglipVisionModel

from diffusion.networks.siglip import Siglip, SiglipSizes, siglip_sizes
from diffusion.networks.vision import load_vision, prepared
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import as_weights, prefixed, seeded, weights_of

SIZES = SiglipSizes(width=144, layers=3, inner=96, patch=14, positions=16)
HALF = (0.5, 0.5, 0.5)


def test_what_a_file_sees_equals_the_library(tmp_path: Path) -> None:
    module = seeded(lambda: Siglip(SIZES))
    save_file(prefixed("", module), tmp_path / "siglip.safetensors")
    config = SiglipVisionConfig(
        hidden_size=SIZES.width,
        intermediate_size=SIZES.inner,
        num_hidden_layers=SIZES.layers,
        num_attention_heads=SIZES.width // 72,
        image_size=SIZES.side,
        patch_size=SIZES.patch,
        layer_norm_eps=1e-5,
        vision_use_head=False,
    )
    theirs = SiglipVisionModel(config).eval()
    theirs.load_state_dict({k.removeprefix("vision_model."): v for k, v in module.state_dict().items()})
    image = torch.rand(2, 70, 60, 3, generator=torch.Generator().manual_seed(2))
    found = load_vision(tmp_path / "siglip.safetensors", Residency(Precision("fp32"), "cpu")).encode(image)
    with torch.no_grad():
        pixels = prepared(image, SIZES.side, True, HALF, HALF)
        wanted = theirs(pixel_values=pixels, output_hidden_states=True)
    torch.testing.assert_close(found["last_hidden_state"], wanted.last_hidden_state, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["image_embeds"], found["last_hidden_state"])
    layers = torch.stack(wanted.hidden_states[1 : SIZES.layers + 1], dim=1)
    torch.testing.assert_close(found["all_hidden_states"], layers, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["penultimate_hidden_states"], layers[:, -2], rtol=1e-4, atol=1e-5)


def test_sizes_are_read_off_the_tensors() -> None:
    assert siglip_sizes(weights_of(seeded(lambda: Siglip(SIZES)))) == SIZES
    assert SIZES.side == 56
    assert replace(SIZES, positions=729).side == 384, "as published: six pixels fill no patch"
    with pytest.raises(Unlike, match="patch_embedding"):
        siglip_sizes(as_weights({"x": torch.zeros(1)}))
