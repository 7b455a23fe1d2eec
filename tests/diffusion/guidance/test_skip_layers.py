"""Blocks left out: of every row, or of the negative's alone."""

from typing import Any

import torch
from torch import Tensor

from diffusion.guidance.skip_layers import left_out_of_negative, skipping
from diffusion.hooks import Hook, Place
from diffusion.noise.clocks import FlowClock


class Flowing:
    """What `left_out_of_negative` asks of a model: its clock, and where to hang a hook."""

    class prediction:
        clock = FlowClock()

    def with_hook(self, point: str, hook: Hook) -> Any:
        assert point == "block.call"
        return hook


def run(image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    return image + 1, text + 1


def at(kind: str, index: int, names: tuple[str, ...] = (), sigma: float = 0.5) -> Place:
    return Place(kind, index, call={"names": names, "sigmas": torch.full((len(names) or 1,), sigma)})


def test_a_skipped_block_hands_on_what_it_is_given() -> None:
    hook = skipping({"double": [1], "single": [4]})
    for place, skipped in ((at("double", 1), True), (at("double", 4), False), (at("single", 4), True)):
        image, text = hook(place, torch.zeros(1, 2, 3), torch.zeros(1, 1, 3), run)
        assert (image.max().item(), text.max().item()) == ((0, 0) if skipped else (1, 1))


def test_only_rows_of_the_negative_skip() -> None:
    hook = left_out_of_negative(Flowing(), {"double": [0]}, 0.0, 1.0)  # type: ignore[arg-type]
    image, text = hook(
        at("double", 0, ("positive", "negative")), torch.zeros(4, 2, 3), torch.zeros(4, 1, 3), run
    )
    assert image[:, 0, 0].tolist() == text[:, 0, 0].tolist() == [1, 1, 0, 0]
    image, _ = hook(at("double", 0, ("positive",)), torch.zeros(2, 2, 3), torch.zeros(2, 1, 3), run)
    assert image.min() == 1
    image, _ = hook(at("double", 0, ("negative",)), torch.zeros(2, 2, 3), torch.zeros(2, 1, 3), run)
    assert image.max() == 0


def test_outside_its_part_of_the_run_nothing_is_skipped() -> None:
    hook = left_out_of_negative(Flowing(), {"double": [0]}, 0.0, 0.4)  # type: ignore[arg-type]
    for sigma, skipped in ((0.9, True), (0.3, False)):
        place = at("double", 0, ("negative",), sigma)
        image, _ = hook(place, torch.zeros(2, 2, 3), torch.zeros(2, 1, 3), run)
        assert (image.max() == 0) == skipped
