"""Which modules declare the program's own nodes."""

from importlib import import_module

from execution.declare.node import NativeNode, node_types

MODULES = (
    "adapt.adapters",
    "adapt.hypernetworks",
    "adapt.merging",
    "adapt.weight_hooks",
    "audio.audio",
    "control.control",
    "control.grounding",
    "control.photomaker",
    "control.picture_conditioning",
    "control.preprocessing",
    "control.styles",
    "control.unclip",
    "control.vision",
    "image.comparing",
    "image.deep_files",
    "image.files",
    "image.image",
    "image.image_filters",
    "image.image_size",
    "image.resizing",
    "image.saving",
    "image.upscaling",
    "latent.inpainting",
    "latent.latent",
    "latent.latent_batch",
    "latent.latent_mix",
    "latent.vae",
    "load.loaders",
    "load.model_files",
    "load.video_models",
    "logic.lists",
    "logic.logic",
    "logic.looking",
    "logic.loops",
    "logic.numbers",
    "logic.primitive",
    "logic.switches",
    "mask.mask",
    "sample.custom_sampling",
    "sample.guidance",
    "sample.model_sampling",
    "sample.patches",
    "sample.samplers",
    "sample.sampling",
    "sample.sigmas",
    "sample.speed",
    "text.conditioning",
    "text.formats",
    "text.prompts",
    "text.several",
    "text.strings",
    "text.text",
    "text.wildcards",
    "train.image_sets",
    "train.training",
    "video.video",
)


def native_types(*modules: str) -> list[NativeNode]:
    """The node types of these modules, or of all, not yet bound to what the program provides."""
    return [each for name in modules or MODULES for each in node_types(import_module(f"nodes.{name}"))]
