"""Text towers of other programs give the same vectors as those programs' own modules."""

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from diffusion.networks.clip_names import clip_text
from diffusion.text.clip import ClipText
from diffusion.text.clip_sizes import text_sizes
from tests.diffusion.small_models import as_weights, seeded


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
