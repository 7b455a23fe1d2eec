"""What packs hang at the blocks of transformers, as hooks: instead of a block, behind one, before all.

ComfyUI keeps them in `transformer_options`: `patches_replace["dit"][("double_block", 3)]` stands instead of a
block, `patches["double_block"]` and `["single_block"]` act behind each, `patches["post_input"]` on the text
before the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Hang = tuple[str, Any]  # (point, hook)

KINDS: Mapping[str, str] = {"double_block": "double", "single_block": "single"}
"""ComfyUI's names for lists of blocks, and ours."""
REPLACED, PATCHES, BLOCKS, INPUT = "patches_replace", "patches", "dit", "post_input"


def block_hooks(options: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Hang]:
    """The hooks of what was added to transformer options. AttributeError for what has no counterpart here."""
    strange = sorted(
        key for key in options if options[key] != before.get(key) and key not in (REPLACED, PATCHES)
    )
    replaced, patches = options.get(REPLACED, {}), options.get(PATCHES, {})
    strange += sorted(f"{REPLACED}.{key}" for key in replaced if key != BLOCKS)
    strange += sorted(f"{PATCHES}.{key}" for key in patches if key not in (*KINDS, INPUT))
    if strange:
        raise AttributeError(f"this MODEL cannot have {', '.join(strange)}: see docs/custom-nodes.md")
    known = before.get(REPLACED, {}).get(BLOCKS, {})
    for (name, index, *_), function in replaced.get(BLOCKS, {}).items():
        if known.get((name, index)) is not function:
            yield "block.call", instead_of(KINDS.get(name, name), index, function)
    for name, functions in patches.items():
        for function in functions:
            if function not in before.get(PATCHES, {}).get(name, ()):
                yield (
                    ("text.tokens", on_text(function))
                    if name == INPUT
                    else (
                        "block.call",
                        behind(KINDS[name], function),
                    )
                )


def instead_of(kind: str, index: int, function: Callable[..., Any]) -> Any:
    """A function of a pack instead of one block, which it may call."""

    def call(place: Any, image: Any, text: Any, run: Callable[..., Any]) -> Any:
        if (place.block, place.index) != (kind, index):
            return run(image, text)

        def original(given: Mapping[str, Any]) -> dict[str, Any]:
            return told(kind, *run(*streams(kind, given, text)))

        extra = {"original_block": original, "transformer_options": facts(place)}
        return streams(kind, function(told(kind, image, text), extra), text)

    return call


def behind(kind: str, function: Callable[..., Any]) -> Any:
    """A function of a pack on what every block of a list gives."""

    def call(place: Any, image: Any, text: Any, run: Callable[..., Any]) -> Any:
        image, text = run(image, text)
        if place.block != kind:
            return image, text
        given = {**told(kind, image, text), "block_index": place.index, "transformer_options": facts(place)}
        return streams(kind, function(given), text)

    return call


def on_text(function: Callable[..., Any]) -> Any:
    """A function of a pack on the text before the first block."""

    def change(call: Any, tokens: Any) -> Any:
        return function({"txt": tokens, "transformer_options": {"sigmas": call.get("sigmas")}})["txt"]

    return change


def told(kind: str, image: Any, text: Any) -> dict[str, Any]:
    """What ComfyUI tells of a block's tokens: in a list of one stream, text and picture are one."""
    import torch

    if kind == "single" and text is not None:
        return {"img": torch.cat([text, image], dim=1), "vec": None, "pe": None, "attn_mask": None}
    return {"img": image, "txt": text, "vec": None, "pe": None, "attn_mask": None}


def streams(kind: str, given: Mapping[str, Any], text: Any) -> tuple[Any, Any]:
    """Picture and text of what a pack gives back; `text` tells how long that is."""
    if kind != "single" or text is None:
        return given["img"], given.get("txt", text)
    tokens = given["img"]
    return tokens[:, text.shape[1] :], tokens[:, : text.shape[1]]


def facts(place: Any) -> dict[str, Any]:
    """What packs read of a call."""
    call = place.call
    return {
        "sigmas": call.get("sigmas"),
        "cond_or_uncond": list(call.get("parts", ())),
        "block": (f"{place.block}_block", place.index),
    }
