"""Small networks beside a model's own: styles taken from pictures, and pictures that lead."""

from typing import Annotated, Any

from diffusion.families.flux.style import StyleReference
from diffusion.families.model_patches import load_model_patch
from diffusion.families.qwen_image.beside import Beside
from diffusion.residency.budget import Residency
from execution.declare.node import Folder, Range, Socket, Tip, node
from execution.files.folders import Folders
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import ClipVisionOutput, Image, Mask, Model, Vae

ModelPatch = Annotated[Any, Socket("MODEL_PATCH")]


@node("ModelPatchLoader", category="advanced/loaders", experimental=True)
def load_patch(
    name: Annotated[str, Folder("model_patches"), Tip("A file in models/model_patches.")],
    folders: Folders,
    residency: Residency,
) -> ModelPatch:
    """ModelPatchLoader.

    Opens a small network that is put beside a model's own.
    """
    return load_model_patch(folders.resolve("model_patches", name), residency)


@node("USOStyleReference", category="advanced/model_patches/flux", experimental=True)
def follow_style(
    model: SomeModel,
    model_patch: Annotated[ModelPatch, Tip("USO's projector.")],
    clip_vision_output: Annotated[ClipVisionOutput, Tip("What SigLIP saw of the picture.")],
) -> Model:
    """USOStyleReference.

    Lets a FLUX model with USO's LoRA draw in the style of a picture.
    """
    if not isinstance(model_patch, StyleReference):
        raise ValueError("input 'model_patch' is no style projector of USO; choose uso-flux1-projector")
    return model_patch.applied(present(model), clip_vision_output)


@node("QwenImageDiffsynthControlnet", category="advanced/loaders/qwen", experimental=True)
def lead_by_picture(
    model: SomeModel,
    model_patch: Annotated[ModelPatch, Tip("A control network of DiffSynth for Qwen-Image.")],
    vae: Annotated[Vae, Tip("The model's VAE.")],
    image: Annotated[Image, Tip("The picture it looks at: edges, depth, or what is painted anew.")],
    strength: Annotated[float, Range(-10.0, 10.0, step=0.01), Tip("How strongly it leads.")] = 1.0,
    mask: Annotated[Mask | None, Tip("For inpainting: where the picture is painted anew.")] = None,
) -> Model:
    """QwenImageDiffsynthControlnet.

    Lets a picture lead a Qwen-Image model.
    """
    if not isinstance(model_patch, Beside):
        raise ValueError("input 'model_patch' is no control network of DiffSynth; choose one for Qwen-Image")
    return model_patch.applied(present(model), vae, image, strength, mask)
