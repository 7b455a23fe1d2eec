"""What HunyuanDiT's own files call the network's tensors, whose names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import SWAPPED, Layout, Rule

BLOCK = "blocks.*"
TIME = "time_extra_emb"


def attention() -> Iterator[Rule]:
    """Both attentions of a block: of the picture to itself, and to the text."""
    yield Rule(f"{BLOCK}.attn1.Wqkv", tuple(f"{BLOCK}.attn1.to_{key}" for key in "qkv"))
    yield Rule(f"{BLOCK}.attn2.q_proj", f"{BLOCK}.attn2.to_q")
    yield Rule(f"{BLOCK}.attn2.kv_proj", tuple(f"{BLOCK}.attn2.to_{key}" for key in "kv"))
    for each in ("attn1", "attn2"):
        yield Rule(f"{BLOCK}.{each}.q_norm", f"{BLOCK}.{each}.norm_q")
        yield Rule(f"{BLOCK}.{each}.k_norm", f"{BLOCK}.{each}.norm_k")
        yield Rule(f"{BLOCK}.{each}.out_proj", f"{BLOCK}.{each}.to_out.0")


def block() -> Iterator[Rule]:
    """A block's norms and feed-forward; files count the text's norm third."""
    yield Rule(f"{BLOCK}.default_modulation.1", f"{BLOCK}.norm1.linear")
    yield Rule(f"{BLOCK}.norm1", f"{BLOCK}.norm1.norm")
    yield Rule(f"{BLOCK}.norm2", f"{BLOCK}.norm3")
    yield Rule(f"{BLOCK}.norm3", f"{BLOCK}.norm2")
    yield Rule(f"{BLOCK}.mlp.fc1", f"{BLOCK}.ff.net.0.proj")
    yield Rule(f"{BLOCK}.mlp.fc2", f"{BLOCK}.ff.net.2")


def ends() -> Iterator[Rule]:
    """What stands before and behind the blocks."""
    yield Rule("x_embedder", "pos_embed")
    for file, ours in (
        ("t_embedder.mlp", f"{TIME}.timestep_embedder"),
        ("extra_embedder", f"{TIME}.extra_embedder"),
        ("mlp_t5", "text_embedder"),
    ):
        for layer, number in ((0, 1), (2, 2)):
            yield Rule(f"{file}.{layer}", f"{ours}.linear_{number}")
    yield Rule("style_embedder", f"{TIME}.style_embedder")
    yield Rule("pooler", f"{TIME}.pooler")
    yield Rule("final_layer.adaLN_modulation.1", "norm_out.linear", SWAPPED)
    yield Rule("final_layer.linear", "proj_out")


LAYOUT = Layout(*ends(), *attention(), *block())
