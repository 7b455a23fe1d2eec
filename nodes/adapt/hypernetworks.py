"""Hypernetworks: small nets inside a model's attention."""

from typing import Annotated

from diffusion.patches.hypernetwork import with_hypernetwork
from execution.declare.node import Folder, Range, Tip, node
from execution.files.folders import Folders
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import Model


@node("HypernetworkLoader", category="loaders")
def load_hypernetwork(
    model: SomeModel,
    hypernetwork_name: Annotated[str, Folder("hypernetworks"), Tip("A file in models/hypernetworks.")],
    strength: Annotated[
        float, Range(-10.0, 10.0, step=0.01), Tip("How strongly; negative turns it round.")
    ] = 1.0,
    *,
    folders: Folders,
) -> Model:
    """HypernetworkLoader.

    Changes a model by a hypernetwork. Several can follow one another.
    """
    return with_hypernetwork(present(model), folders.resolve("hypernetworks", hypernetwork_name), strength)
