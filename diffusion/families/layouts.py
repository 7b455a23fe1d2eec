"""Other programs' names for the same tensors, translated into ours.

Ours are those of the original latent-diffusion checkpoints for UNet and autoencoder, and CLIP's own for text
towers. OpenCLIP packs three projections into one; diffusers numbers blocks by level.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.weights.files import Entry, Weights

Rule = tuple[str, str]

RESNET: tuple[Rule, ...] = (
    (r"^spatial_res_block\.", ""),
    (r"^temporal_res_block\.", "time_stack."),
    (r"\bnorm1\.", "in_layers.0."),
    (r"\bconv1\.", "in_layers.2."),
    (r"\btime_emb_proj\.", "emb_layers.1."),
    (r"\bnorm2\.", "out_layers.0."),
    (r"\bconv2\.", "out_layers.3."),
    (r"\bconv_shortcut\.", "skip_connection."),
)

VIDEO_TRANSFORMER: tuple[Rule, ...] = (
    (r"^temporal_transformer_blocks\.", "time_stack."),
    (r"^time_pos_embed\.linear_1\.", "time_pos_embed.0."),
    (r"^time_pos_embed\.linear_2\.", "time_pos_embed.2."),
)

UNET_ENDS: tuple[Rule, ...] = (
    (r"conv_in\.", "input_blocks.0.0."),
    (r"time_embedding\.linear_1\.", "time_embed.0."),
    (r"time_embedding\.linear_2\.", "time_embed.2."),
    (r"add_embedding\.linear_1\.", "label_emb.0.0."),
    (r"add_embedding\.linear_2\.", "label_emb.0.2."),
    (r"class_embedding\.linear_1\.", "label_emb.0.0."),
    (r"class_embedding\.linear_2\.", "label_emb.0.2."),
    (r"class_embedding\.weight", "label_emb.weight"),
    (r"conv_norm_out\.", "out.0."),
    (r"conv_out\.", "out.2."),
)

VAE_RULES: tuple[Rule, ...] = (
    (r"spatial_res_block\.", ""),
    (r"temporal_res_block\.norm1\.", "time_stack.in_layers.0."),
    (r"temporal_res_block\.conv1\.", "time_stack.in_layers.2."),
    (r"temporal_res_block\.norm2\.", "time_stack.out_layers.0."),
    (r"temporal_res_block\.conv2\.", "time_stack.out_layers.3."),
    (r"time_mixer\.mix_factor", "mix_factor"),
    (r"time_conv_out\.", "conv_out.time_mix_conv."),
    (r"conv_norm_out", "norm_out"),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.", "mid.attn_1."),
    (r"attn_1\.group_norm\.", "attn_1.norm."),
    (r"attn_1\.(?:to_)?q(?:uery)?\.", "attn_1.q."),
    (r"attn_1\.(?:to_)?k(?:ey)?\.", "attn_1.k."),
    (r"attn_1\.(?:to_)?v(?:alue)?\.", "attn_1.v."),
    (r"attn_1\.(?:to_out\.0|proj_attn)\.", "attn_1.proj_out."),
    (r"conv_shortcut\.", "nin_shortcut."),
    (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
)

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


def ldm_unet(weights: Weights) -> Weights:
    """A UNet in diffusers' layout under the original names; any other layout unchanged."""
    signs = ("norm1.weight", "spatial_res_block.norm1.weight")
    if not any(f"down_blocks.0.resnets.0.{sign}" in weights for sign in signs):
        return weights
    rename = _diffusers_blocks(weights)
    return weights.having({_ruled(rename(name), UNET_ENDS): weights[name] for name in weights})


