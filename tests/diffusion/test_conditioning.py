"""Conditionings made ready for a run: where, when and how strongly each entry applies."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffusion.conditioning import Area, Part, Setting, bounds, entry, prepare
from diffusion.errors import Mismatch
from diffusion.latents.latent_format import SD1 as SD1_LATENTS
from diffusion.noise.clocks import BEYOND_MAX
from tests.diffusion.small_models import SD1, SD1_INPAINTING
from tests.diffusion.small_runs import noise, small_model, text

MODEL = small_model()
LATENT = noise(2, 4, 32, 40)
SETTING = Setting(MODEL, LATENT)


def ready(conditioning: list[list[Any]], setting: Setting = SETTING) -> list[Part]:
    return list(prepare({"positive": conditioning}, setting)["positive"])


def one(**options: Any) -> Part:
    (part,) = ready(text(0, **options))
    return part


# Areas


def test_an_area_in_latent_pixels_is_cut_off_at_the_edge() -> None:
    assert one(area=(8, 16, 28, 10)).area == Area(height=4, width=16, top=28, left=10)


@pytest.mark.parametrize(
    ("shares", "area"),
    [
        ((0.5, 0.5, 0.25, 0.5), Area(16, 20, 8, 20)),
        ((1.0, 1.0, 0.0, 0.0), Area(32, 40, 0, 0)),
        ((0.0, 0.0, 0.0, 0.0), Area(1, 1, 0, 0)),
    ],
)
def test_an_area_in_shares_follows_the_size_of_the_latent(shares: tuple[float, ...], area: Area) -> None:
    assert one(area=("percentage", *shares)).area == area
    timed = (0.5, *shares[:2], 0.25, *shares[2:])
    assert one(area=("percentage", *timed)).area == area


def test_the_edge_of_an_area_fades_over_eight_pixels_but_not_at_the_latents_own_edge() -> None:
    weight = one(area=(32, 36, 0, 4), strength=2.0).weight
    assert weight.shape == (32, 36)
    assert weight[0].tolist() == pytest.approx([2 * (i + 1) / 8 for i in range(8)] + [2.0] * 28)
    assert torch.equal(weight[0], weight[-1])


def test_a_narrow_area_fades_over_a_quarter_of_itself() -> None:
    weight = one(area=(8, 8, 4, 4)).weight
    assert weight[4].tolist() == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.5])
    assert weight[0, 0].item() == pytest.approx(0.25)


def test_without_an_area_the_strength_is_one_number() -> None:
    assert one(strength=0.7).weight.shape == ()
    assert one(strength=0.7).weight.item() == pytest.approx(0.7)


@settings(deadline=None)
@given(*[st.integers(0, 30)] * 2, *[st.integers(1, 30)] * 2)
def test_an_area_holds_what_lies_inside(top: int, left: int, height: int, width: int) -> None:
    whole, area = Area(60, 60, 0, 0), Area(height, width, top, left)
    assert whole.holds(area)
    assert area.holds(area)
    assert not area.holds(whole)


# Masks


def test_a_mask_is_brought_to_the_latents_size_and_scaled_by_both_strengths() -> None:
    mask = torch.zeros(1, 64, 80)
    mask[:, :32] = 1
    weight = one(mask=mask, mask_strength=0.5, strength=3.0).weight
    assert weight.shape == (2, 1, 32, 40)
    assert weight[0, 0, 0, 0].item() == pytest.approx(1.5)
    assert weight[0, 0, -1, 0] == 0


def test_a_flat_mask_and_one_with_rows_are_both_taken() -> None:
    assert one(mask=torch.ones(16, 16)).weight.shape == (2, 1, 32, 40)
    rows = one(mask=torch.stack([torch.zeros(8, 8), torch.ones(8, 8)])).weight
    assert rows[0].max() == 0
    assert rows[1].min().item() == pytest.approx(1)


def test_the_bounds_of_a_mask_become_the_area() -> None:
    mask = torch.zeros(1, 32, 40)
    mask[:, 3:20, 10:12] = 1
    part = one(mask=mask, set_area_to_bounds=True)
    assert part.area == Area(17, 8, 3, 10)
    assert part.weight.shape == (2, 1, 17, 8)
    assert bounds(torch.zeros(1, 1, 32, 40)) == Area(8, 8, 0, 0)


# Counterparts


def test_an_area_is_answered_by_the_other_conditioning_at_the_same_place() -> None:
    positive = text(0) + text(1, area=(8, 8, 0, 0), strength=1.5, start_percent=0.2)
    parts = prepare({"positive": positive, "negative": text(2)}, SETTING)
    _, mine = parts["positive"]
    whole, answer = parts["negative"]
    assert answer.area == mine.area
    assert torch.equal(answer.weight, mine.weight)
    assert answer.begins == mine.begins
    assert torch.equal(answer.context, whole.context)


def test_the_smallest_area_that_holds_another_answers_it() -> None:
    negative = text(2) + text(3, area=(16, 16, 0, 0)) + text(4, area=(8, 8, 20, 20))
    parts = prepare({"positive": text(1, area=(8, 8, 4, 4)), "negative": negative}, SETTING)
    answers = [part for part in parts["negative"] if part.area == Area(8, 8, 4, 4)]
    assert [torch.equal(a.context, text(3)[0][0]) for a in answers] == [True]


def test_an_area_that_is_there_already_needs_no_answer() -> None:
    area = {"area": (8, 8, 4, 4)}
    parts = prepare({"positive": text(1, **area), "negative": text(2, **area)}, SETTING)
    assert [len(several) for several in parts.values()] == [1, 1]


# Controls


def test_a_control_may_be_lent_to_the_negative() -> None:
    control = object()
    lent = {"control": control, "control_apply_to_uncond": True}
    for positive, negative, expected in [
        (text(0, **lent), text(1), [control]),
        (text(0, control=control), text(1), [None]),
        (text(0, **lent), text(1, control=1), [1]),
        (text(0, **lent) + text(0, **lent), text(1), [control, control]),
        (text(0, **lent), text(1) + text(2), [control, None]),
    ]:
        parts = prepare({"positive": positive, "negative": negative}, SETTING)
        assert [part.control for part in parts["negative"]] == expected


# Spans


def test_a_span_of_the_run_is_told_in_sigmas() -> None:
    part = one(start_percent=0.0, end_percent=0.5)
    assert part.begins == BEYOND_MAX
    middle = MODEL.prediction.clock.sigma_at(0.5)
    assert part.acts(14.6)
    assert part.acts(middle)
    assert not part.acts(middle * 0.99)
    assert one().acts(0.0)


# Vectors


def vector(part: Part) -> Tensor:
    found = part.tensors["y"]
    assert isinstance(found, Tensor)
    return found


def test_sdxl_is_told_the_size_of_the_latent_unless_the_text_says_another() -> None:
    model = small_model(name="sdxl")
    pooled = noise(1, 1280)
    parts = [ready(text(0, pooled_output=pooled, **given), Setting(model, LATENT))[0] for given in SIZES]
    first, second, third = map(vector, parts)
    assert first.shape == (1, 1280 + 6 * 256)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(first[:, :1280], pooled)


SIZES: list[dict[str, Any]] = [
    {},
    {"height": 256, "width": 320, "crop_h": 0, "crop_w": 0, "target_height": 256, "target_width": 320},
    {"height": 256, "width": 320, "crop_w": 64},
]


def test_the_refiner_expects_less_of_the_negative() -> None:
    model = small_model(name="sdxl_refiner")
    conditioning = text(0, pooled_output=noise(1, 1280))
    parts = prepare({"positive": conditioning, "negative": conditioning}, Setting(model, LATENT))
    positive, negative = (vector(parts[name][0]) for name in ("positive", "negative"))
    assert positive.shape == (1, 1280 + 5 * 256)
    assert torch.equal(positive[:, :-256], negative[:, :-256])
    assert not torch.equal(positive[:, -256:], negative[:, -256:])
    scored = prepare(
        {"negative": text(0, pooled_output=noise(1, 1280), aesthetic_score=6.0)}, Setting(model, LATENT)
    )
    assert torch.equal(vector(scored["negative"][0]), positive)


def test_a_model_that_needs_pooled_text_says_so() -> None:
    with pytest.raises(Mismatch, match="pooled text"):
        ready(text(0), Setting(small_model(name="sdxl"), LATENT))


# Channels

INPAINTING = small_model(SD1_INPAINTING)


def test_an_inpainting_model_sees_the_mask_and_the_picture_around_it() -> None:
    mask, picture = torch.zeros(1, 1, 256, 320), noise(1, 4, 32, 40, seed=3)
    mask[..., :128, :] = 0.8
    given = text(0, concat_mask=mask, concat_latent_image=picture)
    channels = ready(given, Setting(INPAINTING, LATENT))[0].channels
    assert channels is not None
    assert channels.shape == (2, 5, 32, 40)
    assert channels[0, 0].unique().tolist() == [0.0, 1.0]
    assert torch.equal(channels[1, 1:], SD1_LATENTS.into(picture)[0])


def test_an_inpainting_model_without_a_picture_sees_grey_all_masked() -> None:
    channels = ready(text(0), Setting(INPAINTING, LATENT))[0].channels
    assert channels is not None
    assert channels[:, 0].unique().tolist() == [1.0]
    assert channels[0, 1:, 0, 0].tolist() == pytest.approx([0.8223, -0.6876, 0.6364, 0.1380])


def test_an_inpainting_model_takes_the_runs_own_mask_and_latent() -> None:
    mask = torch.ones(2, 1, 32, 40)
    channels = ready(text(0), Setting(INPAINTING, LATENT, mask))[0].channels
    assert channels is not None
    assert torch.equal(channels[:, 1:], LATENT)


def test_an_edited_picture_goes_in_unscaled() -> None:
    model, picture = small_model(replace(SD1, in_channels=8)), noise(1, 4, 16, 20)
    edited = ready(text(0, concat_latent_image=picture), Setting(model, LATENT))[0].channels
    nothing = ready(text(0), Setting(model, LATENT))[0].channels
    assert edited is not None
    assert nothing is not None
    assert edited.shape == LATENT.shape
    assert not nothing.any()


def test_an_entry_keeps_its_embedding_as_it_came() -> None:
    (line,) = text(0)
    assert entry(line, SETTING).embedding is line[0]
