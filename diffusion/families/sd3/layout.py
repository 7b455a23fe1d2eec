"""What SD3's own files call the network's tensors; the network's names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import SWAPPED, Layout, Rule

BLOCK, OURS = "joint_blocks.*", "transformer_blocks.*"


def attention(
    file: str, ours: str, projections: tuple[str, str, str], out: str, norms: str
) -> Iterator[Rule]:
    """One stream's side of an attention."""
    yield Rule(f"{file}.qkv", tuple(f"{ours}.{name}" for name in projections))
    yield Rule(f"{file}.proj", f"{ours}.{out}")
    for key in "qk":
        yield Rule(f"{file}.ln_{key}", f"{ours}.{norms}{key}")


def picture() -> Iterator[Rule]:
    """The picture's stream of a block; some look a second time, at the picture alone."""
    projections = "to_q", "to_k", "to_v"
    for name in ("attn", "attn2"):
        yield from attention(f"{BLOCK}.x_block.{name}", f"{OURS}.{name}", projections, "to_out.0", "norm_")
    yield Rule(f"{BLOCK}.x_block.adaLN_modulation.1", f"{OURS}.norm1.linear")
    yield Rule(f"{BLOCK}.x_block.mlp.fc1", f"{OURS}.ff.net.0.proj")
    yield Rule(f"{BLOCK}.x_block.mlp.fc2", f"{OURS}.ff.net.2")


def text() -> Iterator[Rule]:
    """The text's stream of a block; in the last its scale and shift are exchanged."""
    file, projections = f"{BLOCK}.context_block", ("add_q_proj", "add_k_proj", "add_v_proj")
    yield from attention(f"{file}.attn", f"{OURS}.attn", projections, "to_add_out", "norm_added_")
    yield Rule(f"{file}.adaLN_modulation.1", f"{OURS}.norm1_context.linear", last=SWAPPED)
    yield Rule(f"{file}.mlp.fc1", f"{OURS}.ff_context.net.0.proj")
    yield Rule(f"{file}.mlp.fc2", f"{OURS}.ff_context.net.2")


def ends() -> Iterator[Rule]:
    """What stands before and behind the blocks."""
    yield Rule("pos_embed", "pos_embed.pos_embed")
    yield Rule("x_embedder.proj", "pos_embed.proj")
    for file, ours in (("t_embedder", "timestep_embedder"), ("y_embedder", "text_embedder")):
        yield Rule(f"{file}.mlp.0", f"time_text_embed.{ours}.linear_1")
        yield Rule(f"{file}.mlp.2", f"time_text_embed.{ours}.linear_2")
    yield Rule("final_layer.adaLN_modulation.1", "norm_out.linear", SWAPPED)
    yield Rule("final_layer.linear", "proj_out")


LAYOUT = Layout(*ends(), *picture(), *text())
