"""Words bound to boxes of the picture (GLIGEN)."""

from typing import Annotated

from diffusion.control.gligen import load_gligen
from diffusion.residency.budget import Residency
from execution.declare.node import Folder, Range, Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import Conditioning, Gligen
from nodes.text.conditioning import AnyConditioning
from nodes.text.text import Encoder, present, text_files
from nodes.widgets import MAX_SIDE, Prompt

Side = Annotated[int, Range(8, MAX_SIDE, step=8), Tip("Of the box, in pixels.")]


@node("GLIGENLoader", category="loaders")
def load_gligen_model(
    gligen_name: Annotated[str, Folder("gligen"), Tip("A file in models/gligen.")],
    folders: Folders,
    residency: Residency,
) -> Gligen:
    """GLIGENLoader.

    Opens a model that binds words to boxes.
    """
    return load_gligen(folders.resolve("gligen", gligen_name), residency)


@node("GLIGENTextBoxApply", category="conditioning/gligen", fingerprint=text_files)
def apply_text_box(
    conditioning_to: AnyConditioning,
    clip: Encoder,
    gligen_textbox_model: Annotated[Gligen, Tip("The GLIGEN model.")],
    text: Annotated[Prompt, Tip("What stands in the box; say it in the whole text too.")],
    width: Side = 64,
    height: Side = 64,
    x: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("The box's left edge, in pixels.")] = 0,
    y: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("The box's upper edge, in pixels.")] = 0,
    *,
    run: Run,
) -> Conditioning:
    """GLIGENTextBoxApply.

    Puts something into a box of the picture. Several can follow one another.
    """
    clip = present(clip, run).unprojected()
    embedding = clip.encode(clip.tokenize(text), run.check).pooled
    box = (embedding, height // 8, width // 8, y // 8, x // 8)

    def bound(options: dict[str, object]) -> tuple[str, Gligen, list[object]]:
        before = options.get("gligen")
        boxes = before[2] if isinstance(before, tuple) else []
        return ("position", gligen_textbox_model, [*boxes, box])

    return [[each, {**options, "gligen": bound(options)}] for each, options in conditioning_to]