def ldm_vae(weights: Weights) -> Weights:
    """An autoencoder in diffusers' layout under the original names; any other layout unchanged."""
    if not any(name.startswith(("encoder.down_blocks.", "decoder.up_blocks.")) for name in weights):
        return weights
    last = max(_numbers(weights, "decoder.up_blocks."), default=0)
    entries = {}
    for name in weights:
        ours = _ruled(_flipped_ups(name, last), VAE_RULES)
        entries[ours] = _as_convolution(weights[name]) if ".attn_1." in ours else weights[name]
    return weights.having(entries)


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
            entries[f"{tower}.{_ruled(name, OPEN_CLIP)}"] = entry
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
            found[projection[1] if turned else _ruled(inner, TO_OPEN_CLIP)] = (
                _transposed(entry) if turned else entry
            )
        elif split[2] == "q":
            parts = [entries[name.replace(".q_proj.", f".{key}_proj.")] for key in "qkv"]
            found[f"transformer.resblocks.{split[1]}.attn.in_proj_{split[3]}"] = _stacked(parts)
    return found


def _stacked(parts: list[Entry]) -> Entry:
    """Equal entries one below the other."""
    first = parts[0]
    shape = (first.shape[0] * len(parts), *first.shape[1:])
    return replace(first, shape=shape, read=lambda: torch.cat([part.read() for part in parts]))


def _thirds(prefix: str, leaf: str, entry: Entry) -> dict[str, Entry]:
    width = entry.shape[0] // 3
    shape = (width, *entry.shape[1:])

    def cut(index: int) -> Callable[[Tensor], Tensor]:
        return lambda t: t[index * width : (index + 1) * width]

    return {f"{prefix}.{key}_proj.{leaf}": entry.taking(shape, cut(index)) for index, key in enumerate("qkv")}


def _transposed(entry: Entry) -> Entry:
    return entry.taking(entry.shape[::-1], lambda t: t.t())


def _as_convolution(entry: Entry) -> Entry:
    """A linear weight [out, in] as that of a 1×1 convolution."""
    if len(entry.shape) != 2:
        return entry
    return entry.taking((*entry.shape, 1, 1), lambda t: t[:, :, None, None])


def _ruled(name: str, rules: tuple[Rule, ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _flipped_ups(name: str, last: int) -> str:
    """diffusers numbers the decoder's levels as they run, we from the finest."""
    name = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{last - int(m[1])}.block.", name)
    return re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{last - int(m[1])}.upsample.", name)


def _numbers(weights: Mapping[str, Entry], prefix: str) -> set[int]:
    """The numbers that follow a prefix in some name."""
    cut = len(prefix)
    return {int(name[cut:].partition(".")[0]) for name in weights if name.startswith(prefix)}


def _diffusers_blocks(weights: Weights) -> Callable[[str], str]:
    """A function that renames one tensor inside the down, middle and up blocks of a diffusers UNet."""
    table: dict[str, str] = {}
    number = 1
    for level in sorted(_numbers(weights, "down_blocks.")):
        for block in sorted(_numbers(weights, f"down_blocks.{level}.resnets.")):
            table |= _block(f"down_blocks.{level}", block, f"input_blocks.{number}")
            number += 1
        table[f"down_blocks.{level}.downsamplers.0.conv."] = f"input_blocks.{number}.0.op."
        number += f"down_blocks.{level}.downsamplers.0.conv.weight" in weights
    table |= {"mid_block.resnets.0.": "middle_block.0.", "mid_block.resnets.1.": "middle_block.2."}
    table["mid_block.attentions.0."] = "middle_block.1."
    number = 0
    for level in sorted(_numbers(weights, "up_blocks.")):
        for block in sorted(_numbers(weights, f"up_blocks.{level}.resnets.")):
            table |= _block(f"up_blocks.{level}", block, f"output_blocks.{number}")
            number += 1
        attended = f"up_blocks.{level}.attentions.0.norm.weight" in weights
        table[f"up_blocks.{level}.upsamplers.0."] = f"output_blocks.{number - 1}.{2 if attended else 1}."
    return lambda name: _renamed(name, table)


def _block(theirs: str, number: int, ours: str) -> dict[str, str]:
    return {f"{theirs}.resnets.{number}.": f"{ours}.0.", f"{theirs}.attentions.{number}.": f"{ours}.1."}


def _renamed(name: str, table: Mapping[str, str]) -> str:
    for theirs, ours in table.items():
        if name.startswith(theirs):
            rest = name[len(theirs) :]
            return ours + _ruled(rest, RESNET if ".resnets." in theirs else VIDEO_TRANSFORMER)
    return name
