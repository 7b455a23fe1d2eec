"""Pictures become latents and come back, whole or in tiles, whatever memory and number types do."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from diffusion.latents import autoencoder
from diffusion.latents.autoencoder import VAE, cropped
from diffusion.latents.vae import AutoencoderKL
from diffusion.residency.budget import Residency, Resident
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import VAE as SIZES
from tests.diffusion.small_models import as_weights, seeded, weights_of

MODULE = seeded(lambda: AutoencoderKL(SIZES))


@pytest.fixture
def residency() -> Iterator[Residency]:
    residency = Residency(Precision("fp32"), "cpu")
    yield residency
    residency.close()


def small(residency: Residency) -> VAE:
    return VAE(Resident(residency, "vae", weights_of(MODULE), lambda: AutoencoderKL(SIZES), ("v",)))


def test_a_latent_becomes_a_picture_of_eight_times_the_side(residency: Residency) -> None:
    latent = torch.randn(2, 4, 5, 3)
    picture = small(residency).decode(latent)
    assert picture.shape == (2, 40, 24, 3)
    assert picture.dtype == torch.float32
    assert torch.allclose(picture, ((MODULE.decode(latent) + 1) / 2).clamp(0, 1).movedim(1, -1), atol=1e-5)


def test_a_picture_becomes_the_mean_of_its_latent(residency: Residency) -> None:
    picture = torch.rand(2, 16, 24, 3)
    latent = small(residency).encode(picture)
    assert latent.shape == (2, 4, 2, 3)
    assert torch.allclose(latent, MODULE.moments(picture.movedim(-1, 1) * 2 - 1)[0], atol=1e-5)


def test_what_is_over_a_multiple_is_cut_from_both_sides(residency: Residency) -> None:
    picture = torch.rand(1, 23, 17, 3)
    assert torch.equal(cropped(picture, 8), picture[:, 3:19, 0:16])
    assert torch.equal(small(residency).encode(picture), small(residency).encode(picture[:, 3:19, 0:16]))
    assert torch.equal(cropped(picture[:, :16, :16], 8), picture[:, :16, :16])


def test_tiles_are_close_to_the_whole(residency: Residency) -> None:
    vae = small(residency)
    latent, picture = torch.randn(1, 4, 12, 20), torch.rand(1, 96, 160, 3)
    assert vae.decode_tiled(latent, tile=8, overlap=2).shape == (1, 96, 160, 3)
    assert vae.encode_tiled(picture, tile=64, overlap=16).shape == (1, 4, 12, 20)
    whole = vae.decode(latent)
    assert torch.allclose(vae.decode_tiled(latent, tile=64), whole, atol=1e-6), "one tile is the whole"


class Fragile(nn.Module):
    """Decodes a latent to ones; overflows float16-like types, or runs out of memory above a size."""

    def __init__(self, largest: int = 1 << 30) -> None:
        super().__init__()
        self.largest = largest
        self.weight = nn.Parameter(torch.ones(1))

    def decode(self, z: Tensor) -> Tensor:
        if z.shape[2] * z.shape[3] > self.largest:
            raise MemoryError
        if z.dtype is torch.bfloat16:
            return torch.full((1, 3, z.shape[2] * 8, z.shape[3] * 8), torch.nan)
        return torch.ones(1, 3, z.shape[2] * 8, z.shape[3] * 8) * self.weight


def fragile(residency: Residency, largest: int = 1 << 30) -> VAE:
    weights = as_weights({"weight": torch.ones(1)})
    return VAE(Resident(residency, "vae", weights, lambda: Fragile(largest), ("f",)))  # type: ignore[arg-type]


def test_a_vae_that_overflows_computes_again_in_float32() -> None:
    notices: list[str] = []
    residency = Residency(Precision("bf16"), "cpu", notice=notices.append)
    assert (fragile(residency).decode(torch.zeros(1, 4, 4, 4)) == 1).all()
    assert any("float32 instead" in notice for notice in notices)
    residency.close()


def test_a_picture_too_large_for_memory_is_decoded_in_tiles() -> None:
    notices: list[str] = []
    residency = Residency(Precision("fp32"), "cpu", notice=notices.append)
    picture = fragile(residency, largest=64 * 64).decode(torch.zeros(1, 4, 100, 100))
    assert picture.shape == (1, 800, 800, 3)
    assert (picture == 1).all()
    assert any("needs less" in notice for notice in notices)
    residency.close()


def test_a_check_may_stop_between_pictures_and_tiles(residency: Residency) -> None:
    vae = small(residency)
    vae.decode(torch.zeros(1, 4, 2, 2))
    for work in (
        lambda check: vae.decode(torch.zeros(5, 4, 2, 2), check),
        lambda check: vae.decode_tiled(torch.zeros(1, 4, 32, 32), 8, 2, check),
    ):
        calls: list[int] = []

        def check(calls: list[int] = calls) -> None:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work(check)
        assert len(calls) == 3


def test_frames_of_a_clip_are_decoded_together_as_far_as_a_clip_goes(
    residency: Residency, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = replace(SIZES, video=True)
    weights = weights_of(seeded(lambda: AutoencoderKL(sizes)))
    resident = Resident(residency, "vae", weights, lambda: AutoencoderKL(sizes), ("clip",))
    still, moving = (VAE(resident, video=video) for video in (False, True))
    latent = torch.randn(4, 4, 3, 3)
    together = moving.decode(latent)
    assert together.shape == (4, 24, 24, 3)
    assert not torch.allclose(together, still.decode(latent), atol=1e-4)
    assert torch.equal(moving.encode(together), still.encode(together)), "pictures go in one by one"
    monkeypatch.setattr(autoencoder, "CLIP", 2 * 3 * 3)
    halves = torch.cat([moving.decode(latent[:2]), moving.decode(latent[2:])])
    torch.testing.assert_close(moving.decode(latent), halves)
