"""Models that set a picture in motion: their files, and guidance that changes over the frames."""

from typing import Annotated, NamedTuple

from diffusion.families.checkpoints import load_checkpoint
from diffusion.guidance.frames import framewise, rising, there_and_back
from diffusion.networks.vision import vision_from, vision_part
from diffusion.patches.windows import SCHEDULES, Windows, in_windows
from diffusion.residency.budget import Residency
from diffusion.weights.files import open_weights
from execution.declare.node import Choice, Range, Tip, node
from execution.files.folders import Folders
from nodes.load.loaders import CheckpointName
from nodes.sample.sampling import SomeModel, present
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


@node("ContextWindowsManual", category="context", v3=True, experimental=True)
def context_windows(
    model: SomeModel,
    context_length: Annotated[int, Range(min=1), Tip("How many frames the model sees at once.")] = 16,
    context_overlap: Annotated[int, Range(min=0), Tip("How many frames two windows share.")] = 4,
    *,
    context_schedule: Annotated[str, Choice(SCHEDULES), Tip("How windows are laid at each step.")],
    context_stride: Annotated[
        int, Range(min=1), Tip("For uniform schedules: how often the frames between are left out, doubling.")
    ] = 1,
    closed_loop: Annotated[bool, Tip("For the looped schedule: the end goes on at the beginning.")] = False,
    fuse_method: Annotated[
        str,
        Choice(["pyramid", "relative", "flat", "overlap-linear"]),
        Tip("How much each frame of a window counts where windows overlap."),
    ] = "pyramid",
    dim: Annotated[
        int, Range(0, 5), Tip("Along what: 0 pictures or frames, 2 rows, 3 columns of the latent.")
    ] = 0,
) -> Model:
    """Context Windows (Manual).

    Samples clips and batches longer than a model sees at once, in windows that overlap.
    """
    laid = (context_length, context_overlap, context_schedule, context_stride, closed_loop, fuse_method, dim)
    return in_windows(present(model), Windows(*laid))
