"""Texts for models that read with several encoders, or with others than CLIP: a text for each."""

from typing import Annotated, Any, Literal

from diffusion.text.tokens import Tokens
from execution.declare.node import Range, Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import Clip, Conditioning
from nodes.text.embeddings import embedding_stamps
from nodes.text.text import Encoder, encoded, present, text_files
from nodes.widgets import MAX_SIDE, Prompt

T5_TOWERS = ("t5xxl", "pile_t5xl", "t5base", "mt5xl", "umt5xxl")

SYSTEM_PROMPTS = {
    "superior": (
        "You are an assistant designed to generate superior images with the superior degree of image-text "
        "alignment based on textual prompts or user prompts."
    ),
    "alignment": (
        "You are an assistant designed to generate high-quality images with the highest degree of image-text "
        "alignment based on textual prompts."
    ),
}
"""What Lumina 2 was told in training before a prompt (arXiv 2503.21758)."""


ForL = Annotated[Prompt, Tip("The text for CLIP L.")]
ForG = Annotated[Prompt, Tip("The text for OpenCLIP bigG.")]
ForT5 = Annotated[Prompt, Tip("The text for T5, which understands whole sentences.")]
Pads = Annotated[int, Range(0, 10000, step=1)]


def _tokens(clip: Clip, texts: dict[str, str]) -> Tokens:
    """The tokens of a text for each tower that there is."""
    return {key: clip.tokenize(text)[key] for key, text in texts.items() if clip.tower(key) is not None}


def flux_text_files(
    folders: Folders, clip_l: str | None = None, t5xxl: str | None = None
) -> list[Any] | None:
    """What the key of two texts adds to their words: the files of the embeddings that they name."""
    return embedding_stamps(folders, clip_l, t5xxl)


@node(
    "CLIPTextEncodeFlux",
    category="advanced/conditioning/flux",
    display_name=None,
    fingerprint=flux_text_files,
)
def encode_text_flux(
    clip: Encoder,
    clip_l: ForL,
    t5xxl: ForT5,
    guidance: Annotated[float, Range(0.0, 100.0, step=0.1), Tip("How closely the text is followed.")] = 3.5,
    *,
    run: Run,
) -> Conditioning:
    """CLIP Text Encode Flux.

    A text for each of Flux's two encoders, and how strongly it is guided.
    """
    clip = present(clip, run)
    return encoded(clip, _tokens(clip, {"l": clip_l, "t5xxl": t5xxl}), run, guidance=guidance)


def sd3_text_files(
    folders: Folders, clip_l: str | None = None, clip_g: str | None = None, t5xxl: str | None = None
) -> list[Any] | None:
    """The same for three texts."""
    return embedding_stamps(folders, clip_l, clip_g, t5xxl)


@node(
    "CLIPTextEncodeSD3",
    category="advanced/conditioning",
    display_name=None,
    fingerprint=sd3_text_files,
    v3=True,
)
def encode_text_sd3(
    clip: Encoder,
    clip_l: ForL,
    clip_g: ForG,
    t5xxl: ForT5,
    empty_padding: Annotated[
        Literal["none", "empty_prompt"],
        Tip("What an encoder without a text says: nothing, or what it says to an empty text."),
    ],
    run: Run,
) -> Conditioning:
    """CLIP Text Encode SD3.

    A text for each of Stable Diffusion 3's three encoders.
    """
    clip = present(clip, run)
    texts = {"l": clip_l, "g": clip_g, "t5xxl": t5xxl}
    tokens = _tokens(clip, texts)
    if empty_padding == "none":
        tokens = {key: chunks if texts[key] else [] for key, chunks in tokens.items()}
    return encoded(clip, _equally_many(clip, tokens), run)


def _equally_many(clip: Clip, tokens: Tokens) -> Tokens:
    """Tokens with empty chunks added to those of CLIP that have fewer than the other."""
    most = max((len(tokens[key]) for key in ("l", "g") if key in tokens), default=0)
    empty = clip.tokenize("")
    return {
        key: [*chunks, *empty[key] * (most - len(chunks))] if key in ("l", "g") else chunks
        for key, chunks in tokens.items()
    }


