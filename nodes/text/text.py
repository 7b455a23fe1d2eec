"""Texts that become conditioning: one text, or several with the sizes that SDXL was told in training."""

from typing import Annotated, Any

from diffusion.patches.weights.weight_hooks import spans
from diffusion.text.tokens import Tokens
from execution.declare.node import Range, Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import Clip, Conditioning
from nodes.text.embeddings import embedding_stamps
from nodes.widgets import MAX_SIDE, Prompt

Encoder = Annotated[Clip, Tip("The text encoder.")]
Side = Annotated[int, Range(0, MAX_SIDE)]


def encoded(clip: Clip, tokens: Tokens, run: Run, **options: Any) -> Conditioning:
    """Tokens as a conditioning, with the pooled embedding and `options` beside the embedding.

    It has one entry, or one for each span of the run in which the text encoder is another.

    Raises:
        ValueError: there is no text encoder.
    """
    entries = []
    for encoder, span in spans(clip):
        embedding = encoder.encode(tokens, run.check)
        pooled = {} if embedding.pooled is None else {"pooled_output": embedding.pooled}
        entries.append([embedding.cond, {**pooled, **embedding.extra, **span, **options}])
    return entries


def present(clip: Clip | None, run: Run | None = None) -> Clip:
    """The text encoder; a run is told what of a text it leaves out.

    Raises:
        ValueError: there is none; says where to get one.
    """
    if clip is None:
        raise ValueError(
            "input 'clip' is empty: the file it comes from holds no text encoder; "
            "load one with CLIPLoader or DualCLIPLoader, or choose a whole checkpoint"
        )
    return clip if run is None else clip.telling(run.notice)


def text_files(folders: Folders, text: str | None = None) -> list[Any] | None:
    """What the key of a text adds to its words: the files of the embeddings that it names."""
    return embedding_stamps(folders, text)


def sdxl_text_files(
    folders: Folders, text_g: str | None = None, text_l: str | None = None
) -> list[Any] | None:
    """The same for two texts."""
    return embedding_stamps(folders, text_g, text_l)


@node("CLIPTextEncode", category="conditioning", fingerprint=text_files)
def encode_text(
    text: Annotated[Prompt, Tip("What the picture should show. (Words:1.2) count more, (words:0.8) less.")],
    clip: Encoder,
    run: Run,
) -> Conditioning:
    """CLIP Text Encode (Prompt).

    Turns a text into what steers the model.
    """
    clip = present(clip, run)
    return encoded(clip, clip.tokenize(text), run)


@node("CLIPSetLastLayer", category="conditioning")
def set_last_layer(
    clip: Encoder,
    stop_at_clip_layer: Annotated[
        int, Range(-24, -1, step=1), Tip("-1 uses all layers, -2 leaves the last one out, and so on.")
    ] = -1,
) -> Clip:
    """CLIP Set Last Layer.

    Stops the text encoder earlier (clip skip), as some models expect.
    """
    return present(clip).with_last_layer(stop_at_clip_layer)


@node(
    "CLIPTextEncodeSDXL",
    category="advanced/conditioning",
    display_name=None,
    fingerprint=sdxl_text_files,
)
def encode_text_sdxl(
    clip: Encoder,
    width: Annotated[Side, Tip("Of the original, as the model assumes; small numbers look upscaled.")] = 1024,
    height: Annotated[
        Side, Tip("Of the original, as the model assumes; small numbers look upscaled.")
    ] = 1024,
    crop_w: Annotated[Side, Tip("How far the original was cut at the left; 0 centres the subject.")] = 0,
    crop_h: Annotated[Side, Tip("How far the original was cut above; 0 centres the subject.")] = 0,
    target_width: Annotated[Side, Tip("Of the picture that is made.")] = 1024,
    target_height: Annotated[Side, Tip("Of the picture that is made.")] = 1024,
    *,
    text_g: Annotated[Prompt, Tip("The text for the large encoder (OpenCLIP bigG).")],
    text_l: Annotated[Prompt, Tip("The text for the small encoder (CLIP L).")],
    run: Run,
) -> Conditioning:
    """CLIP Text Encode SDXL.

    A text for each of SDXL's two encoders, and the sizes it was told in training.
    """
    clip = present(clip, run)
    tokens = padded_alike(clip, {**clip.tokenize(text_g), "l": clip.tokenize(text_l).get("l", [])})
    return encoded(
        clip,
        tokens,
        run,
        width=width,
        height=height,
        crop_w=crop_w,
        crop_h=crop_h,
        target_width=target_width,
        target_height=target_height,
    )


def padded_alike(clip: Clip, tokens: Tokens) -> Tokens:
    """`tokens` with empty chunks added, so that both encoders read equally many."""
    empty = clip.tokenize("")
    length = max(len(chunks) for chunks in tokens.values())
    known = {key: chunks for key, chunks in tokens.items() if key in empty}
    return {key: chunks + empty[key] * (length - len(chunks)) for key, chunks in known.items()}


@node(
    "CLIPTextEncodeSDXLRefiner",
    category="advanced/conditioning",
    display_name=None,
    fingerprint=text_files,
)
def encode_text_sdxl_refiner(
    ascore: Annotated[
        float, Range(0.0, 1000.0, step=0.01), Tip("How beautiful: about 6 for positive, 2.5 for negative.")
    ] = 6.0,
    width: Annotated[Side, Tip("Of the picture that is made.")] = 1024,
    height: Annotated[Side, Tip("Of the picture that is made.")] = 1024,
    *,
    text: Annotated[Prompt, Tip("What the picture should show.")],
    clip: Encoder,
    run: Run,
) -> Conditioning:
    """CLIP Text Encode SDXL Refiner.

    A text for the SDXL refiner, with sizes and an aesthetic score.
    """
    clip = present(clip, run)
    return encoded(clip, clip.tokenize(text), run, aesthetic_score=ascore, width=width, height=height)
