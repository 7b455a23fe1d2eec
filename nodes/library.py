"""Which modules declare the program's own nodes."""

from importlib import import_module

from execution.node import NativeNode, node_types

MODULES = (
    "adapters",
    "audio",
    "conditioning",
    "control",
    "custom_sampling",
    "files",
    "grounding",
    "guidance",
    "hypernetworks",
    "image",
    "image_filters",
    "image_sets",
    "image_size",
    "inpainting",
    "latent",
    "latent_batch",
    "latent_mix",
    "loaders",
    "logic",
    "looking",
    "loops",
    "mask",
    "merging",
    "model_files",
    "model_sampling",
    "patches",
    "photomaker",
    "picture_conditioning",
    "preprocessing",
    "primitive",
    "prompts",
    "samplers",
    "sampling",
    "saving",
    "sigmas",
    "speed",
    "strings",
    "styles",
    "text",
    "training",
    "unclip",
    "upscaling",
    "vae",
    "video",
    "video_models",
    "vision",
    "weight_hooks",
    "wildcards",
)


def native_types(*modules: str) -> list[NativeNode]:
    """The node types of these modules, or of all, not yet bound to what the program provides."""
    return [each for name in modules or MODULES for each in node_types(import_module(f"nodes.{name}"))]
