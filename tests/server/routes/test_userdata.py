"""A user's files and settings: whole, with revisions, so that nobody overwrites another unseen."""

import asyncio
import json
from pathlib import Path

import pytest

from server.settings import Settings
from tests.server.client import Client
from tests.server.conftest import NOBODY, Serve


@pytest.fixture
def home(settings: Settings) -> Path:
    return settings.folders.user / "default"


async def test_a_file_is_written_listed_moved_and_removed(calm: Client, home: Path) -> None:
    assert await calm.post("/userdata/workflows%2Fa.json", {"v": 1}) == (200, "workflows/a.json")
    assert await calm.get("/userdata/workflows%2Fa.json") == (200, {"v": 1})
    assert json.loads((home / "workflows" / "a.json").read_text()) == {"v": 1}
    moved = await calm.post("/userdata/workflows%2Fa.json/move/workflows%2Fdeep%2Fb.json")
    assert moved == (200, "workflows/deep/b.json")
    assert (await calm.get("/userdata/workflows%2Fa.json"))[0] == 404
    assert await calm.ask("DELETE", "/userdata/workflows%2Fdeep%2Fb.json") == (204, b"")
    assert (await calm.ask("DELETE", "/userdata/workflows%2Fdeep%2Fb.json"))[0] == 404


async def test_lists_come_in_every_shape(calm: Client) -> None:
    for name in ("a.json", "deep%2Fb.json", "deep%2Fer%2Fc.json", ".index.json"):
        await calm.post(f"/userdata/workflows%2F{name}", {})
    flat, deep = [".index.json", "a.json"], [".index.json", "a.json", "deep/b.json", "deep/er/c.json"]
    assert await calm.get("/userdata?dir=workflows") == (200, flat)
    assert await calm.get("/userdata?dir=workflows&recurse=true") == (200, deep)
    assert await calm.get("/userdata?dir=workflows%2Fdeep&recurse=true") == (200, ["b.json", "er/c.json"])
    _, split = await calm.get("/userdata?dir=workflows&recurse=true&split=true")
    assert split[-1] == ["deep/er/c.json", "deep", "er", "c.json"]
    _, full = await calm.get("/userdata?dir=workflows&full_info=true")
    assert full[1]["path"] == "a.json"
    assert full[1]["size"] == 2
    assert full[1]["modified"] > 1.6e12, "milliseconds"
    _, tree = await calm.get("/v2/userdata?path=workflows")
    assert {entry["name"]: (entry["path"], entry["type"]) for entry in tree} == {
        ".index.json": ("workflows/.index.json", "file"),
        "a.json": ("workflows/a.json", "file"),
        "deep": ("workflows/deep", "directory"),
    }
    assert (await calm.get("/userdata?dir=absent"))[0] == 404
    assert (await calm.get("/userdata"))[0] == 400


async def test_overwriting_is_as_asked(calm: Client) -> None:
    await calm.post("/userdata/a.json", 1)
    await calm.post("/userdata/b.json", 2)
    assert (await calm.post("/userdata/a.json?overwrite=false", 3))[0] == 409
    assert (await calm.post("/userdata/a.json/move/b.json?overwrite=false"))[0] == 409
    assert await calm.get("/userdata/a.json") == (200, 1)
    assert (await calm.post("/userdata/a.json?overwrite=true", 3))[0] == 200
    assert (await calm.post("/userdata/a.json/move/b.json?overwrite=true"))[0] == 200
    assert await calm.get("/userdata/b.json") == (200, 3)
    status, record = await calm.post("/userdata/b.json?full_info=true", 4)
    assert (status, record["path"], record["size"]) == (200, "b.json", 1)


