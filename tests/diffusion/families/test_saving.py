"""What a saved part is called, and that it is found again under that name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.families import saving
from diffusion.networks.clip_names import to_open_clip
from diffusion.networks.vision import VisionEncoder, vision_part
from diffusion.residency.budget import Residency, Resident
from diffusion.text.clip import ClipText, TextSizes
from diffusion.text.encoding import TextEncoder
from diffusion.text.loading import load_text_encoder, text_parts
from diffusion.text.recipes import STABLE_DIFFUSION
from diffusion.text.tokenizer import Vocabulary
from diffusion.text.tower import Tower
from diffusion.weights.files import Weights
from diffusion.weights.loading import NO_PATCHES
from diffusion.weights.patched import patched
from tests.diffusion.small_models import as_weights, seeded, weights_of
from tests.diffusion.text import small_encoders

SIZES = TextSizes(width=64, layers=2, heads=1, inner=96, projection=48)


def encoder(*keys: str) -> TextEncoder:
    """A text encoder of small towers."""
    towers, recipe = [], STABLE_DIFFUSION[keys]
    for number, key in enumerate(keys):
        weights = weights_of(seeded(lambda: ClipText(SIZES), number))
        resident = Resident(Residency(), "text", weights, lambda: ClipText(SIZES), (id(weights),))
        rule = recipe.rules[key]
        towers.append(Tower(key, resident, SIZES.layers, SIZES.width, Vocabulary.read(), rule))
    return TextEncoder(tuple(towers), recipe)


def read(entries: saving.Entries) -> Weights:
    """Entries as if a file held them."""
    return as_weights({name: entry.read() for name, entry in entries.items()})


@pytest.mark.parametrize("keys", [("l",), ("h",), ("g",), ("l", "g")])
def test_text_towers_are_found_again_where_they_were_put(keys: tuple[str, ...]) -> None:
    text = encoder(*keys)
    found = text_parts(read(saving.text_entries(text)))
    assert set(found) == set(keys)
    for tower in text.towers:
        own, again = tower.resident.weights, found[tower.key]
        assert set(again) == set(own)
        assert all(torch.equal(again.tensor(name), own.tensor(name)) for name in own)


SAVED = {
    "flux": {"l": small_encoders.clip_l, "t5xxl": small_encoders.t5},
    "lumina2": {"gemma2_2b": lambda: small_encoders.with_pieces(small_encoders.decoder("gemma2"))},
    "hunyuan_dit": {
        "hydit_clip": small_encoders.bert,
        "mt5xl": lambda: small_encoders.with_pieces(small_encoders.t5(small_encoders.MT5)),
    },
}


@pytest.mark.parametrize("type", SAVED)
def test_towers_of_other_families_are_found_again_with_their_pieces(type: str, tmp_path: Path) -> None:
    paths = []
    for key, make in SAVED[type].items():
        save_file(make(), tmp_path / f"{key}.safetensors")
        paths.append(tmp_path / f"{key}.safetensors")
    text = load_text_encoder(paths, Residency(), type=type)
    found = text_parts(read(saving.text_entries(text)))
    assert set(found) == set(SAVED[type])
    for tower in text.towers:
        own, again = tower.resident.weights, found[tower.key]
        assert set(again) >= set(own)
        assert all(torch.equal(again.tensor(name).float(), own.tensor(name).float()) for name in own)


def test_towers_of_open_clip_are_written_in_its_layout() -> None:
    names = saving.text_entries(encoder("h"))
    assert "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight" in names
    assert "cond_stage_model.model.positional_embedding" in names
    assert not any("self_attn" in name or "text_model" in name for name in names)


def test_a_picture_encoder_is_found_again() -> None:
    config = CLIPVisionConfig(
        hidden_size=64, intermediate_size=96, projection_dim=24, num_hidden_layers=2, num_attention_heads=1,
        image_size=28, patch_size=14,
    )  # fmt: skip
    module = seeded(lambda: CLIPVisionModelWithProjection(config))
    named = {name: each for name, each in module.state_dict().items() if "position_ids" not in name}
    weights = as_weights(named)
    resident = Resident(
        Residency(), "vision", weights, lambda: CLIPVisionModelWithProjection(config), (id(weights),)
    )
    found = vision_part(read(saving.vision_entries(VisionEncoder(resident, 28))))
    assert found is not None
    assert set(found) == set(named)
    assert all(torch.equal(found.tensor(name), named[name]) for name in named)


def test_patches_are_worked_in_and_types_stay() -> None:
    weights = as_weights({"a": torch.ones(2).half(), "b": torch.ones(2, dtype=torch.bfloat16)})
    found = patched(weights, {"a": (lambda w: w * 3, lambda w: w + 1)})
    assert found["a"].read().tolist() == [4, 4]
    assert found["a"].read().dtype is torch.float16
    assert found["b"] is weights["b"]
    assert patched(weights, NO_PATCHES) == dict(weights)


def test_names_that_are_not_split_pass() -> None:
    entries = dict(weights_of(seeded(lambda: ClipText(SIZES))))
    there = to_open_clip(entries, "text_model", saving.TEXT_PROJECTION)
    assert there["text_projection"].shape == (64, 48)
    assert there["ln_final.weight"].shape == (64,)
