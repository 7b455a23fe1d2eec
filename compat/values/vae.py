"""The autoencoder as packs know `VAE`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compat.values.facade import Facade

if TYPE_CHECKING:
    from torch import Tensor

    from diffusion.latents.autoencoder import VAE


class Vae(Facade):
    """The autoencoder as `VAE`."""

    kind = "VAE"

    def __init__(self, value: VAE) -> None:
        self.value = value
        self.latent_channels = value.latent_channels
        self.downscale_ratio = self.upscale_ratio = value.downscale
        self.latent_dim = 2
        self.output_channels = 3

    def own(self) -> VAE:
        """The autoencoder."""
        return self.value

    @property
    def device(self) -> Any:
        """Where it computes."""
        return self.value.resident.device

    @property
    def vae_dtype(self) -> Any:
        """In which type it computes."""
        return self.value.resident.dtype

    @property
    def output_device(self) -> Any:
        """Where its results are."""
        import torch

        return torch.device("cpu")

    def decode(self, samples_in: Tensor, **_kwargs: Any) -> Tensor:
        """Pictures `B×H×W×C` of latents."""
        return self.value.decode(samples_in)

    def encode(self, pixel_samples: Tensor) -> Tensor:
        """Latents of pictures `B×H×W×C`."""
        return self.value.encode(pixel_samples[..., :3])

    def decode_tiled(
        self,
        samples: Tensor,
        tile_x: int | None = None,
        tile_y: int | None = None,
        overlap: int | None = None,
        **_: Any,
    ) -> Tensor:
        """Pictures of latents, in square tiles of latent elements."""
        return self.value.decode_tiled(samples, **_tiles(tile_x or tile_y, overlap))

    def encode_tiled(
        self,
        pixel_samples: Tensor,
        tile_x: int | None = None,
        tile_y: int | None = None,
        overlap: int | None = None,
        **_: Any,
    ) -> Tensor:
        """Latents of pictures, in square tiles of pixels."""
        return self.value.encode_tiled(pixel_samples[..., :3], **_tiles(tile_x or tile_y, overlap))

    def spacial_compression_decode(self) -> int:
        """Pixels of a latent element's side (the name is ComfyUI's)."""
        return self.value.downscale

    spacial_compression_encode = spacial_compression_decode

    def temporal_compression_decode(self) -> None:
        """Not one for video."""

    def throw_exception_if_invalid(self) -> None:
        """It is valid."""


def _tiles(tile: int | None, overlap: int | None) -> dict[str, Any]:
    """The options of tiles that are given."""
    return {name: value for name, value in (("tile", tile), ("overlap", overlap)) if value is not None}
