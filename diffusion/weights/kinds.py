"""Files of another kind than the one asked for: what they are, and where they belong."""

from __future__ import annotations

from collections.abc import Sequence

from diffusion.errors import UnknownModel
from diffusion.weights.entries import Weights

# Part of a name, what a file with such a name is, and what to do with it.
KINDS: tuple[tuple[str, str, str], ...] = (
    ("lora_unet_", "a LoRA", "Load it with a LoRA loader, on top of a checkpoint."),
    (".lora_A.", "a LoRA", "Load it with a LoRA loader, on top of a checkpoint."),
    ("lora_te", "a LoRA", "Load it with a LoRA loader, on top of a checkpoint."),
    ("control_model.", "a ControlNet", "Load it with a ControlNet loader."),
    ("controlnet_cond_embedding.", "a ControlNet", "Load it with a ControlNet loader."),
    ("emb_params", "a textual-inversion embedding", "Name it in the text as embedding:NAME."),
    ("string_to_param", "a textual-inversion embedding", "Name it in the text as embedding:NAME."),
    ("body.0.rdb1.", "an upscaler", "Load it with the upscale model loader."),
    ("vision_model.", "a CLIP vision model", "Load it with the CLIP vision loader."),
)


def kind_of(weights: Weights) -> tuple[str, str] | None:
    """What a file looks like that holds no model of a family, and what to do with it; None if unknown."""
    for sign, name, advice in KINDS:
        if any(sign in key for key in weights):
            return name, advice
    return None


def unknown(weights: Weights, found: str, nearest: Sequence[str] = ()) -> UnknownModel:
    """The error for a file in which something else was found than what was asked for.

    `nearest` are the lines that say what was missing to be something known.
    """
    kind = kind_of(weights)
    advice = f"It looks like {kind[0]}. {kind[1]}" if kind else "Choose another file."
    return UnknownModel(weights.path, found, nearest, advice)
