"""The files that examples name in the input and output folders, made small."""

import math
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PIL
from safetensors.torch import save_file

from execution.files.folders import Folders
from nodes.video.media import Film, read_sound, write_mp4


def make(folders: Folders) -> None:
    """Write a picture, a sound, a film and two latents; and a folder of pictures with a text beside each."""
    for root in (folders.input, folders.output):
        root.mkdir(parents=True, exist_ok=True)
        picture().save(root / "example.png")
    write_sound(folders.input / "example.wav")
    film = Film(shades(8), Fraction(8), read_sound(folders.input / "example.wav"))
    with (folders.input / "example.mp4").open("wb") as file:
        write_mp4(file, film, {}, lambda: None)
    save_latent(folders.input / "example.latent", 1, 4, 16, 16)
    save_latent(folders.input / "example-film.latent", 1, 4, 5, 8, 8)
    (folders.input / "example-pictures").mkdir()
    for name in ("one", "two"):
        picture().convert("RGB").save(folders.input / "example-pictures" / f"{name}.png")
        (folders.input / "example-pictures" / f"{name}.txt").write_text(f"picture {name}")


def picture() -> PIL.Image:
    """A gradient whose left half is transparent."""
    rows, columns = np.mgrid[0:96, 0:128].astype(np.uint8)
    alpha = np.where(columns < 64, 0, 255).astype(np.uint8)
    return PIL.fromarray(np.dstack([2 * columns, 2 * rows, 255 - columns, alpha]))


def shades(count: int) -> torch.Tensor:
    """Orange pictures that brighten evenly."""
    levels = torch.linspace(0.2, 0.8, count).reshape(-1, 1, 1, 1)
    return (levels * torch.tensor([1.0, 0.6, 0.2])).expand(count, 32, 48, 3).contiguous()


def write_sound(path: Path, seconds: float = 1.0, rate: int = 44100) -> None:
    """Stereo: the right side is an octave higher."""
    time = np.arange(round(seconds * rate)) / rate
    sides = [np.sin(2 * math.pi * pitch * time) for pitch in (220.0, 440.0)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((8000 * np.stack(sides, axis=1)).astype("<i2").tobytes())


def save_latent(path: Path, *shape: int) -> None:
    """A latent as SaveLatent writes it."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    save_file({"latent_tensor": drawn, "latent_format_version_0": torch.tensor([])}, path)
