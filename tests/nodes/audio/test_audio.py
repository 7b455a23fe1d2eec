"""Sound through the nodes: files with tags inside, lengths, channels, loudness."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.image.encoding import Embedding
from nodes.library import native_types
from nodes.video.media import opened

PROMPT = {"1": {"class_type": "SaveAudio", "inputs": {}}}
EXTRA = {"extra_pnginfo": {"workflow": {"nodes": []}}}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """ComfyUI's folders, empty, in a temporary place."""
    return Folders(tmp_path)


@pytest.fixture
def call(folders: Folders) -> Any:
    """Calls a node by its name; gives its only output, its outputs, or what it shows."""
    registry = Registry(native_types("audio.audio"), provide={Folders: folders, Embedding: Embedding()})

    def call(name: str, **inputs: Any) -> Any:
        outcome = registry.types[name](inputs, Run(prompt=PROMPT, extra_data=EXTRA))
        return outcome.ui or (outcome.outputs[0] if len(outcome.outputs) == 1 else outcome.outputs)

    return call


def tone(seconds: float = 0.5, rate: int = 44100, channels: int = 2, pitch: float = 440.0) -> dict[str, Any]:
    """A sine at half strength; the right channel is its opposite."""
    wave = 0.5 * torch.sin(2 * math.pi * pitch * torch.arange(round(seconds * rate)) / rate)
    return {"waveform": torch.stack([wave, -wave][:channels])[None], "sample_rate": rate}


def tags(path: Path) -> dict[str, str]:
    """The tags of a file, whether of the whole or of its track."""
    with opened(path) as container:
        found = dict(container.metadata) | dict(container.streams[0].metadata)
    return {key.lower(): value for key, value in found.items()}


