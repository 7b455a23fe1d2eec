"""unCLIP: the noise of pictures, several of them, and the model that follows them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers import StableUnCLIPImg2ImgPipeline as Pipeline
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from safetensors.torch import save_file
from torch import Tensor

from diffusion.conditioning import Setting, prepare
from diffusion.families.checkpoints import load_checkpoint, load_unet
from diffusion.families.sd.unclip import DEVIATION, MEAN, ImageNoise, image_noise, unclip_vector
from diffusion.guidance.guidance import CFGGuider
from diffusion.noise.prediction import V
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_models import METADATA, seeded
from tests.diffusion.small_runs import noise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers and NumPy 2


def small(vector: int) -> UNet2DConditionModel:
    """A small network with a class embedding that is a projection of a vector."""
    return UNet2DConditionModel(
        block_out_channels=(64, 128), layers_per_block=1, cross_attention_dim=64, norm_num_groups=32,
        attention_head_dim=(1, 2), use_linear_projection=True, sample_size=8,
        class_embed_type="projection", projection_class_embeddings_input_dim=vector,
        down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
    )  # fmt: skip


def statistics(width: int) -> tuple[Tensor, Tensor]:
    """A mean and a deviation of embeddings."""
    generator = torch.Generator().manual_seed(9)
    return torch.randn(1, width, generator=generator), torch.rand(1, width, generator=generator) + 0.5


def their_vector(embedding: Tensor, amount: float, seed: int) -> Tensor:
    """The same by diffusers' pipeline, with the noise that we draw."""
    mean, deviation = statistics(embedding.shape[1])
    normalizer = StableUnCLIPImageNormalizer(embedding.shape[1])
    normalizer.mean.data, normalizer.std.data = mean, deviation

    class Pieces:
        image_normalizer = normalizer
        image_noising_scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2")

    drawn = torch.randn(embedding.shape, generator=torch.Generator().manual_seed(seed % 2**64))
    noised: Tensor = Pipeline.noise_image_embeddings(Pieces(), embedding, round(999 * amount), noise=drawn)
    return noised.detach()


@pytest.mark.parametrize("width", [768, 1024])
@pytest.mark.parametrize("amount", [0.0, 0.1, 0.5, 1.0])
def test_noised_embeddings_agree_with_diffusers(width: int, amount: float) -> None:
    embedding = noise(1, width, seed=2)
    ours = ImageNoise(*statistics(width)).vector(embedding, amount, 7)
    torch.testing.assert_close(ours, their_vector(embedding, amount, 7), rtol=1e-4, atol=1e-5)


def seen(seed: int, width: int = 768, rows: int = 1) -> dict[str, Tensor]:
    """What a picture encoder gives."""
    return {"image_embeds": noise(rows, width, seed=seed)}


def followed(*seeds: int, **more: Any) -> dict[str, Any]:
    """The options of a conditioning that follows pictures."""
    pictures = [
        {"clip_vision_output": seen(seed), "strength": 0.5 * seed, "noise_augmentation": 0.2}
        for seed in seeds
    ]
    return {"unclip_conditioning": pictures, **more}


def test_no_picture_is_zeros_and_one_counts_by_its_strength() -> None:
    augmentation = ImageNoise(*statistics(768))
    assert torch.equal(unclip_vector({}, augmentation, 0), torch.zeros(1, 1536))
    ours = unclip_vector(followed(3), augmentation, 20)
    torch.testing.assert_close(
        ours, 1.5 * their_vector(seen(3)["image_embeds"], 0.2, 10), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("merge", [None, 0.3])
def test_several_pictures_are_added_and_noised_once_more(merge: float | None) -> None:
    more = {} if merge is None else {"unclip_noise_augment_merge": merge}
    ours = unclip_vector(followed(1, 2, **more), ImageNoise(*statistics(768)), 4)
    total = sum(0.5 * s * their_vector(seen(s)["image_embeds"], 0.2, -6)[:, :768] for s in (1, 2))
    expected = their_vector(torch.as_tensor(total), 0.05 if merge is None else merge, -6)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [768, 1024])
def test_a_checkpoint_is_known_and_its_network_agrees_with_diffusers(width: int, tmp_path: Path) -> None:
    unet = seeded(lambda: small(2 * width), 1)
    mean, deviation = statistics(width)
    save_file(
        {f"model.diffusion_model.{name}": each for name, each in unet.state_dict().items()}
        | {MEAN: mean[0], DEVIATION: deviation[0]},
        tmp_path / "unclip.safetensors",
        {**METADATA, "nodeloom.unet.norm_groups": "32", "nodeloom.unet.head_channels": "64"},
    )
    found = load_checkpoint(tmp_path / "unclip.safetensors", Residency(Precision("fp32"), "cpu"))
    model = found.model
    assert model is not None
    assert (model.family.name, model.prediction.target) == ("unclip", V)
    stated = image_noise(model.backbone.weights, model.sizes.vector)
    torch.testing.assert_close(stated.mean, mean)
    torch.testing.assert_close(stated.deviation, deviation)

    words, x = noise(1, 7, 64, seed=3), noise(1, 4, 8, 8)
    options = {"unclip_conditioning": [
        {"clip_vision_output": seen(4, width), "strength": 1.0, "noise_augmentation": 0.1}
    ]}  # fmt: skip
    (part,) = prepare({"positive": [[words, options]]}, Setting(model, torch.zeros(1, 4, 8, 8), seed=11))[
        "positive"
    ]
    y = their_vector(seen(4, width)["image_embeds"], 0.1, 1)
    with model.backbone.use() as ours, torch.no_grad():
        found_output = ours(x, torch.tensor([500.0]), words, y=part.tensors["y"])
        expected = unet(x, 500, words, class_labels=y).sample
    torch.testing.assert_close(found_output, expected, rtol=1e-3, atol=1e-4)


def test_pictures_change_what_is_sampled(tmp_path: Path) -> None:
    save_file(seeded(lambda: small(1536), 1).state_dict(), tmp_path / "unet.safetensors",
              {"nodeloom.unet.head_channels": "64"})  # fmt: skip
    model = load_unet(tmp_path / "unet.safetensors", Residency(Precision("fp32"), "cpu"))
    words = noise(1, 7, 64, seed=3)

    def run(options: dict[str, Any], seed: int = 1) -> Tensor:
        guider = CFGGuider(model, [[words, options]], [[words * 0, {}]], 3.0)
        sigmas = schedule(model.prediction, "normal", 3)
        return sample(
            guider, noise(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), SAMPLERS["euler"], sigmas, seed=seed
        ).latent

    assert not torch.allclose(run({}), run(followed(2)), atol=1e-3)
    assert not torch.allclose(run(followed(2)), run(followed(2, 3)), atol=1e-3)
    torch.testing.assert_close(run(followed(2)), run(followed(2)))
