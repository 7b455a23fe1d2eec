"""Words drawn by chance: the same seed draws the same, and files are found safely."""

import pytest

from execution.errors import OutsideRoot
from execution.files.folders import Folders
from nodes.text.wildcards import drawn, wildcard_files, wildcard_text


@pytest.fixture
def folders(tmp_path: object) -> Folders:
    """Folders with some wildcards."""
    found = Folders(tmp_path)  # type: ignore[arg-type]  # a path
    for name, text in {
        "colour": "# colours\nred\n\n  blue \n",
        "animal/pet": "__colour__ cat\n{tiny|huge} dog",
        "round": "__round__",
        "empty": "# nothing",
    }.items():
        path = found.input / "wildcards" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return found


def test_all_that_may_be_drawn_is_drawn(folders: Folders) -> None:
    texts = {drawn("a __animal/pet__", seed, folders) for seed in range(60)}
    assert texts == {"a red cat", "a blue cat", "a tiny dog", "a huge dog"}


def test_the_same_seed_draws_the_same(folders: Folders) -> None:
    text = "{a|b|{c|d}} __colour__ __animal/pet__"
    assert wildcard_text(text, 7, folders=folders) == wildcard_text(text, 7, folders=folders)
    assert len({drawn(text, seed, folders) for seed in range(20)}) > 3


def test_a_text_without_chances_stays(folders: Folders) -> None:
    assert drawn("snake_case __ and {open", 0, folders) == "snake_case __ and {open"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__none__", r"no file 'wildcards/none\.txt'"),
        ("__empty__", "no lines"),
        ("__round__", "more than 1000"),
    ],
)
def test_what_cannot_be_drawn_is_said(folders: Folders, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn(text, 0, folders)


def test_names_stay_in_the_folder(folders: Folders) -> None:
    (folders.base / "secret.txt").write_text("secret")
    for name in ("../../secret", "../x", "a/../../../b"):
        with pytest.raises(OutsideRoot):
            drawn(f"__{name}__", 0, folders)


def test_the_key_follows_the_contents_of_all_files_that_are_named(folders: Folders) -> None:
    before = wildcard_files(folders, "a __animal/pet__")
    assert [name for name, _ in before] == ["animal/pet", "colour"]
    assert wildcard_files(folders, "a __animal/pet__") == before
    (folders.input / "wildcards/colour.txt").write_text("green")
    after = wildcard_files(folders, "a __animal/pet__")
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert wildcard_files(folders, "plain __none__") == []
    (folders.input / "wildcards/empty.txt").write_text("full")
    assert [name for name, _ in wildcard_files(folders)] == ["animal/pet", "colour", "empty", "round"]