async def test_two_tabs_do_not_overwrite_each_other(calm: Client) -> None:
    await calm.post("/userdata/w.json", {"tab": 0})
    response, _ = await calm.response("GET", "/userdata/w.json")
    etag = response.headers["ETag"]
    first, _ = await calm.response("POST", "/userdata/w.json", json={"tab": 1}, headers={"If-Match": etag})
    second, _ = await calm.response("POST", "/userdata/w.json", json={"tab": 2}, headers={"If-Match": etag})
    assert (first.status, second.status) == (200, 412)
    assert await calm.get("/userdata/w.json") == (200, {"tab": 1})
    renewed = first.headers["ETag"]
    assert renewed != etag
    again, _ = await calm.response("POST", "/userdata/w.json", json={"tab": 2}, headers={"If-Match": renewed})
    assert again.status == 200
    unchanged, _ = await calm.response(
        "GET", "/userdata/w.json", headers={"If-None-Match": again.headers["ETag"]}
    )
    assert unchanged.status == 304
    stale, _ = await calm.response("DELETE", "/userdata/w.json", headers={"If-Match": etag})
    assert stale.status == 412
    fresh, _ = await calm.response("POST", "/userdata/w.json", json=1, headers={"If-None-Match": "*"})
    assert fresh.status == 412
    absent, _ = await calm.response("POST", "/userdata/new.json", json=1, headers={"If-Match": etag})
    assert absent.status == 412


async def test_many_writers_leave_one_whole_file(calm: Client, home: Path) -> None:
    documents = [{"writer": index, "text": "x" * 50_000} for index in range(20)]
    answers = await asyncio.gather(*(calm.post("/userdata/w.json", document) for document in documents))
    assert {status for status, _ in answers} == {200}
    assert json.loads((home / "w.json").read_text()) in documents
    assert [path.name for path in home.iterdir()] == ["w.json"], "nothing half written lies about"


async def test_of_writers_with_one_revision_one_wins(calm: Client) -> None:
    response, _ = await calm.response("POST", "/userdata/w.json", json=0)
    headers = {"If-Match": response.headers["ETag"]}
    answers = await asyncio.gather(*(calm.post("/userdata/w.json", n, headers=headers) for n in range(1, 9)))
    assert sorted(status for status, _ in answers) == [200] + [412] * 7


async def test_a_file_in_the_way_is_said(calm: Client) -> None:
    await calm.post("/userdata/a", {})
    status, body = await calm.post("/userdata/a%2Fb.json", {})
    assert (status, body["error"]["type"]) == (400, "bad_name")
    await calm.post("/userdata/d%2Fx.json", {})
    assert (await calm.post("/userdata/d", {}))[0] == 400
    assert (await calm.get("/userdata/d"))[0] == 404


async def test_settings_are_merged_and_read_by_id(calm: Client) -> None:
    assert await calm.get("/settings") == (200, {})
    assert await calm.get("/settings/a") == (200, None)
    assert (await calm.post("/settings", {"a": 1, "b": {"c": [2]}}))[0] == 200
    assert (await calm.post("/settings/a", "text"))[0] == 200
    assert (
        await calm.post(
            "/settings/n", None, json=None, data=b"null", headers={"Content-Type": "application/json"}
        )
    )[0] == 200
    assert await calm.get("/api/settings") == (200, {"a": "text", "b": {"c": [2]}, "n": None})
    assert await calm.get("/settings/b") == (200, {"c": [2]})


async def test_settings_from_many_tabs_all_stay(calm: Client) -> None:
    answers = await asyncio.gather(*(calm.post(f"/settings/s{index}", index) for index in range(12)))
    kept = (await calm.get("/settings"))[1]
    for index, (status, _) in enumerate(answers):
        assert status in (200, 412), "a tab may be told to try again"
        assert (f"s{index}" in kept) == (status == 200), "but never lose what was confirmed"
    assert len(kept) > 4


async def test_settings_can_be_bound_to_a_revision(calm: Client) -> None:
    await calm.post("/settings", {"a": 1})
    response, _ = await calm.response("GET", "/settings")
    headers = {"If-Match": response.headers["ETag"]}
    assert (await calm.post("/settings", {"a": 2}, headers=headers))[0] == 200
    assert (await calm.post("/settings", {"a": 3}, headers=headers))[0] == 412
    assert await calm.get("/settings/a") == (200, 2)


