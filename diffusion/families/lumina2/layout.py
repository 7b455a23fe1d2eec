"""What Lumina's own files call the network's tensors; the network's names are those of diffusers' files."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.layout import Layout, Rule


def block(name: str, modulated: bool) -> Iterator[Rule]:
    """A list of blocks of one stream; those for text alone are not told the time."""
    yield Rule(f"{name}.*.attention.qkv", tuple(f"{name}.*.attn.to_{key}" for key in "qkv"))
    yield Rule(f"{name}.*.attention.out", f"{name}.*.attn.to_out.0")
    yield Rule(f"{name}.*.attention.q_norm", f"{name}.*.attn.norm_q")
    yield Rule(f"{name}.*.attention.k_norm", f"{name}.*.attn.norm_k")
    yield Rule(f"{name}.*.attention_norm1", f"{name}.*.norm1.norm" if modulated else f"{name}.*.norm1")
    yield Rule(f"{name}.*.attention_norm2", f"{name}.*.norm2")
    yield Rule(f"{name}.*.adaLN_modulation.1", f"{name}.*.norm1.linear")
    for number in (1, 2, 3):
        yield Rule(f"{name}.*.feed_forward.w{number}", f"{name}.*.feed_forward.linear_{number}")


LAYOUT = Layout(
    Rule("norm_final", ()),
    Rule("cap_embedder", "time_caption_embed.caption_embedder"),
    Rule("t_embedder.mlp.0", "time_caption_embed.timestep_embedder.linear_1"),
    Rule("t_embedder.mlp.2", "time_caption_embed.timestep_embedder.linear_2"),
    Rule("final_layer.adaLN_modulation.1", "norm_out.linear_1"),
    Rule("final_layer.linear", "norm_out.linear_2"),
    *block("layers", True),
    *block("noise_refiner", True),
    *block("context_refiner", False),
)
