"""Functions of packs at the blocks of transformers, as hooks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from compat.values.blocks import block_hooks
from compat.values.model import DiffusionModel
from diffusion.errors import Mismatch
from diffusion.families.flux import FAMILIES
from diffusion.hooks import Hooks, Place
from diffusion.model import Model
from tests.diffusion.small_runs import small_model

IMAGE, TEXT = torch.zeros(1, 3, 2), torch.zeros(1, 2, 2)


def hooks(options: dict[str, Any], before: dict[str, Any] | None = None) -> Hooks:
    made = Hooks()
    for point, hook in block_hooks(options, before or {}):
        made = made.adding(point, hook)
    return made


def run(image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    return image + 1, text + 2


def passed(made: Hooks, kind: str, index: int) -> tuple[float, float]:
    place = Place(kind, index, call={"parts": (0, 1), "sigmas": torch.ones(1)})
    image, text = made.wrap("block.call", place, run)(IMAGE, TEXT)
    assert (image.shape, text.shape) == (IMAGE.shape, TEXT.shape)
    return image.mean().item(), text.mean().item()


def test_a_double_block_is_replaced_by_number() -> None:
    def replace(args: dict[str, Any], extra: dict[str, Callable[..., Any]]) -> dict[str, Any]:
        out = extra["original_block"](args)
        return {"img": out["img"] * 10, "txt": out["txt"]}

    made = hooks({"patches_replace": {"dit": {("double_block", 1): replace}}})
    assert [passed(made, "double", index) for index in (0, 1)] == [(1, 2), (10, 2)]
    assert passed(made, "single", 1) == (1, 2)


def test_a_single_block_is_told_text_and_picture_in_one() -> None:
    def replace(args: dict[str, Any], extra: dict[str, Callable[..., Any]]) -> dict[str, Any]:
        assert args["img"].shape == (1, 5, 2)
        out = extra["original_block"](args)
        assert out["img"][0, :, 0].tolist() == [2, 2, 1, 1, 1]
        return {"img": out["img"] + 5}

    made = hooks({"patches_replace": {"dit": {("single_block", 0): replace}}})
    assert passed(made, "single", 0) == (6, 7)


def test_patches_act_behind_every_block_of_a_list_and_on_the_text() -> None:
    def behind(args: dict[str, Any]) -> dict[str, Any]:
        assert args["transformer_options"]["cond_or_uncond"] == [0, 1]
        return {"img": args["img"] + args["block_index"], "txt": args["txt"]}

    made = hooks(
        {"patches": {"double_block": [behind], "post_input": [lambda args: {"txt": args["txt"] + 3}]}}
    )
    assert [passed(made, "double", index)[0] for index in (0, 4)] == [1, 5]
    assert made.change("text.tokens", {}, TEXT).mean() == 3


def test_only_what_is_new_is_hung() -> None:
    options = {"patches": {"double_block": [lambda args: args]}}
    assert not hooks(options, options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"patches_replace": {"attn1": {}}}, r"patches_replace\.attn1"),
        ({"patches": {"input_block_patch": []}}, r"patches\.input_block_patch"),
        ({"strange": 1}, "strange"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(options: dict[str, Any], named: str) -> None:
    with pytest.raises(AttributeError, match=named):
        hooks(options)


def test_a_facade_hangs_them_on_its_own_model_alone() -> None:
    model = Model(None, FAMILIES[0], None, None, None)  # type: ignore[arg-type]
    facade = DiffusionModel(model).clone()
    facade.set_model_patch_replace(lambda args, extra: args, "dit", "double_block", 0)
    facade.set_model_post_input_patch(lambda args: args)
    other = facade.clone()
    other.set_model_double_block_patch(lambda args: args)
    assert {point: len(facade.own().hooks[point]) for point in ("block.call", "text.tokens")} == {
        "block.call": 1,
        "text.tokens": 1,
    }
    assert len(other.own().hooks["block.call"]) == 2
    again = DiffusionModel(facade.own())
    assert len(again.own().hooks["block.call"]) == 1


def test_a_unet_has_no_such_blocks() -> None:
    facade = DiffusionModel(small_model())
    facade.set_model_patch_replace(lambda args, extra: args, "dit", "double_block", 0)
    with pytest.raises(Mismatch, match=r"block\.call"):
        facade.own()
