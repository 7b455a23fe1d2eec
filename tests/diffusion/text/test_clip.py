"""The text tower looks backwards only, stops where it is told, and pools at the end of the text."""

import torch

from diffusion.text.clip import END_OF_TEXT, ClipText, TextSizes
from tests.diffusion.small_models import TEXT, seeded
from tests.golden.weights import manifests


def test_names_and_shapes_equal_the_published_checkpoint() -> None:
    manifest = manifests()["sd15"]
    prefix = "cond_stage_model.transformer."
    published = {
        key[len(prefix) :]: tuple(shape) for key, shape in manifest.items() if key.startswith(prefix)
    }
    with torch.device("meta"):
        ours = ClipText(TextSizes()).state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in ours.items()} == published


def tokens(end: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    row = torch.randint(0, 49406, (1, 77), generator=generator)
    row[:, end:] = END_OF_TEXT
    return row


def test_no_position_sees_a_later_one() -> None:
    model = seeded(lambda: ClipText(TEXT))
    first, second = tokens(40), tokens(40)
    second[0, 30] = 7
    a, b = model(first).hidden, model(second).hidden
    assert torch.equal(a[:, :30], b[:, :30])
    assert not torch.allclose(a[:, 30:], b[:, 30:])


def test_the_pooled_vector_is_the_last_layers_at_the_first_end() -> None:
    model = seeded(lambda: ClipText(TEXT))
    batch = torch.cat([tokens(5), tokens(60, 1)])
    hidden, pooled = model(batch)
    assert torch.equal(pooled, torch.stack([hidden[0, 5], hidden[1, 60]]))
    assert torch.equal(model(batch, layer=-2).pooled, pooled), "clip skip leaves it alone"


def test_a_projection_turns_the_pooled_vector() -> None:
    sizes = TextSizes(width=64, layers=1, heads=1, inner=64, projection=16)
    model = seeded(lambda: ClipText(sizes))
    assert model(tokens(5)).pooled.shape == (1, 16)


def test_the_norm_is_applied_to_any_layer_on_demand() -> None:
    model = seeded(lambda: ClipText(TEXT))
    for layer in (-1, -2, -3):
        plain = model(tokens(5), layer=layer, normed=False).hidden
        normed = model(tokens(5), layer=layer).hidden
        assert torch.allclose(model.text_model.final_layer_norm(plain), normed, atol=1e-5)


def test_vectors_can_stand_in_for_tokens() -> None:
    model = seeded(lambda: ClipText(TEXT))
    row = tokens(5)
    vectors = model.text_model.embeddings.token_embedding(row)
    assert torch.equal(model(row, vectors=vectors).hidden, model(row).hidden)
    assert not torch.allclose(model(row, vectors=vectors * 2).hidden, model(row).hidden)
