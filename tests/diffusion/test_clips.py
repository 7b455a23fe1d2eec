"""Latents with an axis of time [B, C, T, H, W]: sampled, masked, and steered in a part of space and time."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Setting, prepare
from diffusion.denoising import Denoising
from diffusion.errors import Mismatch
from diffusion.family import unchanged
from diffusion.guidance.guidance import BasicGuider, CFGGuider
from diffusion.hooks import Hooks
from diffusion.noise.draws import starting_noise
from diffusion.samplers import SAMPLERS
from diffusion.sampling import fitted, sample, schedule
from tests.diffusion.small_runs import noise, text
from tests.diffusion.toy_families import CLIPS, ClipNet, clip_model

MODEL = clip_model()
CLIP = noise(1, 3, 5, 16, 12, seed=4)
EMPTY = torch.zeros_like(CLIP)
SIGMAS = schedule(MODEL.prediction, "simple", 4)
SIGMA = torch.tensor(0.7)


def words(seed: int, **options: Any) -> list[list[Any]]:
    return text(seed, width=8, **options)


def estimate(**conditionings: Any) -> dict[str, Tensor]:
    setting = Setting(MODEL, EMPTY)
    with MODEL.backbone.use() as net:
        work = Denoising(setting, net, Hooks(), SIGMAS)
        return work.estimates(CLIP, SIGMA, prepare(conditionings, setting))


def made(latent: Tensor = EMPTY, model: Any = MODEL, **more: Any) -> Tensor:
    guider = CFGGuider(model, words(1), words(2), 2.0)
    start = starting_noise(latent.shape, 3)
    return sample(guider, start, latent, SAMPLERS["euler"], SIGMAS, **more).latent


def test_a_run_is_as_by_hand() -> None:
    found = sample(BasicGuider(MODEL, words(1)), CLIP, EMPTY, SAMPLERS["euler"], SIGMAS).latent
    x = CLIP
    with MODEL.backbone.use() as net, torch.no_grad():
        assert isinstance(net, ClipNet)
        steer = net.words(words(1)[0][0].mean(1))[:, :, None, None, None]
        for sigma, after in pairwise(SIGMAS):
            x = x + (net.mix(x) + steer * sigma) * (after - sigma)
    torch.testing.assert_close(found, CLIPS.out_of(x), rtol=1e-4, atol=1e-4)


def test_a_picture_is_a_clip_of_one_frame_and_an_empty_latent_gets_the_channels() -> None:
    assert fitted(torch.zeros(2, 4, 8, 8), CLIPS).shape == (2, 3, 1, 8, 8)
    picture = torch.ones(2, 3, 8, 8)
    assert torch.equal(fitted(picture, CLIPS), picture[:, :, None])
    with pytest.raises(Mismatch, match="3 channels, not 4"):
        fitted(torch.ones(1, 4, 2, 8, 8), CLIPS)
    with pytest.raises(Mismatch, match="5 dimensions, not 3"):
        fitted(torch.ones(1, 3, 8), CLIPS)


def test_a_shift_may_be_one_number_a_channel() -> None:
    scaled = CLIPS.into(torch.zeros(1, 3, 2, 4, 4))
    assert scaled[0, :, 0, 0, 0].tolist() == [-1.0, 0.0, 1.0]
    torch.testing.assert_close(CLIPS.out_of(CLIPS.into(CLIP)), CLIP)


def test_an_area_may_be_a_stretch_of_time() -> None:
    """(frames, height, width, first, top, left): outside, only the other entry counts."""
    inside = words(1, area=(2, 16, 12, 1, 0, 0), strength=1e6)
    found = estimate(a=[*inside, *words(2)])["a"]
    one, other = estimate(a=words(1))["a"], estimate(a=words(2))["a"]
    torch.testing.assert_close(found[:, :, 3:], other[:, :, 3:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, :, :1], other[:, :, :1], rtol=1e-4, atol=1e-4)
    part = estimate(a=inside)["a"]
    torch.testing.assert_close(found[:, :, 1:3], part[:, :, 1:3], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(part[:, :, 1:3], one[:, :, 1:3], atol=1e-3), "it sees its own frames alone"


def test_an_area_in_shares_of_time_and_place_is_cut() -> None:
    (part,) = prepare(
        {"a": words(1, area=("percentage", 0.4, 0.5, 1.0, 0.6, 0.5, 0.0))}, Setting(MODEL, EMPTY)
    )["a"]
    assert part.area is not None
    assert part.area.cut(EMPTY).shape == (1, 3, 2, 8, 12)
    (part,) = prepare({"a": words(1, area=(8, 6, 0, 0))}, Setting(MODEL, EMPTY))["a"]
    assert part.area is not None
    assert part.area.cut(EMPTY).shape == (1, 3, 5, 8, 6)


def test_a_mask_weighs_texts_frame_by_frame() -> None:
    mask = torch.zeros(5, 16, 12)
    mask[:2] = 1
    found = estimate(a=[*words(1, mask=mask), *words(2, mask=1 - mask)])["a"]
    one, other = estimate(a=words(1))["a"], estimate(a=words(2))["a"]
    torch.testing.assert_close(found[:, :, :2], one[:, :, :2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, :, 2:], other[:, :, 2:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 12), (1, 16, 12), (5, 16, 12), (1, 1, 5, 16, 12), (1, 1, 5, 1, 1)])
def test_what_lies_outside_a_noise_mask_stays(shape: tuple[int, ...]) -> None:
    mask = torch.zeros(shape)
    if 5 in shape:
        mask[..., :2, :, :] = 1
    found = made(CLIP, noise_mask=mask)
    torch.testing.assert_close(found[:, :, 2:], CLIP[:, :, 2:], rtol=1e-4, atol=1e-4)
    assert torch.allclose(found[:, :, :2], CLIP[:, :, :2], atol=1e-3) == (5 not in shape)


def test_a_family_may_show_what_lies_outside_a_mask_clean() -> None:
    mask = torch.zeros(5, 16, 12)
    mask[:2] = 1
    noised, clean = (
        made(CLIP, model, noise_mask=mask) for model in (MODEL, clip_model(outside_mask=unchanged))
    )
    torch.testing.assert_close(clean[:, :, 2:], CLIP[:, :, 2:], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(noised, clean, atol=1e-3)


def test_conditionings_share_a_call_only_if_they_say_the_same_things() -> None:
    calls: list[tuple[str, ...]] = []

    def note(call: Any, x: Tensor, *given: Any) -> Tensor:
        calls.append(call["names"])
        *inputs, predict = given
        out: Tensor = predict(x, *inputs)
        return out

    setting = Setting(MODEL, EMPTY)
    with MODEL.backbone.use() as net:
        work = Denoising(setting, net, Hooks({"backbone.call": (note,)}), SIGMAS)
        told, longer = words(1, strength_of_words=2.0), text(2, tokens=14, width=8)
        work.estimates(CLIP, SIGMA, prepare({"a": told, "b": words(2), "c": words(3)}, setting))
        work.estimates(CLIP, SIGMA, prepare({"a": words(1), "b": longer}, setting))
    assert calls == [("a",), ("b", "c"), ("a",), ("b",)]


def test_a_familys_inputs_reach_its_network() -> None:
    plain, told = estimate(a=words(1))["a"], estimate(a=words(1, strength_of_words=2.0))["a"]
    none = estimate(a=words(1, strength_of_words=0.0))["a"]
    torch.testing.assert_close(told - none, 2 * (plain - none), rtol=1e-3, atol=1e-5)


def test_a_hook_where_the_network_has_no_such_place_is_refused() -> None:
    MODEL.with_hook("block.output", lambda place, h: h)
    with pytest.raises(Mismatch, match=r"attention\.self\.input.*clips"):
        MODEL.with_hook("attention.self.input", lambda place, q, k, v: (q, k, v))
    with pytest.raises(Mismatch, match=r"attention\.cross\.attend"):
        estimate(a=words(1, token_bias=torch.ones(7)))
