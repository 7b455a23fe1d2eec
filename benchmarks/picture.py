"""An SD 1.5-size picture, ours and diffusers', on the same weights, in turns.

    python -m benchmarks.picture [--rounds 2] [--size 512] [--steps 4] [--precision auto]

Each side runs in a process of its own and reports seconds to load, seconds a step (median, guidance on: two
predictions), seconds for the whole, and the peak of its resident memory. Weights are stand-ins of real size
(written once), or `--checkpoint FILE` of the SD 1.x family in LDM layout.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TEXT, NEGATIVE, SEED, SCALE = "a photograph of an astronaut riding a horse", "", 7, 7.5


def stand_in() -> Path:
    """A checkpoint of SD 1.5's size whose weights mean nothing; made once, about two gigabytes."""
    from tests.golden.weights import FILES, ensure

    FILES.setdefault("checkpoints/sd15_full_fp16.safetensors", "sd15")
    return ensure("checkpoints/sd15_full_fp16.safetensors")


def workflow(checkpoint: str, size: int, steps: int) -> dict[str, Any]:
    """Text to image with Euler, in the API's form."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": TEXT, "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": NEGATIVE, "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": size, "height": size, "batch_size": 1}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0],
                "seed": SEED, "steps": steps, "cfg": SCALE, "sampler_name": "euler", "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    }  # fmt: skip


def ours(options: argparse.Namespace) -> dict[str, float]:
    """One picture by this engine."""
    from execution.events import Event, Progress
    from nodeloom import Engine

    ticks: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, Progress):
            ticks.append(time.perf_counter())

    models = options.checkpoint.parent.parent
    started = time.perf_counter()
    with Engine(
        models=models, precision=options.precision, cpu=True, disable_all_custom_nodes=True
    ) as engine:
        engine.run(
            workflow(options.checkpoint.name, options.size, options.steps), targets=["6"], on_event=watch
        )
    return figures(started, ticks, time.perf_counter())


def diffusers(options: argparse.Namespace) -> dict[str, float]:
    """One picture by diffusers: the same text, seed, sampler, steps and size."""
    import torch

    started = time.perf_counter()
    pipeline = diffusers_pipeline(options)
    ticks: list[float] = []

    def on_step(pipe: Any, index: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        ticks.append(time.perf_counter())
        return values

    with torch.inference_mode():
        pipeline(
            prompt_embeds=embedded(pipeline, TEXT),
            negative_prompt_embeds=embedded(pipeline, NEGATIVE),
            height=options.size,
            width=options.size,
            num_inference_steps=options.steps,
            guidance_scale=SCALE,
            generator=torch.Generator().manual_seed(SEED),
            callback_on_step_end=on_step,
            output_type="np",
        )
    return figures(started, ticks, time.perf_counter())


def embedded(pipeline: Any, text: str) -> Any:
    """A text through the pipeline's encoder; diffusers' own tokenizer files would have to come from a hub."""
    import torch

    from diffusion.text.tokenizer import Vocabulary

    words = Vocabulary.read()
    numbers = [words.start, *words.encode(text), words.end]
    numbers += [words.end] * (77 - len(numbers))
    return pipeline.text_encoder(torch.tensor([numbers]))[0]


def diffusers_pipeline(options: argparse.Namespace) -> Any:
    """The checkpoint as a diffusers pipeline, converted by diffusers, without asking any hub."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
    from safetensors.torch import load_file
    from transformers import CLIPTextConfig, CLIPTextModel

    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    state = load_file(options.checkpoint)
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, sample_size=64)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
    unet.load_state_dict(convert_ldm_unet_checkpoint(state, unet.config), assign=True)
    vae.load_state_dict(convert_ldm_vae_checkpoint(state, vae.config), assign=True)
    text = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072))
    prefix = "cond_stage_model.transformer.text_model."
    names = {key.removeprefix(prefix): each for key, each in state.items() if key.startswith(prefix)}
    inner = getattr(text, "text_model", text)
    inner.load_state_dict({key: each for key, each in names.items() if not key.endswith("position_ids")})
    return StableDiffusionPipeline(
        vae=vae.to(dtype),
        text_encoder=text.to(dtype),
        tokenizer=None,
        unet=unet.to(dtype),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def figures(started: float, ticks: list[float], ended: float) -> dict[str, float]:
    """Seconds and bytes of one run. The first step pays for loading; the median of the others is the step."""
    steps = [later - earlier for earlier, later in pairwise(ticks)]
    return {
        "step": statistics.median(steps),
        "whole": ended - started,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


SIDES = {"ours": ours, "diffusers": diffusers}


def measure(side: str, arguments: list[str]) -> dict[str, float]:
    """The figures of one side, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.picture", "--side", side, *arguments]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def compare(options: argparse.Namespace, arguments: list[str]) -> None:
    """Both sides in turns; prints each round and the medians with their ratio."""
    rounds: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in SIDES:
            found = measure(side, arguments)
            rounds[side].append(found)
            print(f"round {number + 1}  {side:10} {shown(found)}", flush=True)
    medians = {
        side: {name: statistics.median(each[name] for each in found) for name in found[0]}
        for side, found in rounds.items()
    }
    for side, found in medians.items():
        print(f"median   {side:10} {shown(found)}")
    ratios = {name: medians["diffusers"][name] / medians["ours"][name] for name in medians["ours"]}
    print("diffusers / ours   " + "  ".join(f"{name} {ratio:.2f}x" for name, ratio in ratios.items()))


def shown(found: dict[str, float]) -> str:
    """One line of figures."""
    return (
        f"step {found['step']:6.2f} s   whole {found['whole']:6.1f} s   peak {found['peak'] / 2**30:5.2f} GB"
    )


def main() -> None:
    """Compare, or (with --side) be one side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--checkpoint", type=Path, default=None)
    parser.add_argument("--side", choices=SIDES, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.checkpoint = (options.checkpoint or stand_in()).resolve()
    if options.side:
        print(json.dumps(SIDES[options.side](options)))
        return
    arguments = ["--checkpoint", str(options.checkpoint), "--size", str(options.size)]
    compare(options, [*arguments, "--steps", str(options.steps), "--precision", options.precision])


if __name__ == "__main__":
    main()
