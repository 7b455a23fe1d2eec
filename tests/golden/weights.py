"""Stand-in models: the keys and shapes of real files, every tensor a function of its own key.

`manifests.json.gz` holds key → shape for each of them: the `…_mini…` ones keep a real file's layout with a
smaller UNet, the others (`sd15`, `sdxl_base`, …) are of real size. Files are written once, in half precision,
into the folder `NODELOOM_TEST_CACHE`, or `.cache/tests` in the checkout. The same bytes come out everywhere.
"""

import gzip
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]

FILES = {
    "checkpoints/sd15_mini_fp16.safetensors": "sd15_mini",
    "checkpoints/sd15_mini_inpaint_fp16.safetensors": "sd15_mini_inpaint",
    "checkpoints/sd21v_mini_fp16.safetensors": "sd21v_mini",
    "checkpoints/sdxl_mini_fp16.safetensors": "sdxl_mini",
    "checkpoints/sdxl_refiner_mini_fp16.safetensors": "sdxl_refiner_mini",
    "loras/lora_sd15_mini.safetensors": "lora_sd15_mini",
    "controlnet/controlnet_sd15_mini.safetensors": "controlnet_sd15_mini",
    "vae_approx/taesd_encoder.safetensors": "taesd_encoder",
    "vae_approx/taesd_decoder.safetensors": "taesd_decoder",
    "upscale_models/esrgan_x4_mini.safetensors": "esrgan_x4_mini",
    "embeddings/embedding_sd15.safetensors": "embedding_sd15",
    "clip_vision/clip_vision_vitl.safetensors": "clip_vision_vitl",
}
"""Where each stand-in lies below the models folder."""

GAINS: tuple[tuple[str, float], ...] = (
    (r"model\.diffusion_model\.out\.2\.weight", 0.2),
    (r"(.*\.)?SelfAttention\.q\.weight", 0.125),  # T5 divides attention by nothing
    (r"(.*\.)?relative_attention_bias\.weight", 2.0),
    (r"(vae\.)?decoder\.(conv_out|head\.2)\.weight", 0.3),  # pictures inside the range
)
"""Patterns of whole keys whose matrices and kernels are scaled further; the first that fits counts."""

TABLES = {
    "pos_embed": 0.3,
    "positional_encoding": 0.3,
    "scale_shift_table": 0.3,
    "y_embedding": 0.3,
    "image_index_embedding": 0.3,
    "gammas": 0.4,
    "register_tokens": 0.5,
    "text_embedding_padding": 0.5,
}
"""Learned tables by the last part of their key, and how far their numbers spread."""


def models_folder() -> Path:
    """Where the stand-ins are kept; the folder is made and hides itself from git."""
    root = Path(os.environ.get("NODELOOM_TEST_CACHE") or CHECKOUT / ".cache" / "tests")
    root.mkdir(parents=True, exist_ok=True)
    (root / ".gitignore").write_text("*\n")
    return root / "models"


def needed(workflow: dict[str, Any]) -> Iterator[str]:
    """The stand-ins that the nodes of a prompt name, as keys of `FILES`."""
    values = [
        value for node in workflow.values() for value in node["inputs"].values() if isinstance(value, str)
    ]
    for path in FILES:
        stem = Path(path).stem
        if any(Path(path).name == v or f"embedding:{stem}" in v or v == stem.split("_")[0] for v in values):
            yield path


def ensure(path: str) -> Path:
    """The stand-in `path` (a key of `FILES`), written now if it is not there yet."""
    target = models_folder() / path
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        name = FILES[path]
        precision = torch.float32 if name.startswith("esrgan") else torch.float16
        part = target.with_suffix(f".{os.getpid()}.part")
        with single_thread():
            save_file(state_dict(manifests()[name], precision), part)
        part.replace(target)
    return target


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread only: random draws must not depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def manifests() -> dict[str, dict[str, list[int]]]:
    """Key → shape of every stand-in, by name."""
    with gzip.open(HERE / "manifests.json.gz") as file:
        loaded: dict[str, dict[str, list[int]]] = json.load(file)
    return loaded


def state_dict(manifest: dict[str, list[int]], precision: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """The tensors of a manifest; those of whole numbers keep their type."""
    tensors = ((key, tensor_for(key, tuple(shape))) for key, shape in manifest.items())
    return {key: t.to(precision) if t.is_floating_point() else t for key, t in tensors}


def tensor_for(key: str, shape: tuple[int, ...]) -> Tensor:
    """The float32 tensor of this key: scaled by fan-in, norm scales near 1, biases near 0."""
    digest = hashlib.sha256(key.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "position_ids":
        return torch.arange(shape[-1]).expand(*shape).clone()
    if leaf == "alpha" and not shape:  # of a LoRA of rank 4: alpha / rank = 1
        return torch.tensor(4.0)
    if leaf == "logit_scale":
        return torch.full(shape, 4.6052)
    if leaf == "num_batches_tracked":
        return torch.tensor(1)
    if not shape:
        return torch.tensor(1.0)
    noise = torch.randn(shape, generator=generator)
    if leaf in TABLES:
        return TABLES[leaf] * noise
    if leaf == "running_var":
        return 1.0 + 0.05 * noise.abs()
    flat = len(shape) == 1
    in_one_line = math.prod(shape) == max(shape)
    if (flat and leaf == "weight") or (in_one_line and leaf in ("gamma", "scale")):
        return 1.0 + 0.05 * noise
    if flat:
        return 0.02 * noise
    spread = 0.05 if "embedding" in key else 1 / math.sqrt(math.prod(shape[1:]))
    return noise * (spread * gain(key))


def gain(key: str) -> float:
    """How much further a matrix of this key is scaled."""
    return next((value for pattern, value in GAINS if re.fullmatch(pattern, key)), 1.0)
