"""What NVIDIA's files call the network's tensors; the network's names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import Layout, Rule

THEIRS, OURS = "blocks.*", "transformer_blocks.*"
ATTENTION = {
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "output_proj": "to_out.0",
    "q_norm": "norm_q",
    "k_norm": "norm_k",
}


def blocks() -> Iterator[Rule]:
    """A block: looking at itself, at the text, and a feed-forward, each modulated."""
    for number, part in enumerate(("self_attn", "cross_attn"), 1):
        for norm in ("q_norm", "k_norm"):
            yield Rule(f"{THEIRS}.{part}.{norm}._extra_state", ())
        for theirs, ours in ATTENTION.items():
            yield Rule(f"{THEIRS}.{part}.{theirs}", f"{OURS}.attn{number}.{ours}")
    for number, part in enumerate(("self_attn", "cross_attn", "mlp"), 1):
        for layer in (1, 2):
            yield Rule(f"{THEIRS}.adaln_modulation_{part}.{layer}", f"{OURS}.norm{number}.linear_{layer}")
    yield Rule(f"{THEIRS}.mlp.layer1", f"{OURS}.ff.net.0.proj")
    yield Rule(f"{THEIRS}.mlp.layer2", f"{OURS}.ff.net.2")


def unused() -> Iterator[Rule]:
    """Tables that are computed, and what training counted."""
    yield Rule("pos_embedder", ())
    yield Rule("t_embedding_norm._extra_state", ())
    for counter in ("video_sample_counter", "image_sample_counter", "iteration", "train_in_hours"):
        yield Rule(f"accum_{counter}", ())


LAYOUT = Layout(
    *unused(),
    Rule("x_embedder.proj.1", "patch_embed.proj"),
    Rule("t_embedder.1", "time_embed.t_embedder"),
    Rule("t_embedding_norm", "time_embed.norm"),
    *blocks(),
    Rule("final_layer.adaln_modulation.1", "norm_out.linear_1"),
    Rule("final_layer.adaln_modulation.2", "norm_out.linear_2"),
    Rule("final_layer.linear", "proj_out"),
)
