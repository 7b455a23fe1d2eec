"""A model at work: several conditionings in few calls, each counted where it applies."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Part, Setting, prepare
from diffusion.denoising import Denoising, batches, checking
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.unet import UNet
from tests.diffusion.small_runs import denoising, noise, small_model, text

MODEL = small_model()
X, SIGMA = noise(2, 4, 16, 16) * 5, torch.tensor(5.0)


def parts(setting: Setting | None = None, **conditionings: list[list[Any]]) -> dict[str, tuple[Part, ...]]:
    return prepare(conditionings, setting or Setting(MODEL, torch.zeros(2, 4, 16, 16)))


def estimate(conditioning: list[list[Any]], work: Denoising | None = None) -> Tensor:
    return (work or denoising(MODEL)).estimates(X, SIGMA, parts(a=conditioning))["a"]


def by_hand(embedding: Tensor) -> Tensor:
    """The estimate of one text, straight from the UNet."""
    with MODEL.backbone.use() as unet, torch.no_grad():
        scaled = X / (SIGMA**2 + 1).sqrt()
        timestep = MODEL.prediction.clock.timestep(SIGMA.view(1)).float().expand(2)
        return X - SIGMA * unet(scaled, timestep, embedding.expand(2, -1, -1))


def test_one_text_everywhere_is_the_plain_prediction() -> None:
    torch.testing.assert_close(estimate(text(1)), by_hand(text(1)[0][0]))


def test_conditionings_together_give_what_each_gives_alone() -> None:
    together = denoising(MODEL).estimates(
        X, SIGMA, parts(a=text(1), b=text(2, tokens=14), c=text(3, tokens=5))
    )
    for name, conditioning in {"a": text(1), "b": text(2, tokens=14), "c": text(3, tokens=5)}.items():
        torch.testing.assert_close(together[name], estimate(conditioning), rtol=1e-4, atol=1e-4)


def counted(work: Denoising) -> list[Mapping[str, Any]]:
    """The facts of each call of the backbone from now on."""
    calls: list[Mapping[str, Any]] = []

    def count(call: Mapping[str, Any], x: Tensor, t: Tensor, *given: Any) -> Any:
        calls.append({**call, "rows": len(x)})
        *inputs, predict = given
        return predict(x, t, *inputs)

    work.hooks = work.hooks.adding("backbone.call", count)
    return calls


@pytest.mark.parametrize(
    ("conditionings", "calls"),
    [
        ({"positive": text(1), "negative": text(2)}, 1),
        ({"positive": text(1, tokens=7), "negative": text(2, tokens=14)}, 1),
        ({"positive": text(1, tokens=7), "negative": text(2, tokens=9)}, 2),  # 63 tokens would be too many
        ({"positive": text(1), "negative": text(2, area=(8, 8, 0, 0))}, 2),
        ({"positive": text(1, area=(8, 8, 8, 8)), "negative": text(2, area=(8, 8, 0, 0))}, 1),
    ],
)
def test_what_can_share_a_call_does(conditionings: dict[str, Any], calls: int) -> None:
    work = denoising(MODEL)
    seen = counted(work)
    ready = parts(**conditionings)
    work.estimates(X, SIGMA, ready)
    assert len(seen) == calls
    assert sum(len(call["parts"]) for call in seen) == sum(map(len, ready.values()))


def test_hooks_are_told_whose_rows_they_see() -> None:
    work = denoising(MODEL)
    seen = counted(work)
    work.step = 3
    work.estimates(X, SIGMA, parts(positive=text(1), negative=text(2), middle=text(3)))
    (call,) = seen
    assert call["names"] == ("positive", "negative", "middle")
    assert call["parts"] == (0, 1, 2)
    assert (call["rows"], call["step"]) == (6, 3)
    assert call["sigmas"].tolist() == [5.0] * 6
    assert torch.equal(call["schedule"], work.schedule)


def test_overlapping_entries_are_averaged_by_their_weights() -> None:
    both = estimate(text(1, strength=3.0) + text(2, strength=1.0))
    torch.testing.assert_close(both, (3 * estimate(text(1)) + estimate(text(2))) / 4, rtol=1e-4, atol=1e-4)


def test_an_entry_acts_inside_its_mask_only() -> None:
    mask = torch.zeros(1, 16, 16)
    mask[..., :8] = 1
    masked = estimate(text(1) + text(2, mask=mask))
    torch.testing.assert_close(masked[..., 8:], estimate(text(1))[..., 8:], rtol=1e-4, atol=1e-4)
    assert (masked[..., :8] - estimate(text(1))[..., :8]).abs().max() > 1e-3


def test_an_area_is_predicted_by_itself() -> None:
    area = (16, 8, 0, 4)
    alone = estimate(text(1, area=area))
    assert not alone[..., :4].any()
    assert not alone[..., 12:].any()
    assert alone[..., 4:12].abs().max() > 0


def test_nothing_applies_outside_its_span() -> None:
    late = text(1, start_percent=0.9)
    assert not estimate(late).any()
    torch.testing.assert_close(estimate(text(2) + late), estimate(text(2)))


def test_text_keys_are_kept_between_steps_without_changing_the_result() -> None:
    work, ready = denoising(MODEL), parts(a=text(1))
    first = work.estimates(X, SIGMA, ready)["a"]
    (batch,) = next(iter(work._batches.values()))
    assert batch.kept
    again = work.estimates(X, SIGMA, ready)["a"]
    assert len(work._batches) == 1
    torch.testing.assert_close(first, again)


def test_batches_go_one_by_one_when_memory_runs_out() -> None:
    work = denoising(MODEL)

    def small_memory(call: Any, x: Tensor, t: Tensor, *given: Any) -> Any:
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        *inputs, predict = given
        return predict(x, t, *inputs)

    work.hooks = Hooks().adding("backbone.call", small_memory)
    ready = parts(a=text(1), b=text(2, tokens=14))
    expected = denoising(MODEL).estimates(X, SIGMA, ready)
    with MODEL.backbone.use():  # as in a run: what is in use is not unloaded to make room
        estimates = work.estimates(X, SIGMA, ready)
    for name, found in estimates.items():
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-4)


class Constant:
    """A control that adds the same everywhere, and counts how often it was started."""

    started = 0

    def for_run(self, setting: Setting) -> "Constant":
        self.started += 1
        return self

    def __call__(self, x: Tensor, sigma: Tensor, timesteps: Tensor, inputs: Inputs) -> Control:
        assert len(x) == len(sigma) == len(timesteps) == len(inputs.context)
        return Control(middle=torch.full((len(x), 1, 1, 1), 3.0))


def test_a_control_is_started_once_a_run_and_changes_its_own_conditioning() -> None:
    control, work = Constant(), denoising(MODEL)
    ready = parts(a=text(1, control=control), b=text(1))
    controlled = work.estimates(X, SIGMA, ready)
    work.estimates(X, SIGMA, ready)
    assert control.started == 1
    torch.testing.assert_close(controlled["b"], estimate(text(1)), rtol=1e-4, atol=1e-4)
    assert (controlled["a"] - controlled["b"]).abs().max() > 1e-2


def test_hooks_of_an_entry_act_on_that_entry() -> None:
    def louder(place: object, out: Tensor) -> Tensor:
        return out * 2

    hooks = Hooks().adding("attention.cross.output", louder)
    found = denoising(MODEL).estimates(X, SIGMA, parts(a=text(1, hooks=hooks), b=text(1)))
    torch.testing.assert_close(found["b"], estimate(text(1)), rtol=1e-4, atol=1e-4)
    assert (found["a"] - found["b"]).abs().max() > 1e-3


def test_inpainting_channels_are_cut_to_the_area() -> None:
    whole = noise(2, 5, 16, 16)
    ready = parts(a=text(1, area=(8, 8, 4, 4)))["a"]
    part = Part(**{**vars(ready[0]), "channels": whole})
    (batch,) = batches([("a", part)], 2)
    assert batch.channels is not None
    assert torch.equal(batch.channels, whole[..., 4:12, 4:12])


def test_a_check_is_asked_between_the_blocks() -> None:
    asked: list[int] = []
    work = denoising(MODEL, hooks=checking(lambda: asked.append(1)))
    estimate(text(1), work)
    assert isinstance(work.backbone, UNet)
    blocks = len(work.backbone.input_blocks) + 1 + len(work.backbone.output_blocks)
    assert len(asked) == blocks


def test_a_check_that_raises_ends_the_call() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate(text(1), denoising(MODEL, hooks=checking(stop)))
