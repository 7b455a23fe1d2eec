"""The VAE on links: pictures to latents and back, whole or in tiles, within what memory allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.latents.hunyuan_vae import HunyuanVAE
from diffusion.latents.taesd import Taesd
from diffusion.latents.tiling import averaged, in_tiles
from diffusion.latents.vae import AutoencoderKL
from diffusion.latents.wan_vae import WanVAE
from diffusion.residency.budget import Resident
from diffusion.weights.loading import NO_PATCHES, Check, Patches, never

Compute = Callable[[Tensor], Tensor]

TILE = 64  # latent elements a side; eight times as many pixels
OVERLAP = 16
CLIP = 8 * 1024 * 576 // 64  # latent elements of a clip that are decoded together


@dataclass(frozen=True, eq=False)
class VAE:
    """An autoencoder. Pictures are B×H×W×C in 0…1, latents B×C×h×w unscaled; both are float32 on the CPU.

    A decoder for `video` sees the frames of a batch together, as many as `CLIP` allows. One of `clips` has
    latents B×C×T×h×w and gives the frames of all; a picture's latent has one moment. Its tiles, which see
    more around them, are blended once.
    """

    resident: Resident[AutoencoderKL] | Resident[Taesd] | Resident[WanVAE] | Resident[HunyuanVAE]
    latent_channels: int = 4
    downscale: int = 8
    patches: Patches = NO_PATCHES
    video: bool = False
    clips: bool = False

    def decode(self, latent: Tensor, check: Check = never) -> Tensor:
        """The pictures of latents; in tiles if memory does not allow more."""
        return self._attempt(
            lambda: self._decoded(latent, lambda run, z: run(z), check),
            lambda: self.decode_tiled(latent, check=check),
        )

    def encode(self, image: Tensor, check: Check = never) -> Tensor:
        """The latents of pictures, cut evenly to a multiple of `downscale`; in tiles if need be."""
        return self._attempt(
            lambda: self._encoded(image, lambda run, x: run(x), check),
            lambda: self.encode_tiled(image, check=check),
        )

    def decode_tiled(
        self, latent: Tensor, tile: int = TILE, overlap: int = OVERLAP, check: Check = never
    ) -> Tensor:
        """The pictures of latents, in tiles of `tile` latent elements a side."""
        sides, scale = (tile, tile), float(self.downscale)
        return self._decoded(latent, lambda run, z: self._tiling(z, run, sides, overlap, scale, check), check)

    def encode_tiled(
        self, image: Tensor, tile: int = TILE * 8, overlap: int = OVERLAP * 4, check: Check = never
    ) -> Tensor:
        """The latents of pictures, in tiles of `tile` pixels a side."""
        sides, scale = (tile, tile), 1 / self.downscale
        return self._encoded(image, lambda run, x: self._tiling(x, run, sides, overlap, scale, check), check)

    @property
    def _tiling(self) -> Callable[..., Tensor]:
        return in_tiles if self.clips else averaged

    def _decoded(self, latent: Tensor, way: Callable[[Compute, Tensor], Tensor], check: Check) -> Tensor:
        pictures = self._each("decode", latent, way, check)
        return ((pictures + 1) / 2).clamp(0, 1).movedim(1, -1)

    def _encoded(self, image: Tensor, way: Callable[[Compute, Tensor], Tensor], check: Check) -> Tensor:
        pixels = cropped(image, self.downscale).movedim(-1, 1)
        return self._each("encode", pixels * 2 - 1, way, check)

    def _each(
        self, direction: str, batch: Tensor, way: Callable[[Compute, Tensor], Tensor], check: Check
    ) -> Tensor:
        """Row by row or clip by clip through the module, again in float32 where a smaller type overflowed."""
        resident = self.resident
        results = self._pass(resident, direction, batch, way, check)
        if resident.dtype is not torch.float32 and not bool(results.isfinite().all()):
            resident.residency.notice(
                "The VAE overflowed in its number type and computes in float32 instead."
            )
            results = self._pass(resident.computing_in(torch.float32), direction, batch, way, check)
        return results

    def _pass(
        self,
        resident: Resident[AutoencoderKL] | Resident[Taesd] | Resident[WanVAE] | Resident[HunyuanVAE],
        direction: str,
        batch: Tensor,
        way: Callable[[Compute, Tensor], Tensor],
        check: Check,
    ) -> Tensor:
        device, dtype = resident.device, resident.dtype
        with resident.use(self.patches, check) as module, torch.no_grad():
            apply: Compute = getattr(module, direction)

            def run(x: Tensor) -> Tensor:
                check()
                return apply(x.to(device, dtype)).float().cpu()

            together = self._together(batch) if self.video and direction == "decode" else 1
            return torch.cat([way(run, rows.float()) for rows in torch.split(batch, together)])

    def _together(self, latent: Tensor) -> int:
        """How many frames of a clip are decoded at once."""
        return max(1, CLIP // (latent.shape[-2] * latent.shape[-1]))

    def _attempt(self, *ways: Callable[[], Tensor]) -> Tensor:
        return self.resident.residency.attempt(*ways, doing="passing a picture through the VAE")


def cropped(image: Tensor, multiple: int) -> Tensor:
    """A picture B×H×W×C without what is over a multiple, taken from both sides evenly."""
    height, width = (size // multiple * multiple for size in image.shape[1:3])
    top, left = (image.shape[1] % multiple) // 2, (image.shape[2] % multiple) // 2
    return image[:, top : top + height, left : left + width]
