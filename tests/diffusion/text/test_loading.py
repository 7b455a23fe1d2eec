"""Files become text encoders by what they are and what the loader says they are for; misfits are said."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.errors import Mismatch, UnknownModel
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.text.encoding import TextEncoder
from diffusion.text.loading import load_text_encoder
from tests.diffusion.text import small_encoders as small

MAKERS: Mapping[str, Callable[[], small.Tensors]] = {
    "clip_l": small.clip_l,
    "clip_g": small.clip_g,
    "t5xxl": small.t5,
    "t5old": lambda: small.t5(small.OLD_T5),
    "pile": lambda: small.t5(small.PILE_T5),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small encoders of each kind."""
    folder = tmp_path_factory.mktemp("encoders")
    for name, make in MAKERS.items():
        save_file({key: each.half() for key, each in make().items()}, folder / f"{name}.safetensors")
    save_file({"x": torch.zeros(1)}, folder / "none.safetensors")
    return folder


def load(folder: Path, type: str, *names: str) -> TextEncoder:
    """The encoder of files for a family."""
    paths = [folder / f"{name}.safetensors" for name in names]
    return load_text_encoder(paths, Residency(Precision("fp32"), "cpu"), type=type)


@pytest.mark.parametrize(
    ("type", "names", "recipe", "keys"),
    [
        ("stable_diffusion", ["clip_l"], "sd1", "l"),
        ("stable_diffusion", ["clip_g"], "sdxl_refiner", "g"),
        ("sdxl", ["clip_g", "clip_l"], "sdxl", "l g"),
        ("flux", ["t5xxl", "clip_l"], "flux", "l t5xxl"),
        ("sd3", ["t5xxl", "clip_g", "clip_l"], "sd3", "l g t5xxl"),
        ("sd3", ["clip_g"], "sd3", "g"),
        ("pixart", ["t5xxl"], "pixart", "t5xxl"),
        ("chroma", ["t5xxl"], "chroma", "t5xxl"),
        ("stable_cascade", ["clip_g"], "stable_cascade", "g"),
        ("stable_diffusion", ["t5xxl"], "mochi", "t5xxl"),
        ("stable_diffusion", ["t5old"], "cosmos", "t5xxl"),
        ("stable_diffusion", ["pile"], "auraflow", "pile_t5xl"),
    ],
)
def test_the_type_and_the_files_say_how_texts_are_read(
    folder: Path, type: str, names: list[str], recipe: str, keys: str
) -> None:
    encoder = load(folder, type, *names)
    assert encoder.recipe.name == recipe
    assert [tower.key for tower in encoder.towers] == keys.split()


@pytest.mark.parametrize(
    ("type", "names", "said"),
    [
        ("flux", ["clip_l"], r"Flux reads .*clip_l\.safetensors is CLIP L; T5-XXL is missing"),
        (
            "flux",
            ["clip_l", "clip_g"],
            r"Flux reads texts with CLIP L, T5-XXL, but .*clip_g.* is OpenCLIP bigG",
        ),
        ("flux", ["clip_l", "t5old"], r"T5-XXL of the first kind"),
        ("flux", ["clip_l", "clip_l"], r"T5-XXL is missing"),
        ("pixart", ["clip_l"], r"PixArt reads texts with T5-XXL, but clip_l\.safetensors is CLIP L"),
        ("sdxl", ["clip_l", "t5xxl"], r"Stable Diffusion XL reads .*t5xxl\.safetensors is T5-XXL"),
    ],
)
def test_a_wrong_or_missing_encoder_is_said_by_its_file(
    folder: Path, type: str, names: list[str], said: str
) -> None:
    with pytest.raises(Mismatch, match=said):
        load(folder, type, *names)


def test_two_files_of_one_kind_are_refused(folder: Path) -> None:
    (folder / "again.safetensors").write_bytes((folder / "clip_l.safetensors").read_bytes())
    with pytest.raises(Mismatch, match=r"clip_l\.safetensors and again\.safetensors are both CLIP L"):
        load(folder, "flux", "clip_l", "again")


