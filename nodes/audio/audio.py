"""Sound: from files, into files, made, cut, joined."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F

from execution.declare.node import (
    Branches,
    Folder,
    Options,
    Outcome,
    Output,
    Range,
    Run,
    Socket,
    Tip,
    Ui,
    node,
)
from execution.files.folders import Folders, atomic_write
from nodes.audio.sounds import MAX_SAMPLES, Sound, batched, require_sound, resampled
from nodes.image.encoding import Embedding
from nodes.image.files import Prefix, temporary_name
from nodes.names import ExtraPngInfo, PromptGraph, prefix_of
from nodes.video.media import pyav, read_sound, write_sound

Audio = Annotated[Sound, Socket("AUDIO")]
Given = Annotated[Audio, Tip("The sound.")]
LARGEST = 0xFFFFFFFFFFFFFFFF


class Channels(NamedTuple):
    """The two channels of a stereo sound."""

    left: Audio
    right: Audio


@node("LoadAudio", category="audio")
def load_audio(
    audio: Annotated[
        str,
        Folder("input:audio+video"),
        Options(audio_upload=True),
        Tip("A sound, or a film with sound, in the input folder."),
    ],
    folders: Folders,
    run: Run,
) -> Audio:
    """Load Audio.

    Reads a sound from a file.
    """
    return read_sound(folders.input_file(audio), run.check)


def recorded_file(folders: Folders, audio: str | None = None) -> Any:
    """What the key of a recording adds to its name."""
    return folders.stamp("input", audio) if audio else None


@node("RecordAudio", category="audio", fingerprint=recorded_file)
def record_audio(
    audio: Annotated[str, Socket("AUDIO_RECORD"), Tip("Record with the microphone; the file is uploaded.")],
    folders: Folders,
    run: Run,
) -> Audio:
    """Record Audio.

    Gives what was recorded in the editor.
    """
    if not audio:
        raise ValueError("there is no recording yet: press Microphone on the node, record, then run again")
    return read_sound(folders.input_file(audio), run.check)


@node("SaveAudio", category="audio", output_node=True)
def save_flac(
    audio: Given,
    filename_prefix: Prefix = "audio/ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save Audio (FLAC).

    Writes a sound without loss, with the workflow inside.
    """
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    return _saved(audio, prefix, "output", "flac", None, embedding.texts(prompt, extra_pnginfo), folders, run)


