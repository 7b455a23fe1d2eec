"""Perturbed-attention guidance samples as diffusers' pipeline does."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from diffusers import StableDiffusionPAGPipeline as Pipeline
from safetensors.torch import save_file
from torch import Tensor

from diffusion.families.checkpoints import load_unet
from diffusion.families.flux import FAMILIES
from diffusion.guidance.estimates import perturbed_attention
from diffusion.guidance.guidance import CFGGuider
from diffusion.hooks import Hooks, Place
from diffusion.model import Model
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample
from tests.diffusion.small_models import METADATA, seeded
from tests.diffusion.small_runs import noise

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers and NumPy 2


def network(layers: int) -> UNet2DConditionModel:
    """A small network with so many attention layers in its middle, whose self-attention says much."""
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=64, attention_head_dim=4,
        norm_num_groups=8, sample_size=8, transformer_layers_per_block=(1, layers),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    for name, weight in unet.mid_block.named_parameters():
        if ".attn1.to_" in name:
            weight.data.mul_(8)
    return unet


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("scale", "perturbed_scale"), [(7.5, 3.0), (1.0, 2.0)])
def test_a_run_agrees_with_diffusers(
    tmp_path: Path, layers: int, scale: float, perturbed_scale: float
) -> None:
    unet = seeded(lambda: network(layers), 1)
    save_file(unet.state_dict(), tmp_path / "unet.safetensors", METADATA)
    model = load_unet(tmp_path / "unet.safetensors", Residency(Precision("fp32"), "cpu"))
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        timestep_spacing="leading",
        steps_offset=1,
    )
    scheduler.set_timesteps(4)
    start = scheduler.sigmas[0] / scheduler.init_noise_sigma  # they begin a little higher than the schedule
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=8, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    words, nothing, x = noise(1, 7, 64, seed=1), noise(1, 7, 64, seed=2), noise(1, 4, 8, 8, seed=3)
    pipeline = Pipeline(vae, None, None, unet, scheduler, None, None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=words, negative_prompt_embeds=nothing, latents=x * start, num_inference_steps=4,
        guidance_scale=scale, pag_scale=perturbed_scale, output_type="latent",
    ).images  # fmt: skip

    guided = perturbed_attention(model, perturbed_scale)
    guider = CFGGuider(guided, [[words, {}]], [[nothing, {}]], scale)
    ours = sample(guider, x, torch.zeros_like(x), SAMPLERS["euler"], scheduler.sigmas).latent
    torch.testing.assert_close(model.latent_format.into(ours), theirs, rtol=1e-3, atol=1e-3)
    plain = CFGGuider(model, [[words, {}]], [[nothing, {}]], scale)
    without = sample(plain, x, torch.zeros_like(x), SAMPLERS["euler"], scheduler.sigmas).latent
    assert not torch.allclose(without, ours, atol=1e-2)


def test_in_a_transformer_the_pictures_tokens_of_the_middle_block_see_only_themselves() -> None:
    flux = Model(None, FAMILIES[0], None, None, None)  # type: ignore[arg-type]
    (after,) = perturbed_attention(flux, 2.0).hooks["guidance.after"]
    asked: list[Hooks] = []

    class Call:
        def estimate(self, name: str, hooks: Hooks) -> Tensor:
            asked.append(hooks)
            return torch.full((1,), 0.25)

    out = after(Call(), torch.ones(1), {"positive": torch.full((1,), 0.75)}, 1.0)
    assert out.item() == 2.0
    (hook,) = asked[0]["attention.self.attend"]
    v = torch.randn(1, 5, 4)

    def attended(serial: int) -> Tensor:
        place = Place("single", 0, serial=serial, blocks=5, image=(2, 5))
        found: Tensor = hook(place, v, v, v, lambda q, k, v: torch.zeros_like(v))
        return found

    assert not attended(1).any()
    assert not attended(2)[:, :2].any(), "words see all"
    assert torch.equal(attended(2)[:, 2:], v[:, 2:])
