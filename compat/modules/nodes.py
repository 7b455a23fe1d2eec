"""ComfyUI's `nodes`: the classes of all node types, and a few names beside them.

Native node types appear as V1 classes (see `compat.facade`). `NODE_CLASS_MAPPINGS` is the mapping that packs
read to call one another and that some write to; the pack loader looks into it after each pack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.current import current_run
from compat.facade import native_class
from compat.host import Host

MAX_RESOLUTION = 16384


def class_mappings(host: Host) -> dict[str, Any]:
    """`NODE_CLASS_MAPPINGS`, filled with the native types the first time."""
    for name, native in host.types.items():
        if name not in host.classes:
            host.classes[name] = native_class(native)
    if not issubclass(host.classes.get("SaveImage", object), SaveImage) and "SaveImage" in host.classes:
        host.classes["SaveImage"] = _saving(host, host.classes["SaveImage"], "output", "")
    if not issubclass(host.classes.get("PreviewImage", object), SaveImage) and "PreviewImage" in host.classes:
        host.classes["PreviewImage"] = _saving(host, host.classes["PreviewImage"], "temp", "_temp")
    return host.classes


class SaveImage:
    """Saves pictures as packs that derive from it expect: into `output_dir`, reported as of `type`."""

    host: Host

    def __init__(self) -> None:
        self.output_dir = str(self.host.folders.output)
        self.type = "output"
        self.prefix_append = ""
        self.compress_level = 4

    def save_images(
        self, images: Any, filename_prefix: str = "ComfyUI", prompt: Any = None, extra_pnginfo: Any = None
    ) -> dict[str, Any]:
        """Write PNG files with the graph in them; `images` is `B×H×W×C`, 0…1."""
        from compat.modules.folder_paths import FolderPaths

        place = FolderPaths(self.host.folders).get_save_image_path(
            filename_prefix + self.prefix_append, self.output_dir, images[0].shape[1], images[0].shape[0]
        )
        folder, stem, counter, subfolder, _ = place
        saved = []
        for number, image in enumerate(images):
            file = f"{stem.replace('%batch_num%', str(number))}_{counter + number:05}_.png"
            _write(image, f"{folder}/{file}", prompt, extra_pnginfo, self.compress_level)
            saved.append({"filename": file, "subfolder": subfolder, "type": self.type})
        return {"ui": {"images": saved}}


def _write(image: Any, path: str, prompt: Any, extra: Any, compress_level: int) -> None:
    import json
    from pathlib import Path

    from PIL import Image

    from execution.files.folders import atomic_write
    from pictures.texts import png_chunks

    parts = {**({} if prompt is None else {"prompt": prompt}), **(extra or {})}
    texts = png_chunks({key: json.dumps(value) for key, value in parts.items()})
    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).byte().numpy()
    with atomic_write(Path(path)) as file:
        Image.fromarray(pixels).save(file, format="PNG", pnginfo=texts, compress_level=compress_level)


def _saving(host: Host, facade: type, kind: str, append: str) -> type:
    """The class of a saving node, to derive from: `type` and `output_dir` say where files go."""

    def __init__(self: Any) -> None:
        SaveImage.__init__(self)
        self.type, self.prefix_append = kind, append
        self.output_dir = str(host.folders.roots[kind])
        self.compress_level = 4 if kind == "output" else 1

    members = {"__init__": __init__, "host": host, "FUNCTION": "save_images", "__module__": "nodes"}
    return type(facade.__name__, (SaveImage, facade), members)


def interrupt_processing(value: bool = True) -> None:
    """Cancel the running job."""
    run = current_run()
    if run is not None and value:
        run.cancel.cancel()


def before_node_execution() -> None:
    """Raise when the running job was cancelled."""
    run = current_run()
    if run is not None:
        run.check()


def common_ksampler(host: Host) -> Any:
    """ComfyUI's `common_ksampler`, over the native KSampler and KSamplerAdvanced."""

    def sample(
        model: Any,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        latent: Any,
        denoise: float = 1.0,
        disable_noise: bool = False,
        start_step: int | None = None,
        last_step: int | None = None,
        force_full_denoise: bool = False,
    ) -> Any:
        classes = class_mappings(host)
        shared = {
            "model": model, "steps": steps, "cfg": cfg, "sampler_name": sampler_name, "scheduler": scheduler,
            "positive": positive, "negative": negative, "latent_image": latent,
        }  # fmt: skip
        if not disable_noise and start_step is None and last_step is None:
            return classes["KSampler"]().sample(seed=seed, denoise=denoise, **shared)
        return classes["KSamplerAdvanced"]().sample(
            noise_seed=seed,
            add_noise="disable" if disable_noise else "enable",
            start_at_step=start_step or 0,
            end_at_step=10000 if last_step is None else last_step,
            return_with_leftover_noise="disable" if force_full_denoise else "enable",
            **shared,
        )

    return sample


def names(host: Host) -> Mapping[str, Any]:
    """What packs import: each native type's class by its name too."""
    classes = class_mappings(host)
    if "ImageScale" in classes:
        classes["ImageScale"].upscale_methods = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
    return {
        **{name: cls for name, cls in classes.items() if name.isidentifier()},
        "EXTENSION_WEB_DIRS": host.web_directories,
        "LOADED_MODULE_DIRS": {},
        "MAX_RESOLUTION": MAX_RESOLUTION,
        "NODE_CLASS_MAPPINGS": classes,
        "NODE_DISPLAY_NAME_MAPPINGS": host.display_names,
        "before_node_execution": before_node_execution,
        "common_ksampler": common_ksampler(host),
        "interrupt_processing": interrupt_processing,
    }
