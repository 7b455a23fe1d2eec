"""A file is another one when its content is, whatever its size and time say."""

import os
from pathlib import Path

import pytest

from execution.files import identity
from execution.files.identity import stamp_of, trace_of


def replaced(path: Path, content: bytes) -> None:
    """Another content under the same name, of the same time."""
    status = path.stat()
    path.write_bytes(content)
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # clocks of file systems tick slowly
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("size", [0, 3, 2 * identity.END_BYTES, 3 * identity.END_BYTES])
def test_the_same_file_has_the_same_stamp(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(size))
    assert stamp_of(path) == stamp_of(path)
    assert stamp_of(path).size == size
    assert trace_of(path) == trace_of(path)


@pytest.mark.parametrize("at", [0, 70_000, 190_000])
def test_another_content_of_the_same_size_and_time_has_another_stamp(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(200_000))
    before = stamp_of(path)
    replaced(path, bytes(at) + b"x" + bytes(199_999 - at))
    after = stamp_of(path)
    assert (after.size, after.changed) == (before.size, before.changed)
    assert after != before
    assert (after.ends != before.ends) == (at != 70_000)


def test_a_file_put_in_place_of_another_has_another_stamp_and_trace(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    for each in (path, other):
        each.write_bytes(b"same")
        os.utime(each, ns=(1, 1))
    before, seen = stamp_of(path), trace_of(path)
    os.replace(other, path)
    assert stamp_of(path) != before
    assert trace_of(path) != seen


def test_what_is_not_there_has_no_trace(tmp_path: Path) -> None:
    assert trace_of(tmp_path / "nothing") is None
    with pytest.raises(OSError, match="nothing"):
        stamp_of(tmp_path / "nothing")
