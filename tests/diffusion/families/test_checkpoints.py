"""A file becomes a model, a text encoder and a VAE that compute what the file says."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.errors import FileProblem, UnknownModel
from diffusion.families.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_embedding,
    load_taesd,
    load_unet,
    load_vae,
)
from diffusion.latents.latent_format import SD1 as SD1_LATENTS
from diffusion.latents.latent_format import SDXL as SDXL_LATENTS
from diffusion.latents.vae import AutoencoderKL
from diffusion.networks.unet import UNet
from diffusion.noise.prediction import V
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.text.clip import ClipText, TextSizes
from diffusion.text.loading import load_text_encoder
from tests.diffusion.latents.test_taesd import halves
from tests.diffusion.small_models import (
    METADATA,
    SD1,
    SD1_INPAINTING,
    SDXL,
    TEXT,
    VAE,
    prefixed,
    sd1_tensors,
    seeded,
    write_sd1,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sd1(tmp_path_factory.mktemp("models") / "small.safetensors")


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


def check_all_parts(loaded: Checkpoint) -> None:
    """The parts compute what the modules compute that were saved."""
    assert loaded.model is not None
    assert loaded.text is not None
    assert loaded.vae is not None
    x, t, context = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 64)
    with loaded.model.backbone.use() as unet:
        assert torch.allclose(unet(x, t, context), seeded(lambda: UNet(SD1), 1)(x, t, context), atol=1e-5)
    picture = ((seeded(lambda: AutoencoderKL(VAE), 3).decode(x) + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert torch.allclose(loaded.vae.decode(x), picture, atol=1e-5)
    tokens = torch.tensor([[token for token, _ in loaded.text.tokenize("a cat")["l"][0]]])
    expected = seeded(lambda: ClipText(TEXT), 2)(tokens)
    embedding = loaded.text.text("a cat")
    assert torch.allclose(embedding.cond, expected.hidden, atol=1e-5)
    assert embedding.pooled is not None
    assert torch.allclose(embedding.pooled, expected.pooled, atol=1e-5)


def test_every_part_of_a_checkpoint_computes_what_was_saved(path: Path, residency: Residency) -> None:
    loaded = load_checkpoint(path, residency)
    assert residency.bytes == 0, "opening loads nothing"
    check_all_parts(loaded)
    assert loaded.model is not None
    assert loaded.model.family.name == "sd1"
    assert loaded.model.sizes.norm_groups == 8
    assert {line.part for line in residency.report()} == {"backbone", "text", "vae"}


def test_a_pickled_checkpoint_is_the_same(tmp_path: Path, residency: Residency) -> None:
    tensors = {name: tensor for name, tensor in sd1_tensors().items() if not name.startswith("first_stage")}
    torch.save({"state_dict": tensors, "global_step": 5}, tmp_path / "x.ckpt")
    save_file(tensors, tmp_path / "x.safetensors")
    pickled, plain = (load_checkpoint(tmp_path / name, residency) for name in ("x.ckpt", "x.safetensors"))
    assert pickled.text is not None
    assert plain.text is not None
    assert torch.equal(pickled.text.text("a cat").cond, plain.text.text("a cat").cond)
    assert pickled.model is not None
    assert plain.model is not None
    assert (pickled.model.family, pickled.model.sizes) == (plain.model.family, plain.model.sizes)
    x, t, context = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 64)
    with pickled.model.backbone.use() as one, plain.model.backbone.use() as other:
        assert torch.allclose(one(x, t, context), other(x, t, context), atol=1e-5)


def test_loading_a_file_twice_shares_its_weights(path: Path, residency: Residency) -> None:
    first, second = load_checkpoint(path, residency), load_checkpoint(path, residency)
    assert first.model is not None
    assert second.model is not None
    with first.model.backbone.use() as one, second.model.backbone.use() as two:
        assert one is two


def test_a_changed_file_is_another_model(tmp_path: Path, residency: Residency) -> None:
    path = write_sd1(tmp_path / "x.safetensors")
    first = load_vae(path, residency)
    tensors = sd1_tensors()
    tensors["first_stage_model.decoder.conv_out.bias"] += 1
    path.unlink()
    save_file(tensors, path, METADATA)
    second = load_vae(path, residency)
    latent = torch.zeros(1, 4, 1, 1)
    assert not torch.allclose(first.decode(latent), second.decode(latent))


def test_half_precision_files_compute_in_float32_on_a_processor(tmp_path: Path, residency: Residency) -> None:
    loaded = load_checkpoint(write_sd1(tmp_path / "x.safetensors", torch.float16), residency)
    assert loaded.model is not None
    with loaded.model.backbone.use() as unet:
        assert {parameter.dtype for parameter in unet.parameters()} == {torch.float32}


def test_an_inpainting_model_says_what_it_is_fed_with(tmp_path: Path, residency: Residency) -> None:
    tensors = prefixed("model.diffusion_model.", seeded(lambda: UNet(SD1_INPAINTING)))
    save_file(tensors, tmp_path / "x.safetensors", METADATA)
    loaded = load_checkpoint(tmp_path / "x.safetensors", residency)
    assert loaded.model is not None
    assert (loaded.model.family.name, loaded.model.sizes.in_channels) == ("sd1", 9)
    assert (loaded.text, loaded.vae) == (None, None)


def test_sdxl_has_two_towers_a_vector_and_its_own_latents(tmp_path: Path, residency: Residency) -> None:
    large = TextSizes(
        width=1280, layers=2, heads=20, inner=64, activation="gelu", projection=1280, vocabulary=49408
    )
    tensors = prefixed("model.diffusion_model.", seeded(lambda: UNet(SDXL)))
    tensors |= prefixed("conditioner.embedders.0.transformer.", seeded(lambda: ClipText(TEXT)))
    tensors |= prefixed("text_encoders.clip_g.transformer.", seeded(lambda: ClipText(large)))
    tensors["v_pred"] = torch.zeros(0)
    save_file(tensors, tmp_path / "x.safetensors")
    loaded = load_checkpoint(tmp_path / "x.safetensors", residency)
    assert loaded.model is not None
    assert loaded.text is not None
    assert (loaded.model.family.name, loaded.model.latent_format) == ("sdxl", SDXL_LATENTS)
    assert loaded.model.prediction.target == V
    assert [tower.key for tower in loaded.text.towers] == ["l", "g"]
    embedding = loaded.text.text("a cat")
    assert embedding.cond.shape == (1, 77, 64 + 1280)
    assert embedding.pooled is not None
    assert embedding.pooled.shape == (1, 1280)


def test_single_parts_load_from_their_own_files(tmp_path: Path, residency: Residency) -> None:
    parts = {"unet": seeded(lambda: UNet(SD1), 1), "vae": seeded(lambda: AutoencoderKL(VAE), 3)}
    parts["clip"] = seeded(lambda: ClipText(TEXT), 2)  # type: ignore[assignment]
    for name, module in parts.items():
        save_file(prefixed("", module), tmp_path / f"{name}.safetensors", METADATA)
    model = load_unet(tmp_path / "unet.safetensors", residency)
    text = load_text_encoder([tmp_path / "clip.safetensors"], residency)
    vae = load_vae(tmp_path / "vae.safetensors", residency)
    check_all_parts(Checkpoint(model, text, vae))


def test_a_part_that_is_not_there_is_said(tmp_path: Path, path: Path, residency: Residency) -> None:
    save_file(prefixed("", seeded(lambda: ClipText(TEXT))), tmp_path / "clip.safetensors")
    with pytest.raises(UnknownModel, match="No diffusion model"):
        load_unet(tmp_path / "clip.safetensors", residency)
    with pytest.raises(UnknownModel, match="No VAE"):
        load_vae(tmp_path / "clip.safetensors", residency)
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UnknownModel, match="No text encoder"):
        load_text_encoder([tmp_path / "x.safetensors"], residency)
    with pytest.raises(UnknownModel, match="No part of an image model"):
        load_checkpoint(tmp_path / "x.safetensors", residency)


def test_tensors_that_do_not_fit_each_other_are_an_error_at_once(
    tmp_path: Path, residency: Residency
) -> None:
    tensors = sd1_tensors()
    del tensors["model.diffusion_model.middle_block.0.out_layers.3.weight"]
    save_file(tensors, tmp_path / "x.safetensors", METADATA)
    with pytest.raises(FileProblem, match=r"middle_block\.0\.out_layers\.3\.weight"):
        load_checkpoint(tmp_path / "x.safetensors", residency)


def test_norm_groups_that_do_not_divide_are_an_error_that_names_the_metadata(
    tmp_path: Path, residency: Residency
) -> None:
    save_file(sd1_tensors(), tmp_path / "x.safetensors", {"nodeloom.unet.norm_groups": "7"})
    with pytest.raises(FileProblem, match=r"do not fit each other.*nodeloom\.unet\.norm_groups"):
        load_checkpoint(tmp_path / "x.safetensors", residency)


@pytest.mark.parametrize("sides", [("encoder", "decoder"), ("decoder",), ("encoder",)])
def test_a_taesd_has_the_face_of_a_vae(sides: tuple[str, ...], tmp_path: Path, residency: Residency) -> None:
    files: dict[str, Path | None] = {"encoder": None, "decoder": None}
    for name, half in zip(("encoder", "decoder"), halves(), strict=True):
        if name in sides:
            files[name] = tmp_path / f"{name}.safetensors"
            save_file(half, tmp_path / f"{name}.safetensors")
    vae = load_taesd(files["encoder"], files["decoder"], SD1_LATENTS, residency)
    if "decoder" in sides:
        assert vae.decode(torch.randn(1, 4, 8, 8)).shape == (1, 16, 16, 3)
    if "encoder" in sides:
        assert vae.encode(torch.rand(1, 16, 16, 3)).shape == (1, 4, 8, 8)


def test_a_taesd_of_nothing_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="encoder file"):
        load_taesd(None, None)
    with pytest.raises(UnknownModel, match="no TAESD"):
        load_taesd(path, None)


def test_embeddings_of_all_layouts_are_read(tmp_path: Path) -> None:
    vectors = torch.randn(3, 8)
    save_file({"emb_params": vectors.half()}, tmp_path / "a")
    torch.save({"string_to_param": {"*": vectors}, "name": "x", "step": 5}, tmp_path / "b")
    torch.save({"<cat>": vectors[0]}, tmp_path / "c")
    save_file({"clip_l": vectors, "clip_g": vectors[:1].clone()}, tmp_path / "d")
    assert torch.equal(load_embedding(tmp_path / "a")[""], vectors.half().float())
    assert torch.equal(load_embedding(tmp_path / "b")[""], vectors)
    assert torch.equal(load_embedding(tmp_path / "c")[""], vectors[:1])
    assert {key: tuple(v.shape) for key, v in load_embedding(tmp_path / "d").items()} == {
        "clip_l": (3, 8),
        "clip_g": (1, 8),
    }


def test_a_model_is_no_embedding(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="no learned vectors"):
        load_embedding(path)
    save_file({"a": torch.zeros(1, dtype=torch.int64)}, tmp_path / "x")
    with pytest.raises(FileProblem, match="no learned vectors"):
        load_embedding(tmp_path / "x")


def test_metadata_is_plain_text(path: Path) -> None:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    assert header["__metadata__"] == METADATA
