"""Pictures of every kind come upright, in red, green and blue."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as PIL
from PIL import ImageCms

from pictures import decoding

ORIENTATION = 0x0112


def read(picture: PIL.Image, kind: str = "TIFF", **options: Any) -> list[PIL.Image]:
    """The frames of a picture written in a format and opened again."""
    file = BytesIO()
    picture.save(file, kind, **options)
    with decoding.opened(file, "a") as again:
        return [frame.copy() for frame in decoding.frames(again)]


def halves() -> PIL.Image:
    """8×4, the left half red, the right blue."""
    picture = PIL.new("RGB", (8, 4), "red")
    picture.paste("blue", (4, 0, 8, 4))
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photograph_is_turned_once_in_every_format(kind: str) -> None:
    exif = PIL.Exif()
    exif[ORIENTATION] = 6
    (shown,) = read(halves(), kind, exif=exif)
    assert shown.size == (4, 8)
    rgb = decoding.colours(shown)
    assert rgb[1, 1, 0] > 0.8 > 0.3 > rgb[1, 1, 2]
    assert rgb[6, 1, 2] > 0.8 > 0.3 > rgb[6, 1, 0]
    assert ORIENTATION not in shown.getexif()


RAMP = np.linspace(0, 1, 16, dtype=np.float32)[None].repeat(2, 0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RAMP, "TIFF"),
        ((RAMP * 65535).round().astype(np.uint16), "PNG"),
        ((RAMP * 65535).round().astype(np.uint16), "TIFF"),
        ((RAMP * 65535).round().astype(np.int32), "TIFF"),
        ((RAMP.astype(np.float64) * (2**32 - 1)).round().astype(np.uint32).view(np.int32), "TIFF"),
    ],
    ids=["float", "16-bit PNG", "16-bit TIFF", "16 bits in 32", "32-bit TIFF"],
)
def test_deep_grey_is_the_ramp_it_was(values: Any, kind: str) -> None:
    (shown,) = read(PIL.fromarray(values), kind)
    np.testing.assert_allclose(decoding.colours(shown)[..., 1], RAMP, atol=1e-5)
    preview = decoding.in_bytes(shown)
    assert preview.mode == "RGB"
    np.testing.assert_allclose(np.asarray(preview)[..., 0], RAMP * 255, atol=0.51)


def test_floats_beyond_their_range_are_cut_off_and_what_is_no_number_is_black() -> None:
    (shown,) = read(PIL.fromarray(np.array([[-1, 0.5, 7, np.nan, np.inf]], dtype=np.float32)))
    assert decoding.colours(shown)[0, :, 0].tolist() == [0, 0.5, 1, 0, 1]


def test_lab_is_turned_into_colours() -> None:
    wanted = halves()
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(wanted, *profiles, outputMode="LAB")
    assert lab is not None
    (shown,) = read(lab)
    assert shown.mode == "LAB"
    np.testing.assert_allclose(decoding.colours(shown), np.asarray(wanted) / 255, atol=0.1)


def test_cmyk_is_turned_into_colours() -> None:
    (shown,) = read(halves().convert("CMYK"))
    np.testing.assert_allclose(decoding.colours(shown), np.asarray(halves()) / 255, atol=0.01)
    assert decoding.transparency(shown) is None


def test_palettes_and_grey_tell_which_of_their_values_are_transparent() -> None:
    palette = PIL.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putdata([0, 1])
    deep = PIL.fromarray(np.array([[7, 300]], dtype=np.uint16))
    for picture in (palette, palette.convert("L"), deep):
        value = {"P": 1, "L": palette.convert("L").getpixel((1, 0)), "I;16": 300}[picture.mode]
        (shown,) = read(picture, "PNG", transparency=value)
        clear = decoding.transparency(shown)
        assert clear is not None, picture.mode
        assert clear.tolist() == [[0, 1]], picture.mode
        assert np.asarray(decoding.in_bytes(shown))[0, :, 3].tolist() == [255, 0], picture.mode


def test_the_pages_of_a_file_come_in_their_own_modes() -> None:
    pages = [halves(), halves().convert("RGBA"), halves().convert("L")]
    shown = read(pages[0], save_all=True, append_images=pages[1:])
    assert [page.mode for page in shown] == ["RGB", "RGBA", "L"]
    assert [decoding.transparency(page) is None for page in shown] == [True, False, True]


@pytest.mark.parametrize("kind", ["EPS", "PDF"])
def test_formats_that_start_programs_are_no_pictures(kind: str) -> None:
    file = BytesIO()
    halves().save(file, kind)
    with pytest.raises(decoding.BadPicture, match="'a' is not a picture"), decoding.opened(file, "a"):
        pass


def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "STRIP_PIXELS", 24)
    dice = np.random.default_rng(1)
    noise = PIL.fromarray(dice.integers(0, 256, (11, 7, 4), dtype=np.uint8))
    deep = PIL.fromarray(dice.integers(0, 2**16, (11, 7), dtype=np.uint16))
    modes = [noise.convert(mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "HSV")]
    for picture in (*modes, deep, deep.convert("F")):
        into = np.empty((11, 7, 3), np.float32)
        decoding.fill(picture, into)
        np.testing.assert_array_equal(into, decoding.colours(picture), err_msg=picture.mode)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_a_picture_is_reduced_in_strips_as_in_one(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    dice = np.random.default_rng(2)
    picture = PIL.fromarray(dice.integers(0, 256, (31, 22, 4), dtype=np.uint8)).convert(mode)
    monkeypatch.setattr(decoding, "STRIP_PIXELS", 150)
    small = decoding.reduced(picture, 10)
    if mode == "P":
        assert small is picture, "a palette's numbers have no mean"
        return
    np.testing.assert_array_equal(np.asarray(small), np.asarray(picture.reduce(3)))
    assert decoding.reduced(picture, 16) is picture


def test_opacity_is_alpha_or_full() -> None:
    dice = np.random.default_rng(3)
    picture = PIL.fromarray(dice.integers(0, 256, (5, 4, 4), dtype=np.uint8))
    for mode in ("RGBA", "LA"):
        np.testing.assert_array_equal(
            np.asarray(decoding.alpha(picture.convert(mode))), np.asarray(picture)[..., 3]
        )
    assert decoding.alpha(picture.convert("RGB")).getextrema() == (255, 255)


def test_a_palette_may_have_an_opacity_for_each_colour() -> None:
    picture = PIL.new("P", (3, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.putdata([0, 1, 2])
    (shown,) = read(picture, "PNG", transparency=bytes([255, 51, 0]))
    assert decoding.colours(shown).tolist() == [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]
    clear = decoding.transparency(shown)
    assert clear is not None
    np.testing.assert_allclose(clear, [[0, 0.8, 1]], atol=1e-6)


@pytest.mark.parametrize(("mode", "plain"), [("La", "LA"), ("RGBa", "RGBA")])
def test_colours_that_are_multiplied_by_their_opacity_are_divided(mode: str, plain: str) -> None:
    picture = PIL.new(plain, (2, 1), (200, 128) if plain == "LA" else (200, 100, 50, 128)).convert(mode)
    np.testing.assert_allclose(decoding.colours(picture)[0, 0, 0], 200 / 255, atol=0.01)
    clear = decoding.transparency(picture)
    assert clear is not None
    np.testing.assert_allclose(clear[0, 0], 127 / 255, atol=0.01)
