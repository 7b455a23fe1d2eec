"""What adapter files (LoRA and its kin) call the weights they change: kohya's, diffusers' and our names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from diffusion.family import Family
from diffusion.weights.files import Weights
from diffusion.weights.layout import SAME, Layout, Piece

Target = str | tuple[Piece, ...]
"""A parameter of ours; or several, as rows of the packed weight that files know."""
Targets = Mapping[str, Target]
"""A name used in files (without what follows it, such as `.lora_up.weight`) → what it changes."""

RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ENDS = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
FLAT_PREFIXES = ("lora_unet_", "lycoris_", "oft_unet_", "")
ROOTS = (
    "",
    "unet.",
    "diffusion_model.",
    "model.diffusion_model.",
    "base_model.model.",
    "base_model.model.unet.",
)
FLAT_PREFIXES_OF_TRANSFORMERS = (*FLAT_PREFIXES, "lora_transformer_")
ROOTS_OF_TRANSFORMERS = (
    *ROOTS,
    "transformer.",
    "base_model.model.transformer.",
    "unet.base_model.model.",
)
ONLY_TOWER_PREFIXES = ("lora_te_", "oft_te_")
ONLY_TOWER_ROOTS = ("", "base_model.model.", "cond_stage_model.")
CLIPS: Mapping[str, str] = {"l": "lora_te1_", "h": "lora_te_", "g": "lora_te2_"}
"""What kohya calls CLIP's towers where there are several."""
TOWER_ROOTS: Mapping[str, tuple[str, ...]] = {
    "l": ("text_encoder.", "clip_l."),
    "h": ("text_encoder.", "clip_h."),
    "g": ("text_encoder_2.", "clip_g."),
}


def model_targets(family: Family, weights: Weights) -> Targets:
    """Every name that files use for the parameters of a family's network."""
    if family.layout is None:
        return unet_targets(weights)
    return layout_targets((SAME, *family.adapters, family.layout), weights)


def layout_targets(layouts: Iterable[Layout], weights: Weights) -> Targets:
    """Every name that files of these layouts use for the tensors of a network.

    What is no weight (a bias, a scale) goes by its whole name.
    """
    shapes = {name: entry.shape for name, entry in weights.items()}
    targets: dict[str, Target] = {}
    for layout in layouts:
        for file_name in layout.file_names(shapes):
            pieces = layout.pieces(file_name, shapes)
            base = file_name.removesuffix(".weight")
            for prefix in FLAT_PREFIXES_OF_TRANSFORMERS:
                targets[prefix + flat(base)] = pieces
            for root in ROOTS_OF_TRANSFORMERS:
                targets[root + base] = pieces
    return targets


def unet_targets(weights: Weights) -> Targets:
    """Every name that files use for a UNet's parameters."""
    places = diffusers_places(weights)
    targets: dict[str, Target] = {}
    for name in weights:
        base, _, kind = name.rpartition(".")
        if kind != "weight":
            continue
        theirs = diffusers_name(base, places)
        for written in (base, theirs):
            for prefix in FLAT_PREFIXES:
                targets[prefix + flat(written)] = name
        for spelled in (base, *_spellings(theirs)):
            for root in ROOTS:
                targets[root + spelled] = name
    return targets


def tower_targets(key: str, weights: Weights, keys: Collection[str]) -> Targets:
    """Every name that files use for a text tower's parameters; `keys` are those of all towers beside it."""
    targets: dict[str, Target] = {}
    alone = len(keys) == 1
    prefixes = {*tower_prefixes(key, keys), *(ONLY_TOWER_PREFIXES if alone else ())}
    named = f"text_encoders.{f'clip_{key}' if key in CLIPS else key}."
    roots = (*TOWER_ROOTS.get(key, ()), *(ONLY_TOWER_ROOTS if alone else ()), named)
    for name in weights:
        base, _, kind = name.rpartition(".")
        if kind != "weight":
            continue
        for prefix in prefixes:
            targets[prefix + flat(base)] = name
        for root in roots:
            targets[root + base] = targets[f"{root}transformer.{base}"] = name
    return targets


def tower_prefixes(key: str, keys: Collection[str]) -> tuple[str, ...]:
    """What kohya calls a tower among others, its own name first: CLIP's by which they are, others after them.

    Where CLIP L stands before another encoder alone, files count that one as the second or as the third.
    """
    if key in CLIPS:
        return (CLIPS[key],)
    before = [clip for clip in CLIPS if clip in keys]
    own = f"lora_te{1 + len(before)}_"
    return (own, "lora_te3_") if before == ["l"] else (own,)


def flat(name: str) -> str:
    """A name as kohya writes it, with underscores for dots."""
    return name.replace(".", "_")


def _spellings(name: str) -> Iterator[str]:
    """A diffusers name, and how attention processors wrote it before there was PEFT."""
    yield name
    found = re.fullmatch(r"(.*\.attn\d)\.(to_[qkv]|to_out)(\.0)?", name)
    if found:
        yield f"{found[1]}.processor.{found[2]}_lora"


def diffusers_name(base: str, places: Mapping[str, str]) -> str:
    """What diffusers calls one of our parameters, both without `.weight`."""
    whole = ENDS.get(base) or places.get(base)
    if whole:
        return whole
    for ours, theirs in places.items():
        if base.startswith(f"{ours}."):
            rest = base[len(ours) + 1 :]
            return f"{theirs}.{RESIDUAL.get(rest, rest)}" if ".resnets." in theirs else f"{theirs}.{rest}"
    return base


def diffusers_places(weights: Weights) -> dict[str, str]:
    """Where our numbered blocks stand in diffusers' levels, read off what each block holds."""
    places: dict[str, str] = {"middle_block.1": "mid_block.attentions.0"}
    places |= {"middle_block.0": "mid_block.resnets.0", "middle_block.2": "mid_block.resnets.1"}
    for side, level_name, sampler in (
        ("input_blocks", "down_blocks", "downsamplers"),
        ("output_blocks", "up_blocks", "upsamplers"),
    ):
        places |= _side(weights, side, level_name, sampler)
    return places


def _side(
    weights: Weights, side: str, level_name: str, sampler: str
) -> Iterator[tuple[str, str]] | dict[str, str]:
    places: dict[str, str] = {}
    level = block = 0
    numbers = sorted({int(name.split(".")[1]) for name in weights if name.startswith(f"{side}.")})
    for number in numbers:
        ours, theirs = f"{side}.{number}", f"{level_name}.{level}"
        if f"{ours}.0.in_layers.0.weight" in weights:
            places[f"{ours}.0"] = f"{theirs}.resnets.{block}"
            places[f"{ours}.1"] = f"{theirs}.attentions.{block}"
            block += 1
        moves = _resizing(weights, ours)
        if moves is not None:
            places[f"{ours}.{moves}"] = f"{theirs}.{sampler}.0.conv"
            level, block = level + 1, 0
    return places


def _resizing(weights: Weights, block: str) -> str | None:
    """The layer of a block that halves or doubles the size, if there is one."""
    layers = ("0.op", "1.conv", "2.conv")
    return next((layer for layer in layers if f"{block}.{layer}.weight" in weights), None)
