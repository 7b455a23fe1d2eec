"""A user's files: inside their folder, whole, with revisions."""

from pathlib import Path

import pytest
from aiohttp import web

from execution.files.folders import Folders
from server.userfiles import UserFiles, revision


@pytest.fixture
def files(tmp_path: Path) -> UserFiles:
    (tmp_path / "user").mkdir()
    return UserFiles(Folders(tmp_path))


def code(raised: pytest.ExceptionInfo[web.HTTPException]) -> int:
    return raised.value.status


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "", "__pycache__/x", "ComfyUI-Manager/x", "a.py", "x\0"]
)
def test_names_that_lead_out_or_to_code_are_not_found(files: UserFiles, name: str) -> None:
    with pytest.raises(web.HTTPNotFound):
        files.path(name)


def test_a_file_is_read_back_with_its_revision(files: UserFiles) -> None:
    entry = files.write("workflows/a.json", b"{}", False, "", "")
    assert (entry.path, entry.size) == ("workflows/a.json", 2)
    assert files.read("workflows/a.json") == (b"{}", revision(b"{}"))


def test_nobody_overwrites_what_they_have_not_seen(files: UserFiles) -> None:
    files.write("a.json", b"1", False, "", "")
    with pytest.raises(web.HTTPException) as raised:
        files.write("a.json", b"2", False, "", "")
    assert code(raised) == 409
    with pytest.raises(web.HTTPException) as raised:
        files.write("a.json", b"2", True, revision(b"0"), "")
    assert code(raised) == 412
    assert files.read("a.json")[0] == b"1"
    files.write("a.json", b"2", True, revision(b"1"), "")
    assert files.read("a.json")[0] == b"2"


def test_files_move_list_and_go(files: UserFiles) -> None:
    files.write("w/a.json", b"1", False, "", "")
    files.write("w/deep/b.json", b"2", False, "", "")
    assert [each.path for each in files.entries("w", True)] == ["a.json", "deep/b.json"]
    assert [each.path for each in files.entries("w", False)] == ["a.json"]
    with pytest.raises(web.HTTPException) as raised:
        files.move("w/a.json", "w/deep/b.json", False)
    assert code(raised) == 409
    assert files.move("w/a.json", "c.json", False).path == "c.json"
    files.delete("c.json", "")
    with pytest.raises(web.HTTPNotFound):
        files.read("c.json")
