"""Which modules declare the program's own nodes."""

from importlib import import_module

from execution.node import NativeNode, node_types

MODULES = (
    "conditioning",
    "files",
    "image",
    "image_filters",
    "image_size",
    "latent",
    "latent_batch",
    "latent_mix",
    "mask",
    "primitive",
    "strings",
)


def native_types() -> list[NativeNode]:
    """All node types of the program, not yet bound to what it provides."""
    return [each for name in MODULES for each in node_types(import_module(f"nodes.{name}"))]
