"""Any name that a user's system makes is taken, or mended to a near one; paths and reserved names are not."""

import json
import unicodedata
from pathlib import Path

import pytest
from aiohttp import web

from server.names import MOST_BYTES, file_name, folder_name, is_plain
from server.settings import Settings
from tests.server.attacks import upload
from tests.server.client import Client

TAKEN = [
    "Screenshot 2026-11-29 at 3.45.12\u202fPM.png",
    "写真\u3000一.png",
    "family 👨\u200d👩\u200d👧.png",
    unicodedata.normalize("NFD", "Übergröße é.png"),
    "no\u00a0break.png",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.png",
    "left\u200emark.webp",
    "\uf8ff apple.png",
    "👍🏽.png",
    "a & b (1) #2 100% +~'`$;=@[]{}!.png",
    "x" * MOST_BYTES,
    ".hidden",
    "a..b",
]
MENDED = {
    "What is this?.png": "What is this_.png",
    "12:30.png": "12_30.png",
    "a\x1bb\nc\u2028d.png": "a_b_c_d.png",
    " ends \u3000": "ends",
    "gnp.\u202eexe.png": "gnp._exe.png",
    "half \ud800.png": "half _.png",
    "画" * 100 + ".png": "画" * 78 + ".png",
    "x" * 250: "x" * MOST_BYTES,
    "a." + "x" * 250: "a." + "x" * (MOST_BYTES - 2),
}


@pytest.mark.parametrize("name", TAKEN)
def test_any_script_and_any_space_is_taken_as_it_is(name: str) -> None:
    assert file_name(name) == name
    assert is_plain(name)


@pytest.mark.parametrize("name", MENDED)
def test_what_a_system_could_not_keep_is_mended(name: str) -> None:
    assert file_name(name) == MENDED[name]
    assert len(file_name(name).encode()) <= MOST_BYTES


@pytest.mark.parametrize(
    "name", ["", " ", "..", ".", "a/b", "a\\b", "a\0", "CON", "nul.txt", "end.", "x" * 256]
)
def test_paths_and_what_systems_reserve_are_refused(name: str) -> None:
    with pytest.raises(web.HTTPBadRequest):
        file_name(name)


def test_the_parts_of_a_folder_are_names() -> None:
    assert folder_name("a\\写真\u3000/b?/") == "a/写真/b_"
    assert folder_name("") == ""
    with pytest.raises(web.HTTPBadRequest):
        folder_name("a/../b")


@pytest.mark.parametrize("name", [*TAKEN[:5], "What is this?.png"])
async def test_an_upload_is_there_under_its_name_or_a_near_one(
    calm: Client, settings: Settings, name: str
) -> None:
    answer = await upload(calm, "/upload/image", name, b"one")
    assert answer.status == 200, answer.body
    kept = json.loads(answer.body)["name"]
    assert kept == MENDED.get(name, name)
    assert (Path(settings.folders.input) / kept).read_bytes() == b"one"
    response, body = await calm.response("GET", "/view", params={"filename": kept, "type": "input"})
    assert (response.status, body) == (200, b"one")
    assert kept in settings.folders.list("input:image")


@pytest.mark.parametrize("name", TAKEN[:5])
async def test_a_workflow_is_kept_under_any_name(calm: Client, name: str) -> None:
    path = "/userdata/" + "".join(f"%{byte:02x}" for byte in f"workflows/{name}.json".encode())
    answer = await calm.request("POST", path, {"Content-Type": "application/json"}, b"{}")
    assert answer.status == 200, answer.body
    assert (await calm.request("GET", path)).body == b"{}"
