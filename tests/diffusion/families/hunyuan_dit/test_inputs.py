"""What a conditioning's options mean to HunyuanDiT, and what is missing said in words."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from diffusion.conditioning import Entry
from diffusion.errors import Mismatch
from diffusion.families.hunyuan_dit.inputs import hunyuan_dit_inputs, picture_sizes

MT5 = torch.randn(1, 256, 10)


def given(styled: bool, **options: Any) -> Any:
    """The inputs for an entry with these options."""
    model = SimpleNamespace(sizes=SimpleNamespace(mt5=10, styled=styled))
    setting: Any = SimpleNamespace(latent=torch.zeros(2, 4, 4, 6), model=model)
    return hunyuan_dit_inputs(Entry(torch.zeros(1, 77, 12), options), "positive", setting)


def test_mt5_and_both_masks_are_handed_on() -> None:
    masks = {"attention_mask": torch.ones(1, 77), "attention_mask_mt5xl": torch.zeros(1, 256)}
    found = given(False, conditioning_mt5xl=MT5, **masks)
    assert set(found) == {"mt5", "mask", "mt5_mask"}
    assert torch.equal(found["mt5"], MT5)
    assert torch.equal(found["mt5_mask"], masks["attention_mask_mt5xl"])


def test_only_the_first_version_is_told_sizes() -> None:
    assert "sizes" not in given(False, conditioning_mt5xl=MT5)
    assert given(True, conditioning_mt5xl=MT5)["sizes"].tolist() == [[32, 48, 32, 48, 0, 0]]
    assert picture_sizes({"height": 90, "target_width": 70}, 4, 6) == (90, 48, 90, 70, 0, 0)


def test_a_text_without_mt5_or_of_another_is_said() -> None:
    with pytest.raises(Mismatch, match="mT5 has read"):
        given(False)
    with pytest.raises(Mismatch, match="10 channels, not 7"):
        given(False, conditioning_mt5xl=torch.zeros(1, 256, 7))
