"""Sound and film between files and tensors, through PyAV, which the extra `video` installs.

Sound is `{"waveform": batch × channels × samples, "sample_rate": …}`, −1…1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nodes.image.decoding import MAX_PIXELS

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
MAX_SAMPLES = 1 << 30
"""How many samples all channels of a sound may have together."""


class Sound(TypedDict):
    """What travels as AUDIO."""

    waveform: Tensor
    sample_rate: int


@dataclass(frozen=True)
class Film:
    """A film's parts: images B×H×W×C, pictures a second, and maybe sound."""

    images: Tensor
    frame_rate: Fraction
    audio: Sound | None = None


def pyav() -> Any:
    """The module `av`.

    Raises:
        RuntimeError: it is not installed; says how to get it.
    """
    try:
        import av
    except ImportError as error:
        raise RuntimeError(
            "sound and video need PyAV, which is not installed: pip install '.[video]' in Nodeloom's folder"
        ) from error
    return av


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The container in a file.

    Raises:
        ValueError: it is no sound or film, or is damaged (also found while reading).
    """
    av = pyav()
    try:
        with av.open(str(path), "r") as container:
            yield container
    except av.error.FFmpegError as error:
        raise ValueError(f"'{path.name}' cannot be read as sound or video: {error.strerror}") from error


def read_sound(path: Path, check: Callable[[], None] = lambda: None) -> Sound:
    """The first sound track of a file.

    Raises:
        ValueError: the file cannot be read, or has none.
    """
    with opened(path) as container:
        sound = _sound_of(container, check)
    if sound is None:
        raise ValueError(f"'{path.name}' has no sound")
    return sound


def read_film(path: Path, check: Callable[[], None] = lambda: None) -> Film:
    """All pictures of a file and its sound.

    Raises:
        ValueError: the file cannot be read, has no pictures, or too many.
    """
    with opened(path) as container:
        stream = _pictures(container, path)
        frames: list[Tensor] = []
        for frame in container.decode(stream):
            check()
            if (len(frames) + 1) * frame.width * frame.height > MAX_PIXELS:
                raise ValueError(f"'{path.name}' has more than {MAX_PIXELS} pixels in all; cut it shorter")
            pixels = np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90))
            frames.append(torch.from_numpy(pixels.astype(np.float32) / 255.0))
        rate = Fraction(stream.average_rate or 24)
    if not frames:
        raise ValueError(f"'{path.name}' has no pictures that can be read")
    with opened(path) as container:
        return Film(torch.stack(frames), rate, _sound_of(container, check))


def film_size(path: Path) -> tuple[int, int]:
    """Width and height of a film."""
    with opened(path) as container:
        stream = _pictures(container, path)
        return stream.width, stream.height


def film_seconds(path: Path) -> float:
    """How long a film lasts."""
    with opened(path) as container:
        stream = _pictures(container, path)
        if container.duration is not None:
            return float(container.duration) / 1_000_000
        return float((stream.duration or 0) * (stream.time_base or 0))


def _pictures(container: Any, path: Path) -> Any:
    if not container.streams.video:
        raise ValueError(f"'{path.name}' has no pictures")
    return container.streams.video[0]


def _sound_of(container: Any, check: Callable[[], None]) -> Sound | None:
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    resampler = pyav().AudioResampler(format="fltp")
    parts: list[Tensor] = []
    total = 0
    for frame in container.decode(stream):
        check()
        for each in resampler.resample(frame):
            parts.append(torch.from_numpy(each.to_ndarray()).float())
            total += parts[-1].numel()
        if total > MAX_SAMPLES:
            raise ValueError(f"the sound has more than {MAX_SAMPLES} samples; cut it shorter")
    if not parts:
        return None
    return {"waveform": torch.cat(parts, dim=1)[None], "sample_rate": stream.rate}


def resampled(sound: Sound, rate: int) -> Sound:
    """`sound` at another sample rate, by polyphase filtering."""
    if sound["sample_rate"] == rate:
        return sound
    from scipy.signal import resample_poly  # takes a moment to import, and is seldom needed

    ratio = Fraction(rate, sound["sample_rate"])
    samples = resample_poly(sound["waveform"].cpu().numpy(), ratio.numerator, ratio.denominator, axis=-1)
    return {"waveform": torch.from_numpy(np.ascontiguousarray(samples)).float(), "sample_rate": rate}


def write_sound(
    file: IO[bytes], sound: Sound, kind: str, quality: str | None, texts: Mapping[str, str]
) -> None:
    """Write one sound (1×C×T) as `kind` flac, mp3 or opus, with `texts` as tags."""
    av = pyav()
    codec, rates, sample_format = {
        "flac": ("flac", (), "s32"),
        "mp3": ("libmp3lame", MP3_RATES, "fltp"),
        "opus": ("libopus", OPUS_RATES, "flt"),
    }[kind]
    sound = resampled(sound, _rate_for(sound["sample_rate"], rates))
    with av.open(file, "w", format="ogg" if kind == "opus" else kind) as container:
        container.metadata.update(texts)
        stream = container.add_stream(codec, rate=sound["sample_rate"], layout=_layout(sound))
        stream.format = sample_format
        if kind == "opus":
            stream.metadata.update(texts)  # where Ogg keeps them
        if quality == "V0":
            stream.codec_context.qscale = True
            stream.codec_context.global_quality = 0
        elif quality is not None:
            stream.bit_rate = int(quality.removesuffix("k")) * 1000
        _mux_sound(container, stream, sound)


def _rate_for(rate: int, rates: tuple[int, ...]) -> int:
    """The nearest rate above that a codec knows."""
    return next((each for each in rates if each >= rate), rates[-1]) if rates else rate


def _layout(sound: Sound) -> str:
    channels = sound["waveform"].shape[1]
    if channels not in LAYOUTS:
        raise ValueError(f"input 'audio' has {channels} channels; sound with 1, 2, 6 or 8 can be saved")
    return LAYOUTS[channels]


def _mux_sound(container: Any, stream: Any, sound: Sound) -> None:
    av = pyav()
    samples = np.ascontiguousarray(sound["waveform"][0].float().clamp(-1, 1).cpu().numpy())
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=_layout(sound))
    frame.sample_rate = sound["sample_rate"]
    frame.pts = 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_mp4(
    file: IO[bytes], film: Film, texts: Mapping[str, str], check: Callable[[], None] = lambda: None
) -> None:
    """Write a film as MP4: H.264, with AAC for its sound, and `texts` as tags."""
    options = {"movflags": "use_metadata_tags"}
    with pyav().open(file, "w", format="mp4", options=options) as container:
        container.metadata.update(texts)
        stream = container.add_stream("libx264", rate=film.frame_rate)
        stream.pix_fmt = "yuv420p"
        sound = film.audio
        track = sound and container.add_stream("aac", rate=sound["sample_rate"], layout=_layout(sound))
        _mux_pictures(container, stream, film.images, check)
        if sound is not None:
            _mux_sound(container, track, _cut(sound, len(film.images) / film.frame_rate))


def write_webm(
    file: IO[bytes],
    film: Film,
    codec: str,
    crf: float,
    texts: Mapping[str, str],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write a film without sound as WebM: `codec` vp9 or av1, smaller with more `crf`, `texts` as tags."""
    with pyav().open(file, "w", format="webm") as container:
        container.metadata.update(texts)
        name, pixel_format = {"vp9": ("libvpx-vp9", "yuv420p"), "av1": ("libsvtav1", "yuv420p10le")}[codec]
        stream = container.add_stream(name, rate=film.frame_rate)
        stream.pix_fmt = pixel_format
        stream.bit_rate = 0
        stream.options = {"crf": str(round(crf))} | ({"preset": "6"} if codec == "av1" else {})
        _mux_pictures(container, stream, film.images, check)


