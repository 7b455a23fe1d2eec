"""Style models: pictures that are put behind a text as words."""

from typing import Annotated, Literal

from diffusion.control.style_model import load_style_model, styled
from diffusion.residency.budget import Residency
from execution.declare.node import Folder, Range, Tip, node
from execution.files.folders import Folders
from nodes.sockets import ClipVisionOutput, Conditioning, StyleModel
from nodes.text.conditioning import AnyConditioning


@node("StyleModelLoader", category="loaders")
def load_style(
    style_model_name: Annotated[str, Folder("style_models"), Tip("A file in models/style_models.")],
    folders: Folders,
    residency: Residency,
) -> StyleModel:
    """Load Style Model.

    Opens a model that turns pictures into words.
    """
    return load_style_model(folders.resolve("style_models", style_model_name), residency)


@node("StyleModelApply", category="conditioning/style_model")
def apply_style(
    conditioning: AnyConditioning,
    style_model: Annotated[StyleModel, Tip("The style model.")],
    clip_vision_output: Annotated[ClipVisionOutput, Tip("What CLIP Vision Encode made of the picture.")],
    strength: Annotated[float, Range(0.0, 10.0, step=0.001), Tip("How strongly the picture counts.")] = 1.0,
    *,
    strength_type: Annotated[
        Literal["multiply", "attn_bias"],
        Tip("Make the picture's words larger, or let the model look at them more."),
    ],
) -> Conditioning:
    """Apply Style Model.

    Puts what a picture shows behind a text, as if it were words.
    """
    words = style_model.words(clip_vision_output)
    return styled(conditioning, words, strength, strength_type == "attn_bias")
