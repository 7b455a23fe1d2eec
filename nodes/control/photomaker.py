"""PhotoMaker: a person from pictures, in any scene."""

from typing import Annotated

from diffusion.control.photomaker import last_place, load_photomaker, without_trigger
from diffusion.residency.budget import Residency
from execution.declare.node import Folder, Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import Conditioning, PhotoMaker, Picture
from nodes.text.text import Encoder, encoded, present, text_files
from nodes.widgets import Prompt


@node(
    "PhotoMakerLoader",
    category="_for_testing/photomaker",
    display_name=None,
    experimental=True,
    v3=True,
)
def load_photomaker_model(
    photomaker_model_name: Annotated[str, Folder("photomaker"), Tip("A file in models/photomaker.")],
    folders: Folders,
    residency: Residency,
) -> PhotoMaker:
    """PhotoMakerLoader.

    Opens a model that puts a person into pictures.
    """
    return load_photomaker(folders.resolve("photomaker", photomaker_model_name), residency)


@node(
    "PhotoMakerEncode",
    category="_for_testing/photomaker",
    display_name=None,
    experimental=True,
    v3=True,
    fingerprint=text_files,
)
def encode_photomaker(
    photomaker: Annotated[PhotoMaker, Tip("The PhotoMaker model.")],
    image: Picture,
    clip: Encoder,
    text: Annotated[
        Prompt, Tip("What the picture should show; the word before 'photomaker' becomes the person.")
    ] = "photograph of photomaker",
    *,
    run: Run,
) -> Conditioning:
    """PhotoMakerEncode.

    Turns a text into what steers the model, one of its words into the person seen in pictures.
    """
    clip = present(clip, run)
    words, before = without_trigger(text)
    conditioning = encoded(clip, clip.tokenize(words), run)
    if not before.strip():
        return conditioning
    place = last_place(clip, before)
    return [[photomaker.merged(each, place, image), options] for each, options in conditioning]
