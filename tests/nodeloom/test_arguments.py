"""The command line: what is parsed, what is said about it, and that all of it is documented."""

import argparse
from pathlib import Path

import pytest

from nodeloom.arguments import NEEDLESS, memory, parse, parser

DOCUMENT = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()


def options(whole: argparse.ArgumentParser) -> set[str]:
    """Every option that is not hidden, of the parser and of its commands."""
    found = set()
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= options(command)
        elif action.help != argparse.SUPPRESS:
            found |= {spelling for spelling in action.option_strings if spelling.startswith("--")}
    return found - {"--help"}


@pytest.mark.parametrize("option", sorted(options(parser())))
def test_every_option_is_documented(option: str) -> None:
    assert option in DOCUMENT


def test_the_references_way_of_starting_is_understood() -> None:
    words = "--output-directory D --listen H --port 8189 --extra-model-paths-config F --cpu --cache-lru 7"
    given = parse(words.split())
    assert (given.output_dir, given.listen, given.port, given.cpu) == (Path("D"), "H", 8189, True)
    assert given.extra_model_paths_config == [Path("F")]
    assert given.cache == "lru:7"
    assert parse(["--cache-none"]).cache == "none"
    assert parse(["--cache-lru", "0"]).cache == parse([]).cache == "classic"


@pytest.mark.parametrize("flag", NEEDLESS)
def test_a_switch_without_effect_is_accepted_and_remembered(flag: str) -> None:
    assert parse([flag]).needless == [flag]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--port", "70000"], "--port"),
        (["--precision", "fp8"], "--precision"),
        (["--no-such-flag"], "--no-such-flag"),
        (["nodes", "show"], "NAME"),
        (["--cache-lru", "many"], "--cache-lru"),
        (["--cache-lru", "-1"], "--cache-lru"),
        (["run"], "WORKFLOW.json"),
    ],
)
def test_a_wrong_option_is_named(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(words)
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("6GB", 6 * 2**30), ("800mb", 800 * 2**20), ("1.5g", 3 * 2**29), ("123", 123), ("2GiB", 2**31)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert memory(text) == size
