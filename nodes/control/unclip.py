"""unCLIP: models that are steered by pictures as by words."""

from typing import Annotated, NamedTuple

from diffusion.families.checkpoints import load_checkpoint
from diffusion.networks.vision import vision_from, vision_part
from diffusion.residency.budget import Residency
from diffusion.weights.files import open_weights
from execution.declare.node import Range, Tip, node
from execution.files.folders import Folders
from nodes.load.loaders import CheckpointName
from nodes.sockets import Clip, ClipVision, ClipVisionOutput, Conditioning, Model, Vae
from nodes.text.conditioning import AnyConditioning
from nodes.text.embeddings import embedding_finder

Seen = Annotated[ClipVisionOutput, Tip("What CLIP Vision Encode made of the picture.")]


class PartsAndVision(NamedTuple):
    """What an unCLIP checkpoint holds."""

    MODEL: Model | None
    CLIP: Clip | None
    VAE: Vae | None
    CLIP_VISION: ClipVision | None


@node("unCLIPCheckpointLoader", category="loaders")
def load_unclip_checkpoint(
    ckpt_name: CheckpointName, folders: Folders, residency: Residency
) -> PartsAndVision:
    """unCLIPCheckpointLoader.

    Opens a checkpoint that is steered by pictures: model, text encoder, VAE and picture encoder.
    """
    path = folders.resolve("checkpoints", ckpt_name)
    loaded = load_checkpoint(path, residency, embedding_finder(folders))
    seeing = vision_part(open_weights(path))
    vision = vision_from(seeing, residency) if seeing is not None else None
    return PartsAndVision(loaded.model, loaded.text, loaded.vae, vision)


@node("unCLIPConditioning", category="conditioning")
def unclip_conditioning(
    conditioning: AnyConditioning,
    clip_vision_output: Seen,
    strength: Annotated[float, Range(-10.0, 10.0, step=0.01), Tip("How strongly this picture counts.")] = 1.0,
    noise_augmentation: Annotated[
        float, Range(0.0, 1.0, step=0.01), Tip("How freely the picture is followed: 0 closely, 1 hardly.")
    ] = 0.0,
) -> Conditioning:
    """unCLIPConditioning.

    Lets a picture steer an unCLIP model. Several can follow one another, and mix with the text.
    """
    if strength == 0:
        return conditioning
    picture = {
        "clip_vision_output": clip_vision_output,
        "strength": strength,
        "noise_augmentation": noise_augmentation,
    }
    return [
        [embedding, {**options, "unclip_conditioning": [*options.get("unclip_conditioning", ()), picture]}]
        for embedding, options in conditioning
    ]
