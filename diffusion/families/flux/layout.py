"""What FLUX's own files call the network's tensors; the network's names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import SWAPPED, Layout, Rule

DOUBLE, SINGLE = "double_blocks.*", "single_blocks.*"
OURS, OURS_SINGLE = "transformer_blocks.*", "single_transformer_blocks.*"

EMBEDDERS = {"time_in": "timestep_embedder", "vector_in": "text_embedder", "guidance_in": "guidance_embedder"}


def double_block(stream: str, added: bool) -> Iterator[Rule]:
    """One stream of a double block: the picture's, or the text's, whose projections are `added`."""
    q, k, v = (f"{OURS}.attn.add_{key}_proj" if added else f"{OURS}.attn.to_{key}" for key in "qkv")
    norm, context = ("norm_added_", "_context") if added else ("norm_", "")
    yield Rule(f"{DOUBLE}.{stream}_attn.qkv", (q, k, v))
    yield Rule(f"{DOUBLE}.{stream}_attn.proj", f"{OURS}.attn.{'to_add_out' if added else 'to_out.0'}")
    yield Rule(f"{DOUBLE}.{stream}_attn.norm.query_norm.scale", f"{OURS}.attn.{norm}q.weight")
    yield Rule(f"{DOUBLE}.{stream}_attn.norm.key_norm.scale", f"{OURS}.attn.{norm}k.weight")
    yield Rule(f"{DOUBLE}.{stream}_mod.lin", f"{OURS}.norm1{context}.linear")
    yield Rule(f"{DOUBLE}.{stream}_mlp.0", f"{OURS}.ff{context}.net.0.proj")
    yield Rule(f"{DOUBLE}.{stream}_mlp.2", f"{OURS}.ff{context}.net.2")


def single_block() -> Iterator[Rule]:
    """A block of one stream: queries, keys, values and the feed-forward lie in one projection."""
    projections = (*(f"attn.to_{key}" for key in "qkv"), "proj_mlp")
    yield Rule(f"{SINGLE}.linear1", tuple(f"{OURS_SINGLE}.{name}" for name in projections))
    yield Rule(f"{SINGLE}.linear2", f"{OURS_SINGLE}.proj_out")
    yield Rule(f"{SINGLE}.norm.query_norm.scale", f"{OURS_SINGLE}.attn.norm_q.weight")
    yield Rule(f"{SINGLE}.norm.key_norm.scale", f"{OURS_SINGLE}.attn.norm_k.weight")
    yield Rule(f"{SINGLE}.modulation.lin", f"{OURS_SINGLE}.norm.linear")


def ends() -> Iterator[Rule]:
    """What stands before and behind the blocks."""
    yield Rule("img_in", "x_embedder")
    yield Rule("txt_in", "context_embedder")
    for file, ours in EMBEDDERS.items():
        for layer, number in (("in_layer", 1), ("out_layer", 2)):
            yield Rule(f"{file}.{layer}", f"time_text_embed.{ours}.linear_{number}")
    yield Rule("final_layer.adaLN_modulation.1", "norm_out.linear", SWAPPED)
    yield Rule("final_layer.linear", "proj_out")


LAYOUT = Layout(*ends(), *double_block("img", False), *double_block("txt", True), *single_block())
