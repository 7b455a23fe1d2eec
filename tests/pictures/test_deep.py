"""Deep pictures are read back by other programs' readers with every bit."""

from io import BytesIO
from pathlib import Path

import av
import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pictures.deep import avif, exr, write_png16
from pictures.texts import png_texts


def noise(height: int, width: int, channels: int) -> np.ndarray:
    """Values of all 16 bits."""
    return np.random.default_rng(1).integers(0, 65536, (height, width, channels), dtype=np.uint16)


@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([(1, "gray16be"), (3, "rgb48be"), (4, "rgba64be")])
)
def test_a_png_of_16_bits_keeps_every_value(height: int, width: int, kind: tuple[int, str]) -> None:
    channels, format = kind
    pixels, file = noise(height, width, channels), BytesIO()
    write_png16(file, pixels, {"prompt": "ü", "日": "x"})
    assert png_texts(file.getvalue()) == {"prompt": "ü", "日": "x"}
    Image.open(BytesIO(file.getvalue())).verify()
    with av.open(BytesIO(file.getvalue())) as container:
        frame = next(container.decode(container.streams.video[0]))
    assert frame.format.name == format
    assert np.array_equal(frame.to_ndarray().reshape(pixels.shape), pixels)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(("channels", "names"), [(1, {"Y"}), (3, {"R", "G", "B"}), (4, {"R", "G", "B", "A"})])
def test_exr_keeps_light_beyond_white_and_texts(
    half: bool, channels: int, names: set[str], tmp_path: Path
) -> None:
    light = np.linspace(-0.5, 40, 6 * 5 * channels, dtype=np.float32).reshape(6, 5, channels)
    path = tmp_path / "a.exr"
    path.write_bytes(exr(light, half, "acescg", {"workflow": '{"ü": 1}'}))
    with OpenEXR.File(str(path), separate_channels=True) as file:
        found = file.channels()
        assert set(found) == names
        assert file.header()["workflow"] == '{"ü": 1}'
        assert file.header()["chromaticities"][0] == pytest.approx(0.713)
        first = next(name for name in ("Y", "R") if name in found)
        assert found[first].pixels.dtype == (np.float16 if half else np.float32)
        assert np.allclose(found[first].pixels, light[..., 0], rtol=1e-3)


@pytest.mark.parametrize(
    ("frames", "ten", "colours"), [(1, False, "sRGB"), (1, True, "HDR"), (3, True, "HDR PQ")]
)
def test_avif_holds_frames_depth_and_colours(frames: int, ten: bool, colours: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 65, dtype=np.uint16)[None, :, None], (65, 1, 3))
    data = avif([ramp] * frames, ten, 10, colours, 8.0, 0)
    with av.open(BytesIO(data)) as container:
        stream = container.streams.video[-1]
        shown = list(container.decode(stream))
    assert len(shown) == frames
    assert shown[0].format.name == ("yuv420p10le" if ten else "yuv420p")
    assert (shown[0].width, shown[0].height) == (66, 66)
    assert shown[0].color_trc == {"sRGB": 13, "HDR": 18, "HDR PQ": 16}[colours]
    back = shown[0].to_ndarray(format="gray16le").astype(np.float64)
    assert np.abs(back[:65, :65] - ramp[..., 0]).mean() < 1500