@node(
    "CLIPTextEncodePixArtAlpha",
    category="advanced/conditioning",
    display_name=None,
    fingerprint=text_files,
    v3=True,
)
def encode_text_pixart_alpha(
    width: Annotated[int, Range(0, MAX_SIDE), Tip("Of the picture that is made.")] = 1024,
    height: Annotated[int, Range(0, MAX_SIDE), Tip("Of the picture that is made.")] = 1024,
    *,
    text: Annotated[Prompt, Tip("What the picture should show.")],
    clip: Encoder,
    run: Run,
) -> Conditioning:
    """CLIP Text Encode PixArt Alpha.

    A text for PixArt alpha, with the size that it is told.
    """
    clip = present(clip, run)
    return encoded(clip, clip.tokenize(text), run, width=width, height=height)


def hidream_text_files(
    folders: Folders,
    clip_l: str | None = None,
    clip_g: str | None = None,
    t5xxl: str | None = None,
    llama: str | None = None,
) -> list[Any] | None:
    """The same for four texts."""
    return embedding_stamps(folders, clip_l, clip_g, t5xxl, llama)


@node(
    "CLIPTextEncodeHiDream",
    category="advanced/conditioning",
    display_name=None,
    fingerprint=hidream_text_files,
    v3=True,
)
def encode_text_hidream(
    clip: Encoder,
    clip_l: ForL,
    clip_g: ForG,
    t5xxl: ForT5,
    llama: Annotated[Prompt, Tip("The text for LLaMA, which the picture follows most.")],
    run: Run,
) -> Conditioning:
    """CLIP Text Encode HiDream.

    A text for each of HiDream's four encoders.
    """
    clip = present(clip, run)
    texts = {"l": clip_l, "g": clip_g, "t5xxl": t5xxl, "llama": llama}
    return encoded(clip, _tokens(clip, texts), run)


def hunyuan_text_files(
    folders: Folders, bert: str | None = None, mt5xl: str | None = None
) -> list[Any] | None:
    """The same for BERT's and mT5's texts."""
    return embedding_stamps(folders, bert, mt5xl)


@node("CLIPTextEncodeHunyuanDiT", category="advanced/conditioning", fingerprint=hunyuan_text_files)
def encode_text_hunyuan_dit(
    clip: Encoder,
    bert: Annotated[Prompt, Tip("The text for BERT, in Chinese or English.")],
    mt5xl: Annotated[Prompt, Tip("The text for mT5, which reads many languages.")],
    run: Run,
) -> Conditioning:
    """CLIPTextEncodeHunyuanDiT.

    A text for each of HunyuanDiT's two encoders.
    """
    clip = present(clip, run)
    return encoded(clip, _tokens(clip, {"hydit_clip": bert, "mt5xl": mt5xl}), run)


@node("CLIPTextEncodeLumina2", category="conditioning", fingerprint=text_files, v3=True)
def encode_text_lumina2(
    system_prompt: Annotated[
        Literal["superior", "alignment"],
        Tip("What the encoder is told it makes: superior pictures, or such as keep to the text."),
    ],
    user_prompt: Annotated[Prompt, Tip("What the picture should show.")],
    clip: Encoder,
    run: Run,
) -> Conditioning:
    """CLIP Text Encode for Lumina2.

    A text for Lumina 2, behind the words that it knows from training.
    """
    clip = present(clip, run)
    text = f"{SYSTEM_PROMPTS[system_prompt]} <Prompt Start> {user_prompt}"
    return encoded(clip, clip.tokenize(text), run)


@node("T5TokenizerOptions", category="_for_testing/conditioning", display_name=None, experimental=True)
def set_t5_lengths(
    clip: Encoder,
    min_padding: Annotated[Pads, Tip("So many empty tokens at least follow a text.")] = 0,
    min_length: Annotated[Pads, Tip("A text is filled up to so many tokens; 0 does not fill it up.")] = 0,
) -> Clip:
    """T5 Tokenizer Options.

    How far texts for T5 and its kin are filled up with empty tokens.
    """
    return present(clip).padded(T5_TOWERS, min_length, min_padding)
