"""The UNet's names are those of published checkpoints, and every input of its pass has its effect."""

import pytest
import torch

from diffusion.hooks import Hooks, Place
from diffusion.networks.backbone import Control
from diffusion.networks.blocks import timestep_embedding
from diffusion.networks.unet import UNet, UNetSizes
from tests.diffusion.small_models import SD1, SD2, SDXL, seeded
from tests.golden.weights import manifests

PUBLISHED = {
    "sd15": UNetSizes(),
    "sd15_inpaint": UNetSizes(in_channels=9),
    "sd21v": UNetSizes.even((1, 2, 4, 4), (1, 1, 1, 0), context=1024, linear_projections=True),
    "sdxl_base": UNetSizes.even((1, 2, 4), (0, 2, 10), context=2048, linear_projections=True, vector=2816),
    "sdxl_refiner": UNetSizes.even(
        (1, 2, 4, 4), (0, 4, 4, 0), middle=4, channels=384, context=1280, linear_projections=True, vector=2560
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_equal_the_published_checkpoints(name: str) -> None:
    manifest = manifests()[name]
    prefix = "model.diffusion_model."
    published = {
        key[len(prefix) :]: tuple(shape) for key, shape in manifest.items() if key.startswith(prefix)
    }
    with torch.device("meta"):
        ours = UNet(PUBLISHED[name]).state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in ours.items()} == published


@pytest.fixture(scope="module")
def unet() -> UNet:
    return seeded(lambda: UNet(SD1))


def arguments(height: int = 8, width: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, height, width, generator=generator)
    return x, torch.tensor([7.0, 500.5]), torch.randn(2, 5, 64, generator=generator)


def test_any_size_of_latent_goes_through(unet: UNet) -> None:
    for height, width in ((8, 8), (7, 5), (1, 1), (9, 16)):
        assert unet(*arguments(height, width)).shape == (2, 4, height, width)


def test_rows_of_a_batch_do_not_touch_each_other(unet: UNet) -> None:
    x, t, context = arguments()
    whole = unet(x, t, context)
    for row in range(2):
        alone = unet(x[row : row + 1], t[row : row + 1], context[row : row + 1])
        assert torch.allclose(whole[row], alone[0], atol=1e-5)


def test_time_and_text_both_matter(unet: UNet) -> None:
    x, t, context = arguments()
    out = unet(x, t, context)
    assert not torch.allclose(out, unet(x, t + 100, context), atol=1e-3)
    assert not torch.allclose(out, unet(x, t, context * 2), atol=1e-3)


def test_the_answer_has_the_type_of_the_question(unet: UNet) -> None:
    x, t, context = arguments()
    assert unet(x.double(), t, context.half()).dtype == torch.float64


def test_every_parameter_learns() -> None:
    model = UNet(SDXL).train()
    out = model(torch.randn(1, 4, 4, 4), torch.tensor([3]), torch.randn(1, 2, 128), y=torch.randn(1, 2816))
    out.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_vector_is_asked_for_where_it_is_needed() -> None:
    model = seeded(lambda: UNet(SDXL))
    x, context = torch.randn(1, 4, 4, 4), torch.randn(1, 2, 128)
    with pytest.raises(ValueError, match="needs a vector y"):
        model(x, torch.tensor([3]), context)
    vector = torch.randn(1, 2816)
    first, second = (model(x, torch.tensor([3]), context, y=vector * scale) for scale in (1, 2))
    assert not torch.allclose(first, second, atol=1e-4)


def test_kept_text_keys_change_nothing_and_are_really_used(unet: UNet) -> None:
    x, t, context = arguments()
    kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    plain = unet(x, t, context)
    assert torch.equal(unet(x, t, context, kept=kept), plain)
    assert len(kept) == 4
    assert torch.equal(unet(x, t, context * 3, kept=kept), plain), "the kept ones stand for the text"


def test_control_is_added_where_it_says(unet: UNet) -> None:
    x, t, context = arguments()
    plain = unet(x, t, context)
    assert torch.equal(unet(x, t, context, control=Control()), plain)
    for control in (
        Control(middle=torch.ones(1, 64, 4, 4)),
        Control(input={1: torch.ones(1, 32, 8, 8)}),
        Control(skips={0: torch.ones(1, 32, 8, 8)}),
    ):
        assert not torch.allclose(unet(x, t, context, control=control), plain, atol=1e-3)
    zero = Control({1: torch.zeros(1)}, torch.zeros(1), {index: torch.zeros(1) for index in range(4)})
    assert torch.equal(unet(x, t, context, control=zero), plain)


def test_every_hook_point_is_visited_with_its_place(unet: UNet) -> None:
    x, t, context = arguments()
    visited: list[tuple[str, Place]] = []

    def note(point: str, values: int) -> object:
        def hook(place: Place, *given: object) -> object:
            visited.append((point, place))
            if point.endswith(".attend"):
                *tokens, attend = given
                return attend(*tokens)  # type: ignore[operator]
            return given if values > 1 else given[0]

        return hook

    points = {"block.output": 2, "attention.self.input": 3, "attention.cross.input": 3}
    single = ("embedding", "block.input", "block.input.after_skip", "block.middle", "attention.self.attend")
    single += (
        "attention.self.output",
        "attention.self.after",
        "attention.cross.attend",
        "attention.cross.output",
    )
    points |= dict.fromkeys(single, 1)
    hooks = Hooks({point: (note(point, values),) for point, values in points.items()})  # type: ignore[dict-item]
    out = unet(x, t, context, hooks=hooks, call={"step": 3})
    assert torch.equal(out, unet(x, t, context)), "hooks that change nothing change nothing"
    assert {point for point, _ in visited} == set(points)
    assert all(place.call["step"] == 3 and place.latent == (8, 8) for _, place in visited)
    transformers = [place for point, place in visited if point == "attention.self.attend"]
    assert [(p.block, p.index, p.serial) for p in transformers] == [
        ("input", 1, 0),
        ("middle", 0, 1),
        ("output", 2, 2),
        ("output", 3, 3),
    ]
    assert [p.size for p in transformers] == [(8, 8), (4, 4), (8, 8), (8, 8)]
    assert {(p.heads, p.head_channels) for p in transformers} == {(4, 8), (4, 16)}
    inputs = [place.index for point, place in visited if point == "block.input"]
    assert inputs == [0, 1, 2, 3]


CHANGES = {
    "embedding": lambda place, emb: emb * 2,
    "block.input": lambda place, h: h * 2,
    "block.input.after_skip": lambda place, h: h * 2,
    "block.middle": lambda place, h: h * 2,
    "block.output": lambda place, h, skip: (h, skip * 2),
    "attention.self.input": lambda place, q, k, v: (q, k, v * 2),
    "attention.self.attend": lambda place, q, k, v, attend: v,
    "attention.self.output": lambda place, out: out * 2,
    "attention.self.after": lambda place, tokens: tokens * 2,
    "attention.cross.input": lambda place, q, k, v: (q, k, v * 2),
    "attention.cross.attend": lambda place, q, k, v, attend: attend(q, k, v) * 2,
    "attention.cross.output": lambda place, out: out * 2,
}


@pytest.mark.parametrize("point", CHANGES)
def test_a_hook_changes_the_prediction(point: str, unet: UNet) -> None:
    x, t, context = arguments()
    changed = unet(x, t, context, hooks=Hooks().adding(point, CHANGES[point]))
    assert not torch.allclose(changed, unet(x, t, context), atol=1e-4)


def test_sizes_without_any_head_are_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        UNet(UNetSizes.even((1,), (1,), channels=32, heads=None))


def test_a_middle_can_be_missing_or_without_attention() -> None:
    x, t = torch.randn(1, 4, 4, 4), torch.tensor([1])
    for depth, blocks in ((None, 0), (0, 1), (2, 3)):
        sizes = UNetSizes(*(4, 4, 32, (1,), (1,), (1,), depth, (1, 1)), context=8, heads=2, norm_groups=8)
        model = UNet(sizes)
        assert len(getattr(model, "middle_block", ())) == blocks
        assert model(x, t, torch.randn(1, 3, 8)).shape == x.shape


def test_classes_and_attention_to_text_alone_are_possible() -> None:
    sizes = UNetSizes.even(
        (1,), (1,), blocks=1, channels=32, context=24, classes=5, norm_groups=8, self_attention=(False,)
    )
    model = seeded(lambda: UNet(sizes))
    assert model.state_dict()["input_blocks.1.1.transformer_blocks.0.attn1.to_k.weight"].shape == (32, 24)
    x, t, context = torch.randn(1, 4, 4, 4), torch.tensor([1]), torch.randn(1, 3, 24)
    first, second = (model(x, t, context, y=torch.tensor([number])) for number in (0, 4))
    assert not torch.allclose(first, second)


def test_the_timestep_embedding_is_the_published_one() -> None:
    embedding = timestep_embedding(torch.tensor([0.0, 10.0]), 6)
    frequencies = torch.tensor([1.0, 10_000 ** (-1 / 3), 10_000 ** (-2 / 3)])
    assert torch.allclose(embedding[0], torch.tensor([1.0, 1, 1, 0, 0, 0]))
    assert torch.allclose(embedding[1], torch.cat([(10 * frequencies).cos(), (10 * frequencies).sin()]))
    assert timestep_embedding(torch.tensor([1]), 5).shape == (1, 5)


def test_linear_and_convolutional_projections_are_both_there() -> None:
    assert seeded(lambda: UNet(SD2)).state_dict()["input_blocks.1.1.proj_in.weight"].dim() == 2
    assert seeded(lambda: UNet(SD1)).state_dict()["input_blocks.1.1.proj_in.weight"].dim() == 4
