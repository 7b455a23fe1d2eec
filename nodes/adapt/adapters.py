"""LoRA and its kin: small files that change a model's weights."""

from typing import Annotated, NamedTuple

from diffusion.patches.weights import adapters
from execution.declare.node import Folder, Range, Tip, node
from execution.files.folders import Folders
from nodes.sample.sampling import present
from nodes.sockets import Clip, Model

LoraName = Annotated[str, Folder("loras"), Tip("A file in models/loras.")]
ModelStrength = Annotated[
    float, Range(-100.0, 100.0, step=0.01), Tip("How strongly the model is changed; negative turns it round.")
]
ClipStrength = Annotated[
    float, Range(-100.0, 100.0, step=0.01), Tip("How strongly the text encoder is changed.")
]


class ModelAndClip(NamedTuple):
    """A model and its text encoder."""

    MODEL: Model | None
    CLIP: Clip | None


@node("LoraLoader", category="loaders")
def load_lora(
    model: Annotated[Model, Tip("The diffusion model.")],
    clip: Annotated[Clip, Tip("The text encoder.")],
    lora_name: LoraName,
    strength_model: ModelStrength = 1.0,
    strength_clip: ClipStrength = 1.0,
    *,
    folders: Folders,
) -> ModelAndClip:
    """Load LoRA.

    Changes a model and its text encoder by a LoRA. Several can follow one another.
    """
    path = folders.resolve("loras", lora_name)
    return ModelAndClip(*adapters.apply(path, model, clip, strength_model, strength_clip))


@node("LoraLoaderModelOnly", category="loaders")
def load_lora_model_only(
    model: Annotated[Model, Tip("The diffusion model.")],
    lora_name: LoraName,
    strength_model: ModelStrength = 1.0,
    *,
    folders: Folders,
) -> Model:
    """LoraLoaderModelOnly.

    Changes a model by a LoRA and leaves the text encoder as it is.
    """
    path = folders.resolve("loras", lora_name)
    changed, _ = adapters.apply(path, present(model), None, strength_model, 0.0)
    return present(changed)
