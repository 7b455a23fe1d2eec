"""Pictures as models see them."""

from typing import Annotated, Literal

from diffusion.networks.vision import load_vision
from diffusion.residency.budget import Residency
from execution.declare.node import Folder, Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import ClipVision, ClipVisionOutput, Picture


@node("CLIPVisionLoader", category="loaders")
def load_clip_vision(
    clip_name: Annotated[str, Folder("clip_vision"), Tip("A file in models/clip_vision.")],
    folders: Folders,
    residency: Residency,
) -> ClipVision:
    """Load CLIP Vision.

    Opens a picture encoder.
    """
    return load_vision(folders.resolve("clip_vision", clip_name), residency)


@node("CLIPVisionEncode", category="conditioning")
def encode_picture(
    clip_vision: Annotated[ClipVision, Tip("The picture encoder.")],
    image: Picture,
    crop: Annotated[Literal["center", "none"], Tip("Cut out a square, or squeeze the whole into one.")],
    run: Run,
) -> ClipVisionOutput:
    """CLIP Vision Encode.

    Turns a picture into what models that follow pictures understand.
    """
    return clip_vision.encode(image, crop == "center", run.check)
