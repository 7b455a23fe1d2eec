"""Stand-ins for what ComfyUI's official templates name: models of the family the name says, pictures, a film.

All of them are small and random.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path

from safetensors.torch import save_file

from execution.declare.spec import NodeSpec
from execution.files.folders import Folders
from nodes.video.media import Film, write_mp4
from tests.golden.bundle import bundles, stand_ins
from tests.nodes import example_inputs, example_models

Prompt = Mapping[str, Mapping[str, object]]

GOLDENS = Path(__file__).parents[1] / "golden_image"
RECORDED: Mapping[str, str] = {
    "checkpoints/flux1-dev-fp8": "flux_dev_all_mini",
    "checkpoints/flux1-schnell-fp8": "flux_dev_all_mini",
    "checkpoints/sd3.5_large_fp8_scaled": "sd3_medium_mini",
    "clip_vision/sigclip_vision_patch14_384": "siglip_mini",
    "controlnet/sd3.5_large_controlnet_blur": "sd3_cn_mini",
    "controlnet/sd3.5_large_controlnet_canny": "sd3_cn_mini",
    "controlnet/sd3.5_large_controlnet_depth": "sd3_cn_mini",
    "diffusion_models/flux.1-fill-dev-OneReward-transformer_fp8": "flux_fill_mini",
    "diffusion_models/flux1-canny-dev": "flux_depth_mini",
    "diffusion_models/flux1-dev": "flux_dev_mini",
    "diffusion_models/flux1-dev-fp8": "flux_dev_mini",
    "diffusion_models/flux1-dev-kontext_fp8_scaled": "flux_dev_mini",
    "diffusion_models/flux1-fill-dev": "flux_fill_mini",
    "diffusion_models/flux1-krea-dev_fp8_scaled": "flux_dev_mini",
    "diffusion_models/flux1-schnell": "flux_schnell_mini",
    "loras/flux1-depth-dev-lora": "flux_lora_bfl_control_mini",
    "loras/removal_timestep_alpha-2-1740": "flux_lora_peft_mini",
    "loras/uso-flux1-dit-lora-v1": "flux_lora_uso_mini",
    "model_patches/uso-flux1-projector-v1": "uso_projector_mini",
    "style_models/flux1-redux-dev": "flux_redux_mini",
    "text_encoders/clip_l": "clip_l_mini",
    "text_encoders/t5xxl_fp16": "t5xxl_mini",
    "text_encoders/t5xxl_fp8_e4m3fn_scaled": "t5xxl_mini",
    "vae/ae": "flux_ae_mini",
}
"""Where a template wants a model → the one of the golden cases that stands in for it."""
OF_EXAMPLES: Mapping[str, str] = {
    "checkpoints/sd_xl_base_1.0": "checkpoints/sdxl-base",
    "checkpoints/sd_xl_refiner_1.0": "checkpoints/sdxl-refiner",
    "checkpoints/sd_xl_turbo_1.0_fp16": "checkpoints/sdxl-base",
    "checkpoints/svd_xt": "checkpoints/svd",
}
"""The same for those of the bundled examples."""


def named_files(prompt: Prompt, specs: Mapping[str, NodeSpec]) -> Iterator[tuple[str, str]]:
    """The files that the nodes of a prompt name, each with its kind: `("vae", "ae.safetensors")`."""
    for node in prompt.values():
        spec, inputs = specs[str(node["class_type"])], node["inputs"]
        assert isinstance(inputs, Mapping)
        for name, kind in spec.folders.items():
            if isinstance(inputs.get(name), str):
                yield kind, inputs[name]


def make_models(root: Path) -> None:
    """Write every model that stands in for one, below a models folder, under the names templates use."""
    whole = {name: bundle for bundle in bundles(GOLDENS) for name in bundle.files}
    for place, name in RECORDED.items():
        target = root / f"{place}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole[name].ensure(name, stand_ins(GOLDENS.name)), target)
    for place, tensors, metadata in others():
        target = root / f"{place}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: each.contiguous() for name, each in tensors.items()}, target, dict(metadata))


def others() -> Iterator[example_models.File]:
    """Those that no golden case has: SDXL, SVD, a picture encoder, an upscaler."""
    examples = chain(example_models.sdxl(), example_models.from_pictures())
    made = {path.removesuffix(".safetensors"): rest for path, *rest in examples}
    for place, name in OF_EXAMPLES.items():
        yield place, *made[name]
    yield "clip_vision/clip_vision_g", example_models.without_places("", example_models.vision(1280)), {}
    (upscaler,) = (each for path, each in example_models.pickled().items() if "ESRGAN" in path)
    yield "upscale_models/RealESRGAN_x4plus", upscaler["params_ema"], {}


def make_input(kind: str, name: str, folders: Folders) -> None:
    """Write a picture or a film that a node takes from a folder (kind `input:image` and so on)."""
    root, _, medium = kind.partition(":")
    if root not in folders.roots:
        return
    path = folders.roots[root] / name.removesuffix(f" [{root}]")
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if medium == "image":
        picture = example_inputs.picture()
        (picture.convert("RGB") if path.suffix in {".jpg", ".jpeg"} else picture).save(path)
    elif medium == "video":
        with path.open("wb") as file:
            write_mp4(file, Film(example_inputs.shades(3), Fraction(8), None), {}, lambda: None)
