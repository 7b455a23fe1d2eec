"""What several controls add is added, where either adds something."""

import torch

from diffusion.control.chain import joined
from diffusion.networks.backbone import Control


def test_additions_of_two_controls_are_joined_where_either_has_one() -> None:
    one = torch.ones(1)
    both = joined(Control(middle=one, skips={0: one}), Control(skips={0: one, 1: one}, input={2: one}))
    assert both.middle is one
    assert {key: each.item() for key, each in both.skips.items()} == {0: 2, 1: 1}
    assert both.input == {2: one}
