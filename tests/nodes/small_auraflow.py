"""Small random models of AuraFlow, as tensors under the names of their files."""

from collections.abc import Iterator

from torch import Tensor

from diffusion.families.auraflow.layout import LAYOUT
from diffusion.families.auraflow.network import AuraFlow, AuraFlowSizes
from tests.diffusion.small_models import as_weights
from tests.golden.weights import tensor_for

Tensors = dict[str, Tensor]

SIZES = AuraFlowSizes(width=256, in_channels=4, out_channels=4, text=12, doubles=1, singles=1, places=256)


def auraflow(salt: str = "") -> Tensors:
    """A diffusion model; `salt` makes another of the same sizes."""
    shapes = {name: tuple(each.shape) for name, each in AuraFlow(SIZES).state_dict().items()}
    tensors = {name: tensor_for(salt + name, shape) for name, shape in shapes.items()}
    return {name: each.read() for name, each in LAYOUT.written(as_weights(tensors)).items()}


def files() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """Those that examples name: where it lies, its tensors, its metadata."""
    yield "diffusion_models/auraflow.safetensors", auraflow(), {}
    yield "diffusion_models/auraflow_tuned.safetensors", auraflow("tuned "), {}
