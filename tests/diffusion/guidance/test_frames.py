"""Guidance that changes from frame to frame."""

import torch

from diffusion.conditioning import Setting, prepare
from diffusion.guidance.frames import framewise, rising, there_and_back
from diffusion.guidance.guidance import CFGGuider, Guided
from tests.diffusion.small_runs import denoising, noise, small_model, text


def test_the_courses() -> None:
    assert rising(5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert there_and_back(5).tolist() == [0, 0.5, 1, 0.5, 0]
    assert rising(1).tolist() == there_and_back(1).tolist() == [0]


def test_each_frame_is_guided_by_its_own_scale() -> None:
    model = small_model()
    setting = Setting(model, torch.zeros(3, 4, 8, 8))
    x, sigma = noise(3, 4, 8, 8), torch.tensor(2.0)

    def guided(scale: float, of: object = model) -> torch.Tensor:
        guider = CFGGuider(of, text(1), text(2), scale)  # type: ignore[arg-type]
        parts = prepare(guider.conditionings, setting)
        return Guided(guider, denoising(of, setting), parts)(x, sigma)  # type: ignore[arg-type]

    patched = guided(3.0, framewise(model, 1.0, rising))
    for frame, scale in enumerate((1.0, 2.0, 3.0)):
        torch.testing.assert_close(patched[frame], guided(scale)[frame], rtol=1e-4, atol=1e-4)
    at_one = guided(1.0, framewise(model, 2.0, rising))
    torch.testing.assert_close(at_one[0], guided(2.0)[0], rtol=1e-4, atol=1e-4)
