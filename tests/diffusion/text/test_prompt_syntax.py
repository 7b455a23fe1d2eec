"""What a prompt's signs mean, in examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.text.prompt_syntax import Mention, groups, mentions, possible_names, probable_name, weighted

EXAMPLES: dict[str, list[tuple[str, float]]] = {
    "": [],
    "plain words": [("plain words", 1.0)],
    "a (red) b": [("a ", 1.0), ("red", 1.1), (" b", 1.0)],
    "(red:1.3)": [("red", 1.3)],
    "(red:0.5) apple": [("red", 0.5), (" apple", 1.0)],
    "((sharp))": [("sharp", 1.21)],
    "(a (b) c:2) d": [("a ", 2.0), ("b", 2.2), (" c", 2.0), (" d", 1.0)],
    "((red:1.2) apple:1.5)": [("red", 1.2), (" apple", 1.5)],
    "[square] stays": [("[square] stays", 1.0)],
    r"rocks \(wet\)": [("rocks (wet)", 1.0)],
    r"(\(x\):1.2)": [("(x)", 1.2)],
    "(a:b)": [("a:b", 1.1)],
    "(a:b:1.2)": [("a:b", 1.2)],
    "(:1.2)": [(":1.2", 1.1)],
    "(a: 1.2 )": [("a", 1.2)],
    "(a:-1)": [("a", -1.0)],
    "(a:nan)": [("a:nan", 1.1)],
    "(a:inf)": [("a:inf", 1.1)],
    "()": [],
    "a) (b) c": [("a) (b) c", 1.0)],
    "(a": [("(a", 1.0)],
    "((a)": [("(a", 1.1)],
    "x (a": [("x ", 1.0), ("(a", 1.0)],
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_prompt_falls_into_weighted_pieces(text: str) -> None:
    pieces = [(piece.text, round(piece.weight, 6)) for piece in weighted(text)]
    assert pieces == EXAMPLES[text]


@given(st.text(st.sampled_from("ab():. 1\\")))
def test_groups_lose_nothing(text: str) -> None:
    assert "".join(groups(text)) == text


@given(st.text(st.characters(exclude_characters="()\\\x01\x02"), min_size=1))
def test_text_without_parentheses_is_one_piece(text: str) -> None:
    assert weighted(text) == [(text, 1.0)]


def test_depth_without_end_is_not_followed() -> None:
    pieces = weighted("(" * 5_000 + "a" + ")" * 5_000)
    assert len(pieces) == 1
    assert pieces[0].text.strip("()") == "a"


MENTIONS: dict[str, list[str | Mention]] = {
    "plain": ["plain"],
    "embedding:cat": [Mention("cat", "")],
    "a embedding:cat, vivid": ["a", Mention("cat,", "vivid")],
    "embedding:a embedding:b": [Mention("a", ""), Mention("b", "")],
    "x\nembedding:sub/cat.pt y  z": ["x", Mention("sub/cat.pt", "y z")],
    "anembedding:cat": ["anembedding:cat"],
    "embedding:": [Mention("", "")],
    "": [],
}


@pytest.mark.parametrize("text", MENTIONS)
def test_embeddings_are_found_by_name(text: str) -> None:
    assert mentions(text) == MENTIONS[text]


def test_signs_behind_a_name_may_belong_to_it_or_not() -> None:
    assert possible_names("glow") == ["glow"]
    assert possible_names("glow,dog") == ["glow,dog", "glow"]
    assert possible_names("v1.5-glow,dog.") == ["v1.5-glow,dog.", "v1.5-glow,dog", "v1.5-glow", "v1"]
    assert possible_names("glow,,") == ["glow,,", "glow"]
    assert len(possible_names("a," * 100)) == 17
    assert [probable_name(each) for each in ("glow,dog", "v1.5.", ",")] == ["glow", "v1.5", ","]


def test_an_embedding_may_stand_right_behind_a_comma() -> None:
    assert mentions("an apple,embedding:glow,dog") == ["an apple,", Mention("glow,dog", "")]
