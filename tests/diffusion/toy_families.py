"""Small families that are none of the published ones: clips on five axes, and two latents at once."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.conditioning import Entry, Setting
from diffusion.family import Family, having
from diffusion.hooks import Hooks, Place
from diffusion.latents.latent_format import LatentFormat
from diffusion.model import Model
from diffusion.networks.backbone import Inputs, Value
from diffusion.noise.prediction import rectified_flow
from diffusion.residency.budget import Residency, Resident
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import seeded, weights_of

CLIPS = LatentFormat("clips", 3, scale=2.0, shift=(0.5, 0.0, -0.5), axes=3)
SOUNDS = LatentFormat("sounds", 2, scale=0.5, axes=1)


class ClipNet(nn.Module):
    """A convolution over time and place, moved by the text's mean, and by the strength it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv3d(3, 3, 3, padding=1)
        self.words = nn.Linear(8, 3)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """x [B, 3, T, H, W] → the same shape."""
        steer = self.words(inputs.context.mean(1)) * timesteps[:, None] / 1000
        strength = inputs.tensor("strength")
        if strength is not None:
            steer = steer * strength[:, None]
        h: Tensor = self.mix(x) + steer[:, :, None, None, None]
        return hooks.change("block.output", Place("only", 0, call=inputs.call), h)


class FilmNet(nn.Module):
    """A clip and its sound; each hears of the other's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.sound = nn.Conv3d(3, 3, 1), nn.Conv1d(2, 2, 1)

    def predict(
        self, x: tuple[Tensor, Tensor], timesteps: Tensor, inputs: Inputs, hooks: Hooks
    ) -> tuple[Tensor, Tensor]:
        """(picture [B, 3, T, H, W], sound [B, 2, N]) → the same shapes."""
        picture, sound = x
        heard, seen = sound.mean((1, 2)), picture.mean((1, 2, 3, 4))
        return (
            self.picture(picture) + heard[:, None, None, None, None],
            self.sound(sound) + seen[:, None, None],
        )


def strength(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """What a conditioning may say to a clip's network."""
    said = entry.options.get("strength_of_words")
    return {} if said is None else {"strength": torch.tensor([float(said)])}


def toy(name: str, network: Callable[[], nn.Module], **fields: Any) -> Model:
    """A model of a family on a rectified flow, with random weights."""
    weights = weights_of(seeded(network, 3))
    family = Family(
        name,
        name,
        (having(next(iter(weights))),),
        lambda weights: None,
        lambda sizes: network(),
        lambda weights, sizes: rectified_flow(3.0),
        CLIPS,
        points=frozenset({"block.output"}),
        **fields,
    )
    residency = Residency(Precision("fp32"), "cpu")
    resident: Resident[Any] = Resident(residency, "backbone", weights, network, (name,))
    return Model(resident, family, None, rectified_flow(3.0), CLIPS)


def clip_model(**fields: Any) -> Model:
    """A model of clips."""
    return toy("clips", ClipNet, inputs=strength, **fields)


def film_model() -> Model:
    """A model of clips with sound."""
    return toy("films", FilmNet, more_latents=(SOUNDS,))
