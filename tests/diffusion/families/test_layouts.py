"""Files of other programs give the same numbers as those programs' own modules."""

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL as TheirVAE
from diffusers import (
    AutoencoderKLTemporalDecoder,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from diffusion.latents.vae import AutoencoderKL
from diffusion.latents.vae_files import ldm_vae, vae_sizes
from diffusion.networks.clip_names import clip_text
from diffusion.networks.unet import UNet
from diffusion.networks.unet_names import ldm_unet
from diffusion.networks.unet_sizes import unet_sizes
from diffusion.text.clip import ClipText
from diffusion.text.clip_sizes import text_sizes
from tests.diffusion.small_models import as_weights, seeded, weights_of

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


def test_a_diffusers_autoencoder_gives_the_same_pictures_and_latents() -> None:
    theirs = seeded(
        lambda: TheirVAE(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(16, 16, 32),
            layers_per_block=2,
            latent_channels=4,
            norm_num_groups=8,
        )
    )
    weights = ldm_vae(as_weights(theirs.state_dict(), {"nodeloom.vae.norm_groups": "8"}))
    ours = AutoencoderKL(vae_sizes(weights)).eval()
    assert set(weights) == set(ours.state_dict())
    ours.load_state_dict({name: weights.tensor(name) for name in weights})
    x, z, noise = torch.randn(2, 3, 24, 16), torch.randn(2, 4, 6, 4), torch.randn(2, 4, 6, 4)
    with torch.no_grad():
        their_latent = theirs.encode(x).latent_dist
        mean, logvar = ours.moments(x)
        assert torch.allclose(mean, their_latent.mean, atol=1e-5)
        assert torch.allclose(logvar, their_latent.logvar, atol=1e-5)
        assert torch.allclose(ours.encode(x, noise), their_latent.mean + their_latent.std * noise, atol=1e-5)
        assert torch.allclose(ours.decode(z), theirs.decode(z).sample, atol=1e-5)


def test_a_diffusers_video_autoencoder_gives_the_same_pictures_and_latents() -> None:
    theirs = seeded(
        lambda: AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D",) * 2, block_out_channels=(32, 64), layers_per_block=2
        )
    )
    weights = ldm_vae(as_weights(theirs.state_dict()))
    sizes = vae_sizes(weights)
    ours = AutoencoderKL(sizes).eval()
    assert (sizes.video, sizes.quantised, sizes.dequantised) == (True, True, False)
    assert set(weights) == set(ours.state_dict())
    ours.load_state_dict({name: weights.tensor(name) for name in weights})
    x, z = torch.randn(2, 3, 24, 16), torch.randn(5, 4, 6, 4)
    with torch.no_grad():
        torch.testing.assert_close(ours.encode(x), theirs.encode(x).latent_dist.mean, rtol=1e-4, atol=1e-5)
        expected = theirs.decode(z, num_frames=5).sample
        torch.testing.assert_close(ours.decode(z), expected, rtol=1e-4, atol=1e-4)


def their_text_model(activation: str) -> CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        hidden_size=64,
        intermediate_size=96,
        projection_dim=48,
        num_hidden_layers=3,
        num_attention_heads=1,
        hidden_act=activation,
        eos_token_id=49407,
        bos_token_id=49406,
    )
    return seeded(lambda: CLIPTextModelWithProjection(config))


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_a_transformers_text_model_gives_the_same_vectors(activation: str) -> None:
    theirs = their_text_model(activation)
    weights = clip_text(as_weights(theirs.state_dict(), {"nodeloom.text.activation": activation}))
    ours = ClipText(text_sizes(weights)).eval()
    assert set(weights) == set(ours.state_dict())
    ours.load_state_dict({name: weights.tensor(name) for name in weights})
    tokens = torch.randint(0, 49406, (2, 77))
    tokens[0, 5:] = tokens[1, 70:] = 49407
    with torch.no_grad():
        expected = theirs(tokens, output_hidden_states=True)
        for layer in (-1, -2, -3):
            hidden, pooled = ours(tokens, layer=layer, normed=False)
            assert torch.allclose(hidden, expected.hidden_states[layer], atol=1e-5), layer
            assert torch.allclose(pooled, expected.text_embeds, atol=1e-5)
        assert torch.allclose(ours(tokens).hidden, expected.last_hidden_state, atol=1e-5)


def test_an_open_clip_tower_becomes_ours() -> None:
    theirs = their_text_model("gelu")
    ours = {name: theirs.state_dict()[name] for name in theirs.state_dict()}
    tower = {
        "token_embedding.weight": ours["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": ours["text_model.embeddings.position_embedding.weight"],
        "text_projection": ours["text_projection.weight"].t(),
        "logit_scale": torch.tensor(4.6),
    }
    for leaf in ("weight", "bias"):
        tower[f"ln_final.{leaf}"] = ours[f"text_model.final_layer_norm.{leaf}"]
        for layer in range(3):
            old, new = f"text_model.encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            parts = [ours[f"{old}.self_attn.{part}_proj.{leaf}"] for part in "qkv"]
            tower[f"{new}.attn.in_proj_{leaf}"] = torch.cat(parts)
            tower[f"{new}.attn.out_proj.{leaf}"] = ours[f"{old}.self_attn.out_proj.{leaf}"]
            tower[f"{new}.ln_1.{leaf}"] = ours[f"{old}.layer_norm1.{leaf}"]
            tower[f"{new}.ln_2.{leaf}"] = ours[f"{old}.layer_norm2.{leaf}"]
            tower[f"{new}.mlp.c_fc.{leaf}"] = ours[f"{old}.mlp.fc1.{leaf}"]
            tower[f"{new}.mlp.c_proj.{leaf}"] = ours[f"{old}.mlp.fc2.{leaf}"]
    weights = clip_text(as_weights(tower))
    assert set(weights) == set(ours)
    for name, tensor in ours.items():
        assert weights[name].shape == tuple(tensor.shape), name
        assert torch.equal(weights.tensor(name), tensor), name


def test_a_text_model_saved_without_its_outer_name_is_understood() -> None:
    inner = {name.removeprefix("text_model."): t for name, t in their_text_model("gelu").state_dict().items()}
    inner["embeddings.position_ids"] = torch.arange(77)[None]
    assert set(clip_text(as_weights(inner))) == set(their_text_model("gelu").state_dict())


def test_our_own_layout_passes_unchanged() -> None:
    from tests.diffusion.small_models import SD1, VAE

    unet, vae = weights_of(seeded(lambda: UNet(SD1))), weights_of(seeded(lambda: AutoencoderKL(VAE)))
    assert ldm_unet(unet) is unet
    assert ldm_vae(vae) is vae


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
