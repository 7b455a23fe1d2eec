"""Control networks that are shown their picture as a latent, through the VAE of the model that they steer.

What is the same for those of several families: what travels on links, and the picture's latent in a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.conditioning import Setting
from diffusion.control.chain import Applied, Steering, fitted
from diffusion.denoising import Controller
from diffusion.errors import Mismatch
from diffusion.images import to_batch
from diffusion.latents.autoencoder import VAE

PICTURE = 3  # channels of a picture; a fourth says what is kept
Change = Callable[[Tensor], Tensor]


def as_it_is(pixels: Tensor) -> Tensor:
    """A picture that is not changed."""
    return pixels


@dataclass(eq=False)
class Hint:
    """A picture [B, C, H, W] in one run: its latents, by the size that they were asked for.

    `scaled` brings a latent to what the network reads. With `masked` a channel is laid behind it: 1 where the
    picture is kept, everywhere unless a fourth channel of the picture says it.
    """

    picture: Tensor
    vae: VAE
    rows: int
    scaled: Change
    shown: Change
    masked: bool
    latents: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def like(self, x: Tensor) -> Tensor:
        """The picture for a latent [B, C, h, w], several conditionings below each other: [B, C', h, w]."""
        size = int(x.shape[-2]), int(x.shape[-1])
        if size not in self.latents:
            self.latents[size] = self._latent(size)
        latent = self.latents[size]
        return latent.repeat(len(x) // len(latent), 1, 1, 1).to(x)

    def _latent(self, size: tuple[int, int]) -> Tensor:
        picture = fitted(self.picture, self.rows, size, self.vae.downscale)
        pixels = self.shown(picture[:, :PICTURE]).movedim(1, -1)
        latent = self.scaled(self.vae.encode(pixels))
        if not self.masked:
            return latent
        kept = picture[:, PICTURE:] if picture.shape[1] > PICTURE else torch.ones_like(picture[:, :1])
        return torch.cat([latent, F.interpolate(kept, size, mode="nearest-exact").to(latent)], dim=1)


@dataclass(frozen=True, eq=False)
class LatentControl:
    """A control network on a link.

    `begin` makes it ready for a run, once its picture is. `scaled` is told the run and gives what is done to
    the picture's latent, `shown` what is done to its pixels before.
    """

    title: str
    begin: Callable[[Hint, Setting], Steering]
    scaled: Callable[[Setting], Change]
    shown: Change = as_it_is
    takes_mask: bool = False
    vae: VAE | None = None

    def with_vae(self, vae: VAE | None) -> LatentControl:
        """Given the VAE that makes the latents it sees."""
        return replace(self, vae=vae)

    def masked(self, image: Tensor, kept: Tensor) -> Tensor:
        """The picture B×H×W×C without what is not kept (B×H×W, 1 where it is), and that behind it."""
        if not self.takes_mask:
            return image
        rows = max(len(kept), len(image))
        image, kept = to_batch(image[..., :PICTURE], rows), to_batch(kept[..., None], rows)
        return torch.cat([image * kept.round(), kept], dim=-1)

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""
        picture = image[..., : PICTURE + self.takes_mask].movedim(-1, 1)
        return Applied(self, picture, strength, start, end, previous)

    def started(self, image: Tensor, setting: Setting) -> Steering:
        """The network looking at pictures [B, C, H, W] in this run.

        Raises:
            Mismatch: there is no VAE that makes a latent of the picture, or it makes those of another family.
        """
        if self.vae is None:
            found = f"{self.title} looks at a latent of its picture, and no VAE makes one."
            raise Mismatch(found, "Connect the model's VAE to the node that applies it.")
        wanted = setting.model.latent_format.channels
        if self.vae.latent_channels != wanted:
            found = (
                f"The VAE of {self.title} gives latents of {self.vae.latent_channels} channels, "
                f"and {setting.model.family.title} has {wanted}."
            )
            raise Mismatch(found, "Connect the VAE that belongs to the model.")
        rows = len(setting.latent)
        hint = Hint(image, self.vae, rows, self.scaled(setting), self.shown, self.takes_mask)
        return self.begin(hint, setting)
