"""Films through the nodes: made, saved with the workflow inside, read back, taken apart."""

import json
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.image.encoding import Embedding
from nodes.library import native_types
from nodes.video.media import opened, ordered
from nodes.video.video import VideoValue
from pictures.budget import Budgets, OverBudget
from tests.nodes.audio.test_audio import EXTRA, PROMPT, tags, tone


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """ComfyUI's folders, empty, in a temporary place."""
    return Folders(tmp_path)


@pytest.fixture
def call(folders: Folders) -> Any:
    """Calls a node by its name; gives its only output, its outputs, or what it shows."""
    registry = Registry(
        native_types("video.video"), provide={Folders: folders, Embedding: Embedding(), Budgets: Budgets()}
    )

    def call(name: str, **inputs: Any) -> Any:
        outcome = registry.types[name](inputs, Run(prompt=PROMPT, extra_data=EXTRA))
        return outcome.ui or (outcome.outputs[0] if len(outcome.outputs) == 1 else outcome.outputs)

    return call


def frames(count: int = 5, height: int = 32, width: int = 48) -> torch.Tensor:
    """Grey pictures that brighten evenly."""
    levels = torch.linspace(0.2, 0.8, count).reshape(-1, 1, 1, 1)
    return levels.expand(count, height, width, 3).contiguous()


def saved(shown: dict[str, Any], folders: Folders) -> Path:
    """The file that a node says it wrote."""
    assert shown["animated"] == [True]
    (each,) = shown["images"]
    return folders.roots[each["type"]] / each["subfolder"] / each["filename"]


def test_a_film_with_sound_is_saved_with_its_workflow_and_taken_apart(call: Any, folders: Folders) -> None:
    video = call("CreateVideo", images=frames(), fps=10.0, audio=tone(2.0))
    assert video.get_dimensions() == (48, 32)
    assert video.get_duration() == 0.5
    path = saved(call("SaveVideo", video=video), folders)
    assert path == folders.output / "video/ComfyUI_00001_.mp4"
    assert json.loads(tags(path)["prompt"]) == PROMPT
    assert json.loads(tags(path)["workflow"]) == EXTRA["extra_pnginfo"]["workflow"]
    loaded = call("LoadVideo", file="video/ComfyUI_00001_.mp4 [output]")
    assert loaded.get_dimensions() == (48, 32)
    assert loaded.get_duration() == pytest.approx(0.5, abs=0.05)
    images, audio, fps = call("GetVideoComponents", video=loaded)
    assert fps == 10.0
    assert images.shape == (5, 32, 48, 3)
    torch.testing.assert_close(images.mean((1, 2, 3)), frames().mean((1, 2, 3)), atol=0.02, rtol=0)
    assert audio["sample_rate"] == 44100
    assert audio["waveform"].shape[-1] / 44100 == pytest.approx(0.5, abs=0.06)


def test_a_film_that_is_h264_already_is_copied_without_loss(call: Any, folders: Folders) -> None:
    saved(call("SaveVideo", video=call("CreateVideo", images=frames(), fps=10.0, audio=tone(0.5))), folders)
    loaded = call("LoadVideo", file="video/ComfyUI_00001_.mp4 [output]")
    copy = saved(call("SaveVideo", video=loaded, filename_prefix="b"), folders)
    again = call("LoadVideo", file=f"{copy.name} [output]")
    torch.testing.assert_close(again.get_components().images, loaded.get_components().images, atol=0, rtol=0)
    assert json.loads(tags(copy)["prompt"]) == PROMPT
    with opened(copy) as container:
        assert {each.type for each in container.streams} == {"video", "audio"}


def test_a_film_is_read_within_the_budget_of_its_run(call: Any, folders: Folders) -> None:
    path = saved(call("SaveVideo", video=call("CreateVideo", images=frames(), fps=10.0)), folders)
    floats, bytes_ = 48 * 32 * 12, 48 * 32 * 3
    enough = Budgets(5 * (floats + bytes_))
    film = VideoValue(path, enough).get_components("one")
    assert len(film.images) == 5
    assert enough.of("one").taken == film.images.numel() * 4, "what was held on the way is given back"
    for few, words in ((5 * floats, "beside"), (floats - 1, "one picture of that size")):
        with pytest.raises(OverBudget, match=words):
            VideoValue(path, Budgets(few)).get_components("two")


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_webm_in_either_codec(call: Any, folders: Folders, codec: str) -> None:
    path = saved(call("SaveWEBM", images=frames(height=64, width=64), codec=codec, fps=8.0), folders)
    assert json.loads(tags(path)["prompt"]) == PROMPT
    with opened(path) as container:
        assert container.streams.video[0].codec_context.codec.name.removeprefix("libvpx-") in (
            codec,
            "libdav1d",
        )
    video = call("LoadVideo", file=f"{path.name} [output]")
    film = video.get_components()
    assert film.audio is None
    assert film.frame_rate == 8
    torch.testing.assert_close(film.images.mean((1, 2, 3)), frames().mean((1, 2, 3)), atol=0.02, rtol=0)
    copy = saved(call("SaveVideo", video=video, filename_prefix="as_mp4"), folders)
    with opened(copy) as container:
        assert "264" in container.streams.video[0].codec_context.name


