"""What AuraFlow's own files call the network's tensors; the network's names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diffusion.weights.layout import SWAPPED, Layout, Rule

DOUBLE, SINGLE = "double_layers.*", "single_layers.*"
JOINT, ALONE = "joint_transformer_blocks.*", "single_transformer_blocks.*"

IMAGE = {**{f"w2{key}": f"to_{key}" for key in "qkv"}, "w2o": "to_out.0"}
TEXT = {**{f"w1{key}": f"add_{key}_proj" for key in "qkv"}, "w1o": "to_add_out"}
BOTH = {**{f"w1{key}": f"to_{key}" for key in "qkv"}, "w1o": "to_out.0"}
FEED_FORWARD = {"c_fc1": "linear_1", "c_fc2": "linear_2", "c_proj": "out_projection"}


def stream(
    file: str, ours: str, attention: Mapping[str, str], parts: tuple[str, str, str, str]
) -> Iterator[Rule]:
    """One stream of a block; `parts` are (modulation in the file, ours, feed-forward in the file, ours)."""
    modulation, norm, mlp, feed_forward = parts
    for name, found in attention.items():
        yield Rule(f"{file}.attn.{name}", f"{ours}.attn.{found}")
    for name, found in FEED_FORWARD.items():
        yield Rule(f"{file}.{mlp}.{name}", f"{ours}.{feed_forward}.{found}")
    yield Rule(f"{file}.{modulation}.1", f"{ours}.{norm}.linear")


LAYOUT = Layout(
    Rule("positional_encoding", "pos_embed.pos_embed"),
    Rule("init_x_linear", "pos_embed.proj"),
    Rule("t_embedder.mlp.0", "time_step_proj.linear_1"),
    Rule("t_embedder.mlp.2", "time_step_proj.linear_2"),
    Rule("cond_seq_linear", "context_embedder"),
    Rule("modF.1", "norm_out.linear", SWAPPED),
    Rule("final_linear", "proj_out"),
    *stream(DOUBLE, JOINT, IMAGE, ("modX", "norm1", "mlpX", "ff")),
    *stream(DOUBLE, JOINT, TEXT, ("modC", "norm1_context", "mlpC", "ff_context")),
    *stream(SINGLE, ALONE, BOTH, ("modCX", "norm1", "mlp", "ff")),
)
