"""The model made for tests cuts texts as LLaMA's own does, by recorded numbers that are widely known."""

import pytest
from sentencepiece import SentencePieceProcessor

from tests.golden import llama2

KNOWN = {
    "Hello world": [15043, 3186],
    "grabbed": [2646, 1327, 287],
    " grabbed": [29871, 2646, 1327, 287],
    "           grabbed": [9651, 2646, 1327, 287],
    "\n": [29871, 13],
    "🦙": [29871, 243, 162, 169, 156],
}


@pytest.mark.parametrize("text", KNOWN)
def test_texts_are_cut_as_ever(text: str) -> None:
    assert SentencePieceProcessor(model_proto=llama2.model()).encode(text) == KNOWN[text]
