"""The server's settings, from the options."""

import pytest

from nodeloom.places import BadOption
from nodeloom.serving import feature_flag


def test_feature_flags_are_true_json_or_text() -> None:
    cases = {"a": True, "a=false": False, "a=7": 7, "a=some text": "some text", 'a={"b": [1]}': {"b": [1]}}
    for text, value in cases.items():
        assert feature_flag(text) == ("a", value), text
    with pytest.raises(BadOption, match="NAME"):
        feature_flag("=x")
