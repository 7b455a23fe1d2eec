"""What DiT's own files call the network's tensors; those of diffusers hold the embedders in every block."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import Layout, Rule

BLOCK, OURS = "blocks.*", "transformer_blocks.*"
FIRST = "transformer_blocks.0.norm1.emb"
EMBEDDERS = {
    "t_embedder.mlp.0": "timestep_embedder.linear_1",
    "t_embedder.mlp.2": "timestep_embedder.linear_2",
    "y_embedder.embedding_table": "class_embedder.embedding_table",
}


def rules() -> Iterator[Rule]:
    """The rules; the first block has the embedders of all."""
    yield Rule("x_embedder.proj", "pos_embed.proj")
    yield Rule("pos_embed", ())
    for file, ours in EMBEDDERS.items():
        yield Rule(file, f"{FIRST}.{ours}")
    yield Rule(f"{BLOCK}.attn.qkv", tuple(f"{OURS}.attn1.to_{key}" for key in "qkv"))
    yield Rule(f"{BLOCK}.attn.proj", f"{OURS}.attn1.to_out.0")
    yield Rule(f"{BLOCK}.mlp.fc1", f"{OURS}.ff.net.0.proj")
    yield Rule(f"{BLOCK}.mlp.fc2", f"{OURS}.ff.net.2")
    yield Rule(f"{BLOCK}.adaLN_modulation.1", f"{OURS}.norm1.linear")
    yield Rule("final_layer.adaLN_modulation.1", "proj_out_1")
    yield Rule("final_layer.linear", "proj_out_2")


LAYOUT = Layout(*rules())
