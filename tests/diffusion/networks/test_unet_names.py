"""UNets of other programs give the same numbers as those programs' own modules."""

from typing import Any

import pytest
import torch
from diffusers import (
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)

from diffusion.networks.unet import UNet
from diffusion.networks.unet_names import ldm_unet
from diffusion.networks.unet_sizes import unet_sizes
from tests.diffusion.small_models import SD1, as_weights, seeded, weights_of

THEIR_UNETS: dict[str, dict[str, Any]] = {
    "sd1": {
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "cross_attention_dim": 24,
        "attention_head_dim": 8,  # in diffusers this is the number of heads
    },
    "sd2": {
        "block_out_channels": (32, 64, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 24,
        "attention_head_dim": (2, 4, 4),
        "use_linear_projection": True,
    },
    "sdxl": {
        "block_out_channels": (32, 64),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 2,
        "cross_attention_dim": 24,
        "attention_head_dim": (2, 4),
        "transformer_layers_per_block": (1, 3),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
    },
}
XL = THEIR_UNETS["sdxl"]
THREE_LEVELS: dict[str, Any] = {
    **XL,
    "block_out_channels": (32, 64, 64),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (2, 4, 4),
}
THEIR_UNETS |= {
    "segmind": {  # as SSD-1B: other depths on the way up, no attention in the middle
        **THREE_LEVELS,
        "transformer_layers_per_block": (1, (2, 2), (3, 3)),
        "reverse_transformer_layers_per_block": ((3, 3, 4), (2, 1, 1), 1),
        "mid_block_type": "UNetMidBlock2D",
    },
    "koala_700m": {
        **THREE_LEVELS,
        "layers_per_block": 1,
        "transformer_layers_per_block": (0, 2, 3),
        "mid_block_type": None,
    },
    "koala_1b": {**THREE_LEVELS, "layers_per_block": 1, "transformer_layers_per_block": (0, 2, 4)},
}
THEIR_UNETS["upscaler_x4"] = {
    **THREE_LEVELS,
    "in_channels": 7,
    "attention_head_dim": 4,
    "transformer_layers_per_block": 1,
    "only_cross_attention": (True, True, False),
    "num_class_embeds": 1000,
    **dict.fromkeys(
        ("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")
    ),
}
STATED = {"upscaler_x4": {"heads": "4"}, "sd1": {"heads": "8"}, "sd2": {"head_channels": "16"}}


@pytest.mark.parametrize("kind", THEIR_UNETS)
def test_a_diffusers_unet_predicts_the_same(kind: str) -> None:
    theirs = seeded(lambda: UNet2DConditionModel(norm_num_groups=8, **THEIR_UNETS[kind]))
    stated = STATED.get(kind, {"head_channels": "16"})
    metadata = {f"nodeloom.unet.{name}": value for name, value in {**stated, "norm_groups": "8"}.items()}
    weights = ldm_unet(as_weights(theirs.state_dict(), metadata))
    ours = UNet(unet_sizes(weights)).eval()
    assert set(weights) == set(ours.state_dict()), "a tensor was lost or left over"
    ours.load_state_dict({name: weights.tensor(name) for name in weights})
    x = torch.randn(2, theirs.config.in_channels, 16, 24)
    t, context = torch.tensor([1, 901]), torch.randn(2, 7, 24)
    pooled, sizes = torch.randn(2, 16), torch.tensor([[512.0, 640, 0, 8, 512, 640]] * 2)
    added = {"text_embeds": pooled, "time_ids": sizes} if kind not in STATED else None
    vector = classes = torch.tensor([20, 350]) if kind == "upscaler_x4" else None
    if added:
        frequencies = theirs.add_time_proj(sizes.flatten()).reshape(2, -1)
        vector = torch.cat([pooled, frequencies], dim=-1)
    with torch.no_grad():
        expected = theirs(x, t, context, classes, added_cond_kwargs=added).sample
        assert torch.allclose(ours(x, t, context, y=vector), expected, atol=1e-4, rtol=1e-4)


def test_our_own_layout_passes_unchanged() -> None:
    unet = weights_of(seeded(lambda: UNet(SD1)))
    assert ldm_unet(unet) is unet


def test_a_diffusers_video_unet_predicts_the_same() -> None:
    theirs = seeded(
        lambda: UNetSpatioTemporalConditionModel(
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=24,
            layers_per_block=2,
            cross_attention_dim=24,
            num_attention_heads=(2, 4),
        )
    )
    for name, module in theirs.named_modules():
        if name.endswith(("res_block.norm1", "res_block.norm2")):
            module.eps = 1e-5  # as the model was trained; diffusers says 1e-6 in some of its blocks
    weights = ldm_unet(as_weights(theirs.state_dict(), {"nodeloom.unet.head_channels": "16"}))
    sizes = unet_sizes(weights)
    ours = UNet(sizes).eval()
    assert sizes.video
    assert set(weights) == set(ours.state_dict()), "a tensor was lost or left over"
    ours.load_state_dict({name: weights.tensor(name) for name in weights})
    clips, context = torch.randn(2, 3, 8, 8, 16), torch.randn(2, 1, 24)
    facts, t = torch.tensor([[5.0, 127, 0.02], [24.0, 40, 0.5]]), torch.tensor([1.6378, -0.5])
    with torch.no_grad():
        expected = theirs(clips, t, context, facts).sample.flatten(0, 1)
        vector = theirs.add_time_proj(facts.flatten()).reshape(2, -1)
        found = ours(
            clips.flatten(0, 1),
            t.repeat_interleave(3),
            context.repeat_interleave(3, 0),
            vector.repeat_interleave(3, 0),
            frames=3,
        )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
