"""The sizes of a CLIP text tower read off the shapes of its tensors."""

from __future__ import annotations

from diffusion.text.clip import TextSizes
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted, shape_of, stated


def text_sizes(weights: Weights, part: str = "text", open_clip: bool = False) -> TextSizes:
    """The sizes of a text tower given under our names. Unlike says what does not fit."""
    vocabulary, width = shape_of(weights, "text_model.embeddings.token_embedding.weight", 2)
    facts = stated(weights, part)
    projection = weights.shape("text_projection.weight")
    usual = "gelu" if open_clip or width > 768 else "quick_gelu"
    return TextSizes(
        width=width,
        layers=counted(weights, "text_model.encoder.layers.{}.mlp.fc1.weight"),
        heads=facts.number("heads") or max(width // 64, 1),
        inner=shape_of(weights, "text_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        positions=shape_of(weights, "text_model.embeddings.position_embedding.weight", 2)[0],
        vocabulary=vocabulary,
        activation=facts.text("activation", usual),
        projection=projection[0] if projection else None,
    )
