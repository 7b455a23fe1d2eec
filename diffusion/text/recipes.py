"""The ways to read texts that there are, by the names that loaders of text encoders call them by."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from diffusion.text import joins
from diffusion.text.decoders import qwen_user
from diffusion.text.recipe import Recipe
from diffusion.text.tokens import Frame, Token
from diffusion.text.tower import ALL_LAYERS, Rule

CLIP_START, CLIP_END = 49406, 49407
CLIP_LENGTH = 77


def clip_rule(layer: int, normed: bool, pad: int = CLIP_END) -> Rule:
    """A CLIP tower's rule: a chunk of 77, the hidden state that is taken, and what fills a chunk up."""
    frame = Frame(CLIP_START, CLIP_END, pad, CLIP_LENGTH, CLIP_LENGTH)
    return Rule(frame, layer, normed)


def t5_frame(least: int, pad: int = 0, end: int = 1) -> Frame:
    """What stands around a text for T5: an end, and pads up to the least length, which has no limit."""
    return Frame(None, end, pad, least=least)


STABLE_DIFFUSION: Mapping[tuple[str, ...], Recipe] = {
    ("l",): Recipe("sd1", "Stable Diffusion 1.x", {"l": clip_rule(-1, True)}),
    ("h",): Recipe("sd2", "Stable Diffusion 2.x", {"h": clip_rule(-2, True, 0)}),
    ("g",): Recipe("sdxl_refiner", "SDXL refiner", {"g": clip_rule(-2, False, 0)}),
    ("l", "g"): Recipe(
        "sdxl", "Stable Diffusion XL", {"l": clip_rule(-2, False), "g": clip_rule(-2, False, 0)}
    ),
}
"""Families that read CLIP alone are told by their towers."""


QWEN_SYSTEM = "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{{}}<|im_end|>"
DESCRIBE = QWEN_SYSTEM.format(
    system=(
        "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial "
        "relationships of the objects and background:"
    )
)
QWEN_IMAGE = f"{DESCRIBE}\n<|im_start|>assistant\n"
HUNYUAN_IMAGE = DESCRIBE
OMNIGEN2 = (
    QWEN_SYSTEM.format(
        system="You are a helpful assistant that generates high-quality images based on user instructions."
    )
    + "\n"
)
QWEN = Rule(
    Frame(None, None, 151643, least=1),
    masked=True,
    own_templates=("<|im_start|>", "<|start_header_id|>"),
    picture=151655,
)
"""Qwen reads a text in a template, unless it brings one."""

TAGGED, TAG_TOKENS = 27, 36
QUOTED = (r'"(.*?)"', r"‘(.*?)’", r"“(.*?)”")


def after_template(chunk: Sequence[Token]) -> slice:
    """What is kept for Qwen-Image: the user's words and what follows."""
    return slice(qwen_user(chunk), None)


def hunyuan_image_cut(chunk: Sequence[Token]) -> slice:
    """What is kept for HunyuanImage: what follows its template, or the long one of texts with a tag."""
    numbers = [token for token, _ in chunk]
    end = qwen_user(chunk)
    tagged = len(numbers) > TAG_TOKENS and numbers[0] == TAGGED
    return slice(max(end, TAG_TOKENS) if tagged else end, None)


HEADER, BREAK, TURN_END = [128006, 882, 128007], 271, 128009
HUNYUAN_VIDEO = (
    "<|start_header_id|>system<|end_header_id|>\n\n"
    "Describe the video by detailing the following aspects: 1. The main content and theme of the video."
    "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects."
    "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects."
    "4. background environment, light, style and atmosphere."
    "5. camera angles, movements, and transitions used in the video:<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
)


def hunyuan_video_cut(chunk: Sequence[Token]) -> slice:
    """What is kept for HunyuanVideo: the user's turn behind its header, with its end."""
    numbers = [token for token, _ in chunk]
    places = range(len(numbers) - len(HEADER))
    start = next((place + 3 for place in places if numbers[place : place + 3] == HEADER), 0)
    start += 1 if start > 0 and chunk[start][0] == BREAK else 0
    ends = (place for place in range(start, len(numbers)) if numbers[place] == TURN_END)
    end = next(ends, None)
    return slice(start, None if end is None else end + 1)


def to_be_written(text: str) -> str | None:
    """What a text wants written in the picture: all that is in quotes, kind by kind; None if nothing is."""
    found = [each for kind in QUOTED for each in re.findall(kind, text)]
    return "".join(f'Text "{each}". ' for each in found) if found else None


PIXART = Recipe(
    "pixart",
    "PixArt",
    {"t5xxl": Rule(t5_frame(1), bare_empty=True)},
    joins.one("t5xxl"),
)

