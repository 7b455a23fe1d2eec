"""Sound and film between files and tensors, through PyAV, which the extra `video` installs.

Sound is `{"waveform": batch × channels × samples, "sample_rate": …}`, −1…1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nodes.audio.sounds import AAC, ENCODERS, MAX_SAMPLES, Encoder, Ready, Sound, prepared
from pictures.budget import FLOATS, Budget, Budgets

BYTES = 3
"""Of a pixel as it comes out of a film."""


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


def read_film(path: Path, check: Callable[[], None] = lambda: None, budget: Budget | None = None) -> Film:
    """All pictures of a file and its sound. What is kept is taken from `budget` (default: one of its own).

    Raises:
        ValueError: the file cannot be read, has no pictures, or is beyond the budget.
    """
    budget = budget or Budgets().fresh()
    with opened(path) as container:
        stream = _pictures(container, path)
        budget.give_back(budget.take(path.name, stream.width, stream.height, FLOATS))
        frames: list[NDArray[np.uint8]] = []
        size: dict[str, int] = {}  # of the first picture, which later ones of another size are brought to
        for frame in container.decode(stream):
            check()
            size = size or {"width": frame.width, "height": frame.height}
            budget.take(path.name, size["width"], size["height"], FLOATS + BYTES)
            frames.append(np.rot90(frame.to_ndarray(format="rgb24", **size), k=round(frame.rotation / 90)))
        rate = Fraction(stream.average_rate or 24)
    if not frames:
        raise ValueError(f"'{path.name}' has no pictures that can be read")
    images = torch.empty(len(frames), *frames[0].shape)
    for image in images:  # each is let go of once it is copied
        np.divide(frames.pop(0), np.float32(255.0), out=image.numpy())
    budget.give_back(images.numel())
    with opened(path) as container:
        return Film(images, rate, _sound_of(container, check))


def film_size(path: Path, budget: Budget) -> tuple[int, int]:
    """Width and height of a film, turned upright; one picture of it is decoded, within `budget`."""
    with opened(path) as container:
        stream = _pictures(container, path)
        budget.give_back(budget.take(path.name, stream.width, stream.height, FLOATS))
        first = next(container.decode(stream), None)
        lying = first is not None and round(first.rotation / 90) % 2
        return (stream.height, stream.width) if lying else (stream.width, stream.height)


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
    """The first sound track; one that changes its layout or rate on the way keeps the first."""
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    resampler = pyav().AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
    parts: list[Tensor] = []
    total = 0
    for frame in container.decode(stream):
        check()
        for each in resampler.resample(frame):
            parts.append(torch.from_numpy(each.to_ndarray()).reshape(-1, stream.channels).T.float())
            total += parts[-1].numel()
        if total > MAX_SAMPLES:
            raise ValueError(f"the sound has more than {MAX_SAMPLES} samples; cut it shorter")
    if not parts:
        return None
    return {"waveform": torch.cat(parts, dim=1)[None], "sample_rate": stream.rate}


def write_sound(
    file: IO[bytes], sound: Sound, kind: str, quality: str | None, texts: Mapping[str, str]
) -> None:
    """Write the first sound of a batch as `kind` flac, mp3 or opus, with `texts` as tags."""
    encoder = ENCODERS[kind]
    ready = prepared(sound, encoder)
    texts = {name_of_tag(key): text for key, text in texts.items()}
    with pyav().open(file, "w", format="ogg" if kind == "opus" else kind) as container:
        container.metadata.update(texts)
        stream = _sound_stream(container, encoder, ready)
        if kind == "opus":
            stream.metadata.update(texts)  # where Ogg keeps them
        if quality == "V0":
            stream.codec_context.qscale = True
            stream.codec_context.global_quality = 0
        elif quality is not None:
            stream.bit_rate = int(quality.removesuffix("k")) * 1000
        _mux_sound(container, stream, ready)


def name_of_tag(key: str) -> str:
    """A keyword as Vorbis comments can hold it, which end it at an equals sign."""
    return key.replace("=", "_") or "text"


def _sound_stream(container: Any, encoder: Encoder, ready: Ready) -> Any:
    stream = container.add_stream(encoder.codec, rate=ready.rate, layout=ready.layout)
    stream.format = encoder.sample_format
    return stream


def _mux_sound(container: Any, stream: Any, ready: Ready) -> None:
    """Encode a sound whole; its samples are interleaved, as PyAV takes no more than seven planes."""
    samples = np.ascontiguousarray(ready.samples.T.numpy()).reshape(1, -1)
    frame = pyav().AudioFrame.from_ndarray(samples, format="flt", layout=ready.layout)
    frame.sample_rate = ready.rate
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
        sound = None if film.audio is None else _cut(film.audio, len(film.images) / film.frame_rate)
        ready = prepared(sound, AAC) if sound is not None and sound["waveform"].numel() else None
        track = ready and _sound_stream(container, AAC, ready)
        _mux_pictures(container, stream, film.images, check)
        if ready is not None:
            _mux_sound(container, track, ready)


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
        pixels = (_three_channels(image).float().nan_to_num(0.0) * 255).round().clamp(0, 255)
        if width % 2 or height % 2:
            margins = (0, width % 2, 0, height % 2)
            pixels = F.pad(pixels.movedim(-1, 0), margins, mode="replicate").movedim(0, -1)
        frame = pyav().VideoFrame.from_ndarray(
            np.ascontiguousarray(pixels.to(torch.uint8).cpu().numpy()), format="rgb24"
        )
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _three_channels(image: Tensor) -> Tensor:
    """H×W×C as H×W×3: grey is repeated, transparency left off."""
    return image[..., :3] if image.shape[-1] >= 3 else image[..., :1].expand(-1, -1, 3)


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
    times = decoding_times(path)
    options = {"movflags": "use_metadata_tags"}
    with opened(path) as source, pyav().open(file, "w", format="mp4", options=options) as container:
        container.metadata.update({**source.metadata, **texts})
        kept = [each for each in source.streams if each.type in ("video", "audio")]
        copies = {each.index: container.add_stream_from_template(each) for each in kept}
        for packet in source.demux(*kept):
            if not packet.size:
                continue  # the end of a track
            packet.dts = next(times[packet.stream.index])
            packet.stream = copies[packet.stream.index]
            container.mux(packet)


def decoding_times(path: Path) -> dict[int, Iterator[int]]:
    """When each packet is decoded, by track, in the file's order, no picture after it is shown.

    Matroska keeps only when a picture is shown, so that where pictures look ahead the first packets come
    without a decoding time. Then all times of the track are the shown ones in order, moved back far enough.

    Raises:
        ValueError: a packet says neither.
    """
    shown: dict[int, list[int | None]] = {}
    decoded: dict[int, list[int | None]] = {}
    with opened(path) as source:
        kept = [each for each in source.streams if each.type in ("video", "audio")]
        for packet in source.demux(*kept):
            if packet.size:
                shown.setdefault(packet.stream.index, []).append(packet.pts)
                decoded.setdefault(packet.stream.index, []).append(packet.dts)
    return {index: iter(ordered(decoded[index], shown[index])) for index in shown}


def ordered(decoded: Sequence[int | None], shown: Sequence[int | None]) -> list[int]:
    """Decoding times that rise and do not lie behind the shown ones, from those that a track has.

    Raises:
        ValueError: a packet says neither, or two the same.
    """
    known = [each for each in decoded if each is not None]
    if len(known) == len(decoded) and all(first < second for first, second in pairwise(known)):
        return known
    places = [each for each in shown if each is not None]
    if len(places) < len(shown) or len(set(places)) < len(places):
        raise ValueError("packets of the film do not say when they are shown, each at a time of its own")
    times = sorted(places)
    late = max((time - place for time, place in zip(times, places, strict=True)), default=0)
    return [time - late for time in times]


def can_be_copied(path: Path) -> bool:
    """Whether a file's tracks are H.264 with AAC or MP3 or no sound, as an MP4 that all play has them."""
    with opened(path) as container:
        pictures = [each.codec_context.name for each in container.streams.video]
        sounds = [each.codec_context.name for each in container.streams.audio]
    fits = all(each in ("h264", "libx264") for each in pictures) and set(sounds) <= {"aac", "mp3", "mp3float"}
    return fits and _has_times(path)


def _has_times(path: Path) -> bool:
    try:
        decoding_times(path)
    except ValueError:
        return False
    return True