@pytest.mark.parametrize(
    ("name", "suffix", "more", "rate", "error"),
    [
        ("SaveAudio", "flac", {}, 44100, 0.001),
        ("SaveAudioMP3", "mp3", {"quality": "320k"}, 44100, 0.02),
        ("SaveAudioMP3", "mp3", {"quality": "V0"}, 44100, 0.02),
        ("SaveAudioOpus", "opus", {"quality": "128k"}, 48000, 0.05),
        ("SaveAudioAdvanced", "flac", {"format": "flac"}, 44100, 0.001),
        ("SaveAudioAdvanced", "mp3", {"format": "mp3", "format.quality": "320k"}, 44100, 0.02),
        ("SaveAudioAdvanced", "opus", {"format": "opus"}, 48000, 0.05),
    ],
)
def test_a_sound_is_saved_with_its_workflow_and_read_back(
    call: Any, folders: Folders, name: str, suffix: str, more: Any, rate: int, error: float
) -> None:
    (shown,) = call(name, audio=tone(), **more)["audio"]
    assert shown == {"filename": f"ComfyUI_00001_.{suffix}", "subfolder": "audio", "type": "output"}
    path = folders.output / "audio" / shown["filename"]
    assert json.loads(tags(path)["prompt"]) == PROMPT
    assert json.loads(tags(path)["workflow"]) == EXTRA["extra_pnginfo"]["workflow"]
    sound = call("LoadAudio", audio=f"audio/{shown['filename']} [output]")
    assert sound["sample_rate"] == rate
    assert sound["waveform"].shape[:2] == (1, 2)
    assert sound["waveform"].shape[2] == pytest.approx(rate / 2, abs=0.06 * rate)
    loudness = sound["waveform"][..., rate // 10 : rate // 3].pow(2).mean().sqrt()
    assert float(loudness) == pytest.approx(0.5 / math.sqrt(2), abs=error)
    if suffix == "flac":
        torch.testing.assert_close(sound["waveform"], tone()["waveform"], atol=1e-6, rtol=0)


def test_each_sound_of_a_batch_is_a_file_and_a_preview_is_temporary(call: Any, folders: Folders) -> None:
    sound = tone(channels=1)
    both = {**sound, "waveform": sound["waveform"].repeat(2, 1, 1)}
    shown = call("PreviewAudio", audio=both)["audio"]
    assert len({each["filename"] for each in shown}) == 2
    assert all((folders.temp / each["filename"]).stat().st_size for each in shown)


def test_a_recording_is_read_and_its_file_is_in_the_key(call: Any, folders: Folders) -> None:
    (shown,) = call("PreviewAudio", audio=tone())["audio"]
    name = f"{shown['filename']} [temp]"
    assert call("RecordAudio", audio=name)["waveform"].shape == (1, 2, 22050)
    (recording,) = [each for each in native_types("audio.audio") if each.spec.name == "RecordAudio"]
    bound = recording.bind({Folders: folders})
    assert bound.fingerprint({"audio": name}, Run())[1] > 0
    assert bound.fingerprint({}, Run()) is None
    with pytest.raises(ValueError, match="no recording yet"):
        call("RecordAudio", audio="")


def test_what_is_no_sound_is_named(call: Any, folders: Folders) -> None:
    folders.input.mkdir()
    (folders.input / "a.mp3").write_text("words")
    with pytest.raises(ValueError, match=r"'a\.mp3' cannot be read as sound or video"):
        call("LoadAudio", audio="a.mp3")


def test_sounds_and_films_can_be_chosen(folders: Folders) -> None:
    folders.input.mkdir()
    for name in ("a.mp3", "b.mp4", "c.png"):
        (folders.input / name).touch()
    assert folders.list("input:audio+video") == ["a.mp3", "b.mp4"]


def test_without_pyav_the_extra_is_named(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RuntimeError, match=r"pip install '\.\[video\]'"):
        call("SaveAudio", audio=tone())


def test_silence_has_its_length(call: Any) -> None:
    sound = call("EmptyAudio", duration=0.25, sample_rate=8000, channels=1)
    assert sound["waveform"].shape == (1, 1, 2000)
    assert not sound["waveform"].any()
    for wrong in ({"duration": 1e12}, {"sample_rate": 0}):
        with pytest.raises(ValueError, match="input"):
            call("EmptyAudio", **wrong)


@pytest.mark.parametrize(
    ("start", "duration", "first", "length"),
    [
        (0.0, 0.5, 0, 5),
        (0.2, 0.3, 2, 3),
        (-0.3, 9.0, 7, 3),
        (-9.0, 0.1, 0, 1),
        (0.95, 0.1, 10, 0),
        (0.0, 0.0, 0, 0),
    ],
)
def test_a_piece_is_cut_out(call: Any, start: float, duration: float, first: int, length: int) -> None:
    sound = {"waveform": torch.arange(10.0).reshape(1, 1, 10), "sample_rate": 10}
    if not length:
        with pytest.raises(ValueError, match=r"leave nothing of a sound of 1\.00 seconds"):
            call("TrimAudioDuration", audio=sound, start_index=start, duration=duration)
        return
    found = call("TrimAudioDuration", audio=sound, start_index=start, duration=duration)
    assert found["waveform"].flatten().tolist() == list(range(first, first + length))


def test_channels_are_split(call: Any) -> None:
    left, right = call("SplitAudioChannels", audio=tone())
    assert left["waveform"].shape == right["waveform"].shape == (1, 1, 22050)
    torch.testing.assert_close(left["waveform"], -right["waveform"])
    with pytest.raises(ValueError, match="has 1 channels"):
        call("SplitAudioChannels", audio=tone(channels=1))


def test_sounds_are_joined_at_the_higher_rate(call: Any) -> None:
    high, low = tone(0.5, 44100, 2), tone(0.5, 22050, 1)
    joined = call("AudioConcat", audio1=low, audio2=high, direction="after")
    assert joined["sample_rate"] == 44100
    assert joined["waveform"].shape == (1, 2, 44100)
    torch.testing.assert_close(joined["waveform"][..., 22050:], high["waveform"])
    middle = slice(2000, 20000)
    wanted = high["waveform"][0, 0, middle]
    torch.testing.assert_close(joined["waveform"][0, 1, middle], wanted, atol=2e-3, rtol=0)
    before = call("AudioConcat", audio1=low, audio2=high, direction="before")
    torch.testing.assert_close(before["waveform"][..., :22050], high["waveform"])


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("add", [1.0, 0.0, 0.5]),
        ("mean", [0.5, 0.0, 0.25]),
        ("subtract", [0.0, 1.0, 0.5]),
        ("multiply", [0.25, -0.25, 0]),
    ],
)
def test_sounds_are_mixed_to_the_length_of_the_first(call: Any, method: str, wanted: list[float]) -> None:
    first = {"waveform": torch.tensor([[[0.5, 0.5, 0.5]]]), "sample_rate": 10}
    second = {"waveform": torch.tensor([[[0.5, -0.5]]]), "sample_rate": 10}
    mixed = call("AudioMerge", audio1=first, audio2=second, merge_method=method)
    assert mixed["waveform"].flatten().tolist() == wanted


def test_a_loud_mix_is_made_quieter_as_a_whole(call: Any) -> None:
    first = {"waveform": torch.tensor([[[0.8, 0.4]]]), "sample_rate": 10}
    mixed = call("AudioMerge", audio1=first, audio2=first, merge_method="add")
    assert mixed["waveform"].flatten().tolist() == [1.0, 0.5]


def test_batches_that_differ_are_refused(call: Any) -> None:
    first, second = ({"waveform": torch.zeros(count, 1, 4), "sample_rate": 10} for count in (2, 3))
    with pytest.raises(ValueError, match="which differ"):
        call("AudioConcat", audio1=first, audio2=second, direction="after")


def test_volume_is_in_decibels(call: Any) -> None:
    louder = call("AudioAdjustVolume", audio=tone(), volume=-20)
    torch.testing.assert_close(louder["waveform"], tone()["waveform"] / 10)
