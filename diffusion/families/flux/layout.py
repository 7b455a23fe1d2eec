"""What FLUX's own files call the network's tensors; the network's names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import SWAPPED, Layout, Rule

DOUBLE, SINGLE = "double_blocks.*", "single_blocks.*"
OURS, OURS_SINGLE = "transformer_blocks.*", "single_transformer_blocks.*"

EMBEDDERS = {"time_in": "timestep_embedder", "vector_in": "text_embedder", "guidance_in": "guidance_embedder"}


def attention(added: bool) -> tuple[tuple[str, ...], str]:
    """The projections to queries, keys and values, and back, of one stream of a double block."""
    if added:
        return tuple(f"{OURS}.attn.add_{key}_proj" for key in "qkv"), f"{OURS}.attn.to_add_out"
    return tuple(f"{OURS}.attn.to_{key}" for key in "qkv"), f"{OURS}.attn.to_out.0"


def double_block(stream: str, added: bool) -> Iterator[Rule]:
    """One stream of a double block: the picture's, or the text's, whose projections are `added`."""
    projections, out = attention(added)
    norm, context = ("norm_added_", "_context") if added else ("norm_", "")
    yield Rule(f"{DOUBLE}.{stream}_attn.qkv", projections)
    yield Rule(f"{DOUBLE}.{stream}_attn.proj", out)
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


def processors() -> Iterator[Rule]:
    """What LoRAs of XLabs, UNO and USO call projections; `lora` counts the streams of a double block."""
    for number, added in ((1, False), (2, True)):
        projections, out = attention(added)
        yield Rule(f"{DOUBLE}.processor.qkv_lora{number}", projections)
        yield Rule(f"{DOUBLE}.processor.proj_lora{number}", out)
    yield Rule(f"{SINGLE}.processor.qkv_lora", SINGLE_PROJECTIONS)
    yield Rule(f"{SINGLE}.processor.proj_lora", f"{OURS_SINGLE}.proj_out")


SINGLE_PROJECTIONS = tuple(f"{OURS_SINGLE}.attn.to_{key}" for key in "qkv")
PROCESSORS = Layout(*processors())
QKV_ALONE = Layout(Rule(f"{SINGLE}.linear1_qkv", SINGLE_PROJECTIONS))
"""Names that only LoRAs have, for parts of the packed weights of files."""
LAYOUT = Layout(*ends(), *double_block("img", False), *double_block("txt", True), *single_block())
