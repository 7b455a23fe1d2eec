"""Whole workflows of what steers and changes a model, run by the engine over very small weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import T2IAdapter
from safetensors.torch import save_file

from diffusion.control.controlnet import ControlUNet
from diffusion.control.gligen import Fuser, PositionNet
from diffusion.control.style_model import StyleNet
from diffusion.networks.unet import UNetSizes
from nodeloom import Engine
from tests.diffusion.small_models import seeded
from tests.nodes.adapt.test_weight_hooks import write_files
from tests.nodes.conftest import METADATA
from tests.nodes.control.test_unclip import write_checkpoint

SIZES = UNetSizes.even((1, 2), (1, 1), blocks=1, channels=32, context=32, heads=2, norm_groups=8)
HINTS = [(3, 8), (8, 8), (8, 16), (16, 16), (16, 24), (24, 24), (24, 28), (28, 32)]
Node = dict[str, Any]


@pytest.fixture(scope="module")
def engine(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine over the small models, with one file of each kind more."""
    (models / "loras").mkdir(exist_ok=True)
    write_files(models)
    write_checkpoint(models / "checkpoints" / "seeing.safetensors")
    place = "input_blocks.1.1.transformer_blocks.0.fuser."
    words = {f"position_net.{n}": t for n, t in PositionNet(32, 32).state_dict().items()}
    words |= {f"{place}{n}": t for n, t in Fuser(32, 32).state_dict().items()}
    adapter = seeded(lambda: T2IAdapter(3, [32, 64], 2, 8, "full_adapter"), 2)
    for path, tensors in {
        "controlnet/control.safetensors": seeded(lambda: ControlUNet(SIZES, HINTS), 4).state_dict(),
        "controlnet/adapter.safetensors": adapter.state_dict(),
        "gligen/gligen.safetensors": words,
        "style_models/words.safetensors": StyleNet(4, 64, 32, 1).state_dict(),
    }.items():
        (models / path).parent.mkdir(exist_ok=True)
        save_file(tensors, models / path, METADATA)
    (models / "hypernetworks").mkdir(exist_ok=True)
    halves = [{"linear.0.weight": torch.eye(32)}, {"linear.0.weight": torch.eye(32)}]
    torch.save({32: halves}, models / "hypernetworks" / "hyper.pt")
    with Engine(data_dir=str(tmp_path_factory.mktemp("data")), models=str(models), cpu=True) as engine:
        yield engine


def node(kind: str, **inputs: Any) -> Node:
    """A node; a string that starts with @ is a link, `@name` or `@name.slot`."""

    def value(given: Any) -> Any:
        if not (isinstance(given, str) and given.startswith("@")):
            return given
        name, _, slot = given[1:].partition(".")
        return [name, int(slot or 0)]

    return {"class_type": kind, "inputs": {name: value(given) for name, given in inputs.items()}}


COMMON = {
    "load": node("CheckpointLoaderSimple", ckpt_name="small.safetensors"),
    "positive": node("CLIPTextEncode", clip="@load.1", text="a cat"),
    "negative": node("CLIPTextEncode", clip="@load.1", text=""),
    "picture": node("EmptyImage", width=64, height=64, batch_size=1, color=0x336699),
    "mask": node("SolidMask", value=1.0, width=64, height=64),
    "empty": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    "eyes": node("unCLIPCheckpointLoader", ckpt_name="seeing.safetensors"),
    "seen": node("CLIPVisionEncode", clip_vision="@eyes.3", image="@picture", crop="center"),
}


def sampler(model: str = "@load", positive: str = "@positive", latent: str = "@empty", **more: Any) -> Node:
    """A short run."""
    given = {"model": model, "positive": positive, "negative": "@negative", "latent_image": latent, **more}
    return node(
        "KSampler", seed=1, steps=2, cfg=3.0, sampler_name="euler", scheduler="normal", denoise=1.0, **given
    )