def test_odd_sides_are_made_even(call: Any, folders: Folders) -> None:
    video = call("CreateVideo", images=frames(2, 33, 47), fps=10.0)
    saved(call("SaveVideo", video=video), folders)
    assert call("LoadVideo", file="video/ComfyUI_00001_.mp4 [output]").get_dimensions() == (48, 34)


def test_a_film_in_memory_is_taken_apart_as_it_is(call: Any) -> None:
    images, audio, fps = call("GetVideoComponents", video=call("CreateVideo", images=frames(), fps=23.976))
    torch.testing.assert_close(images, frames())
    assert audio is None
    assert fps == pytest.approx(23.976)


def test_what_is_no_film_is_named(call: Any, folders: Folders) -> None:
    folders.input.mkdir()
    (folders.input / "a.mp4").write_text("words")
    with pytest.raises(ValueError, match=r"'a\.mp4' cannot be read as sound or video"):
        call("LoadVideo", file="a.mp4")


def test_without_pyav_the_extra_is_named(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RuntimeError, match=r"pip install '\.\[video\]'"):
        call("SaveWEBM", images=frames(), codec="vp9", fps=8.0)


def test_the_start_of_a_video_latent_is_cut_off(call: Any) -> None:
    samples = torch.arange(6.0).reshape(1, 1, 6, 1, 1)
    trimmed = call("TrimVideoLatent", samples={"samples": samples, "kept": 1}, trim_amount=2)
    assert trimmed["samples"].flatten().tolist() == [2, 3, 4, 5]
    assert trimmed["kept"] == 1


def test_pictures_look_as_if_of_a_film(call: Any) -> None:
    noise = torch.rand(2, 33, 48, 3, generator=torch.Generator().manual_seed(0))
    assert call("LTXVPreprocess", image=noise, img_compression=0) is noise
    light, strong = (call("LTXVPreprocess", image=noise, img_compression=crf) for crf in (10, 45))
    assert light.shape == strong.shape == (2, 32, 48, 3)
    assert (light - noise[:, :32]).abs().mean() < (strong - noise[:, :32]).abs().mean()
    smooth = torch.linspace(0, 1, 48).reshape(1, 1, 48, 1).repeat(1, 32, 1, 3)
    assert (call("LTXVPreprocess", image=smooth, img_compression=20) - smooth).abs().mean() < 0.02


def looking_ahead(path: Path, kind: str) -> int:
    """A film of H.264 whose pictures look ahead (B-frames), twelve of them; gives how many."""
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "2", "g": "6", "b_strategy": "0"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for level in range(12):
            pixels = np.full((32, 32, 3), 20 * level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return 12


@pytest.mark.parametrize("kind", ["matroska", "mp4", "mpegts", "avi"])
def test_pictures_that_look_ahead_are_all_kept(call: Any, folders: Folders, kind: str) -> None:
    folders.input.mkdir(parents=True)
    count = looking_ahead(folders.input / "a.mkv", kind)
    loaded = call("LoadVideo", file="a.mkv")
    wanted = loaded.get_components().images
    assert len(wanted) == count
    path = saved(call("SaveVideo", video=loaded), folders)
    images = call("LoadVideo", file=f"video/{path.name} [output]").get_components().images
    torch.testing.assert_close(images, wanted, atol=0 if kind != "avi" else 0.05, rtol=0)
    with opened(path) as container:
        times = [packet.dts for packet in container.demux(container.streams.video[0]) if packet.size]
    assert times == sorted(set(times))


def test_decoding_times_are_found_from_those_of_showing() -> None:
    assert ordered([5, 6, 7], [5, 7, 6]) == [5, 6, 7]
    assert ordered([None, None, 0, 33], [0, 100, 33, 67]) == [-34, -1, 33, 66]
    for shown in ([0, None, 1], [0, 1, 1]):
        with pytest.raises(ValueError, match="when they are shown"):
            ordered([None, None, None], shown)
