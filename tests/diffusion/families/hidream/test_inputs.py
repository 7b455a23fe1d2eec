"""What a conditioning's options mean to HiDream, and what is missing said in words."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from diffusion.conditioning import Entry
from diffusion.errors import Mismatch
from diffusion.families.hidream.inputs import hidream_inputs
from diffusion.latents.latent_format import FLUX

SETTING: Any = SimpleNamespace(
    latent=torch.zeros(2, 16, 4, 6),
    model=SimpleNamespace(sizes=SimpleNamespace(llama=10, pooled=6), latent_format=FLUX),
)
LLAMA = torch.randn(1, 32, 3, 10)


def given(**options: Any) -> Any:
    """The inputs for an entry with these options."""
    return hidream_inputs(Entry(torch.zeros(1, 5, 12), options), "positive", SETTING)


def test_llama_and_pooled_text_are_handed_on_and_a_missing_sentence_is_silence() -> None:
    found = given(conditioning_llama3=LLAMA, pooled_output=torch.ones(1, 6))
    assert torch.equal(found["llama"], LLAMA)
    assert torch.equal(found["pooled"], torch.ones(1, 6))
    assert torch.equal(given(conditioning_llama3=LLAMA)["pooled"], torch.zeros(1, 6))
    assert "channels" not in found


def test_a_picture_to_edit_is_scaled_and_brought_to_the_size_of_the_run() -> None:
    picture = torch.randn(1, 16, 4, 6)
    found = given(conditioning_llama3=LLAMA, concat_latent_image=picture)
    assert torch.equal(found["channels"], FLUX.into(picture).repeat(2, 1, 1, 1))
    found = given(conditioning_llama3=LLAMA, concat_latent_image=torch.randn(1, 16, 8, 8))
    assert found["channels"].shape == (2, 16, 4, 6)


def test_a_text_without_llama_or_of_another_is_said() -> None:
    with pytest.raises(Mismatch, match=r"LLaMA 3\.1 has read"):
        given()
    with pytest.raises(Mismatch, match="10 channels, not 7"):
        given(conditioning_llama3=torch.zeros(1, 32, 3, 7))
