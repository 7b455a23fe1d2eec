"""A small file of each family that shares the UNet is recognised by its tensors alone, loads and samples."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.families.checkpoints import load_checkpoint
from diffusion.families.sd.pictures import camera_position
from diffusion.guidance.guidance import CFGGuider
from diffusion.model import Model
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.noise.draws import starting_noise
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_models import SD1, SDXL, seeded
from tests.diffusion.small_runs import text

DISTILLED = replace(SDXL, channels=64, context=64)
FAMILIES: dict[str, UNetSizes] = {
    "segmind": replace(DISTILLED, middle_depth=0, output_depths=(2, 3, 1, 0, 0, 0)),
    "koala": replace(DISTILLED, blocks=(1, 1), input_depths=(0, 2), output_depths=(2, 2, 0, 0)),
    "koala without a middle": replace(
        DISTILLED, blocks=(1, 1), input_depths=(0, 2), middle_depth=None, output_depths=(2, 2, 0, 0)
    ),
}

UPSCALER = replace(
    SDXL,
    in_channels=7,
    vector=None,
    classes=1000,
    context=64,
    heads=4,
    head_channels=None,
    self_attention=(False, True),
)
VIDEO = replace(
    SDXL,
    in_channels=8,
    vector=768,
    context=64,
    blocks=(1, 1),
    input_depths=(1, 1),
    output_depths=(1, 1, 1, 1),
    middle_depth=1,
    video=True,
)


def written(path: Path, sizes: UNetSizes, **more: Tensor) -> Path:
    """A checkpoint of a UNet alone."""
    tensors = seeded(lambda: UNet(sizes), 1).state_dict()
    stated = {"nodeloom.unet.norm_groups": "8"}
    if sizes.heads is not None:
        stated["nodeloom.unet.heads"] = str(sizes.heads)
    save_file({f"model.diffusion_model.{name}": t for name, t in tensors.items()} | more, path, stated)
    return path


def loaded(path: Path) -> tuple[str, Model]:
    """The family's name and the model, in fp32 on the processor."""
    checkpoint = load_checkpoint(path, Residency(Precision("fp32"), "cpu"))
    assert checkpoint.model is not None
    return checkpoint.model.family.name, checkpoint.model


def run(
    model: Model, rows: int = 1, width: int = 64, tokens: int = 7, seed: int = 5, **options: Any
) -> Tensor:
    """Two guided steps from noise."""
    guider = CFGGuider(model, text(1, tokens, width, **options), text(2, tokens, width, **options), 3.0)
    latent = torch.zeros(rows, 4, 8, 8)
    sigmas = schedule(model.prediction, "normal", 2)
    start = starting_noise(latent.shape, seed)
    return sample(guider, start, latent, SAMPLERS["euler"], sigmas, seed=seed).latent


@pytest.mark.parametrize("name", FAMILIES)
def test_a_distilled_sdxl_is_recognised_and_sampled(name: str, tmp_path: Path) -> None:
    family, model = loaded(written(tmp_path / "model.safetensors", FAMILIES[name]))
    assert family == name.split()[0]
    pooled = torch.ones(1, 2816 - 6 * 256)
    small, large = (run(model, pooled_output=pooled, height=size) for size in (64, 1024))
    assert small.isfinite().all()
    assert not torch.allclose(small, large), "the sizes steer"


def test_an_x4_upscaler_is_recognised_and_sampled(tmp_path: Path) -> None:
    family, model = loaded(written(tmp_path / "model.safetensors", UPSCALER))
    assert family == "upscaler_x4"
    assert model.latent_format.downscale == 4
    assert round(model.prediction.sigma_max, 1) == 36.9
    picture = torch.rand(1, 3, 8, 8)
    plain, noised, other = (
        run(model, rows=2, concat_image=picture, noise_augmentation=amount, seed=seed)
        for amount, seed in ((0.0, 5), (0.5, 5), (0.5, 6))
    )
    assert plain.isfinite().all()
    assert not torch.allclose(plain, noised)
    assert not torch.allclose(noised, other)


def test_a_video_model_is_recognised_and_samples_a_clip(tmp_path: Path) -> None:
    family, model = loaded(written(tmp_path / "model.safetensors", VIDEO))
    assert family == "svd"
    assert (model.prediction.target.name, round(model.prediction.sigma_max)) == ("v_prediction", 700)
    picture = torch.rand(1, 4, 8, 8)
    clip = run(model, rows=3, tokens=1, concat_latent_image=picture)
    assert clip.shape == (3, 4, 8, 8)
    assert clip.isfinite().all()
    for facts in ({"fps": 12}, {"motion_bucket_id": 10}, {"augmentation_level": 0.5}):
        other = run(model, rows=3, tokens=1, concat_latent_image=picture, **facts)
        assert not torch.allclose(clip, other, rtol=1e-3), facts


def test_frames_know_of_each_other_and_clips_do_not() -> None:
    unet = seeded(lambda: UNet(VIDEO))
    x, t, context, y = torch.randn(4, 8, 8, 8), torch.ones(4), torch.randn(4, 1, 64), torch.randn(4, 768)
    both = unet(x, t, context, y=y, frames=2)
    torch.testing.assert_close(both[:2], unet(x[:2], t[:2], context[:2], y=y[:2]), rtol=1e-4, atol=1e-4)
    changed = torch.cat([x[:1] * -5, x[1:]])
    other = unet(changed, t, context, y=y, frames=2)
    assert not torch.allclose(both[1], other[1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(both[2:], other[2:])


@pytest.mark.parametrize(("width", "name"), [(256, "sv3d_u"), (1280, "sv3d_p")])
def test_an_orbit_model_is_recognised_and_sampled(width: int, name: str, tmp_path: Path) -> None:
    family, model = loaded(written(tmp_path / "model.safetensors", replace(VIDEO, vector=width)))
    assert family == name
    around = {"elevation": [10.0] * 3, "azimuth": [0.0, 120.0, 240.0]}
    one, other = (
        run(model, rows=3, tokens=1, **angles) for angles in (around, {**around, "azimuth": [0.0] * 3})
    )
    assert one.isfinite().all()
    assert torch.allclose(one, other) == (width == 256)


def test_a_model_that_turns_things_is_recognised_and_told_where_the_camera_is(tmp_path: Path) -> None:
    beside = {"cc_projection.weight": torch.randn(64, 68), "cc_projection.bias": torch.randn(64)}
    family, model = loaded(written(tmp_path / "model.safetensors", replace(SD1, in_channels=8), **beside))
    assert family == "zero123"
    latent = torch.zeros(1, 4, 8, 8)
    sigmas = schedule(model.prediction, "normal", 2)
    views = []
    for azimuth in (0.0, 90.0):
        camera = camera_position(10.0, azimuth).expand(1, 1, 4)
        wanted = [[torch.cat([text(1, 1)[0][0], camera], dim=-1), {}]]
        guider = CFGGuider(model, wanted, [[torch.zeros(1, 1, 64), {}]], 3.0)
        views.append(
            sample(guider, starting_noise(latent.shape, 1), latent, SAMPLERS["euler"], sigmas).latent
        )
    assert views[0].isfinite().all()
    assert not torch.allclose(*views, rtol=1e-3)


def test_without_its_projection_it_is_a_model_that_edits_pictures(tmp_path: Path) -> None:
    family, _ = loaded(written(tmp_path / "model.safetensors", replace(SD1, in_channels=8)))
    assert family == "sd1"
