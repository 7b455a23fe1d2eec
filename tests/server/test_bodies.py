"""JSON documents within their caps."""

import pytest

from server.bodies import document, is_deeper


@pytest.mark.parametrize(
    "text", [b"NaN", b'{"a": Infinity}', b"1e999", b"{", b"\xff", b'{"a": [[[1]]]}', b"[" * 100_000]
)
def test_what_is_no_plain_json_or_too_deep_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        document(text, 3)


def test_other_documents_are_read() -> None:
    assert document(b'{"a": [[1.5, null]]}', 3) == {"a": [[1.5, None]]}


def test_depth_counts_lists_and_objects() -> None:
    assert [is_deeper(value, 1) for value in (1, [], [1], [[]], {"a": {}}, {"a": 1})] == [
        False,
        False,
        False,
        True,
        True,
        False,
    ]
