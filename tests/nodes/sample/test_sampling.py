"""Sampling nodes over a real, very small model."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from diffusion.noise.schedules import SCHEDULES
from diffusion.samplers import SAMPLERS
from execution.cancel import CancelToken
from execution.declare.node import Run
from execution.errors import Cancelled

Call = Callable[..., Any]


@pytest.fixture
def scene(call: Call) -> dict[str, Any]:
    """What every sampler needs."""
    model, clip, _ = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    (positive,) = call("CLIPTextEncode", text="a (red:1.3) house", clip=clip)
    (negative,) = call("CLIPTextEncode", text="", clip=clip)
    (latent,) = call("EmptyLatentImage", width=64, height=48, batch_size=1)
    return {"model": model, "positive": positive, "negative": negative, "latent_image": latent}


KSAMPLER = {"seed": 5, "steps": 3, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal"}


def test_the_same_seed_gives_the_same_latent_and_another_another(call: Call, scene: dict[str, Any]) -> None:
    (first,), (again,), (other,) = (
        call("KSampler", **scene, **{**KSAMPLER, "seed": seed}, denoise=1.0) for seed in (5, 5, 6)
    )
    assert first["samples"].shape == (1, 4, 6, 8)
    assert torch.equal(first["samples"], again["samples"])
    assert not torch.allclose(first["samples"], other["samples"])


def test_two_halves_of_a_run_equal_the_whole(call: Call, scene: dict[str, Any]) -> None:
    settings = {**scene, **KSAMPLER, "noise_seed": KSAMPLER["seed"]}
    settings.pop("seed")
    leave, clean = ({"return_with_leftover_noise": word} for word in ("enable", "disable"))
    (whole,) = call("KSampler", **scene, **KSAMPLER, denoise=1.0)
    (half,) = call("KSamplerAdvanced", **settings, **leave, add_noise="enable", end_at_step=1)
    settings["latent_image"] = half
    (rest,) = call("KSamplerAdvanced", **settings, **clean, add_noise="disable", start_at_step=1)
    torch.testing.assert_close(rest["samples"], whole["samples"], rtol=1e-4, atol=1e-4)


def test_the_parts_of_sampling_joined_by_hand_equal_the_one_node(call: Call, scene: dict[str, Any]) -> None:
    (whole,) = call("KSampler", **scene, **KSAMPLER, denoise=1.0)
    (guider,) = call("CFGGuider", cfg=4.0, **{key: scene[key] for key in ("model", "positive", "negative")})
    (sampler,) = call("KSamplerSelect", sampler_name="euler")
    (sigmas,) = call("BasicScheduler", model=scene["model"], scheduler="normal", steps=3, denoise=1.0)
    (noise,) = call("RandomNoise", noise_seed=5)
    apart = {"sampler": sampler, "sigmas": sigmas, "latent_image": scene["latent_image"]}
    output, denoised = call("SamplerCustomAdvanced", noise=noise, guider=guider, **apart)
    torch.testing.assert_close(output["samples"], whole["samples"])
    torch.testing.assert_close(denoised["samples"], whole["samples"], rtol=1e-3, atol=1e-3)
    output, _ = call("SamplerCustom", **{**scene, **apart}, add_noise=True, noise_seed=5, cfg=4.0)
    torch.testing.assert_close(output["samples"], whole["samples"])


def test_no_denoising_gives_the_latent_back(call: Call, scene: dict[str, Any]) -> None:
    scene["latent_image"] = {"samples": torch.full((1, 4, 6, 8), 0.5), "extra": "kept"}
    (out,) = call("KSampler", **scene, **KSAMPLER, denoise=0.0)
    assert torch.equal(out["samples"], scene["latent_image"]["samples"])
    assert out["extra"] == "kept"


def test_outside_a_noise_mask_nothing_changes(call: Call, scene: dict[str, Any]) -> None:
    mask = torch.zeros(1, 48, 64)
    mask[:, :, :32] = 1
    start = {"samples": torch.full((1, 4, 6, 8), 0.5)}
    (masked,) = call("SetLatentNoiseMask", samples=start, mask=mask)
    (out,) = call("KSampler", **{**scene, "latent_image": masked}, **KSAMPLER, denoise=1.0)
    torch.testing.assert_close(out["samples"][..., 5:], start["samples"][..., 5:])
    assert not torch.allclose(out["samples"][..., :3], start["samples"][..., :3])
    assert out["noise_mask"].shape == (1, 1, 48, 64)


def test_rows_of_a_batch_keep_their_noise_when_taken_out(call: Call, scene: dict[str, Any]) -> None:
    (batch,) = call("EmptyLatentImage", width=64, height=48, batch_size=3)
    (together,) = call("KSampler", **{**scene, "latent_image": batch}, **KSAMPLER, denoise=1.0)
    (alone,) = call("LatentFromBatch", samples=batch, batch_index=2, length=1)
    (out,) = call("KSampler", **{**scene, "latent_image": alone}, **KSAMPLER, denoise=1.0)
    torch.testing.assert_close(out["samples"], together["samples"][2:], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    "name",
    ["BasicGuider", "CFGGuider", "DualCFGGuider", "PerpNegGuider"],
)
def test_every_guider_samples(call: Call, scene: dict[str, Any], name: str) -> None:
    model, positive, negative = scene["model"], scene["positive"], scene["negative"]
    inputs = {
        "BasicGuider": {"conditioning": positive},
        "CFGGuider": {"positive": positive, "negative": negative, "cfg": 3.0},
        "DualCFGGuider": {
            "cond1": positive,
            "cond2": negative,
            "negative": negative,
            "cfg_conds": 3.0,
            "cfg_cond2_negative": 2.0,
            "style": "nested",
        },
        "PerpNegGuider": {"positive": positive, "negative": negative, "empty_conditioning": negative},
    }[name]
    (guider,) = call(name, model=model, **inputs)
    (noise,) = call("RandomNoise", noise_seed=1)
    (sigmas,) = call("KarrasScheduler", steps=2)
    output, _ = call(
        "SamplerCustomAdvanced",
        noise=noise,
        guider=guider,
        sampler=SAMPLERS["euler"],
        sigmas=sigmas,
        latent_image=scene["latent_image"],
    )
    assert output["samples"].isfinite().all()


SAMPLER_NODES: dict[str, dict[str, Any]] = {
    "SamplerEulerAncestral": {"eta": 0.5},
    "SamplerEulerAncestralCFGPP": {"eta": 0.5},
    "SamplerEulerCFGpp": {"version": "alternative"},
    "SamplerLMS": {"order": 2},
    "SamplerDPMPP_2S_Ancestral": {"s_noise": 0.9},
    "SamplerDPMPP_SDE": {"r": 0.4, "noise_device": "cpu"},
    "SamplerDPMPP_2M_SDE": {"solver_type": "heun", "noise_device": "gpu"},
    "SamplerDPMPP_3M_SDE": {"noise_device": "cpu"},
    "SamplerDPMAdaptative": {"order": 2, "rtol": 0.5, "atol": 0.5},
    "SamplerER_SDE": {"solver_type": "Reverse-time SDE", "max_stage": 2},
    "SamplerSASolver": {"use_pece": True, "simple_order_2": False},
    "SamplerLCMUpscale": {"scale_ratio": 1.5, "upscale_method": "bislerp"},
}


@pytest.mark.parametrize("name", SAMPLER_NODES)
def test_every_method_with_options_samples(call: Call, scene: dict[str, Any], name: str) -> None:
    inputs = dict(SAMPLER_NODES[name])
    if name == "SamplerSASolver":
        inputs["model"] = scene["model"]
    (sampler,) = call(name, **inputs)
    (sigmas,) = call("KarrasScheduler", steps=3)
    output, _ = call(
        "SamplerCustom", **scene, add_noise=True, noise_seed=3, cfg=2.0, sampler=sampler, sigmas=sigmas
    )
    assert output["samples"].isfinite().all()
    assert output["samples"].shape == ((1, 4, 9, 12) if name == "SamplerLCMUpscale" else (1, 4, 6, 8))


def test_adding_noise_moves_a_latent_by_the_levels_between(call: Call, scene: dict[str, Any]) -> None:
    (sigmas,) = call("KarrasScheduler", steps=4, sigma_max=2.0, sigma_min=1.0)
    (noise,) = call("RandomNoise", noise_seed=1)
    start = {"samples": torch.full((1, 4, 6, 8), 3.0)}
    (out,) = call("AddNoise", model=scene["model"], noise=noise, sigmas=sigmas, latent_image=start)
    spread = (out["samples"] - start["samples"]).std() * scene["model"].latent_format.scale
    assert spread.item() == pytest.approx(2.0, rel=0.15)
    (none,) = call("DisableNoise")
    (same,) = call("AddNoise", model=scene["model"], noise=none, sigmas=sigmas, latent_image=start)
    torch.testing.assert_close(same["samples"], start["samples"])


def test_every_name_of_sampler_and_schedule_is_offered(registry: Any) -> None:
    spec = registry.types["KSampler"].spec
    assert spec.by_name["sampler_name"].choices == tuple(SAMPLERS)
    assert spec.by_name["scheduler"].choices == tuple(SCHEDULES)


class Seat:
    """The engine's side of a run that keeps what it is told, and cancels after some steps."""

    def __init__(self, token: CancelToken, cancel_after: int = 99) -> None:
        self.token, self.cancel_after = token, cancel_after
        self.told: list[Any] = []

    def progress(self, value: float, maximum: float, preview: Any) -> None:
        """Keep it."""
        self.told.append((value, maximum, preview))
        if len(self.told) >= self.cancel_after:
            self.token.cancel()


def test_each_step_is_reported_with_a_preview(call: Call, scene: dict[str, Any]) -> None:
    seat = Seat(CancelToken())
    call("KSampler", Run(seat=seat), **scene, **KSAMPLER, denoise=1.0)  # type: ignore[arg-type] # one method of it
    assert [told[:2] for told in seat.told] == [(1, 3), (2, 3), (3, 3)]
    preview = seat.told[-1][2]()
    assert (preview.kind, preview.size) == ("jpeg", (64, 48))
    assert preview.data[:2] == b"\xff\xd8"


def test_cancelling_stops_a_run_at_once(call: Call, scene: dict[str, Any]) -> None:
    token = CancelToken()
    seat = Seat(token, cancel_after=1)
    with pytest.raises(Cancelled):
        call("KSampler", Run(seat=seat, cancel=token), **scene, **{**KSAMPLER, "steps": 50}, denoise=1.0)  # type: ignore[arg-type] # one method of it
    assert len(seat.told) == 1
