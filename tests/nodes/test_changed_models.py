"""Nodes that change or join models, over a real, very small one."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from safetensors.torch import save_file

from diffusion.control.controlnet import ControlUNet
from diffusion.errors import FileProblem
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.noise.prediction import LCM, RECTIFIED_FLOW, V
from diffusion.patches.weights.mixing import UnlikeModels
from diffusion.upscaling.upscaler_networks import RRDB
from tests.nodes.conftest import METADATA

Call = Callable[..., Any]


@pytest.fixture
def model(call: Call) -> Any:
    """A small model."""
    return call("UNETLoader", unet_name="unet.safetensors", weight_dtype="default")[0]


@pytest.fixture
def clip(call: Call) -> Any:
    """A small text encoder."""
    return call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")[0]


@pytest.fixture
def sampled(call: Call, clip: Any) -> Callable[..., torch.Tensor]:
    """The latent that a model makes of a text."""
    positive, negative = (call("CLIPTextEncode", text=words, clip=clip)[0] for words in ("a house", ""))
    (latent,) = call("EmptyLatentImage", width=64, height=64)

    def sampled(model: Any, positive: Any = positive, negative: Any = negative) -> torch.Tensor:
        texts = {"positive": positive, "negative": negative}
        settings = {"seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal"}
        samples: torch.Tensor = call("KSampler", model=model, latent_image=latent, **texts, **settings)[0][
            "samples"
        ]
        return samples

    return sampled


PATCHES: dict[str, dict[str, Any]] = {
    "FreeU": {},
    "FreeU_V2": {},
    "PatchModelAddDownscale": {
        "block_number": 1,
        "end_percent": 1.0,
        "downscale_method": "bicubic",
        "upscale_method": "bislerp",
    },
    "TomePatchModel": {"ratio": 0.5},
    "RescaleCFG": {},
    "PerturbedAttentionGuidance": {},
    "UNetSelfAttentionMultiply": {"v": 2.0},
    "UNetCrossAttentionMultiply": {"out": 2.0},
    "SelfAttentionGuidance": {},
    "APG": {"eta": 0.0, "norm_threshold": 1.0, "momentum": -0.5},
    "TCFG": {},
    "CFGZeroStar": {},
    "CFGNorm": {"strength": 0.9},
    "RenormCFG": {"renorm_cfg": 0.5},
    "Mahiro": {},
    "FreSca": {"freq_cutoff": 1},
    "Epsilon Scaling": {},
    "HyperTile": {"tile_size": 32},
    "ModelComputeDtype": {"dtype": "bf16"},
    "ModelSamplingDiscrete": {"sampling": "x0"},
    "ModelSamplingContinuousEDM": {"sampling": "edm", "sigma_max": 80.0},
    "ModelSamplingContinuousV": {"sampling": "v_prediction"},
}


@pytest.mark.parametrize("name", PATCHES)
def test_a_patched_model_samples_otherwise_and_the_original_as_before(
    call: Call, model: Any, sampled: Callable[..., torch.Tensor], name: str
) -> None:
    before = sampled(model)
    (patched,) = call(name, model=model, **PATCHES[name])
    changed = sampled(patched)
    assert changed.isfinite().all()
    assert not torch.equal(changed, before)
    assert torch.equal(sampled(model), before)


def test_an_operation_is_done_on_what_guidance_follows(
    call: Call, model: Any, sampled: Callable[..., torch.Tensor]
) -> None:
    (sharper,) = call("LatentOperationSharpen", sharpen_radius=3, sigma=1.0, alpha=1.0)
    (patched,) = call("LatentApplyOperationCFG", model=model, operation=sharper)
    assert not torch.allclose(sampled(patched), sampled(model), atol=1e-3)


SKIPPING = ("SkipLayerGuidanceSD3", "SkipLayerGuidanceDiT", "SkipLayerGuidanceDiTSimple")


@pytest.mark.parametrize("name", SKIPPING)
def test_a_unet_has_no_layers_that_transformers_skip_and_says_so(
    call: Call, model: Any, sampled: Callable[..., torch.Tensor], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (patched,) = call(name, model=model)
    assert f"{name}: this model is a UNet" in caplog.text
    assert torch.equal(sampled(patched), sampled(model))
    caplog.clear()
    layers = ["layers"] if name == "SkipLayerGuidanceSD3" else ["double_layers", "single_layers"]
    call(name, model=model, **dict.fromkeys(layers, ""))
    assert not caplog.text, "where no layer is named, nothing is missed"


def test_rescaling_of_skip_layer_guidance_acts_on_a_unet_too(
    call: Call, model: Any, sampled: Callable[..., torch.Tensor]
) -> None:
    whole = {"model": model, "rescaling_scale": 0.7, "start_percent": 0.0, "end_percent": 1.0}
    (patched,) = call("SkipLayerGuidanceDiT", **whole)
    assert not torch.allclose(sampled(patched), sampled(model), atol=1e-3)
    for nothing in ({"scale": 0.0}, {"double_layers": "", "single_layers": ""}, {"start_percent": 1.0}):
        (patched,) = call("SkipLayerGuidanceDiT", **{**whole, **nothing})
        assert torch.equal(sampled(patched), sampled(model))


@pytest.mark.parametrize("name", ["EasyCache", "LazyCache"])
def test_caching_nothing_samples_as_before(
    call: Call, model: Any, sampled: Callable[..., torch.Tensor], name: str
) -> None:
    (patched,) = call(name, model=model, reuse_threshold=0.0, start_percent=0.0, end_percent=1.0)
    torch.testing.assert_close(sampled(patched), sampled(model), rtol=1e-3, atol=1e-3)


def test_number_types_are_chosen_and_never_half_precision_on_a_processor(call: Call, model: Any) -> None:
    found = {}
    for dtype in ("default", "fp32", "fp16", "bf16"):
        (chosen,) = call("ModelComputeDtype", model=model, dtype=dtype)
        found[dtype] = chosen.backbone.dtype
    assert found.pop("default") is model.backbone.dtype
    assert found == {"fp32": torch.float32, "fp16": torch.float32, "bf16": torch.bfloat16}


def test_perp_neg_as_a_patch_equals_perp_neg_as_a_guider(
    call: Call, model: Any, clip: Any, sampled: Callable[..., torch.Tensor]
) -> None:
    (empty,) = call("CLIPTextEncode", text="something else", clip=clip)
    (patched,) = call("PerpNeg", model=model, empty_conditioning=empty, neg_scale=0.5)
    positive, negative = (call("CLIPTextEncode", text=words, clip=clip)[0] for words in ("a house", ""))
    (guider,) = call(
        "PerpNegGuider",
        model=model,
        positive=positive,
        negative=negative,
        empty_conditioning=empty,
        cfg=3.0,
        neg_scale=0.5,
    )
    (sigmas,) = call("BasicScheduler", model=model, scheduler="normal", steps=2, denoise=1.0)
    (latent,) = call("EmptyLatentImage", width=64, height=64)
    (noise,), (sampler,) = call("RandomNoise", noise_seed=1), call("KSamplerSelect", sampler_name="euler")
    parts = {"noise": noise, "guider": guider, "sampler": sampler, "sigmas": sigmas}
    output, _ = call("SamplerCustomAdvanced", latent_image=latent, **parts)
    torch.testing.assert_close(output["samples"], sampled(patched), rtol=1e-3, atol=1e-3)


def test_how_a_model_was_trained_can_be_said(call: Call, model: Any) -> None:
    (lcm,) = call("ModelSamplingDiscrete", model=model, sampling="lcm", zsnr=False)
    assert lcm.prediction.target is LCM
    (v,) = call("ModelSamplingDiscrete", model=model, sampling="v_prediction", zsnr=True)
    assert v.prediction.target is V
    assert v.prediction.sigma_max > 1000 > model.prediction.sigma_max


def weight(model: Any, name: str = "out.2.weight") -> torch.Tensor:
    """A weight as the model uses it."""
    with model.backbone.use(patches=model.weight_patches) as unet:
        found: torch.Tensor = unet.get_parameter(name).clone()
    return found


MERGES = {
    "ModelMergeSimple": ({"ratio": 0.25}, 0.25 + 0.75 * 2),
    "ModelMergeBlocks": ({"input": 0.0, "middle": 0.0, "out": 0.5}, 0.5 + 0.5 * 2),
    "ModelMergeSD1": ({"out.": 0.5, "output_blocks.0.": 0.0}, 0.5 + 0.5 * 2),
    "ModelMergeSD2": ({"out.": 0.25, "time_embed.": 0.0}, 0.25 + 0.75 * 2),
    "ModelMergeSDXL": ({"out.": 0.0, "output_blocks.0": 1.0}, 2.0),
    "ModelMergeAdd": ({}, 3.0),
    "ModelMergeSubtract": ({"multiplier": 1.0}, -1.0),
}


@pytest.mark.parametrize("name", MERGES)
def test_models_are_merged_weight_by_weight(call: Call, model: Any, name: str) -> None:
    double = model.with_patches({"out.2.weight": (lambda weight: weight * 2,)})
    inputs, factor = MERGES[name]
    (merged,) = call(name, model1=model, model2=double, **inputs)
    torch.testing.assert_close(weight(merged), weight(model) * factor)


def test_each_block_is_merged_by_its_own_ratio(call: Call, model: Any) -> None:
    names = [name for name in model.backbone.weights if name.endswith("weight")]
    double = model.with_patches({name: (lambda weight: weight * 2,) for name in names})
    ratios = {"time_embed.": 1.0, "input_blocks.1.": 0.0, "middle_block.0.": 0.5, "output_blocks.1.": 0.25}
    for node, blocks in (
        ("ModelMergeSD1", ratios),
        ("ModelMergeSDXL", {k if k == "time_embed." else k[:-1]: v for k, v in ratios.items()}),
    ):
        (merged,) = call(node, model1=model, model2=double, **blocks)
        for name in ("input_blocks.0.0", "input_blocks.1.0.in_layers.2", "middle_block.0.in_layers.2"):
            block = ".".join(name.split(".")[:2]) + "."
            expected = 2 - ratios.get(block, 1.0)
            found = weight(merged, f"{name}.weight") / weight(model, f"{name}.weight")
            assert found.median().item() == pytest.approx(expected), (node, name)


FLOWS = {
    "ModelSamplingSD3": ({"shift": 3.0}, 3.0, 1000.0),
    "ModelSamplingAuraFlow": ({"shift": 1.73}, 1.73, 1.0),
    "ModelSamplingFlux": (
        {"max_shift": 1.15, "base_shift": 0.5, "width": 1024, "height": 1024},
        math.e**1.15,
        1.0,
    ),
    "ModelSamplingLTXV": ({"max_shift": 2.05, "base_shift": 0.95}, math.e**2.05, 1.0),
}


@pytest.mark.parametrize("name", FLOWS)
def test_rectified_flow_runs_from_noise_to_picture_on_a_bent_clock(
    call: Call, model: Any, sampled: Callable[..., torch.Tensor], name: str
) -> None:
    inputs, shift, multiplier = FLOWS[name]
    (patched,) = call(name, model=model, **inputs)
    prediction = patched.prediction
    assert prediction.target is RECTIFIED_FLOW
    assert prediction.sigma_max == pytest.approx(1.0)
    half = prediction.clock.sigma_at(0.5)
    assert half == pytest.approx(shift * 0.5 / (1 + (shift - 1) * 0.5), rel=1e-4)
    assert prediction.clock.timestep(torch.tensor(0.5)).item() == pytest.approx(0.5 * multiplier)
    assert sampled(patched).isfinite().all()


def test_times_are_bent_by_the_size_of_what_is_made(call: Call, model: Any) -> None:
    small = {"max_shift": 1.15, "base_shift": 0.5, "width": 256, "height": 256}
    (flux,) = call("ModelSamplingFlux", model=model, **small)
    assert flux.prediction.clock.mu == pytest.approx(0.5)
    latent = {"samples": torch.zeros(1, 128, 4, 16, 16)}
    (ltxv,) = call("ModelSamplingLTXV", model=model, max_shift=2.05, base_shift=0.95, latent=latent)
    assert ltxv.prediction.clock.mu == pytest.approx(0.95)


def test_the_cosine_clock_is_moved_towards_noise(
    call: Call, model: Any, sampled: Callable[..., torch.Tensor]
) -> None:
    scheduler = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2")
    (plain,), (moved,) = (call("ModelSamplingStableCascade", model=model, shift=s) for s in (1.0, 2.0))
    alpha_bar = scheduler.alphas_cumprod[499].item()
    sigma = ((1 - alpha_bar) / alpha_bar) ** 0.5
    assert plain.prediction.clock.sigma_at(0.5) == pytest.approx(sigma, rel=1e-3)
    assert moved.prediction.clock.sigma_at(0.5) == pytest.approx(sigma * 2, rel=1e-3)
    assert sampled(moved).isfinite().all()


@pytest.mark.parametrize(
    ("name", "inputs", "same"),
    [
        ("CLIPMergeSimple", {"ratio": 0.5}, True),
        ("CLIPMergeAdd", {}, False),
        ("CLIPMergeSubtract", {"multiplier": 0.5}, False),
    ],
)
def test_text_encoders_are_merged(
    call: Call, clip: Any, name: str, inputs: dict[str, Any], same: bool
) -> None:
    (merged,) = call(name, clip1=clip, clip2=clip, **inputs)
    plain, mixed = (each.text("a house").cond for each in (clip, merged))
    assert torch.allclose(plain, mixed, atol=1e-4) is same


def test_text_encoder_attention_can_be_made_stronger(call: Call, clip: Any) -> None:
    (changed,) = call("CLIPAttentionMultiply", clip=clip, q=2.0, k=1.0, v=1.0, out=1.0)
    assert not torch.allclose(changed.text("a house").cond, clip.text("a house").cond, atol=1e-4)


def test_models_of_different_families_are_not_merged(call: Call, model: Any, models: Path) -> None:
    other = UNet(UNetSizes.even((1,), (1,), blocks=1, channels=32, context=32, heads=2, norm_groups=8))
    path = models / "diffusion_models" / "other.safetensors"
    save_file({f"model.diffusion_model.{k}": v for k, v in other.state_dict().items()}, path, METADATA)
    (second,) = call("UNETLoader", unet_name="other.safetensors", weight_dtype="default")
    with pytest.raises(UnlikeModels, match=r"unet.safetensors and other.safetensors are of different kinds"):
        call("ModelMergeSimple", model1=model, model2=second, ratio=0.5)


@pytest.fixture
def lora(models: Path) -> str:
    """The name of a LoRA that changes the last convolution and one projection of the text encoder."""
    (models / "loras").mkdir(exist_ok=True)
    ones = {"lora_up.weight": torch.ones(4, 1, 1, 1), "lora_down.weight": torch.ones(1, 32, 3, 3)}
    text = {"lora_up.weight": torch.ones(32, 1), "lora_down.weight": torch.arange(32.0)[None]}
    tensors = {f"lora_unet_conv_out.{key}": each for key, each in ones.items()}
    base = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    tensors |= {f"{base}.{key}": each for key, each in text.items()}
    save_file(tensors, models / "loras" / "some.safetensors")
    return "some.safetensors"


def test_a_lora_changes_model_and_text_encoder_each_by_its_strength(
    call: Call, model: Any, clip: Any, lora: str
) -> None:
    both = {"model": model, "clip": clip, "lora_name": lora}
    changed, text = call("LoraLoader", **both, strength_model=0.5, strength_clip=0.0)
    torch.testing.assert_close(weight(changed), weight(model) + 0.5)
    assert text is clip
    (alone,) = call("LoraLoaderModelOnly", model=changed, lora_name=lora, strength_model=-0.5)
    torch.testing.assert_close(weight(alone), weight(model))
    _, text = call("LoraLoader", **both, strength_model=0.0, strength_clip=1.0)
    assert not torch.allclose(text.text("a house").cond, clip.text("a house").cond, atol=1e-4)


def test_a_lora_of_another_family_is_refused(call: Call, model: Any, models: Path) -> None:
    (models / "loras").mkdir(exist_ok=True)
    tensors = {f"strange.lora_{side}.weight": torch.ones(1, 1) for side in ("up", "down")}
    save_file(tensors, models / "loras" / "other.safetensors")
    with pytest.raises(FileProblem, match=r"other.safetensors: It holds no change that fits"):
        call("LoraLoaderModelOnly", model=model, lora_name="other.safetensors", strength_model=1.0)


@pytest.fixture
def control_net(call: Call, models: Path) -> Any:
    """A small control network."""
    sizes = UNetSizes.even((1, 2), (1, 1), blocks=1, channels=32, context=32, heads=2, norm_groups=8)
    hints = [(3, 8), (8, 16), (16, 24), (24, 32), (32, 32)]
    (models / "controlnet").mkdir(exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_file(ControlUNet(sizes, hints).state_dict(), models / "controlnet" / "c.safetensors", METADATA)
    return call("ControlNetLoader", control_net_name="c.safetensors")[0]


def test_a_control_network_steers_both_conditionings(
    call: Call, model: Any, clip: Any, control_net: Any, sampled: Callable[..., torch.Tensor]
) -> None:
    positive, negative = (call("CLIPTextEncode", text=words, clip=clip)[0] for words in ("a house", ""))
    seen = {"control_net": control_net, "image": torch.rand(1, 64, 64, 3)}
    both = call("ControlNetApplyAdvanced", positive=positive, negative=negative, **seen, strength=0.7)
    assert both[0][0][1]["control"] is both[1][0][1]["control"]
    changed = sampled(model, *both)
    assert not torch.allclose(changed, sampled(model), atol=1e-3)
    (old,) = call("ControlNetApply", conditioning=positive, **seen, strength=0.7)
    torch.testing.assert_close(sampled(model, old, negative), changed)
    none = call("ControlNetApplyAdvanced", positive=positive, negative=negative, **seen, strength=0.0)
    assert none == (positive, negative)


def test_controls_follow_one_another(call: Call, clip: Any, control_net: Any) -> None:
    (text,) = call("CLIPTextEncode", text="", clip=clip)
    seen = {"control_net": control_net, "image": torch.rand(1, 64, 64, 3)}
    once = call("ControlNetApplyAdvanced", positive=text, negative=text, **seen)
    twice = call("ControlNetApplyAdvanced", positive=once[0], negative=once[1], **seen)
    assert twice[0][0][1]["control"].previous is once[0][0][1]["control"]
    with_vae = call("ControlNetApplySD3", positive=text, negative=text, vae=None, **seen)
    assert with_vae[0][0][1]["control"].previous is None


def test_a_network_enlarges_an_image(call: Call, models: Path) -> None:
    (models / "upscale_models").mkdir(exist_ok=True)
    network = RRDB(channels=8, growth=4, blocks=1, doublings=1, folded=1, colours=3)
    save_file(network.state_dict(), models / "upscale_models" / "u.safetensors")
    (upscaler,) = call("UpscaleModelLoader", model_name="u.safetensors")
    (image,) = call("ImageUpscaleWithModel", upscale_model=upscaler, image=torch.rand(2, 5, 6, 4))
    assert image.shape == (2, 10, 12, 3)