def test_a_file_without_an_encoder_is_named(folder: Path) -> None:
    with pytest.raises(UnknownModel, match=r"(?s)none\.safetensors: No text encoder.*T5-XXL"):
        load(folder, "flux", "clip_l", "none")


def test_flux_pads_for_t5_and_takes_clips_pooled_vector(folder: Path) -> None:
    encoder = load(folder, "flux", "clip_l", "t5xxl")
    short, long = encoder.text("a cat"), encoder.text("a cat " * 200)
    assert short.cond.shape == (1, 256, 144)
    assert long.cond.shape[1] > 256
    assert short.pooled is not None
    assert short.pooled.shape == (1, 64)


def test_lengths_for_t5_can_be_set(folder: Path) -> None:
    encoder = load(folder, "flux", "clip_l", "t5xxl")
    assert encoder.padded(("t5xxl",), 0, 3).text("a cat").cond.shape[1] == 4 + 3  # ▁ a ▁cat </s>
    assert encoder.padded(("t5xxl",), 40, 0).text("a cat").cond.shape[1] == 40


def test_words_count_more_or_less_for_t5_too(folder: Path) -> None:
    encoder = load(folder, "pixart", "t5xxl")
    plain, strong = encoder.text("a cat").cond, encoder.text("a (cat:1.5)").cond
    empty = encoder.encode({"t5xxl": [[(0, 1.0)] * plain.shape[1]]}).cond
    torch.testing.assert_close(
        strong[:, 2], empty[:, 2] + 1.5 * (plain[:, 2] - empty[:, 2]), atol=1e-5, rtol=1e-4
    )


def test_learned_vectors_reach_t5(folder: Path) -> None:
    encoder = load(folder, "pixart", "t5xxl")
    known = {"style": {"t5xxl": torch.ones(2, 144)}}
    named = TextEncoder(encoder.towers, encoder.recipe, known.get)
    tokens = named.tokenize("a embedding:style")["t5xxl"][0]
    assert [isinstance(token, torch.Tensor) for token, _ in tokens] == [False, False, True, True, False]
    assert named.encode({"t5xxl": [tokens]}).cond.shape == (1, 5, 144)


def test_clip_skip_reaches_t5(folder: Path) -> None:
    encoder = load(folder, "pixart", "t5xxl")
    assert not torch.allclose(encoder.text("a cat").cond, encoder.with_last_layer(-2).text("a cat").cond)


def test_stable_diffusion_3_without_some_of_its_encoders(folder: Path) -> None:
    both = load(folder, "sd3", "clip_l", "clip_g").text("a cat")
    assert both.cond.shape == (1, 77, 4096), "as wide as the published T5"
    assert both.pooled is not None
    assert both.pooled.shape == (1, 128)
    alone = load(folder, "sd3", "t5xxl").text("a cat")
    assert alone.cond.shape == (1, 77, 144)
    assert alone.pooled is not None
    assert alone.pooled.shape == (1, 2048)
    assert not alone.pooled.any()


def test_masked_vectors_are_zero_where_the_family_wants_it(folder: Path) -> None:
    found = load(folder, "cosmos", "t5old").text("a cat")
    mask = found.extra["attention_mask"]
    assert mask.shape == (1, 512)
    assert int(mask.sum()) == 4
    assert not found.cond[:, 4:].any()
    assert found.cond[:, :4].any()


@pytest.mark.parametrize("mode", ["a1111", "compel", "down_weight"])
def test_other_readings_of_weights_work_for_every_tower(folder: Path, mode: str) -> None:
    from diffusion.text.prompt_modes import encode

    encoder = load(folder, "flux", "clip_l", "t5xxl")
    plain, found = encoder.text("a (red:0.6) cat"), encode(encoder, "a (red:0.6) cat", mode)  # type: ignore[arg-type]
    assert found.cond.shape == plain.cond.shape
    assert not torch.allclose(found.cond, plain.cond)
