"""Tokens equal those of CLIP's own tokenizer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from diffusion.text.tokenizer import END, MERGES, START, Vocabulary, words

CLIP = Vocabulary.read()


@pytest.fixture(scope="module")
def theirs() -> CLIPTokenizer:
    return CLIPTokenizer(vocab=dict(CLIP.numbers), merges=list(CLIP.ranks))


def test_the_vocabulary_has_clips_size_and_ends() -> None:
    assert len(CLIP.numbers) == 49_408
    assert (CLIP.start, CLIP.end) == (49_406, 49_407)
    assert MERGES.stat().st_size < 300_000


KNOWN = {
    "a photograph of an astronaut riding a horse": [320, 8853, 539, 550, 18376, 6765, 320, 4558],
    "Hello World": [3306, 1002],
    "": [],
    "   \n\t ": [],
    END: [49_407],
    "1234": [272, 273, 274, 275],
}


@pytest.mark.parametrize("text", KNOWN)
def test_known_texts_have_known_tokens(text: str) -> None:
    assert CLIP.encode(text) == KNOWN[text]


TRICKY = (
    "雪の山 🏔️ sunrise",
    "un château à la montagne, élégant",
    "don't we'll IT'S 'sup ''s !!'s x'",
    "Ünï\u0301 ΣΑΣ İstanbul ß",
    "a\x00b\x1cc\x85d\u00a0e\u200bf",
    f"{END} x{START}y <|EndOfText|>",
    "½ ² Ⅷ ٣",
    "a_b-c@d.e/f\\g [x] {y} (z:1.2)",
    "supercalifragilisticexpialidocious" * 20,
)


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_texts_are_cut_as_clip_cuts_them(text: str, theirs: CLIPTokenizer) -> None:
    assert CLIP.encode(text) == theirs(text)["input_ids"][1:-1]


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("abcXYZ 0129'\"()<>|é語のア🏔\ufe0f\u200d\u0301ßŁİΣ\n\t½")))
def test_any_text_is_cut_as_clip_cuts_it(theirs: CLIPTokenizer, text: str) -> None:
    assert CLIP.encode(text) == theirs(text)["input_ids"][1:-1]


def test_tokens_can_be_read_back() -> None:
    for text in ("a red apple, 8k", "château 雪の山 🏔️"):
        assert CLIP.decode(CLIP.encode(text)).replace(" ", "") == text.replace(" ", "")


def test_words_are_letters_digits_signs_and_contractions() -> None:
    assert list(words("It's 42!! ok")) == ["it", "'s", "4", "2", "!!", "ok"]
