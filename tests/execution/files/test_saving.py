"""Files are whole or not there, and no number is given twice."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from execution.files.saving import Counters, SavePlace, atomic_write, filled_in, highest_number


def test_the_highest_number_is_that_of_the_prefix_alone(tmp_path: Path) -> None:
    for name in ("a_00003_.png", "a_00012.webp", "a_7", "ab_00099_.png", "a_x_00050_.png", "a_00001x.png"):
        (tmp_path / name).touch()
    assert highest_number(tmp_path, "a") == 12
    assert highest_number(tmp_path, "b") == 0
    assert highest_number(tmp_path / "gone", "a") == 0


def test_numbers_go_on_without_reading_the_folder_again(tmp_path: Path) -> None:
    counters = Counters()
    (tmp_path / "a_00004_.png").touch()
    assert counters.reserve(tmp_path, "a", 3) == 5
    (tmp_path / "a_00050_.png").touch()
    assert counters.reserve(tmp_path, "a") == 8
    assert counters.reserve(tmp_path, "a", fresh=True) == 51
    assert counters.reserve(tmp_path, "b") == 1


def test_a_folder_that_was_emptied_does_not_bring_numbers_back(tmp_path: Path) -> None:
    counters = Counters()
    assert counters.reserve(tmp_path / "gone", "a", 2) == 1
    assert counters.reserve(tmp_path / "gone", "a") == 3


def test_many_writers_get_different_numbers(tmp_path: Path) -> None:
    counters, taken = Counters(), []
    threads = [
        threading.Thread(target=lambda: taken.extend(counters.reserve(tmp_path, "a") for _ in range(125)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 1001))


def test_a_place_names_its_files(tmp_path: Path) -> None:
    place = SavePlace(tmp_path, "pic", 9, "sub")
    assert place.name(".png") == "pic_00009_.png"
    assert place.path(".webp", 2) == tmp_path / "pic_00011_.webp"


def test_known_words_between_percent_signs_are_filled_in() -> None:
    now = time.strptime("2026-03-04 05:06:07", "%Y-%m-%d %H:%M:%S")
    pattern = "%year%-%month%-%day% %hour%.%minute%.%second% %width%x%height% %other% 100%"
    assert filled_in(pattern, 8, 9, now) == "2026-03-04 05.06.07 8x9 %other% 100%"
    assert filled_in("plain") == "plain"
    assert filled_in("%year%") == str(time.localtime().tm_year)


def test_a_file_is_written_whole_with_the_usual_rights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"first")
        assert not path.exists()
    assert path.read_bytes() == b"first"
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert os.listdir(path.parent) == ["file.bin"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"), atomic_write(path) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]