@node("SaveAudioMP3", category="audio", output_node=True)
def save_mp3(
    audio: Given,
    filename_prefix: Prefix = "audio/ComfyUI",
    quality: Annotated[
        Literal["V0", "128k", "320k"], Tip("V0 varies its rate and sounds as good as 320k.")
    ] = "V0",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save Audio (MP3).

    Writes a sound that everything plays, with the workflow inside.
    """
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    return _saved(
        audio, prefix, "output", "mp3", quality, embedding.texts(prompt, extra_pnginfo), folders, run
    )


@node("SaveAudioOpus", category="audio", output_node=True)
def save_opus(
    audio: Given,
    filename_prefix: Prefix = "audio/ComfyUI",
    quality: Annotated[
        Literal["64k", "96k", "128k", "192k", "320k"], Tip("Bits a second; 128k is good for music.")
    ] = "128k",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save Audio (Opus).

    Writes a sound into a small file, with the workflow inside.
    """
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    return _saved(
        audio, prefix, "output", "opus", quality, embedding.texts(prompt, extra_pnginfo), folders, run
    )


@dataclass(frozen=True)
class Flac:
    """Without loss."""

    kind = "flac"
    quality = None


@dataclass(frozen=True)
class Mp3:
    """Played everywhere."""

    quality: Annotated[
        Literal["V0", "128k", "320k"], Tip("V0 varies its rate and sounds as good as 320k.")
    ] = "V0"

    kind = "mp3"


@dataclass(frozen=True)
class Opus:
    """Smallest."""

    quality: Annotated[
        Literal["64k", "96k", "128k", "192k", "320k"], Tip("Bits a second; 128k is good for music.")
    ] = "128k"

    kind = "opus"


@node(
    "SaveAudioAdvanced", category="audio", v3=True, output_node=True, search_aliases=("export", "flac", "mp3")
)
def save_advanced(
    audio: Given,
    filename_prefix: Prefix = "audio/ComfyUI",
    *,
    format: Annotated[
        Flac | Mp3 | Opus,
        Branches({"flac": Flac, "mp3": Mp3, "opus": Opus}),
        Tip("FLAC loses nothing, MP3 plays everywhere, Opus is smallest."),
    ],
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Outcome[Annotated[Audio, Output("audio")]]:
    """Save Audio (Advanced).

    Writes a sound in the format of your choice, with the workflow inside.
    """
    prefix, texts = prefix_of(filename_prefix, prompt, extra_pnginfo), embedding.texts(prompt, extra_pnginfo)
    shown = _saved(audio, prefix, "output", format.kind, format.quality, texts, folders, run)
    return Outcome((audio,), ui=shown)


@node("PreviewAudio", category="audio", output_node=True)
def preview_audio(
    audio: Given,
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Preview Audio.

    Plays a sound; it is kept until the program ends.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    return _saved(audio, temporary_name(), "temp", "flac", None, texts, folders, run)


def _saved(
    audio: Sound,
    prefix: str,
    root: Literal["output", "temp"],
    kind: str,
    quality: str | None,
    texts: dict[str, str],
    folders: Folders,
    run: Run,
) -> Ui:
    """Hand each sound of a batch over to be written beside the lane, and say where it will be."""
    pyav()
    require_sound(audio)
    waveforms = batched(audio["waveform"])
    place = folders.save_place(prefix, root, count=len(waveforms))
    shown = []
    for number, waveform in enumerate(waveforms):
        name = place.name(f".{kind}", number).replace("%batch_num%", str(number))
        sound: Sound = {"waveform": waveform[None], "sample_rate": audio["sample_rate"]}

        def write(path: Any = place.folder / name, sound: Sound = sound) -> None:
            with atomic_write(path) as file:
                write_sound(file, sound, kind, quality, texts)

        run.background(write)
        shown.append({"filename": name, "subfolder": place.subfolder, "type": root})
    return Ui(audio=shown)


@node("EmptyAudio", category="audio")
def empty_audio(
    duration: Annotated[float, Range(0.0, LARGEST, step=0.01), Tip("In seconds.")] = 60.0,
    sample_rate: Annotated[int, Tip("Samples a second.")] = 44100,
    channels: Annotated[int, Range(1, 2), Tip("1 is mono, 2 is stereo.")] = 2,
) -> Audio:
    """Empty Audio.

    Silence of some length.
    """
    if sample_rate < 1:
        raise ValueError(f"input 'sample_rate' is {sample_rate}; give at least 1, such as 44100")
    if duration * sample_rate * channels > MAX_SAMPLES:
        raise ValueError(f"input 'duration': more than {MAX_SAMPLES} samples; make it shorter")
    return {"waveform": torch.zeros(1, channels, round(duration * sample_rate)), "sample_rate": sample_rate}


@node("TrimAudioDuration", category="audio")
def trim(
    audio: Given,
    start_index: Annotated[
        float, Range(-LARGEST, LARGEST, step=0.01), Tip("Where it begins, in seconds; below 0 from the end.")
    ] = 0.0,
    duration: Annotated[float, Range(0.0, step=0.01), Tip("How much is kept, in seconds.")] = 60.0,
) -> Audio:
    """Trim Audio Duration.

    Cuts a piece out of a sound.
    """
    waveform, rate = audio["waveform"], audio["sample_rate"]
    length = waveform.shape[-1]
    start = round(start_index * rate) + (length if start_index < 0 else 0)
    start = max(0, min(start, length))
    end = min(length, start + round(duration * rate))
    if start >= end:
        raise ValueError(
            f"inputs 'start_index' and 'duration' leave nothing of a sound of {length / rate:.2f} seconds"
        )
    return {**audio, "waveform": waveform[..., start:end]}


@node("SplitAudioChannels", category="audio")
def split_channels(audio: Given) -> Channels:
    """Split Audio Channels.

    Takes a stereo sound apart.
    """
    waveform = audio["waveform"]
    if waveform.shape[1] != 2:
        raise ValueError(f"input 'audio' has {waveform.shape[1]} channels; only stereo, with 2, can be split")
    return Channels({**audio, "waveform": waveform[:, :1]}, {**audio, "waveform": waveform[:, 1:]})


@node("AudioConcat", category="audio")
def concat(
    audio1: Annotated[Audio, Tip("The first sound.")],
    audio2: Annotated[Audio, Tip("The sound that is put to it.")],
    direction: Annotated[
        Literal["after", "before"], Tip("Whether the second sound comes after or before the first.")
    ] = "after",
) -> Audio:
    """Audio Concat.

    Plays one sound after the other.
    """
    first, second = _alike(audio1, audio2)
    parts = [first["waveform"], second["waveform"]]
    joined = torch.cat(parts if direction == "after" else parts[::-1], dim=-1)
    return {"waveform": joined, "sample_rate": first["sample_rate"]}


@node("AudioMerge", category="audio")
def merge(
    audio1: Annotated[Audio, Tip("The sound whose length is kept.")],
    audio2: Annotated[Audio, Tip("The sound that is mixed in; cut, or followed by silence.")],
    merge_method: Annotated[Literal["add", "mean", "subtract", "multiply"], Tip("How they are mixed.")],
) -> Audio:
    """Audio Merge.

    Plays two sounds at once. What grows too loud is made quieter as a whole.
    """
    first, second = _alike(audio1, audio2)
    a, b = first["waveform"], second["waveform"][..., : first["waveform"].shape[-1]]
    b = F.pad(b, (0, a.shape[-1] - b.shape[-1]))
    mixed = {
        "add": lambda: a + b,
        "mean": lambda: (a + b) / 2,
        "subtract": lambda: a - b,
        "multiply": lambda: a * b,
    }[merge_method]()
    peak = float(mixed.abs().max()) if mixed.numel() else 0.0
    return {"waveform": mixed / peak if peak > 1 else mixed, "sample_rate": first["sample_rate"]}


@node("AudioAdjustVolume", category="audio")
def adjust_volume(
    audio: Given,
    volume: Annotated[int, Range(-100, 100), Tip("In decibels: 0 changes nothing, 6 doubles.")] = 1,
) -> Audio:
    """Audio Adjust Volume.

    Makes a sound louder or quieter.
    """
    return {**audio, "waveform": audio["waveform"] * 10 ** (volume / 20)}


def _alike(first: Sound, second: Sound) -> tuple[Sound, Sound]:
    """Two sounds at the higher of their rates, in stereo if one is, and of the same batch."""
    rate = max(first["sample_rate"], second["sample_rate"])
    first, second = resampled(first, rate), resampled(second, rate)
    shape = [
        max(a, b) for a, b in zip(first["waveform"].shape[:2], second["waveform"].shape[:2], strict=True)
    ]
    for each in (first, second):
        if any(size not in (1, wanted) for size, wanted in zip(each["waveform"].shape, shape, strict=False)):
            sizes = f"{tuple(first['waveform'].shape[:2])} and {tuple(second['waveform'].shape[:2])}"
            raise ValueError(
                f"inputs 'audio1' and 'audio2' have batches and channels of {sizes}, which differ"
            )
    return _broad(first, shape), _broad(second, shape)


def _broad(sound: Sound, shape: list[int]) -> Sound:
    return {**sound, "waveform": sound["waveform"].expand(*shape, -1)}
