"""Painting into pictures: maps of change, instructions, and pieces that return without a seam."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nodes.image.cropping import Box, around, cut_out, faded, paste_back

Call = Callable[..., Any]


def mask_with(top: int, left: int, height: int, width: int, size: tuple[int, int] = (64, 96)) -> Tensor:
    """A mask with one white rectangle."""
    mask = torch.zeros(1, *size)
    mask[:, top : top + height, left : left + width] = 1
    return mask


def pictures(rows: int = 1, size: tuple[int, int] = (64, 96)) -> Tensor:
    """Random pictures."""
    return torch.rand(rows, *size, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("where", "aspect"),
    [((20, 30, 10, 10), 1.0), ((0, 0, 5, 5), 2.0), ((50, 80, 14, 16), 0.5), ((0, 0, 64, 96), 1.0)],
)
def test_the_box_holds_the_mask_its_margin_and_the_proportions(
    where: tuple[int, int, int, int], aspect: float
) -> None:
    box = around(mask_with(*where)[0], 4, 1.5, aspect)
    assert box.width / box.height == pytest.approx(aspect, rel=0.08)
    assert box.top <= where[0]
    assert box.left <= where[1]
    assert box.top + box.height >= where[0] + where[2]
    assert box.left + box.width >= where[1] + where[3]
    if box.height <= 64:
        assert box.top >= 0
        assert box.top + box.height <= 64


def test_a_box_beyond_the_picture_repeats_its_border() -> None:
    picture = torch.arange(4.0).reshape(2, 2, 1)
    cut = Box(-1, -1, 4, 4).cut(picture)[..., 0]
    assert cut.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


def test_the_fade_is_full_on_the_mask_and_gone_at_twice_its_reach() -> None:
    mask = mask_with(24, 40, 8, 8)
    weights = faded(mask, 6)
    assert bool((weights[mask > 0] == 1).all())
    outside = torch.ones_like(mask, dtype=torch.bool)
    outside[:, 12:44, 28:60] = False
    assert weights[outside].abs().max() < 1e-6
    steps = torch.cat([weights.diff(dim=1).abs().flatten(), weights.diff(dim=2).abs().flatten()])
    assert steps.max() < 0.2


@pytest.mark.parametrize("where", [(24, 40, 8, 8), (0, 0, 10, 20), (54, 86, 10, 10)])
def test_an_unchanged_piece_returns_the_picture_and_outside_is_never_touched(
    where: tuple[int, int, int, int],
) -> None:
    images, mask = pictures(), mask_with(*where)
    stitch, piece, piece_mask = cut_out(images, mask, (128, 128), 1.5, 4)
    assert piece.shape == (1, 128, 128, 3)
    assert piece_mask.shape == (1, 128, 128)
    smooth = cut_out(torch.full_like(images, 0.25), mask, (128, 128), 1.5, 4)
    torch.testing.assert_close(paste_back(smooth[0], smooth[1]), torch.full_like(images, 0.25))
    painted = paste_back(stitch, torch.ones_like(piece))
    untouched = faded(mask, 4) == 0
    assert torch.equal(painted[untouched], images[untouched])
    assert bool((painted[mask > 0] > 0.999).all())


def test_each_picture_of_a_batch_keeps_its_place_and_versions_go_round() -> None:
    images = torch.zeros(2, 64, 96, 3)
    masks = torch.cat([mask_with(8, 8, 8, 8), mask_with(40, 70, 8, 8)])
    stitch, pieces, _ = cut_out(images, masks, (64, 64), 1.2, 0)
    assert len({box.left for box in stitch.boxes}) == 2
    out = paste_back(stitch, torch.ones_like(pieces).repeat(2, 1, 1, 1))
    assert out.shape == (4, 64, 96, 3)
    for number, picture in enumerate(out):
        assert torch.equal(picture[..., 0].round(), masks[number % 2])


def test_the_nodes_crop_and_stitch(call: Call) -> None:
    images, mask = pictures(), mask_with(24, 40, 8, 8)
    stitch, piece, piece_mask = call(
        "CropAroundMask", image=images, mask=mask, width=96, height=64, context=1.5, grow_mask_by=2, blend=3
    )
    assert piece.shape == (1, 64, 96, 3)
    assert piece_mask.max() == 1
    (out,) = call("StitchBack", stitch=stitch, image=piece)
    assert out.shape == images.shape
    assert torch.equal(out[:, :8], images[:, :8])


def test_an_empty_mask_changes_nothing() -> None:
    images = pictures()
    stitch, piece, _ = cut_out(images, torch.zeros(1, 64, 96), (64, 64), 1.5, 4)
    assert torch.equal(paste_back(stitch, torch.ones_like(piece)), images)


def sampled(call: Call, model: Any, positive: Any, mask: Tensor | None, start: Tensor) -> Tensor:
    """Six steps of the small model over a latent with a mask."""
    latent = {"samples": start} if mask is None else {"samples": start, "noise_mask": mask}
    (out,) = call(
        "KSampler", model=model, seed=3, steps=6, cfg=1.0, sampler_name="euler", scheduler="simple",
        positive=positive, negative=positive, latent_image=latent, denoise=1.0,
    )  # fmt: skip
    samples: Tensor = out["samples"]
    return samples


def test_differential_diffusion_lets_grey_places_go_later(call: Call) -> None:
    model, clip, _ = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    (positive,) = call("CLIPTextEncode", text="a cat", clip=clip)
    (changed,) = call("DifferentialDiffusion", model=model)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    white, black = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    plain = sampled(call, model, positive, None, start)
    torch.testing.assert_close(sampled(call, changed, positive, white, start), plain)
    torch.testing.assert_close(sampled(call, changed, positive, black, start), start, rtol=1e-4, atol=1e-4)
    away = [
        (sampled(call, changed, positive, white * share, start) - start).abs().mean().item()
        for share in (0.25, 0.5, 0.95)
    ]
    assert 0 < away[0] < away[1] < away[2]
    (plainly,) = call("DifferentialDiffusion", model=model, strength=1e-6)
    torch.testing.assert_close(
        sampled(call, plainly, positive, white * 0.5, start),
        sampled(call, model, positive, white * 0.5, start),
        rtol=1e-3, atol=1e-4,
    )  # fmt: skip
    (wholly,) = call("DifferentialDiffusion", model=model, strength=0.0)
    torch.testing.assert_close(
        sampled(call, wholly, positive, white * 0.5, start),
        sampled(call, changed, positive, white * 0.5, start),
    )


def test_an_instruction_is_given_the_picture_and_an_empty_latent(call: Call) -> None:
    (vae,) = call("VAELoader", vae_name="vae.safetensors")
    entry = [[torch.zeros(1, 77, 32), {"kept": 1}]]
    pixels = torch.rand(1, 21, 31, 3)
    positive, negative, latent = call(
        "InstructPixToPixConditioning", positive=entry, negative=entry, vae=vae, pixels=pixels
    )
    (seen,) = call("VAEEncode", pixels=pixels[:, 2:18, 3:27], vae=vae)
    for ((_, options),) in (positive, negative):
        assert options["kept"] == 1
        torch.testing.assert_close(options["concat_latent_image"], seen["samples"])
    assert latent["samples"].shape == (1, 4, 2, 3)
    assert not latent["samples"].any()
