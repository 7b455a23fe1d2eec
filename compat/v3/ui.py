"""V3's `ui`: what a node shows, of pictures, masks, sound or text, saved where the page can fetch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compat.host import Host
from compat.v3.inputs import FolderType


class SavedResult(dict[str, Any]):
    """A file that was saved, as the page asks for it."""

    def __init__(self, filename: str, subfolder: str, type: FolderType | str) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=FolderType(type).value)

    filename = property(lambda self: self["filename"])
    subfolder = property(lambda self: self["subfolder"])
    type = property(lambda self: self["type"])


@dataclass
class Shown:
    """Things to show under one name."""

    kind: str
    values: Sequence[Any]
    animated: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As the `executed` message has it."""
        shown: dict[str, Any] = {self.kind: list(self.values)}
        return {**shown, "animated": (True,)} if self.animated else shown


class Ui:
    """The module's functions over one host's folders."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def preview_image(self, image: Any, animated: bool = False, cls: Any = None, **_kwargs: Any) -> Shown:
        """Pictures `B×H×W×C`, saved among the temporary files."""
        return Shown("images", self.save_images(image, "ComfyUI_temp", FolderType.temp, cls), animated)

    def preview_mask(self, mask: Any, animated: bool = False, cls: Any = None, **_kwargs: Any) -> Shown:
        """Masks `B×H×W`, shown in grey."""
        grey = mask.reshape(-1, *mask.shape[-2:], 1).expand(-1, -1, -1, 3)
        return self.preview_image(grey, animated, cls)

    def preview_text(self, value: str, **_kwargs: Any) -> Shown:
        """A text."""
        return Shown("text", (value,))

    def preview_audio(self, audio: Mapping[str, Any], cls: Any = None, **_kwargs: Any) -> Shown:
        """Sound, saved among the temporary files as 16-bit WAV."""
        place = self.host.folders.save_place("ComfyUI_temp", "temp")
        write_wav(audio, str(place.path(".wav")))
        return Shown("audio", [SavedResult(place.name(".wav"), place.subfolder, FolderType.temp)])

    def save_images(
        self,
        images: Any,
        filename_prefix: str,
        folder_type: FolderType | str,
        cls: Any = None,
        compress_level: int = 4,
    ) -> list[SavedResult]:
        """Write pictures as PNG with the graph in them."""
        from compat.modules.nodes import _write

        root = FolderType(folder_type).value
        place = self.host.folders.save_place(filename_prefix, root, count=len(images))
        hidden = getattr(cls, "hidden", None)
        for offset, image in enumerate(images):
            texts = getattr(hidden, "prompt", None), getattr(hidden, "extra_pnginfo", None)
            _write(image, str(place.path(".png", offset)), *texts, compress_level)
        return [
            SavedResult(place.name(".png", offset), place.subfolder, root) for offset in range(len(images))
        ]


def write_wav(audio: Mapping[str, Any], path: str) -> None:
    """The first sound of a batch as a WAV file."""
    import wave

    samples = audio["waveform"][0].detach().cpu().clamp(-1, 1)
    with wave.open(path, "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(int(audio["sample_rate"]))
        file.writeframes((samples.t() * 32767).short().contiguous().numpy().tobytes())


def ui_names(host: Host) -> dict[str, Any]:
    """The names of the `ui` module."""
    ui = Ui(host)

    def saved(kind: str) -> Any:
        return lambda results, is_animated=False, **_kwargs: Shown(kind, results, is_animated)

    def get_save_images_ui(
        images: Any, filename_prefix: str, cls: Any = None, compress_level: int = 4
    ) -> Shown:
        results = ui.save_images(images, filename_prefix, FolderType.output, cls, compress_level)
        return Shown("images", results)

    helper = {
        "get_save_images_ui": staticmethod(get_save_images_ui),
        "save_images": staticmethod(ui.save_images),
    }
    return {
        "FolderType": FolderType,
        "ImageSaveHelper": type("ImageSaveHelper", (), helper),
        "PreviewAudio": ui.preview_audio,
        "PreviewImage": ui.preview_image,
        "PreviewMask": ui.preview_mask,
        "PreviewText": ui.preview_text,
        "PreviewVideo": saved("images"),
        "SavedAudios": saved("audio"),
        "SavedImages": saved("images"),
        "SavedResult": SavedResult,
    }
