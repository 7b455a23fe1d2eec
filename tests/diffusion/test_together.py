"""A run of several latents at once: packed for the sampler, apart for the network."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from diffusion.errors import Mismatch
from diffusion.guidance.guidance import BasicGuider, CFGGuider
from diffusion.latents.several import Several
from diffusion.noise.draws import RandomNoise
from diffusion.samplers import SAMPLERS, Step
from diffusion.sampling import sample, schedule
from diffusion.together import SampledTogether, noise_together, sample_together
from tests.diffusion.small_runs import noise, small_model, text
from tests.diffusion.toy_families import CLIPS, SOUNDS, FilmNet, film_model

MODEL = film_model()
EMPTY = Several((torch.zeros(2, 3, 4, 6, 8), torch.zeros(2, 2, 10)))
FULL = Several((noise(2, 3, 4, 6, 8, seed=5), noise(2, 2, 10, seed=6)))
SIGMAS = schedule(MODEL.prediction, "simple", 4)
GUIDER = CFGGuider(MODEL, text(1, width=8), text(2, width=8), 2.0)
NOISE = noise_together(RandomNoise(7), EMPTY)


def made(latent: Several = EMPTY, **more: object) -> SampledTogether:
    return sample_together(GUIDER, NOISE, latent, SAMPLERS["euler"], SIGMAS, seed=7, **more)  # type: ignore[arg-type]


def test_both_are_sampled_as_by_hand() -> None:
    guider = BasicGuider(MODEL, text(1, width=8))
    found = sample_together(guider, NOISE, EMPTY, SAMPLERS["euler"], SIGMAS)
    picture, sound = NOISE.parts
    with MODEL.backbone.use() as net, torch.no_grad():
        assert isinstance(net, FilmNet)
        for sigma, after in pairwise(SIGMAS):
            seen, heard = net.predict((picture, sound), sigma, None, None)  # type: ignore[arg-type]  # it reads neither
            picture, sound = picture + seen * (after - sigma), sound + heard * (after - sigma)
    torch.testing.assert_close(found.latent.parts[0], CLIPS.out_of(picture), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.latent.parts[1], SOUNDS.out_of(sound), rtol=1e-4, atol=1e-4)


def test_each_hears_of_the_other() -> None:
    louder = Several((NOISE.parts[0], NOISE.parts[1] + 3))
    other = sample_together(GUIDER, louder, EMPTY, SAMPLERS["euler"], SIGMAS, seed=7)
    assert not torch.allclose(made().latent.parts[0], other.latent.parts[0], atol=1e-2)


@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_2m_sde", "uni_pc", "euler_cfg_pp"])
def test_samplers_of_every_sort_take_them(name: str) -> None:
    found = sample_together(GUIDER, NOISE, EMPTY, SAMPLERS[name], SIGMAS, seed=7)
    assert [part.shape for part in found.latent.parts] == [part.shape for part in EMPTY.parts]
    assert all(part.isfinite().all() for part in (*found.latent.parts, *found.denoised.parts))


def test_what_lies_outside_a_mask_stays_in_each() -> None:
    masks = Several((torch.zeros(1, 6, 8), torch.ones(1, 10)))
    found = made(FULL, noise_mask=masks).latent
    torch.testing.assert_close(found.parts[0], FULL.parts[0], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found.parts[1], FULL.parts[1], atol=1e-2)


def test_a_watcher_is_shown_the_first() -> None:
    shapes: list[torch.Size] = []

    def on_step(done: int, total: int, step: Step) -> None:
        shapes.append(step.denoised.shape)

    made(on_step=on_step)
    assert shapes == [EMPTY.parts[0].shape] * 4


def test_no_steps_give_the_latents_back() -> None:
    found = sample_together(GUIDER, NOISE, FULL, SAMPLERS["euler"], torch.zeros(0))
    assert found.latent is FULL


def test_noise_is_that_of_one_draw_over_all() -> None:
    again = noise_together(RandomNoise(7), EMPTY)
    assert all(torch.equal(a, b) for a, b in zip(NOISE.parts, again.parts, strict=True))
    both: Tensor = torch.cat([part.flatten() for part in NOISE.parts])
    assert len(both.unique()) == len(both)


def test_what_does_not_belong_together_is_said() -> None:
    one = EMPTY.parts[0]
    with pytest.raises(Mismatch, match="2 latents together"):
        sample(GUIDER, NOISE.parts[0], one, SAMPLERS["euler"], SIGMAS)
    with pytest.raises(Mismatch, match="2 kinds together, not of 1"):
        made(Several((one,)))
    with pytest.raises(Mismatch, match="mask for one latent"):
        made(FULL, noise_mask=torch.ones(1, 6, 8))
    with pytest.raises(Mismatch, match="1 kinds together, not of 2"):
        guider = BasicGuider(small_model(), text(1))
        sample_together(guider, NOISE, EMPTY, SAMPLERS["euler"], SIGMAS)
    with pytest.raises(Mismatch, match="cannot steer several"):
        sample_together(
            BasicGuider(MODEL, text(1, width=8, area=(4, 4, 0, 0))), NOISE, EMPTY, SAMPLERS["euler"], SIGMAS
        )
