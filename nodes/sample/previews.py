"""Pictures of what is being sampled: a small JPEG of each step, made only if somebody looks."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.families.checkpoints import load_taesd
from diffusion.latents.autoencoder import VAE
from diffusion.latents.latent_format import LatentFormat
from diffusion.latents.previews import decoded, rough
from diffusion.model import Model
from diffusion.residency.budget import Residency
from diffusion.samplers import Step
from execution.declare.node import Preview, Run
from execution.files.folders import Folders
from nodes.image.encoding import jpeg

log = logging.getLogger(__name__)

Method = Literal["auto", "latent2rgb", "taesd", "none"]
OnStep = Callable[[int, int, Step], None]


@dataclass
class Previews:
    """How estimates are shown: by a linear map of their channels (auto, latent2rgb), by TAESD, or not at all;
    a prompt's `extra_data` may choose another `preview_method` than the program's.

    TAESD needs its decoder in `models/vae_approx`; without it the linear map is used. `size` is that of the
    longest side in pixels.
    """

    folders: Folders
    residency: Residency
    method: Method = "auto"
    size: int = 512
    _decoders: dict[str, VAE | None] = field(default_factory=dict)

    def watch(self, run: Run, model: Model) -> OnStep:
        """A function for `sample(on_step=…)` that reports progress, with a preview where one is possible."""

        wanted = run.extra_data.get("preview_method")
        method: Method = next((each for each in get_args(Method) if each == wanted), self.method)

        def on_step(done: int, total: int, step: Step) -> None:
            run.progress(done + 1, total, self.of(model.latent_format, step.denoised, method))

        return on_step

    def of(
        self, latent_format: LatentFormat, denoised: Tensor, method: Method | None = None
    ) -> Callable[[], Preview] | None:
        """What makes the preview of the first picture of a scaled latent; None if nothing can.

        The latent is B×C×H×W, or B×C×T×H×W for a clip, whose first frame is shown.
        """
        method = method or self.method
        denoised = denoised[:, :, 0] if denoised.ndim == 5 else denoised
        if method == "none" or denoised.ndim != 4 or not latent_format.rgb:
            return None
        height, width = (side * latent_format.downscale for side in denoised.shape[-2:])
        shrink = min(1.0, self.size / max(height, width))
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        return lambda: Preview("jpeg", jpeg(self._picture(latent_format, denoised, method), size), size)

    def _picture(self, latent_format: LatentFormat, denoised: Tensor, method: Method) -> NDArray[np.uint8]:
        """The picture, H×W×3, of any size."""
        tiny = self._decoder(latent_format) if method == "taesd" else None
        previewer = rough(latent_format) if tiny is None else decoded(latent_format, tiny.decode)
        assert previewer is not None, "`of` asks only for formats with a linear map"
        return previewer(denoised)

    def _decoder(self, latent_format: LatentFormat) -> VAE | None:
        """The tiny decoder of a latent format, opened once; None if there is none that can be used."""
        name = latent_format.preview
        if name not in self._decoders:
            self._decoders[name] = self._open(name, latent_format)
        return self._decoders[name]

    def _open(self, name: str, latent_format: LatentFormat) -> VAE | None:
        path = approximation(self.folders, f"{name}_decoder")
        if path is None:
            return None
        try:
            return load_taesd(None, path, latent_format, self.residency)
        except DiffusionError as error:
            log.warning("No TAESD previews: %s", error)
            return None


def approximation(folders: Folders, stem: str) -> Path | None:
    """The file of `models/vae_approx` whose name starts with `stem` and a dot."""
    names = [name for name in folders.list("vae_approx") if name.startswith(f"{stem}.")]
    return folders.resolve("vae_approx", names[0]) if names else None
