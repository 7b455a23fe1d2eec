"""How a family scales its latents, and how they look as rough colours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Rows = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class LatentFormat:
    """The latent space of a family.

    A network is trained on (latent − shift) · scale, which has about unit variance; either may be one number
    a channel. Files, links and the VAE use the unscaled latent. `rgb` gives each channel's part in red, green
    and blue (−1…1) of a small preview, from a scaled latent; `preview` names the TAESD that decodes it.
    `axes` are those of a place: 2 for pictures [B, C, H, W], 3 for clips [B, C, T, H, W], 1 for sounds [B, C,
    N].
    """

    name: str
    channels: int = 4
    scale: float | tuple[float, ...] = 1.0
    shift: float | tuple[float, ...] = 0.0
    downscale: int = 8
    rgb: Rows = ()
    rgb_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    preview: str = ""
    axes: int = 2

    def into(self, latent: Tensor) -> Tensor:
        """From the VAE's latent to the network's."""
        return (latent - along(self.shift, latent)) * along(self.scale, latent)

    def out_of(self, latent: Tensor) -> Tensor:
        """From the network's latent to the VAE's."""
        return latent / along(self.scale, latent) + along(self.shift, latent)

    def colours(self, latent: Tensor) -> Tensor:
        """A scaled latent [B, C, (T,) h, w] as small pictures [B, h, w, 3] in 0…1; of a clip its frames."""
        if latent.ndim == 5:
            latent = latent.movedim(2, 1).flatten(0, 1)
        rows = torch.tensor(self.rgb, dtype=torch.float32, device=latent.device)
        bias = torch.tensor(self.rgb_bias, dtype=torch.float32, device=latent.device)
        colours = torch.einsum("bchw,cr->bhwr", latent.float(), rows) + bias
        return ((colours + 1) / 2).clamp(0, 1)


def along(numbers: float | tuple[float, ...], latent: Tensor) -> float | Tensor:
    """A number, or one a channel as it is combined with a latent [B, C, …]."""
    if isinstance(numbers, tuple):
        return latent.new_tensor(numbers).view(1, -1, *(1,) * (latent.ndim - 2))
    return numbers


def stated_colours(latent_format: LatentFormat, text: str) -> LatentFormat:
    """The format with colours of its own, from a JSON list: three numbers a channel, then a bias row.

    ValueError if the text is anything else. A least-squares fit of pictures (−1…1) on latents gives it.
    """
    rows = json.loads(text)
    if not isinstance(rows, list) or len(rows) != latent_format.channels + 1:
        raise ValueError(f"{latent_format.channels + 1} rows are wanted.")
    numbers = torch.tensor(rows, dtype=torch.float64)
    if numbers.shape[1:] != (3,) or not numbers.isfinite().all():
        raise ValueError("Each row has three numbers.")
    *factors, bias = [(red, green, blue) for red, green, blue in numbers.tolist()]
    return replace(latent_format, rgb=tuple(factors), rgb_bias=bias)


# Linear fits of decoded pictures on latents: keturn on discuss.huggingface.co (2022), InvokeAI (2023).
SD1_RGB: Rows = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)
SDXL_RGB: Rows = (
    (0.3816, 0.4930, 0.5320),
    (-0.3753, 0.1631, 0.1739),
    (0.1770, 0.3588, -0.2048),
    (-0.4350, -0.2644, -0.4289),
)

# The linear fit of pictures that is commonly used with FLUX.
FLUX_RGB: Rows = (
    (-0.0346, 0.0244, 0.0681),
    (0.0034, 0.0210, 0.0687),
    (0.0275, -0.0668, -0.0433),
    (-0.0174, 0.0160, 0.0617),
    (0.0859, 0.0721, 0.0329),
    (0.0004, 0.0383, 0.0115),
    (0.0405, 0.0861, 0.0915),
    (-0.0236, -0.0185, -0.0259),
    (-0.0245, 0.0250, 0.1180),
    (0.1008, 0.0755, -0.0421),
    (-0.0515, 0.0201, 0.0011),
    (0.0428, -0.0012, -0.0036),
    (0.0817, 0.0765, 0.0749),
    (-0.1264, -0.0522, -0.1103),
    (-0.0280, -0.0881, -0.0499),
    (-0.1262, -0.0982, -0.0778),
)
FLUX_RGB_BIAS = (-0.0329, -0.0718, -0.0851)

# A linear fit of pictures on SD 3.5's scaled latents: InvokeAI (2024, Apache-2.0).
SD3_RGB: Rows = (
    (-0.05240681, 0.03251581, 0.0749016),
    (-0.0580572, 0.00759826, 0.05729818),
    (0.16144888, 0.01270368, -0.03768577),
    (0.14418615, 0.08460266, 0.15941818),
    (0.04894035, 0.0056485, -0.06686988),
    (0.05187166, 0.19222395, 0.06261094),
    (0.1539433, 0.04818359, 0.07103094),
    (-0.08601796, 0.09013458, 0.10893912),
    (-0.12398469, -0.06766567, 0.0033688),
    (-0.0439737, 0.07825329, 0.02258823),
    (0.03101129, 0.06382551, 0.07753657),
    (-0.01315361, 0.08554491, -0.08772475),
    (0.06464487, 0.05914605, 0.13262741),
    (-0.07863674, -0.02261737, -0.12761454),
    (-0.09923835, -0.08010759, -0.06264447),
    (-0.03392309, -0.0804029, -0.06078822),
)

SD1 = LatentFormat("sd1", scale=0.18215, rgb=SD1_RGB, preview="taesd")
SDXL = LatentFormat("sdxl", scale=0.13025, rgb=SDXL_RGB, preview="taesdxl")
UPSCALER_X4 = LatentFormat("upscaler_x4", scale=0.08333, downscale=4)
FLUX = LatentFormat("flux", 16, 0.3611, 0.1159, rgb=FLUX_RGB, rgb_bias=FLUX_RGB_BIAS, preview="taef1")
SD3 = LatentFormat("sd3", 16, 1.5305, 0.0609, rgb=SD3_RGB, preview="taesd3")

# The mean and deviation of each channel, from the configuration of Wan 2.1's autoencoder (Apache-2.0).
WAN_MEAN = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)
WAN_DEVIATION = (
    *(2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743),
    *(3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160),
)
WAN = LatentFormat("wan", 16, tuple(1 / each for each in WAN_DEVIATION), WAN_MEAN, axes=3)

FORMATS: Mapping[str, LatentFormat] = {each.name: each for each in (SD1, SDXL, UPSCALER_X4, FLUX, SD3, WAN)}
