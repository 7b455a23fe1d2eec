"""What llama.cpp calls the tensors of text encoders, in the names of their published files.

A GGUF file of a diffusion model keeps the model's own names. One of a text encoder has llama.cpp's, and a few
of its tensors changed: LLaMA's queries and keys are stored in another order of rows, and Gemma's norms with
one added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from diffusion.weights.entries import Entry

Names = tuple[tuple[str, str], ...]

T5: Names = (
    (r"token_embd\.weight", "shared.weight"),
    (r"enc\.output_norm\.weight", "encoder.final_layer_norm.weight"),
    (r"enc\.blk\.(\d+)\.attn_([qkvo])\.weight", r"encoder.block.\1.layer.0.SelfAttention.\2.weight"),
    (
        r"enc\.blk\.(\d+)\.attn_rel_b\.weight",
        r"encoder.block.\1.layer.0.SelfAttention.relative_attention_bias.weight",
    ),
    (r"enc\.blk\.(\d+)\.attn_norm\.weight", r"encoder.block.\1.layer.0.layer_norm.weight"),
    (r"enc\.blk\.(\d+)\.ffn_norm\.weight", r"encoder.block.\1.layer.1.layer_norm.weight"),
    (r"enc\.blk\.(\d+)\.ffn_gate\.weight", r"encoder.block.\1.layer.1.DenseReluDense.wi_0.weight"),
    (r"enc\.blk\.(\d+)\.ffn_up\.weight", r"encoder.block.\1.layer.1.DenseReluDense.wi_1.weight"),
    (r"enc\.blk\.(\d+)\.ffn_down\.weight", r"encoder.block.\1.layer.1.DenseReluDense.wo.weight"),
)

DECODER: Names = (
    (r"token_embd\.weight", "model.embed_tokens.weight"),
    (r"output_norm\.weight", "model.norm.weight"),
    (r"output\.weight", "lm_head.weight"),
    (r"blk\.(\d+)\.attn_norm\.weight", r"model.layers.\1.input_layernorm.weight"),
    (r"blk\.(\d+)\.attn_([qkv])\.(weight|bias)", r"model.layers.\1.self_attn.\2_proj.\3"),
    (r"blk\.(\d+)\.attn_output\.(weight|bias)", r"model.layers.\1.self_attn.o_proj.\2"),
    (r"blk\.(\d+)\.attn_([qk])_norm\.weight", r"model.layers.\1.self_attn.\2_norm.weight"),
    (r"blk\.(\d+)\.ffn_(gate|up|down)\.weight", r"model.layers.\1.mlp.\2_proj.weight"),
)
AFTER_ATTENTION: Names = (
    (r"blk\.(\d+)\.ffn_norm\.weight", r"model.layers.\1.post_attention_layernorm.weight"),
)
AROUND: Names = (
    (r"blk\.(\d+)\.post_attention_norm\.weight", r"model.layers.\1.post_attention_layernorm.weight"),
    (r"blk\.(\d+)\.ffn_norm\.weight", r"model.layers.\1.pre_feedforward_layernorm.weight"),
    (r"blk\.(\d+)\.post_ffw_norm\.weight", r"model.layers.\1.post_feedforward_layernorm.weight"),
)
NEEDLESS = re.compile(r"(rope_freqs\.weight|dec\..*)")
"""What the published files do not have, or a text encoder does not use."""

ARCHITECTURES: Mapping[str, Names] = {
    **dict.fromkeys(("t5", "t5encoder"), T5),
    **dict.fromkeys(("llama", "mistral3", "qwen2", "qwen2vl", "qwen3", "qwen3vl"), DECODER + AFTER_ATTENTION),
    **dict.fromkeys(("gemma2", "gemma3"), DECODER + AROUND),
}
"""The names of an architecture, by what a file says of itself (`general.architecture`)."""

INTERLEAVED = frozenset({"llama", "mistral3"})
ONE_ADDED = frozenset({"gemma2", "gemma3"})


def published(entries: Mapping[str, Entry], facts: Mapping[str, Any]) -> dict[str, Entry]:
    """The tensors of a text encoder as its published file has them; those of any other file as they are."""
    architecture = str(facts.get("general.architecture", ""))
    names = ARCHITECTURES.get(architecture)
    if names is None or not any(re.fullmatch(names[0][0], name) for name in entries):
        return dict(entries)
    gated = any(name.endswith(".ffn_gate.weight") for name in entries)
    found: dict[str, Entry] = {}
    for name, entry in entries.items():
        if NEEDLESS.fullmatch(name):
            continue
        ours = _renamed(name, names)
        if names is T5 and not gated:
            ours = ours.replace(".wi_1.", ".wi.")
        change = _change(name, architecture, facts)
        found[ours] = entry.taking(entry.shape, change) if change else entry
    return found


def _renamed(name: str, names: Names) -> str:
    for pattern, ours in names:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(ours)
    return name


def _change(name: str, architecture: str, facts: Mapping[str, Any]) -> Callable[[Tensor], Tensor] | None:
    """How a tensor differs from the published one."""
    if architecture in ONE_ADDED and name.endswith("norm.weight"):
        return lambda weight: weight - 1
    kind = re.fullmatch(r"blk\.\d+\.attn_([qk])\.(weight|bias)", name)
    if architecture in INTERLEAVED and kind:
        heads = facts.get(f"{architecture}.attention.head_count")
        if kind[1] == "k":
            heads = facts.get(f"{architecture}.attention.head_count_kv", heads)
        return halves_apart(int(heads)) if isinstance(heads, int) else None
    return None


def halves_apart(heads: int) -> Callable[[Tensor], Tensor]:
    """Rows of heads with the two of each rotated pair half a head apart, which stood side by side."""

    def apart(weight: Tensor) -> Tensor:
        numbers = torch.arange(weight.shape[0]).reshape(heads, -1, 2).transpose(1, 2).reshape(-1)
        return weight[numbers]

    return apart