def _mux_pictures(container: Any, stream: Any, images: Tensor, check: Callable[[], None]) -> None:
    """Encode images; an odd side is made even, which these formats need, by doubling its last line."""
    height, width = images.shape[1:3]
    stream.width, stream.height = width + width % 2, height + height % 2
    for image in images:
        check()
        pixels = (image[..., :3].float().nan_to_num(0.0) * 255).round().clamp(0, 255)
        if width % 2 or height % 2:
            margins = (0, width % 2, 0, height % 2)
            pixels = F.pad(pixels.movedim(-1, 0), margins, mode="replicate").movedim(0, -1)
        frame = pyav().VideoFrame.from_ndarray(
            np.ascontiguousarray(pixels.to(torch.uint8).cpu().numpy()), format="rgb24"
        )
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def compressed(image: Tensor, crf: int) -> Tensor:
    """One image (H×W×3) after H.264 at `crf` packed and unpacked it; odd sides lose their last line."""
    height, width = (side - side % 2 for side in image.shape[:2])
    file = BytesIO()
    with pyav().open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1, options={"crf": str(crf)})
        stream.pix_fmt = "yuv420p"
        _mux_pictures(container, stream, image[None, :height, :width], lambda: None)
    file.seek(0)
    with pyav().open(file, "r") as container:
        frame = next(container.decode(container.streams.video[0]))
        return torch.from_numpy(frame.to_ndarray(format="rgb24").astype(np.float32) / 255.0).to(image)


def _cut(sound: Sound, seconds: Fraction) -> Sound:
    """No sound beyond the last picture."""
    samples = round(seconds * sound["sample_rate"])
    return {"waveform": sound["waveform"][..., :samples], "sample_rate": sound["sample_rate"]}


def copy_film(path: Path, file: IO[bytes], texts: Mapping[str, str]) -> None:
    """Write the tracks of a file as they are into an MP4, with `texts` among its tags."""
    options = {"movflags": "use_metadata_tags"}
    with opened(path) as source, pyav().open(file, "w", format="mp4", options=options) as container:
        container.metadata.update({**source.metadata, **texts})
        kept = [each for each in source.streams if each.type in ("video", "audio")]
        copies = {each.index: container.add_stream_from_template(each) for each in kept}
        for packet in source.demux(*kept):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                container.mux(packet)


def can_be_copied(path: Path) -> bool:
    """Whether a file's tracks are H.264 with AAC or MP3 or no sound, as an MP4 that all play has them."""
    with opened(path) as container:
        pictures = [each.codec_context.name for each in container.streams.video]
        sounds = [each.codec_context.name for each in container.streams.audio]
    return all(each in ("h264", "libx264") for each in pictures) and set(sounds) <= {"aac", "mp3", "mp3float"}
