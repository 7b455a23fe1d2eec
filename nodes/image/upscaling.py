"""Networks that enlarge pictures."""

from typing import Annotated

from diffusion.residency.budget import Residency
from diffusion.upscaling.upscaler import load_upscaler
from execution.declare.node import Folder, Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import Image, Picture, UpscaleModel


@node("UpscaleModelLoader", category="loaders", v3=True)
def load_upscale_model(
    model_name: Annotated[str, Folder("upscale_models"), Tip("A file in models/upscale_models.")],
    folders: Folders,
    residency: Residency,
) -> UpscaleModel:
    """Load Upscale Model.

    Opens a network that enlarges pictures.
    """
    return load_upscaler(folders.resolve("upscale_models", model_name), residency)


@node("ImageUpscaleWithModel", category="image/upscaling")
def upscale_with_model(
    upscale_model: Annotated[UpscaleModel, Tip("The network; it says how much larger.")],
    image: Picture,
    run: Run,
) -> Image:
    """Upscale Image (using Model).

    Enlarges an image by a network that adds detail.
    """
    return upscale_model.enlarged(image, run.check)
