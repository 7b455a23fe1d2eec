"""The server's settings, from the options."""

from pathlib import Path

import pytest

from nodeloom.arguments import parse
from nodeloom.places import BadOption
from nodeloom.serving import feature_flag, server_settings


def test_a_preview_method_that_is_given_is_for_every_client(tmp_path: Path) -> None:
    place = ["--data-dir", str(tmp_path)]
    quiet, asked = (server_settings(parse([*place, *words])) for words in ([], ["--preview-method", "auto"]))
    assert (quiet.glimpses_for_all, asked.glimpses_for_all) == (False, True)
    assert "--preview-method" not in quiet.worker_command
    assert "--preview-method" in asked.worker_command


def test_feature_flags_are_true_json_or_text() -> None:
    cases = {"a": True, "a=false": False, "a=7": 7, "a=some text": "some text", 'a={"b": [1]}': {"b": [1]}}
    for text, value in cases.items():
        assert feature_flag(text) == ("a", value), text
    with pytest.raises(BadOption, match="NAME"):
        feature_flag("=x")
