"""Films: from files, into files, made of images and taken apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NamedTuple

import torch

from execution.declare.node import Folder, Options, Output, Range, Run, Socket, Tip, Ui, node
from execution.files.folders import Folders, atomic_write
from execution.files.saving import SavePlace
from nodes.audio.audio import Audio
from nodes.image.encoding import Embedding
from nodes.image.files import Images, Prefix
from nodes.latent.latent import AnyLatent, with_samples
from nodes.names import ExtraPngInfo, PromptGraph, prefix_of
from nodes.sockets import Image, Latent, Picture
from nodes.video.media import (
    Film,
    can_be_copied,
    compressed,
    copy_film,
    film_seconds,
    film_size,
    pyav,
    read_film,
    write_mp4,
    write_webm,
)
from pictures.budget import Budgets


class VideoValue:
    """A film on a link, in a file or in memory. The names of the methods are ComfyUI's, which packs call."""

    def __init__(self, source: Path | Film, budgets: Budgets | None = None) -> None:
        """Keep where the film is; a file is read, within a budget, when it is asked for."""
        self.source = source
        self._budgets = budgets or Budgets()

    def get_components(self, job: str = "") -> Film:
        """Its images, pictures a second, and sound, within the budget of a `job`'s run."""
        if isinstance(self.source, Path):
            return read_film(self.source, budget=self._budgets.of(job))
        return self.source

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height."""
        if isinstance(self.source, Path):
            return film_size(self.source, self._budgets.fresh())
        return self.source.images.shape[2], self.source.images.shape[1]

    def get_duration(self) -> float:
        """Seconds."""
        if isinstance(self.source, Path):
            return film_seconds(self.source)
        return float(len(self.source.images) / self.source.frame_rate)

    def get_stream_source(self) -> str | Path | Film:
        """The file, or the film itself."""
        return str(self.source) if isinstance(self.source, Path) else self.source

    def write(self, file: IO[bytes], codec: str, texts: Mapping[str, str], check: Callable[[], None]) -> None:
        """Write it as MP4; a file that is H.264 already is copied track by track, without loss."""
        if isinstance(self.source, Path) and can_be_copied(self.source):
            copy_film(self.source, file, texts)
        else:
            write_mp4(file, self.get_components(), texts, check)


Video = Annotated[VideoValue, Socket("VIDEO")]
AnyVideo = Annotated[Video, Tip("The video.")]


class Components(NamedTuple):
    """A film taken apart."""

    images: Image
    audio: Audio
    fps: float


@node("LoadVideo", category="image/video", v3=True)
def load_video(
    file: Annotated[
        str, Folder("input:video"), Options(video_upload=True), Tip("A video in the input folder.")
    ],
    folders: Folders,
    budgets: Budgets,
) -> Video:
    """Load Video.

    Opens a video; its pictures are read where they are needed.
    """
    path = folders.input_file(file)
    film_size(path, budgets.fresh())
    return VideoValue(path, budgets)


@node("CreateVideo", category="image/video", v3=True)
def create_video(
    images: Images,
    fps: Annotated[float, Range(1.0, 120.0, step=1.0), Tip("Pictures a second.")] = 30.0,
    audio: Annotated[Audio | None, Tip("The sound, from the first picture on.")] = None,
) -> Video:
    """Create Video.

    Makes a video of images, with or without sound.
    """
    return VideoValue(Film(images, _rate(fps), audio))


@node("GetVideoComponents", category="image/video", v3=True)
def get_components(video: AnyVideo, run: Run) -> Components:
    """Get Video Components.

    Takes a video apart: images, sound (nothing if it is silent) and pictures a second.
    """
    film = video.get_components(run.job) if isinstance(video, VideoValue) else video.get_components()
    return Components(film.images, film.audio, float(film.frame_rate))  # type: ignore[arg-type]  # None is silence


@node("SaveVideo", category="image/video", output_node=True, v3=True)
def save_video(
    video: AnyVideo,
    filename_prefix: Annotated[Prefix, Options(multiline=False)] = "video/ComfyUI",
    format: Annotated[Literal["auto", "mp4"], Tip("The kind of file; auto is MP4.")] = "auto",
    codec: Annotated[
        Literal["auto", "h264"], Tip("How it is packed; auto is H.264, and keeps what is that already.")
    ] = "auto",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save Video.

    Writes a video into the output folder, with the workflow inside.
    """
    width, height = video.get_dimensions()
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    place = folders.save_place(prefix, "output", width=width, height=height)
    texts = embedding.texts(prompt, extra_pnginfo)
    return _saved(place, ".mp4", partial(_write_video, video, codec, texts, run.check), run)


def _write_video(
    video: VideoValue, codec: str, texts: Mapping[str, str], check: Callable[[], None], file: IO[bytes]
) -> None:
    video.write(file, codec, texts, check)


@node("SaveWEBM", category="image/video", output_node=True, v3=True, display_name=None, experimental=True)
def save_webm(
    images: Images,
    filename_prefix: Annotated[Prefix, Options(multiline=False)] = "ComfyUI",
    *,
    codec: Annotated[Literal["vp9", "av1"], Tip("AV1 makes smaller files, VP9 plays on older machines.")],
    fps: Annotated[float, Range(0.01, 1000.0, step=0.01), Tip("Pictures a second.")] = 24.0,
    crf: Annotated[
        float, Range(0, 63.0, step=1), Tip("Higher is smaller and worse, lower is larger and better.")
    ] = 32.0,
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """SaveWEBM.

    Writes images as a WebM video into the output folder, with the workflow inside.
    """
    pyav()
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    place = folders.save_place(prefix, "output", width=images.shape[2], height=images.shape[1])
    texts = embedding.texts(prompt, extra_pnginfo)
    film = Film(images, _rate(fps))
    write = partial(write_webm, film=film, codec=codec, crf=crf, texts=texts, check=run.check)
    return _saved(place, ".webm", write, run)


@node("TrimVideoLatent", category="latent/video", display_name=None)
def trim_latent(
    samples: AnyLatent,
    trim_amount: Annotated[int, Range(0, 99999), Tip("How many steps in time are cut off at the start.")] = 0,
) -> Latent:
    """TrimVideoLatent.

    Cuts off the start of a video's latent.
    """
    return with_samples(samples, samples["samples"][:, :, trim_amount:])


@node("LTXVPreprocess", category="image", display_name=None)
def preprocess(
    image: Picture,
    img_compression: Annotated[
        int, Range(0, 100), Tip("How strongly, as H.264 counts (crf): 0 changes nothing, 51 is the most.")
    ] = 35,
    *,
    run: Run,
) -> Annotated[Image, Output("output_image")]:
    """LTXVPreprocess.

    Packs images as a film would: video models follow a picture better that looks like one of a film.
    """
    if img_compression == 0:
        return image
    packed = []
    for number, each in enumerate(image):
        packed.append(compressed(each[..., :3], min(img_compression, 51)))
        run.progress(number + 1, len(image))
    return torch.stack(packed)


def _rate(fps: float) -> Fraction:
    return Fraction(round(fps * 1000), 1000)


def _saved(place: SavePlace, suffix: str, write: Callable[[IO[bytes]], Any], run: Run) -> Ui:
    """Have a file written beside the lane, and say where it will be."""

    def work() -> None:
        with atomic_write(place.path(suffix)) as file:
            write(file)

    run.background(work)
    shown = [{"filename": place.name(suffix), "subfolder": place.subfolder, "type": "output"}]
    return Ui(images=shown, animated=[True])