NAMED: Mapping[str, Recipe] = {
    "stable_cascade": Recipe(
        "stable_cascade",
        "Stable Cascade",
        {"g": replace(clip_rule(-1, False), masked=True)},
        joins.with_pooled,
    ),
    "flux": Recipe(
        "flux",
        "Flux",
        {"l": replace(clip_rule(-1, True), projected=False), "t5xxl": Rule(t5_frame(256))},
        joins.flux,
        (frozenset({"l", "t5xxl"}),),
    ),
    "sd3": Recipe(
        "sd3",
        "Stable Diffusion 3",
        {
            "l": replace(clip_rule(-2, False), projected=False),
            "g": clip_rule(-2, False, 0),
            "t5xxl": Rule(t5_frame(77)),
        },
        joins.sd3,
        silent=frozenset({"l", "g"}),
    ),
    "pixart": PIXART,
    "chroma": replace(PIXART, name="chroma", title="Chroma"),
    "auraflow": Recipe(
        "auraflow",
        "AuraFlow",
        {"pile_t5xl": Rule(t5_frame(256, pad=1, end=2), masked=True, silenced=True)},
        joins.one("pile_t5xl"),
    ),
    "cosmos": Recipe(
        "cosmos",
        "Cosmos",
        {"t5xxl_old": Rule(t5_frame(512), masked=True, silenced=True)},
        joins.one("t5xxl", mask=True),
    ),
    "hidream": Recipe(
        "hidream",
        "HiDream",
        {
            "l": clip_rule(-1, True),
            "g": clip_rule(-1, True, 0),
            "t5xxl": Rule(replace(t5_frame(128), length=128, most=1), masked=True),
            "llama": Rule(Frame(128000, None, 128009, least=128), ALL_LAYERS, masked=True, by_layer=True),
        },
        joins.hidream,
    ),
    "lumina2": Recipe(
        "lumina2",
        "Lumina 2",
        {key: Rule(Frame(2, None, 0, least=1), -2, False, masked=True) for key in ("gemma2_2b", "gemma3_4b")},
        joins.alone(mask=True),
    ),
    "omnigen2": Recipe(
        "omnigen2",
        "OmniGen2",
        {"qwen25_3b": replace(QWEN, template=OMNIGEN2, bare_empty=True)},
        joins.alone(mask=True),
    ),
    "qwen_image": Recipe(
        "qwen_image",
        "Qwen-Image",
        {"qwen25_7b": replace(QWEN, template=QWEN_IMAGE, weighted=False, cut=after_template)},
        joins.alone(mask=True, whole_mask=False),
    ),
    "hunyuan_image": Recipe(
        "hunyuan_image",
        "HunyuanImage",
        {
            "qwen25_7b": replace(
                QWEN, layer=-3, normed=False, template=HUNYUAN_IMAGE, weighted=False, cut=hunyuan_image_cut
            ),
            "byt5": Rule(t5_frame(0), masked=True, silenced=True),
        },
        joins.hunyuan_image,
        (frozenset({"qwen25_7b"}),),
        {"byt5": to_be_written},
        frozenset({"byt5"}),
    ),
    "hunyuan_video": Recipe(
        "hunyuan_video",
        "HunyuanVideo",
        {
            "l": replace(clip_rule(-1, True), projected=False),
            "llama": Rule(
                Frame(128000, None, 128258, least=1),
                -3,
                False,
                masked=True,
                template=HUNYUAN_VIDEO,
                own_templates=("<|start_header_id|>",),
                cut=hunyuan_video_cut,
            ),
        },
        joins.hunyuan_video,
        (frozenset({"l", "llama"}),),
    ),
    "hunyuan_dit": Recipe(
        "hunyuan_dit",
        "HunyuanDiT",
        {
            "hydit_clip": Rule(Frame(101, 102, 0, 512, least=77), masked=True),
            "mt5xl": Rule(t5_frame(256), masked=True),
        },
        joins.hunyuan_dit,
        (frozenset({"hydit_clip", "mt5xl"}),),
    ),
    "wan": Recipe(
        "wan", "Wan", {"umt5xxl": Rule(t5_frame(512), masked=True, silenced=True)}, joins.one("umt5xxl")
    ),
    "ltxv": Recipe(
        "ltxv", "LTX-Video", {"t5xxl": Rule(t5_frame(128), masked=True)}, joins.one("t5xxl", mask=True)
    ),
    "ace": Recipe("ace", "ACE-Step", {"umt5base": Rule(t5_frame(1), masked=True)}, joins.one("umt5base")),
    "stable_audio": Recipe(
        "stable_audio",
        "Stable Audio",
        {"t5base": Rule(t5_frame(128), masked=True, silenced=True)},
        joins.one("t5base"),
    ),
    "mochi": Recipe(
        "mochi", "Mochi", {"t5xxl": Rule(t5_frame(256), masked=True)}, joins.one("t5xxl", mask=True)
    ),
}
"""Families whose way of reading has a name of its own."""

ONLY_ONE: Mapping[str, str] = {
    "umt5xxl": "wan",
    "umt5base": "ace",
    "t5base": "stable_audio",
    "gemma2_2b": "lumina2",
    "gemma3_4b": "lumina2",
    "qwen25_3b": "omnigen2",
    "hydit_clip": "hunyuan_dit",
    "pile_t5xl": "auraflow",
    "t5xxl_old": "cosmos",
}
"""Towers that one family alone reads, whatever the loader was told."""

BESIDE: Mapping[frozenset[str], str] = {
    frozenset({"l", "t5xxl"}): "flux",
    frozenset({"l", "g", "t5xxl"}): "sd3",
    frozenset({"g", "t5xxl"}): "sd3",
}
"""What towers that stand together in one checkpoint are for, where nothing else says it."""


def recipe_for(type: str, keys: Collection[str]) -> Recipe:
    """The recipe that a loader's `type` means for towers of these keys."""
    only = next((ONLY_ONE[key] for key in keys if key in ONLY_ONE), None)
    if only is not None:
        return NAMED[only]
    if type in NAMED and type != "qwen_image":
        return NAMED[type]
    clips = tuple(key for key in "lhg" if key in keys)
    if type == "sdxl" or (clips and len(clips) == len(keys)):
        known = STABLE_DIFFUSION.get(clips) if len(clips) == len(keys) else None
        return known or STABLE_DIFFUSION[("l", "g")]
    if "qwen25_7b" in keys:
        return NAMED["qwen_image"]
    if "llama" in keys:
        return NAMED["hidream"]
    beside = BESIDE.get(frozenset(keys))
    return NAMED[beside or "mochi"]
