"""A UNet's tensors in diffusers' layout, which numbers blocks by level, under the original names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diffusion.weights.entries import Weights
from diffusion.weights.names import Rule, numbers_behind, ruled

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


def ldm_unet(weights: Weights) -> Weights:
    """A UNet in diffusers' layout under the original names; any other layout unchanged."""
    signs = ("norm1.weight", "spatial_res_block.norm1.weight")
    if not any(f"down_blocks.0.resnets.0.{sign}" in weights for sign in signs):
        return weights
    rename = _diffusers_blocks(weights)
    return weights.having({ruled(rename(name), UNET_ENDS): weights[name] for name in weights})


def _diffusers_blocks(weights: Weights) -> Callable[[str], str]:
    """A function that renames one tensor inside the down, middle and up blocks of a diffusers UNet."""
    table: dict[str, str] = {}
    number = 1
    for level in sorted(numbers_behind(weights, "down_blocks.")):
        for block in sorted(numbers_behind(weights, f"down_blocks.{level}.resnets.")):
            table |= _block(f"down_blocks.{level}", block, f"input_blocks.{number}")
            number += 1
        table[f"down_blocks.{level}.downsamplers.0.conv."] = f"input_blocks.{number}.0.op."
        number += f"down_blocks.{level}.downsamplers.0.conv.weight" in weights
    table |= {"mid_block.resnets.0.": "middle_block.0.", "mid_block.resnets.1.": "middle_block.2."}
    table["mid_block.attentions.0."] = "middle_block.1."
    number = 0
    for level in sorted(numbers_behind(weights, "up_blocks.")):
        for block in sorted(numbers_behind(weights, f"up_blocks.{level}.resnets.")):
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
            return ours + ruled(rest, RESNET if ".resnets." in theirs else VIDEO_TRANSFORMER)
    return name
