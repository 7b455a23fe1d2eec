"""What Chroma's own files call the network's tensors: FLUX's names, and those of the approximator."""

from __future__ import annotations

from diffusion.families.flux.layout import double_block, single_block
from diffusion.weights.layout import Layout, Rule

GUIDANCE = "distilled_guidance_layer"

LAYOUT = Layout(
    Rule("img_in", "x_embedder"),
    Rule("txt_in", "context_embedder"),
    Rule("final_layer.linear", "proj_out"),
    Rule(f"{GUIDANCE}.layers.*.in_layer", f"{GUIDANCE}.layers.*.linear_1"),
    Rule(f"{GUIDANCE}.layers.*.out_layer", f"{GUIDANCE}.layers.*.linear_2"),
    Rule(f"{GUIDANCE}.norms.*.scale", f"{GUIDANCE}.norms.*.weight"),
    *double_block("img", False),
    *double_block("txt", True),
    *single_block(),
)
