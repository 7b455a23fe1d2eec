"""A folder saved by diffusers loads and computes what diffusers computes."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from diffusion.errors import FileProblem
from diffusion.families.diffusers_folder import load_diffusers
from diffusion.noise.prediction import EPS, V
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from tests.diffusion.networks.test_unet_names import THEIR_UNETS
from tests.diffusion.small_models import seeded

TEXT = CLIPTextConfig(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=2,
    hidden_act="quick_gelu",
    bos_token_id=49406,
    eos_token_id=49407,
)


def save(folder: Path, kind: str = "sd1", shard: str = "10GB") -> dict[str, torch.nn.Module]:
    unet = seeded(
        lambda: UNet2DConditionModel(norm_num_groups=8, **{**THEIR_UNETS[kind], "cross_attention_dim": 64})
    )
    vae = seeded(lambda: AutoencoderKL(block_out_channels=(16,), latent_channels=4, norm_num_groups=8))
    text = seeded(lambda: CLIPTextModel(TEXT))
    unet.save_pretrained(folder / "unet", max_shard_size=shard)
    vae.save_pretrained(folder / "vae")
    text.save_pretrained(folder / "text_encoder")
    return {"unet": unet, "vae": vae, "text": text}


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


@pytest.mark.parametrize("kind", ["sd1", "sd2"])
@pytest.mark.parametrize("shard", ["10GB", "100KB"], ids=["one file", "shards"])
def test_every_part_computes_what_diffusers_computes(
    kind: str, shard: str, tmp_path: Path, residency: Residency
) -> None:
    theirs = save(tmp_path, kind, shard)
    loaded = load_diffusers(tmp_path, residency)
    assert loaded.model is not None
    assert loaded.text is not None
    assert loaded.vae is not None
    x, t, context = torch.randn(1, 4, 16, 16), torch.tensor([5]), torch.randn(1, 3, 64)
    with torch.no_grad(), loaded.model.backbone.use() as unet:
        assert torch.allclose(unet(x, t, context), theirs["unet"](x, t, context).sample, atol=1e-4, rtol=1e-4)
    picture = ((theirs["vae"].decode(x).sample + 1) / 2).clamp(0, 1).movedim(1, -1)  # type: ignore[operator]
    assert torch.allclose(loaded.vae.decode(x), picture, atol=1e-4)
    tokens = torch.tensor([[token for token, _ in loaded.text.tokenize("a cat")["l"][0]]])
    with torch.no_grad():
        expected = theirs["text"](tokens).last_hidden_state
    assert torch.allclose(loaded.text.text("a cat").cond, expected, atol=1e-4)


def test_the_scheduler_says_what_is_predicted(tmp_path: Path, residency: Residency) -> None:
    save(tmp_path)
    (tmp_path / "scheduler").mkdir()
    for stated, meant in (("v_prediction", V), ("epsilon", EPS)):
        (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": stated}))
        model = load_diffusers(tmp_path, residency).model
        assert model is not None
        assert model.prediction.target == meant


def test_a_family_with_a_clock_of_its_own_keeps_it(tmp_path: Path, residency: Residency) -> None:
    unet = UNet2DConditionModel(norm_num_groups=8, **THEIR_UNETS["upscaler_x4"])
    unet.save_pretrained(tmp_path / "unet")
    (tmp_path / "scheduler").mkdir()
    for stated in ({"prediction_type": "v_prediction"}, {}):
        (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(stated))
        model = load_diffusers(tmp_path, residency).model
        assert model is not None
        assert model.prediction.target is V
        assert round(model.prediction.sigma_max) == 37


def test_a_folder_of_something_else_is_an_error(tmp_path: Path, residency: Residency) -> None:
    with pytest.raises(FileProblem, match="no unet"):
        load_diffusers(tmp_path, residency)
    (tmp_path / "unet").mkdir()
    with pytest.raises(FileProblem, match="no weights"):
        load_diffusers(tmp_path, residency)


HOSTILE = {
    "outside": ({"weight_map": {"a": "../../secret.safetensors"}}, "outside its folder"),
    "not json": ("{", "not valid JSON"),
    "deep": ("[" * 100_000, "not valid JSON"),
    "a list": ([], "no unet"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_index_is_an_error(name: str, tmp_path: Path, residency: Residency) -> None:
    content, reason = HOSTILE[name]
    (tmp_path / "unet").mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(text)
    with pytest.raises(FileProblem, match=reason):
        load_diffusers(tmp_path, residency)
