"""What HunyuanImage's files call the network's tensors: as published, and as FLUX's kin do."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.weights.entries import Weights
from diffusion.weights.layout import SWAPPED, Layout, Rule

DOUBLE, SINGLE = "double_blocks.*", "single_blocks.*"
REFINER = "txt_in.individual_token_refiner.blocks.*"
OURS, OURS_SINGLE = "transformer_blocks.*", "single_transformer_blocks.*"
OURS_REFINER = "context_embedder.token_refiner.refiner_blocks.*"
TIMES = {
    "time_in": "time_guidance_embed.timestep_embedder",
    "time_r_in": "time_guidance_embed.timestep_embedder_r",
    "guidance_in": "time_guidance_embed.guidance_embedder",
    "txt_in.t_embedder": "context_embedder.time_text_embed.timestep_embedder",
    "txt_in.c_embedder": "context_embedder.time_text_embed.text_embedder",
}
LAYERS = ("in_layer", "out_layer")


def published() -> Iterator[Rule]:
    """Published names and those that the original names are here: FLUX's."""
    for stream in ("img", "txt"):
        yield Rule(f"{DOUBLE}.{stream}_mod.linear", f"{DOUBLE}.{stream}_mod.lin")
        for name in ("qkv", "proj"):
            yield Rule(f"{DOUBLE}.{stream}_attn_{name}", f"{DOUBLE}.{stream}_attn.{name}")
        for key, norm in (("q", "query"), ("k", "key")):
            yield Rule(
                f"{DOUBLE}.{stream}_attn_{key}_norm.weight", f"{DOUBLE}.{stream}_attn.norm.{norm}_norm.scale"
            )
        yield Rule(f"{DOUBLE}.{stream}_mlp.fc1", f"{DOUBLE}.{stream}_mlp.0")
        yield Rule(f"{DOUBLE}.{stream}_mlp.fc2", f"{DOUBLE}.{stream}_mlp.2")
    for key, norm in (("q", "query"), ("k", "key")):
        yield Rule(f"{SINGLE}.{key}_norm.weight", f"{SINGLE}.norm.{norm}_norm.scale")
    yield Rule(f"{SINGLE}.modulation.linear", f"{SINGLE}.modulation.lin")
    for name in ("qkv", "proj"):
        yield Rule(f"{REFINER}.self_attn_{name}", f"{REFINER}.self_attn.{name}")
    yield Rule(f"{REFINER}.mlp.fc1", f"{REFINER}.mlp.0")
    yield Rule(f"{REFINER}.mlp.fc2", f"{REFINER}.mlp.2")
    for embedder in TIMES:
        for layer, (number, linear) in zip(LAYERS, ((0, 1), (2, 2)), strict=True):
            yield Rule(f"{embedder}.mlp.{number}", f"{embedder}.{layer}")
            yield Rule(f"{embedder}.linear_{linear}", f"{embedder}.{layer}")


PUBLISHED = Layout(*published())


def native(weights: Weights) -> Weights:
    """A file with published names under the original ones; any other unchanged."""
    return weights.having({PUBLISHED.names(name)[0]: entry for name, entry in weights.items()})


def double_block(stream: str, added: bool) -> Iterator[Rule]:
    """One stream of a double block: the picture's, or the text's, whose projections are `added`."""
    norm, context = ("norm_added_", "_context") if added else ("norm_", "")
    projections = (f"add_{key}_proj" if added else f"to_{key}" for key in "qkv")
    out = "to_add_out" if added else "to_out.0"
    yield Rule(f"{DOUBLE}.{stream}_attn.qkv", tuple(f"{OURS}.attn.{name}" for name in projections))
    yield Rule(f"{DOUBLE}.{stream}_attn.proj", f"{OURS}.attn.{out}")
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


def refiner() -> Iterator[Rule]:
    """A block that refines the text."""
    yield Rule(f"{REFINER}.self_attn.qkv", tuple(f"{OURS_REFINER}.attn.to_{key}" for key in "qkv"))
    yield Rule(f"{REFINER}.self_attn.proj", f"{OURS_REFINER}.attn.to_out.0")
    yield Rule(f"{REFINER}.mlp.0", f"{OURS_REFINER}.ff.net.0.proj")
    yield Rule(f"{REFINER}.mlp.2", f"{OURS_REFINER}.ff.net.2")
    yield Rule(f"{REFINER}.adaLN_modulation.1", f"{OURS_REFINER}.norm_out.linear")
    yield Rule(REFINER, OURS_REFINER)


def ends() -> Iterator[Rule]:
    """What stands before and behind the blocks."""
    yield Rule("img_in", "x_embedder")
    yield Rule("txt_in.input_embedder", "context_embedder.proj_in")
    for file, ours in TIMES.items():
        for layer, number in zip(LAYERS, (1, 2), strict=True):
            yield Rule(f"{file}.{layer}", f"{ours}.linear_{number}")
    yield Rule("byt5_in.layernorm", "context_embedder_2.norm")
    for number in (1, 2, 3):
        yield Rule(f"byt5_in.fc{number}", f"context_embedder_2.linear_{number}")
    yield Rule("final_layer.adaLN_modulation.1", "norm_out.linear", SWAPPED)
    yield Rule("final_layer.linear", "proj_out")


LAYOUT = Layout(*ends(), *refiner(), *double_block("img", False), *double_block("txt", True), *single_block())