FLOWS: dict[str, dict[str, Node]] = {
    "crop, paint and stitch": {
        "crop": node("CropAroundMask", image="@picture", mask="@mask", width=64, height=64, context=1.5,
                     grow_mask_by=2, blend=4),
        "encoded": node("VAEEncode", pixels="@crop.1", vae="@load.2"),
        "masked": node("SetLatentNoiseMask", samples="@encoded", mask="@crop.2"),
        "changed": node("DifferentialDiffusion", model="@load", strength=0.9),
        "sampled": sampler("@changed", latent="@masked"),
        "painted": node("VAEDecode", samples="@sampled", vae="@load.2"),
        "result": node("StitchBack", stitch="@crop", image="@painted"),
    },
    "pictures that steer (unCLIP)": {
        "once": node("unCLIPConditioning", conditioning="@positive", clip_vision_output="@seen", strength=1.0,
                     noise_augmentation=0.1),
        "twice": node("unCLIPConditioning", conditioning="@once", clip_vision_output="@seen", strength=0.5,
                      noise_augmentation=0.0),
        "result": sampler("@eyes", "@twice"),
    },
    "control networks and adapters": {
        "net": node("ControlNetLoader", control_net_name="control.safetensors"),
        "told": node("SetUnionControlNetType", control_net="@net", type="depth"),
        "adapter": node("ControlNetLoader", control_net_name="adapter.safetensors"),
        "words": node("CLIPTextEncodeControlnet", clip="@load.1", conditioning="@positive", text="lines"),
        "first": node("ControlNetApplyAdvanced", positive="@words", negative="@negative", control_net="@told",
                      image="@picture", strength=0.8, start_percent=0.0, end_percent=1.0),
        "second": node("ControlNetInpaintingAliMamaApply", positive="@first", negative="@first.1",
                       control_net="@adapter", vae="@load.2", image="@picture", mask="@mask", strength=0.5,
                       start_percent=0.0, end_percent=0.6),
        "result": sampler("@load", "@second", negative="@second.1"),
    },
    "styles, boxes and a hypernetwork": {
        "style": node("StyleModelLoader", style_model_name="words.safetensors"),
        "styled": node("StyleModelApply", conditioning="@positive", style_model="@style",
                       clip_vision_output="@seen", strength=0.5, strength_type="attn_bias"),
        "gligen": node("GLIGENLoader", gligen_name="gligen.safetensors"),
        "boxed": node("GLIGENTextBoxApply", conditioning_to="@styled", clip="@load.1",
                      gligen_textbox_model="@gligen", text="a hat", width=32, height=32, x=8, y=8),
        "hyper": node("HypernetworkLoader", model="@load", hypernetwork_name="hyper.pt", strength=0.5),
        "result": sampler("@hyper", "@boxed"),
    },
    "a LoRA and a model that come and go": {
        "lora": node("CreateHookLora", lora_name="lora.safetensors", strength_model=1.0, strength_clip=1.0),
        "other": node("CreateHookModelAsLora", ckpt_name="other.safetensors", strength_model=0.5,
                      strength_clip=0.5),
        "both": node("CombineHooks2", hooks_A="@lora", hooks_B="@other"),
        "frames": node("CreateHookKeyframesInterpolated", strength_start=0.0, strength_end=1.0,
                       interpolation="ease_in", start_percent=0.0, end_percent=1.0, keyframes_count=3,
                       print_keyframes=False),
        "hooks": node("SetHookKeyframes", hooks="@both", hook_kf="@frames"),
        "clip": node("SetClipHooks", clip="@load.1", apply_to_conds=True, schedule_clip=True, hooks="@hooks"),
        "words": node("CLIPTextEncode", clip="@clip", text="a cat"),
        "early": node("ConditioningTimestepsRange", start_percent=0.0, end_percent=0.5),
        "pair": node("PairConditioningSetProperties", positive_NEW="@words", negative_NEW="@negative",
                     strength=1.0, set_cond_area="default", mask="@mask", hooks="@hooks", timesteps="@early"),
        "filled": node("PairConditioningSetDefaultCombine", positive="@pair", negative="@pair.1",
                       positive_DEFAULT="@positive", negative_DEFAULT="@negative"),
        "result": sampler("@load", "@filled", negative="@filled.1"),
    },
    "an instruction with two scales": {
        "shown": node("InstructPixToPixConditioning", positive="@positive", negative="@negative",
                      vae="@load.2", pixels="@picture"),
        "result": node("DualCFGGuider", model="@load", cond1="@shown", cond2="@shown.1",
                       negative="@negative", cfg_conds=7.5, cfg_cond2_negative=1.5, style="regular"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FLOWS)
def test_a_workflow_is_sound_and_runs(engine: Engine, name: str) -> None:
    prompt = {**COMMON, **FLOWS[name]}
    value = engine.run(prompt, targets=["result"]).value("result")
    if name == "an instruction with two scales":
        assert value.conditionings["positive"][0][1]["concat_latent_image"].shape == (1, 4, 8, 8)
        return
    tensor = value["samples"] if isinstance(value, dict) else value
    assert tensor.isfinite().all()
    assert tensor.shape in ((1, 4, 8, 8), (1, 64, 64, 3))
