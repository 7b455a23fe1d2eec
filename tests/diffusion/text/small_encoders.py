"""Small random text encoders of the published kinds, as tensors under the names of their files."""

from dataclasses import replace

from torch import Tensor

from diffusion.text.clip import ClipText, TextSizes
from diffusion.text.t5 import T5, T5Sizes
from tests.diffusion.small_models import prefixed, seeded

Tensors = dict[str, Tensor]

CLIP_L = TextSizes(width=64, layers=2, heads=1, inner=96, projection=64)
CLIP_G = TextSizes(width=64, layers=32, heads=1, inner=64, activation="gelu", projection=64)
T5_XXL = T5Sizes(32128, 144, 24, 2, 16, 48, 32, gated=True, own_biases=False)
OLD_T5 = replace(T5_XXL, gated=False)
PILE_T5 = replace(T5_XXL, own_biases=True)


def clip_l() -> Tensors:
    """CLIP L."""
    return prefixed("", seeded(lambda: ClipText(CLIP_L), 2))


def clip_g() -> Tensors:
    """OpenCLIP bigG, told by its depth."""
    return prefixed("", seeded(lambda: ClipText(CLIP_G), 3))


def t5(sizes: T5Sizes = T5_XXL, seed: int = 4) -> Tensors:
    """T5 or one of its kin."""
    return prefixed("", seeded(lambda: T5(sizes), seed))
