"""InstructPix2Pix: an 8-channel checkpoint is known, and samples as diffusers' pipeline does."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from diffusers import StableDiffusionInstructPix2PixPipeline as Pipeline
from safetensors.torch import save_file

from diffusion.families.checkpoints import load_unet
from diffusion.guidance.guidance import DualCFGGuider
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample
from tests.diffusion.small_models import METADATA, seeded

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers and NumPy 2


def network() -> UNet2DConditionModel:
    """A small network that takes a picture beside the latent."""
    return UNet2DConditionModel(
        in_channels=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=64,
        attention_head_dim=4, norm_num_groups=8, sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


@pytest.mark.parametrize(("scale", "picture_scale"), [(7.5, 1.5), (3.0, 1.2)])
def test_two_scales_agree_with_diffusers(tmp_path: Path, scale: float, picture_scale: float) -> None:
    unet = seeded(network, 1)
    path = tmp_path / "ip2p.safetensors"
    save_file(unet.state_dict(), path, METADATA)
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, timestep_spacing="leading"
    )
    scheduler.set_timesteps(4)
    start = scheduler.sigmas[0] / scheduler.init_noise_sigma  # they begin a little higher than the schedule
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=8, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    pipeline = Pipeline(vae, None, None, unet, scheduler, None, None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(5)
    words, nothing = (torch.randn(1, 7, 64, generator=generator) for _ in range(2))
    picture, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    theirs = pipeline(
        prompt_embeds=words, negative_prompt_embeds=nothing, image=picture, latents=noise * start,
        num_inference_steps=4, guidance_scale=scale, image_guidance_scale=picture_scale, output_type="latent",
    ).images  # fmt: skip

    model = load_unet(path, Residency(Precision("fp32"), "cpu"))
    shown = {"concat_latent_image": picture}
    guider = DualCFGGuider(
        model, [[words, shown]], [[nothing, shown]], [[nothing, {}]], scale, picture_scale, nested=False
    )
    ours = sample(guider, noise, torch.zeros_like(noise), SAMPLERS["euler"], scheduler.sigmas).latent
    torch.testing.assert_close(model.latent_format.into(ours), theirs, rtol=1e-3, atol=1e-3)
