"""The default checkpoint from Python: the text decides the picture, and what is to be kept is kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, tensor

from nodeloom import Engine
from training.backgrounds import COLOURS

MODELS = Path(__file__).parents[2] / "models"
NAME = "nodeloom-emoji.safetensors"
CONTROLNET, LORA = "nodeloom-emoji-edges.safetensors", "nodeloom-emoji-stickers.safetensors"
SIDE = 128
STAR, WHALE = "a star on a blue background", "a whale on a yellow background"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of `engine`."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def engine(data: Path) -> Iterator[Engine]:
    """An engine over the shipped models that computes everything each time."""
    with Engine(data_dir=data, models=MODELS, cpu=True, cache_none=True) as engine:
        yield engine


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node of a prompt."""
    return {"class_type": kind, "inputs": inputs}


def text_to_image(text: str, seed: int = 1) -> dict[str, Any]:
    """A picture at the settings of the model card."""
    return {
        "model": node("CheckpointLoaderSimple", ckpt_name=NAME),
        "positive": node("CLIPTextEncode", text=text, clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "latent": node("EmptyLatentImage", width=SIDE, height=SIDE, batch_size=1),
        "sampler": node(
            "KSampler",
            seed=seed,
            steps=20,
            cfg=5.0,
            sampler_name="dpmpp_2m",
            scheduler="karras",
            denoise=1.0,
            model=["model", 0],
            positive=["positive", 0],
            negative=["negative", 0],
            latent_image=["latent", 0],
        ),
        "picture": node("VAEDecode", samples=["sampler", 0], vae=["model", 2]),
    }


def image_to_image(file: str, text: str, denoise: float) -> dict[str, Any]:
    """A picture drawn anew; `plain` is the same encoded and decoded."""
    prompt = text_to_image(text, seed=7)
    prompt["input"] = node("LoadImage", image=file)
    prompt["latent"] = node("VAEEncode", pixels=["input", 0], vae=["model", 2])
    prompt["plain"] = node("VAEDecode", samples=["latent", 0], vae=["model", 2])
    prompt["sampler"]["inputs"]["denoise"] = denoise
    return prompt


def left_half_only(prompt: dict[str, Any]) -> dict[str, Any]:
    """The same, but only the left half is drawn anew."""
    prompt["nothing"] = node("SolidMask", value=0.0, width=SIDE, height=SIDE)
    prompt["half"] = node("SolidMask", value=1.0, width=SIDE // 2, height=SIDE)
    prompt["mask"] = node(
        "MaskComposite", destination=["nothing", 0], source=["half", 0], x=0, y=0, operation="add"
    )
    prompt["masked"] = node("SetLatentNoiseMask", samples=["latent", 0], mask=["mask", 0])
    prompt["sampler"]["inputs"]["latent_image"] = ["masked", 0]
    return prompt


def drawn(engine: Engine, prompt: dict[str, Any]) -> Tensor:
    """The picture, height × width × 3."""
    picture: Tensor = engine.run(prompt, targets=["picture"]).value("picture")[0]
    assert picture.shape == (SIDE, SIDE, 3)
    return picture


def far(picture: Tensor, other: Tensor) -> float:
    """The mean distance of two pictures, or of parts of them."""
    return float((picture - other).abs().mean())


def background(picture: Tensor) -> str:
    """The colour that is nearest to the picture's border."""
    border = (picture[:6].mean((0, 1)) + picture[:, :6].mean((0, 1)) + picture[:, -6:].mean((0, 1))) / 3
    named = {each.name: tensor(each.colour) / 255 for each in COLOURS}
    return min(named, key=lambda name: far(border, named[name]))


@pytest.fixture(scope="module")
def star(engine: Engine) -> Tensor:
    """A star on blue."""
    return drawn(engine, text_to_image(STAR))


@pytest.fixture(scope="module")
def whale(engine: Engine) -> Tensor:
    """A whale on yellow."""
    return drawn(engine, text_to_image(WHALE))


@pytest.fixture(scope="module")
def file(data: Path, star: Tensor) -> str:
    """The star as an input picture."""
    path = data / "input" / "star.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray((star * 255).round().byte().numpy()).save(path)
    return path.name


def test_the_same_seed_draws_the_same_bytes(engine: Engine, star: Tensor) -> None:
    result = engine.run(text_to_image(STAR), targets=["picture"])
    assert "sampler" in result.executed
    assert result.value("picture")[0].numpy().tobytes() == star.numpy().tobytes()


def test_another_seed_draws_another_picture(engine: Engine, star: Tensor) -> None:
    other = drawn(engine, text_to_image(STAR, seed=2))
    assert far(other, star) > 0.001


@pytest.mark.parametrize("colour", ["red", "green", "purple", "white"])
def test_the_text_decides_the_background(engine: Engine, colour: str) -> None:
    assert background(drawn(engine, text_to_image(f"a cat on a {colour} background"))) == colour


def test_the_text_decides_object_and_background(star: Tensor, whale: Tensor) -> None:
    assert (background(star), background(whale)) == ("blue", "yellow")
    third = slice(SIDE * 3 // 8, SIDE * 5 // 8)
    yellow = [
        float(picture[third, third, :2].mean() - picture[third, third, 2].mean()) for picture in (star, whale)
    ]
    assert yellow[0] > yellow[1] + 0.3


@pytest.mark.parametrize(("text", "cfg"), [(STAR, 5.0), (WHALE, 1.0)])
def test_little_denoising_keeps_the_input(
    engine: Engine, star: Tensor, whale: Tensor, file: str, text: str, cfg: float
) -> None:
    """Under full guidance when the text fits the picture, and without guidance whatever it says."""
    prompt = image_to_image(file, text, 0.3)
    prompt["sampler"]["inputs"]["cfg"] = cfg
    redrawn = drawn(engine, prompt)
    assert background(redrawn) == "blue"
    assert far(redrawn, star) < far(redrawn, whale) / 4


def test_full_denoising_follows_the_text(engine: Engine, star: Tensor, whale: Tensor, file: str) -> None:
    redrawn = drawn(engine, image_to_image(file, WHALE, 1.0))
    assert far(redrawn, whale) < far(redrawn, star) / 2


def test_inpainting_changes_only_what_is_masked(engine: Engine, file: str) -> None:
    prompt = left_half_only(image_to_image(file, WHALE, 1.0))
    result = engine.run(prompt, targets=["latent", "sampler", "plain", "picture"])
    plain, redrawn = result.value("plain")[0], result.value("picture")[0]
    left, right = slice(0, SIDE // 2), slice(SIDE * 3 // 4, SIDE)
    assert far(redrawn[:, left], plain[:, left]) > 0.15
    assert far(redrawn[:, right], plain[:, right]) < 0.06, "the decoder sees the whole picture: a little tint"
    kept, given = result.value("sampler")["samples"], result.value("latent")["samples"]
    assert far(kept[..., SIDE // 16 :], given[..., SIDE // 16 :]) < 1e-5
    assert far(kept[..., : SIDE // 16], given[..., : SIDE // 16]) > 0.5


def with_style(strength: float) -> dict[str, Any]:
    """A star under the LoRA of stickers."""
    prompt = text_to_image(STAR)
    prompt["lora"] = node("LoraLoaderModelOnly", model=["model", 0], lora_name=LORA, strength_model=strength)
    prompt["sampler"]["inputs"]["model"] = ["lora", 0]
    return prompt


def white(picture: Tensor) -> float:
    """The share of what is nearly white."""
    return float((picture.amin(dim=-1) > 0.7).float().mean())


def test_the_lora_puts_a_white_rim_around_what_is_drawn(engine: Engine, star: Tensor) -> None:
    sticker = drawn(engine, with_style(1.0))
    assert background(sticker) == "blue"
    assert white(sticker) > white(star) + 0.05
    assert white(star) < white(drawn(engine, with_style(0.7))) < white(sticker)
    assert drawn(engine, with_style(0.0)).numpy().tobytes() == star.numpy().tobytes()


def along_edges(file: str, left: int, top: int, strength: float = 1.0) -> dict[str, Any]:
    """A star where the edges of a small one are; `file` shows a large one."""
    prompt = text_to_image(STAR)
    red, green, blue = next(each.colour for each in COLOURS if each.name == "blue")
    prompt["plane"] = node(
        "EmptyImage", width=SIDE, height=SIDE, batch_size=1, color=(red << 16) + (green << 8) + blue
    )
    prompt["input"] = node("LoadImage", image=file)
    prompt["inner"] = node("ImageCrop", image=["input", 0], x=12, y=12, width=SIDE - 24, height=SIDE - 24)
    prompt["small"] = node(
        "ImageScale",
        image=["inner", 0],
        upscale_method="area",
        width=SIDE // 2,
        height=SIDE // 2,
        crop="disabled",
    )
    prompt["placed"] = node(
        "ImageCompositeMasked",
        destination=["plane", 0],
        source=["small", 0],
        x=left,
        y=top,
        resize_source=False,
    )
    prompt["edges"] = node("Canny", image=["placed", 0], low_threshold=0.3, high_threshold=0.6)
    prompt["network"] = node("ControlNetLoader", control_net_name=CONTROLNET)
    prompt["guided"] = node(
        "ControlNetApplyAdvanced",
        positive=["positive", 0],
        negative=["negative", 0],
        control_net=["network", 0],
        image=["edges", 0],
        strength=strength,
        start_percent=0.0,
        end_percent=1.0,
    )
    prompt["sampler"]["inputs"].update(positive=["guided", 0], negative=["guided", 1], cfg=2.5)
    return prompt


def place(picture: Tensor) -> list[float]:
    """Column and row of the middle of what is yellow."""
    yellow = (picture[..., :2].amin(dim=-1) - picture[..., 2]).clamp(min=0)
    along = torch.arange(SIDE, dtype=torch.float32)
    return [float((yellow.sum(axis) * along).sum() / yellow.sum()) for axis in (0, 1)]


@pytest.mark.parametrize(("left", "top"), [(0, 8), (60, 56), (56, 4)])
def test_the_controlnet_draws_where_the_edges_are(
    engine: Engine, star: Tensor, file: str, left: int, top: int
) -> None:
    guided = drawn(engine, along_edges(file, left, top))
    assert background(guided) == "blue"
    wanted = [left + SIDE // 4, top + SIDE // 4]
    assert place(guided) == pytest.approx(wanted, abs=8)
    assert place(star) != pytest.approx(wanted, abs=16)


def test_a_controlnet_of_no_strength_changes_nothing(engine: Engine, star: Tensor, file: str) -> None:
    prompt = along_edges(file, 0, 8, strength=0.0)
    prompt["sampler"]["inputs"]["cfg"] = 5.0
    assert drawn(engine, prompt).numpy().tobytes() == star.numpy().tobytes()


@pytest.mark.parametrize("path", [f"controlnet/{CONTROLNET}", f"loras/{LORA}"])
def test_the_helpers_of_the_checkpoint_are_small(path: str) -> None:
    assert (MODELS / path).stat().st_size <= 10e6


def test_the_file_is_small_and_states_what_shapes_do_not_reveal() -> None:
    path = MODELS / "checkpoints" / NAME
    assert path.stat().st_size <= 40e6
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    stated = header["__metadata__"]
    for part in ("unet", "vae"):
        assert int(stated[f"nodeloom.{part}.norm_groups"]) > 0
    for part in ("unet", "text"):
        assert int(stated[f"nodeloom.{part}.heads"]) > 0
    assert {each["dtype"] for name, each in header.items() if name != "__metadata__"} <= {"F16", "I64"}