async def test_broken_settings_are_empty_and_can_be_set_again(calm: Client, home: Path) -> None:
    home.mkdir(exist_ok=True)
    for broken in ("", "{", "[1]", "[" * 5_000):
        (home / "comfy.settings.json").write_text(broken)
        assert await calm.get("/settings") == (200, {})
        assert (await calm.post("/settings/a", 1))[0] == 200
        assert await calm.get("/settings") == (200, {"a": 1})


async def test_the_editors_own_posts_without_a_type_are_taken(calm: Client) -> None:
    """ComfyUI's front-end sends text/plain here; its origin is checked."""
    headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": calm.origin}
    for path in ("/userdata/w.json", "/settings", "/settings/x"):
        answer = await calm.request("POST", path, headers, b'{"a": 1}')
        assert answer.status == 200, path


async def test_several_users_have_files_and_settings_of_their_own(serve: Serve, settings: Settings) -> None:
    async with serve(worker_command=NOBODY, multi_user=True) as client:
        assert await client.get("/users") == (200, {"storage": "server", "users": {}})
        status, anna = await client.post("/users", {"username": "Anna Ü."})
        assert status == 200
        assert anna.startswith("Anna-_")
        _, bert = await client.post("/users", {"username": "bert"})
        assert (await client.get("/users"))[1]["users"] == {anna: "Anna Ü.", bert: "bert"}
        who = {user: {"comfy-user": user} for user in (anna, bert, "default")}
        for user, headers in who.items():
            await client.post("/userdata/a.json", {"of": user}, headers=headers)
            await client.post("/settings/x", user, headers=headers)
        for user, headers in who.items():
            assert await client.get("/userdata/a.json", headers=headers) == (200, {"of": user})
            assert await client.get("/settings/x", headers=headers) == (200, user)
            assert json.loads((settings.folders.user / user / "a.json").read_bytes()) == {"of": user}
        assert await client.get("/userdata/a.json") == (200, {"of": "default"})
        assert await client.get("/userdata/a.json", headers={"comfy-user": "bert"}) == (200, {"of": bert})
        assert (await client.response("GET", "/settings"))[0].headers["nodeloom-users"] == "several"
        for bad in ("carla", "../default", "nobody"):
            status, body = await client.get("/userdata/a.json", headers={"comfy-user": bad})
            assert (status, body["error"]["type"]) == (401, "unknown_user")
        for name, kind in (("bert", "duplicate_username"), ("", "invalid_username"), (5, "invalid_username")):
            status, body = await client.post("/users", {"username": name})
            assert (status, body["error"]["type"]) == (400, kind)


async def test_users_made_on_a_server_of_one_user_are_there_once_it_has_several(
    serve: Serve, calm: Client
) -> None:
    status, anna = await calm.post("/users", {"username": "anna"})
    assert status == 200
    for name in ("anna", " anna ", "default"):
        status, body = await calm.post("/users", {"username": name})
        assert (status, body["error"]["type"]) == (400, "duplicate_username"), name
    assert (await calm.get("/settings", headers={"comfy-user": "nobody"}))[0] == 200
    assert "nodeloom-users" not in (await calm.response("GET", "/settings"))[0].headers
    assert "users" not in (await calm.get("/users"))[1]
    async with serve(worker_command=NOBODY, multi_user=True) as client:
        assert (await client.get("/users"))[1]["users"] == {anna: "anna"}


async def test_scripts_may_send_json_files_by_the_form_type(calm: Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await calm.ask("POST", "/userdata/a.json", data=b'{"a": 1}', headers=form))[0] == 200
    assert await calm.get("/userdata/a.json") == (200, {"a": 1})
    assert (await calm.ask("POST", "/settings/x", data=b"5", headers=form))[0] == 200
    assert await calm.get("/settings/x") == (200, 5)
