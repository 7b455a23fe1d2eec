"""What encoders are given: numbers, a layout they take, a rate they know. Through each of them and back."""

import io
import math
from typing import Any

import pytest
import torch

from nodes.audio.sounds import (
    AAC,
    ENCODERS,
    FLAC,
    LAYOUTS,
    MP3,
    Sound,
    mixed_to_stereo,
    prepared,
    require_sound,
)
from nodes.video.media import Film, name_of_tag, opened, read_film, read_sound, write_mp4, write_sound

KINDS = sorted(ENCODERS)


def noise(channels: int = 2, samples: int = 9600, rate: int = 48000) -> Sound:
    """Quiet noise, another one in each channel."""
    drawn = torch.rand(1, channels, samples, generator=torch.Generator().manual_seed(channels))
    return {"waveform": drawn - 0.5, "sample_rate": rate}


def through(kind: str, sound: Sound, path: Any, texts: dict[str, str] | None = None) -> Sound:
    """A sound written and read again."""
    file = io.BytesIO()
    write_sound(file, sound, kind, None, texts or {})
    path.write_bytes(file.getvalue())
    return read_sound(path)


@pytest.mark.parametrize("kind", KINDS)
def test_where_there_is_no_number_there_is_silence(kind: str, tmp_path: Any) -> None:
    sound = noise()
    sound["waveform"][0, 0, 100:200] = math.nan
    sound["waveform"][0, 1, 300] = math.inf
    sound["waveform"][0, 1, 301] = -math.inf
    ready = prepared(sound, ENCODERS[kind]).samples
    assert not ready[0, 100:200].any()
    assert not ready[1, 300:302].any()
    assert bool(through(kind, sound, tmp_path / "a")["waveform"].isfinite().all())


@pytest.mark.parametrize("channels", sorted(LAYOUTS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_is_saved_and_read_again(kind: str, channels: int, tmp_path: Any) -> None:
    sound = noise(channels)
    again = through(kind, sound, tmp_path / "a")
    assert again["waveform"].shape[:2] == (1, min(channels, 2) if kind == "mp3" else channels)
    if kind == "flac":
        torch.testing.assert_close(again["waveform"], sound["waveform"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", sorted(LAYOUTS))
def test_a_film_keeps_the_channels_of_its_sound_or_mixes_them(channels: int, tmp_path: Any) -> None:
    sound = noise(channels)
    sound["waveform"][0, 0, 7] = math.nan
    with (tmp_path / "a.mp4").open("wb") as file:
        write_mp4(file, Film(torch.rand(6, 32, 32, 3), 30, sound), {})  # type: ignore[arg-type]
    film = read_film(tmp_path / "a.mp4")
    assert film.audio is not None
    assert film.audio["waveform"].shape[1] == (channels if channels in AAC.layouts else 2)


@pytest.mark.parametrize("rate", [1000, 10000, 22050, 44100, 96001, 192000])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_becomes_one_that_the_encoder_knows(kind: str, rate: int, tmp_path: Any) -> None:
    again = through(kind, noise(1, rate // 2, rate), tmp_path / "a")
    assert again["waveform"].shape[-1] / again["sample_rate"] == pytest.approx(0.5, abs=0.1)


def test_a_film_takes_a_sound_of_any_rate_and_none_that_is_empty(tmp_path: Any) -> None:
    for rate, samples in ((10000, 2000), (192000, 40000), (44100, 0)):
        with (tmp_path / "a.mp4").open("wb") as file:
            write_mp4(file, Film(torch.rand(6, 32, 32, 3), 30, noise(2, samples, rate)), {})  # type: ignore[arg-type]
        assert (read_film(tmp_path / "a.mp4").audio is not None) == (samples > 0)


def test_what_no_encoder_can_take_is_said_in_words() -> None:
    with pytest.raises(ValueError, match="'audio' is empty"):
        require_sound(noise(samples=0))
    with pytest.raises(ValueError, match="'audio' has 12 channels; sound with 1 to 8"):
        require_sound(noise(12))


def test_mixing_down_puts_each_channel_on_its_side_and_never_too_loud() -> None:
    left, right = mixed_to_stereo(torch.eye(6))
    assert left[0] == right[1] > 0
    assert left[2] == right[2] > 0
    assert left[3] == right[3] == 0
    assert left[4] == right[5] > 0
    assert left[5] == right[4] == right[0] == 0
    for channels in LAYOUTS:
        assert float(mixed_to_stereo(torch.ones(channels, 1)).max()) <= 1 + 1e-6


def test_a_waveform_of_fewer_axes_is_one_sound() -> None:
    assert prepared({"waveform": torch.zeros(5), "sample_rate": 8000}, FLAC).layout == "mono"
    assert prepared({"waveform": torch.zeros(2, 5), "sample_rate": 8000}, MP3).layout == "stereo"


KEYS = ["помощь", "プロンプト", "a:b", "a=b", " ", "", "x" * 100, "TPE1"]


@pytest.mark.parametrize("kind", [*KINDS, "mp4"])
def test_files_hold_texts_under_any_key(kind: str, tmp_path: Any) -> None:
    texts = {key: f"'{key}' зелёный" for key in KEYS}
    path = tmp_path / "a"
    with path.open("wb") as file:
        if kind == "mp4":
            write_mp4(file, Film(torch.rand(2, 32, 32, 3), 30), texts)  # type: ignore[arg-type]
        else:
            write_sound(file, noise(), kind, None, texts)
    with opened(path) as container:
        found = {**container.metadata, **container.streams[0].metadata}
    found = {key.lower(): text for key, text in found.items()}
    for key, text in texts.items():
        names = {key.lower(), name_of_tag(key).lower(), {"TPE1": "artist"}.get(key, key)}
        assert text in [found.get(name) for name in names], (key, found)
