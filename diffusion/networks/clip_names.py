"""The tensors of CLIP's towers under the names of `transformers`, from OpenCLIP's layout and back.

OpenCLIP packs three projections into one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from diffusion.weights.entries import Entry, Weights, joined
from diffusion.weights.names import Rule, ruled

OPEN_CLIP: tuple[Rule, ...] = (
    (r"^token_embedding\.", "embeddings.token_embedding."),
    (r"^class_embedding$", "embeddings.class_embedding"),
    (r"^conv1\.", "embeddings.patch_embedding."),
    (r"^positional_embedding$", "embeddings.position_embedding.weight"),
    (r"^ln_final\.", "final_layer_norm."),
    (r"^ln_pre\.", "pre_layrnorm."),
    (r"^ln_post\.", "post_layernorm."),
    (r"^transformer\.resblocks\.(\d+)\.", r"encoder.layers.\1."),
    (r"\.ln_1\.", ".layer_norm1."),
    (r"\.ln_2\.", ".layer_norm2."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
)


TO_OPEN_CLIP: tuple[Rule, ...] = (
    (r"^embeddings\.token_embedding\.", "token_embedding."),
    (r"^embeddings\.class_embedding$", "class_embedding"),
    (r"^embeddings\.patch_embedding\.", "conv1."),
    (r"^embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^final_layer_norm\.", "ln_final."),
    (r"^pre_layrnorm\.", "ln_pre."),
    (r"^post_layernorm\.", "ln_post."),
    (r"^encoder\.layers\.(\d+)\.", r"transformer.resblocks.\1."),
    (r"\.layer_norm1\.", ".ln_1."),
    (r"\.layer_norm2\.", ".ln_2."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
)


def clip_text(weights: Weights) -> Weights:
    """A text tower of any layout under our names."""
    if "token_embedding.weight" in weights:
        return _open_clip(weights, "text_model", ("text_projection", "text_projection.weight"))
    old = {
        name: f"text_model.{name}"
        for name in weights
        if name.startswith(("embeddings.", "encoder.", "final_"))
    }
    renamed = {old.get(name, name): weights[name] for name in weights}
    projection = renamed.pop("text_projection", None)
    if projection is not None:
        renamed["text_projection.weight"] = _transposed(projection)
    wanted = ("text_model.", "text_projection.")
    kept = {name: entry for name, entry in renamed.items() if name.startswith(wanted)}
    kept.pop("text_model.embeddings.position_ids", None)
    return weights.having(kept)


def clip_vision(weights: Weights) -> Weights:
    """A picture tower in OpenCLIP's layout under transformers' names; any other layout unchanged."""
    if "class_embedding" not in weights:
        return weights
    return _open_clip(weights, "vision_model", ("proj", "visual_projection.weight"))


def _open_clip(weights: Weights, tower: str, projection: tuple[str, str]) -> Weights:
    """Renamed, packed projections cut in three, the last projection turned to a linear layer's way."""
    entries: dict[str, Entry] = {}
    for name, entry in weights.items():
        packed = re.fullmatch(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", name)
        if packed:
            entries |= _thirds(f"{tower}.encoder.layers.{packed[1]}.self_attn", packed[2], entry)
        elif name == projection[0]:
            entries[projection[1]] = _transposed(entry)
        elif name != "logit_scale":
            entries[f"{tower}.{ruled(name, OPEN_CLIP)}"] = entry
    return weights.having(entries)


def to_open_clip(entries: Mapping[str, Entry], tower: str, projection: tuple[str, str]) -> dict[str, Entry]:
    """A tower under transformers' names in OpenCLIP's layout: the inverse of how such files are read.

    `projection` is what the last projection is called before and after; it is turned on the way.
    """
    found: dict[str, Entry] = {}
    for name, entry in entries.items():
        split = re.fullmatch(rf"{tower}\.encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(\w+)", name)
        if split is None:
            inner = name.removeprefix(f"{tower}.")
            turned = name == projection[0]
            found[projection[1] if turned else ruled(inner, TO_OPEN_CLIP)] = (
                _transposed(entry) if turned else entry
            )
        elif split[2] == "q":
            parts = [entries[name.replace(".q_proj.", f".{key}_proj.")] for key in "qkv"]
            found[f"transformer.resblocks.{split[1]}.attn.in_proj_{split[3]}"] = joined(parts)
    return found


def _thirds(prefix: str, leaf: str, entry: Entry) -> dict[str, Entry]:
    width = entry.shape[0] // 3
    shape = (width, *entry.shape[1:])

    def cut(index: int) -> Callable[[Tensor], Tensor]:
        return lambda t: t[index * width : (index + 1) * width]

    return {f"{prefix}.{key}_proj.{leaf}": entry.taking(shape, cut(index)) for index, key in enumerate("qkv")}


def _transposed(entry: Entry) -> Entry:
    return entry.taking(entry.shape[::-1], lambda t: t.t())
