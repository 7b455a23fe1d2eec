"""Models in several files: listed once, and changed when any of them is."""

from pathlib import Path

from execution.files.shards import first_of, shown_once, stamp_of_all

PARTS = [f"big-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


def test_each_part_is_known_by_the_first() -> None:
    assert {first_of(name) for name in PARTS} == {PARTS[0]}
    assert first_of("small.safetensors") == "small.safetensors"


def test_a_list_shows_the_first_part_alone() -> None:
    assert shown_once(["a.safetensors", *PARTS, "z.gguf"]) == ["a.safetensors", PARTS[0], "z.gguf"]


def test_a_change_of_any_part_is_a_change(tmp_path: Path) -> None:
    for name in PARTS:
        (tmp_path / name).write_bytes(b"123")
    before = stamp_of_all(tmp_path / PARTS[0])
    assert stamp_of_all(tmp_path / PARTS[0]) == before
    (tmp_path / PARTS[2]).write_bytes(b"1234")
    assert stamp_of_all(tmp_path / PARTS[0]) != before
