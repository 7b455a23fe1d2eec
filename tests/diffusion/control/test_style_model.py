"""Style models: pictures as words, made larger or looked at more."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion.control.style_model import StyleModel, StyleNet, load_style_model, styled
from diffusion.errors import Mismatch, UnknownModel
from diffusion.guidance.guidance import BasicGuider
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_models import seeded
from tests.diffusion.small_runs import noise, small_model, text


@pytest.fixture
def style(tmp_path: Path) -> StyleModel:
    """A small style model."""
    save_file(seeded(lambda: StyleNet(4, 32, 64, 2), 3).state_dict(), tmp_path / "style.safetensors")
    return load_style_model(tmp_path / "style.safetensors", Residency(Precision("fp32"), "cpu"))


def test_words_are_those_of_a_plain_transformer(style: StyleModel) -> None:
    net = seeded(lambda: StyleNet(4, 32, 64, 2), 3)
    plain = nn.TransformerEncoderLayer(32, 8, 128, 0.0, lambda x: x * torch.sigmoid(1.702 * x),
                                       batch_first=True, norm_first=True).eval()  # fmt: skip
    tokens = noise(2, 10, 32)
    with torch.no_grad():
        h = net.ln_pre(torch.cat([tokens, net.style_embedding.expand(2, -1, -1)], dim=1))
        for layer in net.transformer_layes:
            plain.self_attn, plain.norm1, plain.norm2 = layer.attn, layer.ln_1, layer.ln_2
            plain.linear1, plain.linear2 = layer.mlp["c_fc"], layer.mlp["c_proj"]
            h = plain(h)
        expected = net.ln_post(h[:, -4:]) @ net.proj
    words = style.words({"last_hidden_state": tokens})
    assert words.shape == (1, 8, 64)
    torch.testing.assert_close(words, expected.flatten(0, 1)[None], rtol=1e-4, atol=1e-5)


def sampled(conditioning: list[Any]) -> Tensor:
    """A short run."""
    model = small_model()
    sigmas = schedule(model.prediction, "normal", 3)
    start = noise(1, 4, 8, 8)
    guider = BasicGuider(model, conditioning)
    return sample(guider, start, torch.zeros(1, 4, 8, 8), SAMPLERS["euler"], sigmas).latent


def test_multiplied_words_grow_and_a_bias_leaves_them(style: StyleModel) -> None:
    before, words = text(1), style.words({"last_hidden_state": noise(1, 10, 32)})
    larger, looked = styled(before, words, 0.5, False), styled(before, words, 0.5, True)
    torch.testing.assert_close(larger[0][0][:, 7:], words * 0.5)
    torch.testing.assert_close(looked[0][0][:, 7:], words)
    assert looked[0][1]["token_bias"].tolist() == pytest.approx([0.0] * 7 + [-0.6931] * 4, abs=1e-3)


def test_looking_as_usual_and_not_at_all_are_the_ends(style: StyleModel) -> None:
    before, words = text(1), style.words({"last_hidden_state": noise(1, 10, 32)})
    torch.testing.assert_close(
        sampled(styled(before, words, 1.0, True)), sampled(styled(before, words, 1.0, False))
    )
    torch.testing.assert_close(
        sampled(styled(before, words, 0.0, True)), sampled(before), rtol=1e-3, atol=1e-3
    )
    twice = styled(styled(before, words, 0.0, True), words * 2, 0.0, True)
    torch.testing.assert_close(sampled(twice), sampled(before), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(sampled(styled(before, words, 3.0, True)), sampled(before), atol=1e-3)


def test_another_encoder_and_another_file_are_named(style: StyleModel, tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match="reads pictures of width 32, not 48"):
        style.words({"last_hidden_state": noise(1, 10, 48)})
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UnknownModel, match=r"x.safetensors: It is no style model"):
        load_style_model(tmp_path / "x.safetensors")


def test_redux_projects_every_token_of_every_picture(tmp_path: Path) -> None:
    tensors = {
        "redux_up.weight": torch.randn(6, 3),
        "redux_up.bias": torch.randn(6),
        "redux_down.weight": torch.randn(4, 6),
        "redux_down.bias": torch.randn(4),
    }
    save_file(tensors, tmp_path / "redux.safetensors")
    model = load_style_model(tmp_path / "redux.safetensors", Residency(Precision("fp32"), "cpu"))
    tokens = torch.randn(2, 5, 3)
    words = model.words({"last_hidden_state": tokens})
    inner = torch.nn.functional.silu(tokens @ tensors["redux_up.weight"].T + tensors["redux_up.bias"])
    expected = inner @ tensors["redux_down.weight"].T + tensors["redux_down.bias"]
    assert torch.allclose(words, expected.reshape(1, 10, 4), atol=1e-5)
    with pytest.raises(Mismatch, match="SigLIP"):
        model.words({"last_hidden_state": torch.zeros(1, 5, 4)})


def test_words_looked_at_more_are_an_additive_mask_for_models_of_one_attention() -> None:
    text = torch.zeros(1, 2, 4)
    once = styled([[text, {}]], torch.ones(1, 3, 4), 0.5, looked_at=True)
    mask = once[0][1]["attention_mask"][0].float()
    assert mask.shape == (6, 6)
    assert once[0][1]["attention_mask_img_shape"] == (1, 1)
    bias = mask[0, 2]
    assert bias == torch.tensor(0.5).log().half()
    looking = torch.zeros(6, 6)
    looking[[0, 1, 5], 2:5] = bias
    assert torch.equal(mask, looking)
    twice = styled(once, torch.ones(1, 1, 4), 2.0, looked_at=True)[0][1]["attention_mask"][0].float()
    assert torch.equal(twice[:5, :5], mask[:5, :5])
    assert (twice[[0, 1, 2, 3, 4, 6], 5] > 0).all()
    assert "attention_mask" not in styled([[text, {}]], torch.ones(1, 3, 4), 1.0, looked_at=True)[0][1]
