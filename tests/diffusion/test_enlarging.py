"""The x4 upscaler: a checkpoint is known, and samples as diffusers' pipeline does."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from diffusers import StableDiffusionUpscalePipeline as Pipeline
from safetensors.torch import save_file

from diffusion.families.checkpoints import load_unet
from diffusion.families.sd.pictures import noise_level
from diffusion.guidance.guidance import CFGGuider
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample
from tests.diffusion.small_models import METADATA, seeded
from tests.diffusion.small_runs import noise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers and NumPy 2
BETAS = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}
SEED = 100


def network() -> UNet2DConditionModel:
    """A small network that takes a picture beside the latent, and how noisy it is."""
    return UNet2DConditionModel(
        in_channels=7, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=64,
        attention_head_dim=4, norm_num_groups=8, sample_size=8, num_class_embeds=1000,
        use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


@pytest.mark.parametrize(("scale", "amount"), [(9.0, 0.05), (3.0, 0.5)])
def test_a_run_agrees_with_diffusers(tmp_path: Path, scale: float, amount: float) -> None:
    unet = seeded(network, 1)
    save_file(unet.state_dict(), tmp_path / "x4.safetensors", METADATA)
    model = load_unet(tmp_path / "x4.safetensors", Residency(Precision("fp32"), "cpu"))
    assert model.family.name == "upscaler_x4"
    scheduler = EulerDiscreteScheduler(
        **BETAS, prediction_type="v_prediction", timestep_spacing="leading", steps_offset=1
    )
    scheduler.set_timesteps(4)
    start = scheduler.sigmas[0] / scheduler.init_noise_sigma  # they begin a little higher than the schedule
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8), norm_num_groups=8, latent_channels=4, scaling_factor=0.08333,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip
    words, nothing, x = noise(1, 7, 64, seed=1), noise(1, 7, 64, seed=2), noise(1, 4, 8, 8, seed=3)
    picture = noise(1, 3, 8, 8, seed=4).clamp(-1, 1)
    shown = {"concat_image": picture, "noise_augmentation": amount}
    pipeline = Pipeline(vae, None, None, unet, DDPMScheduler(**BETAS), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=words, negative_prompt_embeds=nothing, image=(picture + 1) / 2, latents=x * start,
        noise_level=int(noise_level(shown)), num_inference_steps=4, guidance_scale=scale,
        generator=torch.Generator().manual_seed(SEED - 10), output_type="latent",
    ).images  # fmt: skip

    guider = CFGGuider(model, [[words, shown]], [[nothing, shown]], scale)
    latent = torch.zeros_like(x)
    ours = sample(guider, x, latent, SAMPLERS["euler"], scheduler.sigmas, seed=SEED).latent
    torch.testing.assert_close(model.latent_format.into(ours), theirs, rtol=1e-3, atol=1e-3)
