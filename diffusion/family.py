"""What a family says: all that is particular to one kind of model, each thing in a small field or function.

A family is told by signs in a file's tensors, never by the file's name; any width, depth or number of heads
is the same family. `diffusion/families/` holds one folder for each; nothing else names one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from diffusion.latents.latent_format import LatentFormat
from diffusion.networks.backbone import Value
from diffusion.noise.prediction import Prediction
from diffusion.weights.entries import Weights
from diffusion.weights.layout import Layout

if TYPE_CHECKING:
    from diffusion import conditioning
    from diffusion.control.chain import ControlNetwork
    from diffusion.residency.budget import Residency


@dataclass(frozen=True)
class Sign:
    """Something the tensors of a family's files show: words that can follow "it has not", and a test."""

    words: str
    holds: Callable[[Weights], bool]


@dataclass(frozen=True)
class Trait:
    """Something the sizes of a family's network have in common, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def having(*names: str) -> Sign:
    """The sign of a file with one of these tensors."""
    return Sign(" or ".join(names), lambda weights: any(name in weights for name in names))


def lacking(name: str) -> Sign:
    """The sign of a file without a tensor."""
    return Sign(f"no {name}", lambda weights: name not in weights)


@dataclass(frozen=True)
class TextPlaces:
    """The text side of whole checkpoints: whose rules read it, and where its towers stand.

    `type` is the name that loaders of text encoders know the family by. `towers` are (prefix, tower) pairs,
    the prefix of a tower's tensors and the tower's key, beside the places that `text/loading.py` knows.
    """

    type: str = "stable_diffusion"
    towers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Defaults:
    """What a new workflow starts with: sizes in pixels, guidance as KSampler's `cfg`."""

    width: int = 512
    height: int = 512
    frames: int = 1
    steps: int = 20
    scale: float = 8.0
    sampler: str = "euler"
    scheduler: str = "normal"


RUN_POINTS = frozenset(
    {"backbone.call", "guidance.call", "noise_mask"}
    | {f"guidance.{when}" for when in ("before", "combine", "after")}
)
"""Hook points around the network, which every family has."""

Inputs = Callable[["conditioning.Entry", str, "conditioning.Setting"], Mapping[str, Value]]
"""(one entry of a conditioning, which conditioning it is in, the run) → the network's inputs by name.

Asked once a run. Two names are read here: `context` replaces the text, `channels` [B, C, (T,) H, W] are laid
behind the latent. Everything else reaches the network under its name.
"""


def no_inputs(entry: conditioning.Entry, name: str, setting: conditioning.Setting) -> Mapping[str, Value]:
    """The inputs of a network that is given latent, time and text alone."""
    return {}


def noised_alike(latent: Tensor, noise: Tensor, sigma: Tensor, prediction: Prediction) -> Tensor:
    """What the network sees outside a noise mask: the latent, noised to the level of the step."""
    return prediction.process.noised(latent, noise, sigma)


def unchanged(latent: Tensor, noise: Tensor, sigma: Tensor, prediction: Prediction) -> Tensor:
    """What the network sees outside a noise mask: the clean latent, at every step."""
    return latent


@dataclass(frozen=True, eq=False)
class Family:
    """One kind of model. `docs/families.md` says how to add one, field by field.

    Weights are those of a diffusion model alone, without the prefix they have in a checkpoint, under the
    names of the family's original files.
    """

    name: str
    title: str
    signs: tuple[Sign, ...]
    sizes: Callable[[Weights], Any]
    network: Callable[[Any], nn.Module]
    prediction: Callable[[Weights, Any], Prediction]
    latent: LatentFormat
    more_latents: tuple[LatentFormat, ...] = ()
    traits: tuple[Trait, ...] = ()
    dialects: tuple[Callable[[Weights], Weights], ...] = ()
    layout: Layout | None = None
    adapters: tuple[Layout, ...] = ()
    widens: frozenset[str] = frozenset()
    beside_networks: tuple[Callable[[Weights, Residency], Any], ...] = ()
    controls: tuple[Callable[[Weights, Residency], ControlNetwork | None], ...] = ()
    beside: tuple[str, ...] = ()
    text: TextPlaces | None = None
    text_width: Callable[[Any], int | None] = lambda sizes: None
    inputs: Inputs = no_inputs
    points: frozenset[str] = frozenset()
    repeats_text: bool = False
    outside_mask: Callable[[Tensor, Tensor, Tensor, Prediction], Tensor] = noised_alike
    channels_last: bool = False
    defaults: Defaults = field(default_factory=Defaults)

    def native(self, weights: Weights) -> Weights:
        """A file's tensors under the names of the family's original files, whatever its dialect."""
        for dialect in self.dialects:
            weights = dialect(weights)
        return weights

    def file_name(self, parameter: str) -> str:
        """What the family's original files call the tensor that holds a parameter of the network."""
        return parameter if self.layout is None else self.layout.file_name(parameter)

    def missing(self, weights: Weights) -> list[str]:
        """The signs that a file does not show, in words."""
        return [sign.words for sign in self.signs if not sign.holds(weights)]

    def has(self, point: str) -> bool:
        """Whether hooks at a point act on this family's network."""
        return point in RUN_POINTS or point in self.points
