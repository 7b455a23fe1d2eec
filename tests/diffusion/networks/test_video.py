"""A clip sampled from a picture equals what diffusers' parts make of the same weights, noise and guidance."""

from pathlib import Path

import pytest
import torch
from diffusers import EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from safetensors.torch import save_file
from torch import Tensor

from diffusion.families.checkpoints import load_unet
from diffusion.guidance.frames import framewise, rising
from diffusion.guidance.guidance import CFGGuider
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_models import seeded
from tests.diffusion.small_runs import noise

FRAMES = 3
LEAST, MOST = 1.0, 3.0


def their_unet() -> UNetSpatioTemporalConditionModel:
    """A small video network."""
    unet = seeded(
        lambda: UNetSpatioTemporalConditionModel(
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            layers_per_block=1,
            cross_attention_dim=24,
            num_attention_heads=(2, 4),
        )
    )
    for name, module in unet.named_modules():
        if name.endswith(("res_block.norm1", "res_block.norm2")):
            module.eps = 1e-5  # as the model was trained; diffusers says 1e-6 in some of its blocks
    return unet


def their_clip(
    unet: UNetSpatioTemporalConditionModel, start: Tensor, picture: Tensor, seen: Tensor
) -> Tensor:
    """Euler steps along the scheduler's schedule, as diffusers' pipeline makes them."""
    scheduler = EulerDiscreteScheduler(
        prediction_type="v_prediction",
        timestep_type="continuous",
        timestep_spacing="leading",
        sigma_min=0.002,
        sigma_max=700.0,
        use_karras_sigmas=True,
    )
    scheduler.set_timesteps(3)
    x = start[None] * scheduler.init_noise_sigma
    pictures = torch.stack([torch.zeros_like(picture), picture])[:, None].expand(-1, FRAMES, -1, -1, -1)
    context, facts = torch.stack([torch.zeros_like(seen), seen]), torch.tensor([[8.0, 100.0, 0.0]] * 2)
    scales = torch.linspace(LEAST, MOST, FRAMES).view(1, -1, 1, 1, 1)
    for timestep in scheduler.timesteps:
        shown = scheduler.scale_model_input(torch.cat([x, x]), timestep)
        answer = unet(torch.cat([shown, pictures], dim=2), timestep, context, facts).sample
        negative, positive = answer.chunk(2)
        guided = negative + scales * (positive - negative)
        x = scheduler.step(guided, timestep, x).prev_sample
    return x[0]


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # diffusers' scheduler, under numpy 2
def test_a_clip_equals_that_of_diffusers(tmp_path: Path) -> None:
    unet = their_unet()
    save_file(unet.state_dict(), tmp_path / "svd.safetensors", {"nodeloom.unet.head_channels": "16"})
    model = load_unet(tmp_path / "svd.safetensors", Residency(Precision("fp32"), "cpu"))
    start, picture, seen = noise(FRAMES, 4, 8, 8), noise(4, 8, 8, seed=2), noise(1, 24, seed=3)
    facts = {"fps": 9, "motion_bucket_id": 100, "augmentation_level": 0.0}
    positive = [[seen[None], {**facts, "concat_latent_image": picture[None]}]]
    negative = [[torch.zeros_like(seen)[None], {**facts, "concat_latent_image": torch.zeros(1, 4, 8, 8)}]]
    guider = CFGGuider(framewise(model, LEAST, rising), positive, negative, MOST)
    sigmas = schedule(model.prediction, "karras", 3)
    found = sample(guider, start, torch.zeros_like(start), SAMPLERS["euler"], sigmas).latent
    with torch.no_grad():
        expected = their_clip(unet, start, picture, seen)
    torch.testing.assert_close(found * model.latent_format.scale, expected, rtol=1e-3, atol=1e-3)
