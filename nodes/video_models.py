"""Models that set a picture in motion: their files, and guidance that changes over the frames."""

from typing import Annotated, NamedTuple

from diffusion.checkpoints import load_checkpoint
from diffusion.patches.video_guidance import framewise, rising, there_and_back
from diffusion.residency import Residency
from diffusion.vision import vision_from, vision_part
from diffusion.weights import open_weights
from execution.folders import Folders
from execution.node import Range, Tip, node
from nodes.loaders import CheckpointName
from nodes.sampling import SomeModel, present
from nodes.sockets import ClipVision, Model, Vae

LeastScale = Annotated[float, Range(0.0, 100.0, step=0.5, round=0.01)]


class PartsForPictures(NamedTuple):
    """What a checkpoint holds that is steered by pictures alone."""

    MODEL: Model | None
    CLIP_VISION: ClipVision | None
    VAE: Vae | None


@node("ImageOnlyCheckpointLoader", category="loaders/video_models")
def load_image_only_checkpoint(
    ckpt_name: CheckpointName, folders: Folders, residency: Residency
) -> PartsForPictures:
    """Image Only Checkpoint Loader (img2vid model).

    Opens a checkpoint that goes on from a picture: the model, its picture encoder and its VAE.
    """
    path = folders.resolve("checkpoints", ckpt_name)
    loaded = load_checkpoint(path, residency)
    seeing = vision_part(open_weights(path))
    vision = vision_from(seeing, residency) if seeing is not None else None
    return PartsForPictures(loaded.model, vision, loaded.vae)


@node("VideoLinearCFGGuidance", category="sampling/video_models")
def linear_guidance(
    model: SomeModel, min_cfg: Annotated[LeastScale, Tip("The scale at the first frame.")] = 1.0
) -> Model:
    """VideoLinearCFGGuidance.

    Lets guidance rise from frame to frame, up to the sampler's scale at the last.
    """
    return framewise(present(model), min_cfg, rising)


@node("VideoTriangleCFGGuidance", category="sampling/video_models")
def triangle_guidance(
    model: SomeModel, min_cfg: Annotated[LeastScale, Tip("The scale at the first and last frame.")] = 1.0
) -> Model:
    """VideoTriangleCFGGuidance.

    Lets guidance rise to the sampler's scale at the middle of a clip, and fall again.
    """
    return framewise(present(model), min_cfg, there_and_back)
