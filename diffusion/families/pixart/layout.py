"""What PixArt's own files call the network's tensors; the network's names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import Layout, Rule

BLOCK, OURS = "blocks.*", "transformer_blocks.*"
EMBEDDERS = {
    "t_embedder": "timestep_embedder",
    "csize_embedder": "resolution_embedder",
    "ar_embedder": "aspect_ratio_embedder",
}


def ends() -> Iterator[Rule]:
    """What stands before and behind the blocks; places are computed, and no text has tokens of its own."""
    yield Rule("x_embedder.proj", "pos_embed.proj")
    yield Rule("pos_embed", ())
    for file, ours in EMBEDDERS.items():
        yield Rule(f"{file}.mlp.0", f"adaln_single.emb.{ours}.linear_1")
        yield Rule(f"{file}.mlp.2", f"adaln_single.emb.{ours}.linear_2")
    yield Rule("t_block.1", "adaln_single.linear")
    yield Rule("y_embedder.y_proj.fc1", "caption_projection.linear_1")
    yield Rule("y_embedder.y_proj.fc2", "caption_projection.linear_2")
    for table in ("y_embedder.y_embedding", "caption_projection.y_embedding"):
        yield Rule(table, ())
    yield Rule("final_layer.linear", "proj_out")
    yield Rule("final_layer.scale_shift_table", "scale_shift_table")


def block() -> Iterator[Rule]:
    """A block: it looks at the picture, then at the text."""
    yield Rule(f"{BLOCK}.scale_shift_table", f"{OURS}.scale_shift_table")
    yield Rule(f"{BLOCK}.attn.qkv", tuple(f"{OURS}.attn1.to_{key}" for key in "qkv"))
    yield Rule(f"{BLOCK}.attn.proj", f"{OURS}.attn1.to_out.0")
    yield Rule(f"{BLOCK}.cross_attn.q_linear", f"{OURS}.attn2.to_q")
    yield Rule(f"{BLOCK}.cross_attn.kv_linear", (f"{OURS}.attn2.to_k", f"{OURS}.attn2.to_v"))
    yield Rule(f"{BLOCK}.cross_attn.proj", f"{OURS}.attn2.to_out.0")
    yield Rule(f"{BLOCK}.mlp.fc1", f"{OURS}.ff.net.0.proj")
    yield Rule(f"{BLOCK}.mlp.fc2", f"{OURS}.ff.net.2")


LAYOUT = Layout(*ends(), *block())
