"""Sound, and what an encoder can take of it: numbers, a layout of channels, a sample rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

MAX_SAMPLES = 1 << 30
"""How many samples all channels of a sound may have together."""
LAYOUTS: Mapping[int, str] = MappingProxyType(
    {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
)
"""FFmpeg's name of the usual layout of so many channels, as FLAC and Ogg lay them out."""
AAC_LAYOUTS: Mapping[int, str] = MappingProxyType(
    {count: LAYOUTS[count] for count in (1, 2, 3, 5, 6)} | {4: "4.0"}
)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
AAC_RATES = (7350, *MP3_RATES, 64000, 88200, 96000)

SIDE = 0.5**0.5
LEFT, RIGHT, CENTRE, DEEP = (1.0, 0.0), (0.0, 1.0), (SIDE, SIDE), (0.0, 0.0)
BESIDE_LEFT, BESIDE_RIGHT, BEHIND = (SIDE, 0.0), (0.0, SIDE), (0.5, 0.5)
TO_STEREO: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "mono": ((1.0, 1.0),),
        "stereo": (LEFT, RIGHT),
        "3.0": (LEFT, RIGHT, CENTRE),
        "quad": (LEFT, RIGHT, BESIDE_LEFT, BESIDE_RIGHT),
        "5.0": (LEFT, RIGHT, CENTRE, BESIDE_LEFT, BESIDE_RIGHT),
        "5.1": (LEFT, RIGHT, CENTRE, DEEP, BESIDE_LEFT, BESIDE_RIGHT),
        "6.1": (LEFT, RIGHT, CENTRE, DEEP, BEHIND, BESIDE_LEFT, BESIDE_RIGHT),
        "7.1": (LEFT, RIGHT, CENTRE, DEEP, BESIDE_LEFT, BESIDE_RIGHT, BESIDE_LEFT, BESIDE_RIGHT),
    }
)
"""How much of each channel goes left and right when a sound is mixed down (ITU-R BS.775-3, annex 4)."""


class Sound(TypedDict):
    """What travels as AUDIO: batch × channels × samples, −1…1, and samples a second."""

    waveform: Tensor
    sample_rate: int


@dataclass(frozen=True)
class Encoder:
    """An encoder by FFmpeg's name: its sample format, layouts by count of channels, and rates (none: any)."""

    codec: str
    sample_format: str
    layouts: Mapping[int, str]
    rates: tuple[int, ...] = ()


FLAC = Encoder("flac", "s32", LAYOUTS)
MP3 = Encoder("libmp3lame", "fltp", MappingProxyType({1: "mono", 2: "stereo"}), MP3_RATES)
OPUS = Encoder("libopus", "flt", LAYOUTS, OPUS_RATES)
AAC = Encoder("aac", "fltp", AAC_LAYOUTS, AAC_RATES)
ENCODERS: Mapping[str, Encoder] = MappingProxyType({"flac": FLAC, "mp3": MP3, "opus": OPUS})
"""By the kind of file."""


@dataclass(frozen=True)
class Ready:
    """What an encoder is given: finite samples, channels × samples, −1…1."""

    samples: Tensor
    layout: str
    rate: int


def batched(waveform: Tensor) -> Tensor:
    """A waveform as batch × channels × samples, whatever leading axes it came with."""
    while waveform.ndim < 3:
        waveform = waveform[None]
    return waveform


def require_sound(sound: Sound) -> None:
    """Say what of a sound no encoder can take, before anything is computed for it.

    Raises:
        ValueError: it has no samples, or more channels than any layout.
    """
    _, channels, samples = batched(sound["waveform"]).shape
    if not samples:
        raise ValueError("input 'audio' is empty: it has no samples; give a sound that lasts a moment")
    if channels not in LAYOUTS:
        raise ValueError(
            f"input 'audio' has {channels} channels; sound with 1 to {max(LAYOUTS)} can be saved. "
            "Split it, and save the parts"
        )


def prepared(sound: Sound, encoder: Encoder) -> Ready:
    """The first sound of a batch as an encoder can take it.

    Samples that are no number, or infinite, become silence; channels that it has no layout for are mixed to
    stereo; the sample rate becomes the next one above that it knows.

    Raises:
        ValueError: see `require_sound`.
    """
    require_sound(sound)
    finite = batched(sound["waveform"])[0].detach().float().cpu().nan_to_num(0.0, posinf=0.0, neginf=0.0)
    layout = encoder.layouts.get(len(finite))
    if layout is None:
        finite, layout = mixed_to_stereo(finite), "stereo"
    rate = rate_for(sound["sample_rate"], encoder.rates)
    out = resampled({"waveform": finite[None], "sample_rate": sound["sample_rate"]}, rate)
    return Ready(out["waveform"][0].clamp(-1, 1), layout, rate)


def mixed_to_stereo(samples: Tensor) -> Tensor:
    """Channels × samples as two channels, none louder than the loudest could be before."""
    weights = torch.tensor(TO_STEREO[LAYOUTS[len(samples)]]).T
    return (weights / weights.sum(1).max()) @ samples


def rate_for(rate: int, rates: tuple[int, ...]) -> int:
    """The nearest rate above that a codec knows."""
    return next((each for each in rates if each >= rate), rates[-1]) if rates else rate


def resampled(sound: Sound, rate: int) -> Sound:
    """`sound` at another sample rate, by polyphase filtering."""
    if sound["sample_rate"] == rate:
        return sound
    from scipy.signal import resample_poly  # takes a moment to import, and is seldom needed

    ratio = Fraction(rate, sound["sample_rate"])
    samples = resample_poly(sound["waveform"].cpu().numpy(), ratio.numerator, ratio.denominator, axis=-1)
    return {"waveform": torch.from_numpy(np.ascontiguousarray(samples)).float(), "sample_rate": rate}
