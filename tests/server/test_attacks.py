"""The replay list: each published attack on servers of this kind, sent as raw bytes, and what an immune
server does.

Numbers S1 … S31 are those of our field study of advisories; the row's CVE or issue is in the test's
docstring.
"""

import asyncio
import io
import json
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from server.settings import Limits, Settings
from tests.server.client import Client, RawAnswer
from tests.server.conftest import Serve

CANARY = b"CANARY-4f1c"
LOAD = {"class_type": "ToyLoad", "inputs": {"image": "a.png"}}
SHOW = {"class_type": "ToyShow", "inputs": {"value": ["1", 0]}}
NUMBER = {"class_type": "ToyNumber", "inputs": {"value": 1}}
GOOD = {"1": NUMBER, "2": SHOW}
JSON = {"Content-Type": "application/json"}
POSTS = [
    "/prompt", "/queue", "/interrupt", "/history", "/free", "/settings", "/settings/x", "/upload/image",
    "/upload/mask", "/userdata/x.json", "/userdata/x.json/move/y.json", "/api/jobs/x/cancel", "/nodeloom/lint",
    "/nodeloom/explain", "/nodeloom/login",
]  # fmt: skip


def data(settings: Settings) -> Path:
    return settings.folders.base


@pytest.fixture(autouse=True)
def canaries(settings: Settings) -> None:
    """Files that must never be read: outside the data folder, outside each root, behind links."""
    base = data(settings)
    for folder in (base.parent, base, base / "user", base / "models", settings.state_dir):
        folder.mkdir(exist_ok=True)
        for name in ("canary", "canary.png", "canary.json", "canary.safetensors"):
            (folder / name).write_bytes(CANARY)
    (base / "secrets").mkdir()
    (base / "secrets" / "canary").write_bytes(CANARY)
    for root in ("input", "output", "temp", "user/default"):
        (base / root).mkdir(exist_ok=True)
        (base / root / "link").symlink_to(base / "secrets")
        (base / root / "link.png").symlink_to(base / "secrets" / "canary")
    (base / "output" / "real.png").write_bytes(b"png")


def assert_refused(answer: RawAnswer, where: object, *statuses: int) -> None:
    assert answer.status in (statuses or (400, 404)), (where, answer.status, answer.body[:200])
    assert CANARY not in answer.body, where


def form(parts: dict[str, tuple[str | None, bytes]]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a multipart form; a part is (filename or None, bytes)."""
    body = b""
    for name, (filename, content) in parts.items():
        also = f'; filename="{filename}"' if filename is not None else ""
        body += f'--edge\r\nContent-Disposition: form-data; name="{name}"{also}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return {"Content-Type": "multipart/form-data; boundary=edge"}, body + b"--edge--\r\n"


async def upload(client: Client, path: str, filename: str, content: bytes = b"x", **fields: str) -> RawAnswer:
    parts: dict[str, tuple[str | None, bytes]] = {
        name: (None, text.encode()) for name, text in fields.items()
    }
    headers, body = form({**parts, "image": (filename, content)})
    return await client.request("POST", path, headers, body)


VIEWS = [
    "filename=../../canary", "filename=%2e%2e%2fcanary", "filename=%2e%2e%2f%2e%2e%2fcanary",
    "filename=..%5c..%5ccanary", "filename=/etc/passwd", "filename=%2fetc%2fpasswd", "filename=C:%5cwin.ini",
    "filename=../../canary%20[input]", "filename=canary&subfolder=../..", "filename=passwd&subfolder=/etc",
    "filename=canary&subfolder=..", "filename=canary&type=..", "filename=canary&type=user",
    "filename=canary&type=../../", "filename=a.png%00.txt", "filename=real.png%00", "filename=.",
    "filename=..", "filename=canary&subfolder=link", "filename=link.png", "filename=link.png&preview=webp;90",
    "filename=absent.png", "filename=link&channel=a", "filename=%ff%fe", "filename=a&subfolder=%00",
    "filename=" + "a" * 5000, "filename=....//....//canary", "filename=..%252f..%252fcanary",
]  # fmt: skip


@pytest.mark.parametrize("root", ["input", "output", "temp"])
async def test_s1_s2_view_reads_nothing_outside_its_roots(client: Client, root: str) -> None:
    """ComfyUI#2927, #12285."""
    bodies = set()
    for query in VIEWS:
        for path in ("/view", "/api/view"):
            kind = "" if "type=" in query else f"&type={root}"
            answer = await client.request("GET", f"{path}?{query}{kind}")
            assert_refused(answer, query, 404)
            bodies.add(answer.body)
    assert len(bodies) == 1, "absent and forbidden look the same"
    assert_refused(await client.request("GET", "/view?filename="), "empty", 400)
    assert (await client.request("GET", "/view?filename=real.png&type=output")).status == 200


STATICS = [
    "/../../../../canary", "/../canary", "/..%2fcanary", "/%2e%2e/canary", "/%2e%2e%2fcanary", "/..%5ccanary",
    "/extensions/toys/..%2f..%2fcanary", "/extensions/toys/../../canary", "/extensions/../canary",
    "/extensions/nope/x.js", "/extensions/toys/absent.js", "/extensions/core/..%2f..%2fcanary", "//etc/passwd",
    "/etc/passwd", "/./canary", "/main.js%00", "/.git/config", "/main.js/", "/main.js/x", "/C:/win.ini",
    "/api/../canary", "/web-link/canary", "/workflow_templates/toys/..%2f..%2fcanary",
]  # fmt: skip


async def test_s3_static_files_stay_in_their_folder(client: Client, settings: Settings) -> None:
    """aiohttp CVE-2024-23334, CVE-2025-69226."""
    (settings.web_root / "web-link").symlink_to(data(settings))
    (settings.web_root.parent / "canary").write_bytes(CANARY)
    bodies = set()
    for target in STATICS:
        answer = await client.request("GET", target)
        assert_refused(answer, target, 404)
        bodies.add(answer.body)
    assert len(bodies) == 1, "absent and forbidden look the same"
    assert (await client.request("GET", "/main.js")).status == 200


BAD_NAMES = [
    "../../custom_nodes/x/__init__.py", "..\\..\\x.png", "/etc/cron.d/x", "a/b.png", "CON", "con.png", "nul.txt",
    "COM1.png", "trailing.", "trailing ", " leading", "..", ".", "a\x00b.png", "a\x1bb.png", "C:x.png", "a:b",
    "x" * 300, "a?.png", "", "LPT9",
]  # fmt: skip


async def test_s4_uploads_land_in_their_folder_under_a_plain_name(client: Client, settings: Settings) -> None:
    """CVE-2024-21575 and the reference's unhandled `type`."""
    for name in BAD_NAMES:
        assert_refused(await upload(client, "/upload/image", name), name, 400)
    fields = [
        {"subfolder": "../custom_nodes"}, {"subfolder": "/etc"}, {"subfolder": "a/../../b"}, {"subfolder": "link"},
        {"subfolder": "link/x"}, {"type": "bogus"}, {"type": "../output"}, {"type": "user"}, {"subfolder": "a//b"},
        {"subfolder": "..\\x"}, {"subfolder": "a\x00"}, {"subfolder": "CON"},
    ]  # fmt: skip
    for extra in fields:
        assert_refused(await upload(client, "/upload/image", "x.png", **extra), extra, 400)
    written = {path.relative_to(data(settings)) for path in data(settings).rglob("*") if path.name == "x.png"}
    assert not written
    assert not list((data(settings) / "secrets").glob("x*"))


async def test_s4_a_link_of_the_name_is_replaced_and_not_followed(client: Client, settings: Settings) -> None:
    for overwrite in ("false", "true"):
        answer = await upload(client, "/upload/image", "link.png", b"mine", overwrite=overwrite)
        assert answer.status == 200, answer.body
    assert (data(settings) / "secrets" / "canary").read_bytes() == CANARY
    assert (data(settings) / "input" / "link.png").read_bytes() == b"mine"
    assert not (data(settings) / "input" / "link.png").is_symlink()


REFERENCES = [
    '{"filename":"../../canary","type":"output","subfolder":"../"}', '{"filename":"canary","subfolder":".."}',
    '{"filename":"link.png","type":"input"}', '{"filename":"canary","type":"state"}', "", "null", "[]", "{}",
    '"x"', '{"filename":3}', '{"filename":"a","type":7}', "not json", "[" * 5000, '{"filename":"absent.png"}',
    '{"filename":"real.png"}', '{"filename":"real.png","subfolder":null}',
]  # fmt: skip


async def test_s5_a_mask_upload_reads_pictures_of_its_roots_only(client: Client) -> None:
    for reference in REFERENCES:
        answer = await upload(client, "/upload/mask", "m.png", picture(4, 4), original_ref=reference)
        assert_refused(answer, reference, 400)


ACTIVE = [
    "a.html", "a.htm", "a.xhtml", "a.xht", "a.svg", "a.xml", "a.mht", "a.pdf", "a.js", "a.mjs", "a.css", "a.swf",
    "noextension", "a.hta", "a.json", "a.txt", "a.SVG", "a.png.html", "a.wasm", "a.vtt",
]  # fmt: skip
SCRIPT = b"<html><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def assert_inert(answer: RawAnswer, name: str) -> None:
    """A browser that opens it shows or runs nothing of it."""
    assert answer.status == 200, name
    assert answer.headers["content-disposition"].startswith("attachment"), name
    assert answer.headers["x-content-type-options"] == "nosniff", name
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy and "default-src 'none'" in policy, name


async def test_s6_what_users_store_is_never_active_content(client: Client) -> None:
    """CVE-2024-10099, CVE-2026-56670, CVE-2026-56672."""
    for name in ACTIVE:
        assert (await upload(client, "/upload/image", name, SCRIPT)).status == 200, name
        assert_inert(await client.request("GET", f"/view?filename={name}&type=input"), name)
        posted = await client.request("POST", f"/userdata/{name}", JSON, SCRIPT)
        assert posted.status == 200, name
        assert_inert(await client.request("GET", f"/userdata/{name}"), name)


async def test_s6_a_polyglot_is_a_picture_and_nothing_else(client: Client) -> None:
    await upload(client, "/upload/image", "poly.png", SCRIPT)
    answer = await client.request("GET", "/view?filename=poly.png&type=input")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert_refused(
        await client.request("GET", "/view?filename=poly.png&type=input&preview=webp;90"), "preview", 400
    )


PATHS_AS_INPUTS = [
    "../../../canary.png", "../canary.png", "..\\..\\canary.png", "canary.png [output]", "../canary.png [output]",
    "/etc/passwd", "absent.png", "../absent.png", "link/canary", "link.png", "C:\\x.png", "canary.png\x00", "",
    "../../canary.png [temp]", {"a": 1}, 3, None, True,
]  # fmt: skip


async def test_s7_a_path_as_an_input_is_refused_before_the_run(client: Client) -> None:
    """CVE-2026-56673; existing and absent files get the same kind of error."""
    for value in PATHS_AS_INPUTS:
        prompt = {"1": {**LOAD, "inputs": {"image": value}}, "2": SHOW}
        status, body = await client.post("/prompt", {"prompt": prompt})
        assert status == 400, (value, body)
        assert body["error"]["type"] == "prompt_outputs_failed_validation", value
        kinds = {each["type"] for each in body["node_errors"]["1"]["errors"]}
        assert kinds <= {"value_not_in_list", "invalid_input_type"}, (value, kinds)


async def test_s8_a_path_as_a_model_name_is_refused_before_the_run(client: Client) -> None:
    """ComfyUI PR#13302, PR#14166."""
    for value in (
        "../../canary.safetensors",
        "../canary.safetensors",
        "/etc/passwd",
        "absent.safetensors",
        "..\\x",
    ):
        prompt = {"1": {"class_type": "ToyCheckpoint", "inputs": {"ckpt_name": value}}, "2": SHOW}
        status, body = await client.post("/prompt", {"prompt": prompt})
        assert status == 400, value
        assert body["node_errors"]["1"]["errors"][0]["type"] == "value_not_in_list", value


async def test_s8_a_path_as_a_file_prefix_is_refused_before_the_run(client: Client) -> None:
    for prefix in (
        "../../x",
        "/tmp/x",
        "link/x",
        "a/../../b",
        "..\\x",
        "C:\\x",
        "a\x00b",
        "x/../../../y/%date%",
    ):
        save = {"class_type": "ToySave", "inputs": {"filename_prefix": prefix, "value": ["1", 0]}}
        status, body = await client.post("/prompt", {"prompt": {"1": NUMBER, "2": save}})
        assert status == 400, (prefix, body)
        assert body["node_errors"]["2"]["errors"][0]["type"] == "custom_validation_failed", prefix


MODEL_PATHS = [
    "/experiment/models/preview/checkpoints/0/..%2f..%2f..%2fcanary",
    "/experiment/models/preview/checkpoints/0/../../canary", "/experiment/models/preview/checkpoints/-1/canary",
    "/experiment/models/preview/checkpoints/99999/canary", "/experiment/models/preview/checkpoints/a/canary",
    "/experiment/models/preview/checkpoints/%D9%A1/canary", "/experiment/models/preview/nope/0/canary",
    "/experiment/models/preview/checkpoints/0/absent", "/experiment/models/preview/checkpoints/0/%00",
    "/experiment/models/preview/checkpoints/0/", "/experiment/models/nope", "/models/nope", "/models/..%2f..",
    "/models/custom_nodes", "/view_metadata/loras?filename=../../canary.safetensors",
    "/view_metadata/checkpoints?filename=../canary.safetensors", "/view_metadata/checkpoints?filename=/etc/passwd",
    "/view_metadata/..%2f..?filename=canary.safetensors", "/view_metadata/checkpoints?filename=absent.safetensors",
    "/view_metadata/user?filename=canary.safetensors", "/view_metadata/checkpoints?filename=a%00.safetensors",
]  # fmt: skip


async def test_s9_model_previews_and_metadata_stay_in_their_folders(client: Client) -> None:
    """CVE-2026-56671; numbers are parsed with bounds."""
    for target in MODEL_PATHS:
        assert_refused(await client.request("GET", target), target, 404)


USER_PATHS = [
    "..%2f..%2fcanary", "..%2fcanary.json", "%2e%2e%2fcanary.json", "..%5ccanary.json", "%2fetc%2fpasswd",
    "link%2fcanary", "link.png", "ComfyUI-Manager%2fconfig.ini", "comfyui-manager%2fconfig.ini", "config.ini",
    "a%2f..%2f..%2f..%2fcanary", "__manager%2fx.json", "x%00.json", "..", ".", "%2f", "x.py", "a%0d%0ab",
]  # fmt: skip


async def test_s10_user_files_hold_no_security_and_lead_nowhere(client: Client, settings: Settings) -> None:
    """CVE-2025-67303."""
    manager = data(settings) / "user" / "default" / "ComfyUI-Manager"
    manager.mkdir(parents=True)
    (manager / "config.ini").write_bytes(CANARY)
    await client.post("/userdata/b.json", {})
    for name in USER_PATHS:
        assert_refused(await client.request("GET", f"/userdata/{name}"), name, 404)
        assert_refused(await client.request("POST", f"/userdata/{name}", JSON, b"weak"), name, 404)
        assert_refused(await client.request("DELETE", f"/userdata/{name}"), name, 404)
        assert_refused(await client.request("POST", f"/userdata/b.json/move/{name}", JSON), name, 404)
        assert_refused(await client.request("POST", f"/userdata/{name}/move/c.json", JSON), name, 404)
    for folder in ("../..", "..", "/etc", "link", "ComfyUI-Manager", "%00", "a/../../.."):
        for query in ("", "&recurse=true", "&recurse=true&full_info=true", "&split=true"):
            assert_refused(await client.request("GET", f"/userdata?dir={folder}{query}"), folder, 404)
    assert_refused(await client.request("GET", "/v2/userdata?path=../.."), "v2", 404)
    listed = await client.request("GET", "/userdata?dir=&recurse=true")
    assert json.loads(listed.body) == ["b.json"], "links and closed folders are not listed"
    assert (manager / "config.ini").read_bytes() == CANARY


async def test_s10_the_user_header_is_nobody(client: Client, settings: Settings) -> None:
    (data(settings) / "user" / "victim").mkdir()
    (data(settings) / "user" / "victim" / "a.json").write_bytes(CANARY)
    for user in ("victim", "__manager", "../victim", "default/../victim"):
        for target in ("/userdata/a.json", "/userdata?dir=", "/settings", "/history", "/queue"):
            answer = await client.request("GET", target, {"comfy-user": user})
            assert CANARY not in answer.body and b"a.json" not in answer.body, (user, target)


FOREIGN: list[dict[str, str | None]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1.evil.example:8188"},
    {"Origin": "file://"},
    {"Origin": ""},
    {"Origin": "chrome-extension://abc"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "form"]
)
async def test_s11_other_sites_change_nothing(client: Client, kind: str) -> None:
    """CVE-2024-10481, CVE-2026-56674."""
    body = json.dumps({"prompt": GOOD, "clear": True}).encode()
    headers: dict[str, Any] = {"Content-Type": kind}
    if kind == "form":
        headers, body = form({"image": ("x.png", b"x")})
    for path in POSTS:
        for foreign in FOREIGN:
            answer = await client.request("POST", path, {**headers, **foreign}, body)
            assert answer.status in (403, 415), (path, foreign, answer.status)
    assert await client.get("/queue") == (200, {"queue_running": [], "queue_pending": []})


async def test_s11_a_form_is_not_a_request(client: Client) -> None:
    """ComfyUI-Manager PR#2818: what a page's form could send is refused even without a browser's headers."""
    for path in POSTS:
        for kind, body in [
            ("application/x-www-form-urlencoded", b"a=b&c=%7B%7D"),
            ("text/plain", b'{"prompt": {}}'),
            ("text/html", b"{}"),
        ]:
            if path.startswith("/userdata/") and kind == "text/html":
                continue  # a file like any other: a page cannot send this type unasked
            answer = await client.request("POST", path, {"Content-Type": kind}, body)
            assert answer.status == 415, (path, kind, answer.status, answer.body)


async def test_s11_the_scripts_that_people_have_still_work(client: Client) -> None:
    body = json.dumps({"prompt": GOOD}).encode()
    own = f"http://127.0.0.1:{client.port}"
    senders: list[dict[str, str | None]] = [
        {"Content-Type": "application/json"},
        {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Python-urllib/3.11"},
        {},
        {"Content-Type": "application/json", "Origin": own, "Sec-Fetch-Site": "same-origin"},
        {"Content-Type": "application/json; charset=utf-8", "Origin": own},
    ]
    for headers in senders:
        answer = await client.request("POST", "/prompt", headers, body)
        assert answer.status == 200, (headers, answer.body)


async def test_s11_reading_changes_nothing(client: Client, settings: Settings) -> None:
    before = snapshot(data(settings))
    for path in [
        *POSTS,
        "/free?unload_models=true",
        "/queue?clear=true",
        "/history?clear=true",
        "/settings?x=1",
    ]:
        await client.request("GET", path)
    assert snapshot(data(settings)) == before


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): path.read_bytes() for path in files}


HOSTS = [
    "attacker.example:8188", "attacker.example", "127.0.0.1.attacker.example", "localhost.", "localhost.:8188",
    None, "", "0.0.0.0:8188", "[::]:8188", "127.0.0.1@attacker.example", "127.0.0.1, attacker.example", "8.8.8.8",
    "192.168.0.7:8188", "localhost:99999", "local host", "127.1",
]  # fmt: skip


async def test_s12_a_rebound_name_is_not_this_server(client: Client) -> None:
    """ComfyUI#12860."""
    for host in HOSTS:
        for target in ("/", "/queue", "/ws?clientId=a", "/object_info"):
            answer = await client.request("GET", target, {"Host": host, "Origin": f"http://{host}"})
            assert answer.status in (400, 403, 421), (host, target, answer.status)
    twice = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nHost: attacker.example\r\n\r\n"
    assert (await client.raw(twice)).status in (400, 421)


async def test_s12_loopback_by_any_of_its_names(client: Client) -> None:
    for host in (
        f"127.0.0.1:{client.port}",
        "localhost",
        f"LOCALHOST:{client.port}",
        "127.0.0.1",
        "[::1]:8188",
    ):
        assert (await client.request("GET", "/queue", {"Host": host})).status == 200, host


async def test_s12_a_configured_host_passes_with_its_origin(serve: Serve) -> None:
    async with serve(allowed_hosts=("studio.example",)) as client:
        headers = {"Host": "studio.example", "Origin": "https://studio.example", **JSON}
        assert (await client.request("POST", "/interrupt", headers, b"{}")).status == 200
        headers["Origin"] = "https://other.example"
        assert (await client.request("POST", "/interrupt", headers, b"{}")).status == 403


UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


async def test_s12_a_foreign_page_opens_no_socket(client: Client) -> None:
    for foreign in FOREIGN:
        answer = await client.request("GET", "/ws?clientId=a", {**UPGRADE, **foreign})
        assert answer.status == 403, foreign
    assert (await client.request("GET", "/ws?clientId=a", UPGRADE)).status == 101


async def test_s13_a_second_socket_of_an_id_displaces_nobody(client: Client) -> None:
    async with client.session.ws_connect(f"{client.origin}/ws?clientId=x") as first:
        await first.receive_json()
        async with client.session.ws_connect(f"{client.origin}/ws?clientId=x") as second:
            await second.receive_json()
            job = await client.submit(GOOD, client_id="x")
            for socket in (first, second):
                while (await socket.receive_json(timeout=10))["type"] != "execution_success":
                    pass
            await client.finished(job)


async def test_s13_another_session_gets_another_id(serve: Serve) -> None:
    async with serve(token="secret-token") as client:
        sids = []
        sockets = []
        for _ in range(2):
            _, cookie = await logged_in(client)
            socket = await client.session.ws_connect(
                f"{client.origin}/ws?clientId=x", headers={"Cookie": cookie}
            )
            sids.append((await socket.receive_json())["data"]["sid"])
            sockets.append(socket)
        assert sids[0] == "x"
        assert sids[1] != "x"
        for socket in sockets:
            await socket.close()


async def test_s14_allowing_an_origin_keeps_the_check(serve: Serve) -> None:
    async with serve(cors_origins=("*",)) as client:
        for foreign in FOREIGN:
            answer = await client.request("POST", "/prompt", {**JSON, **foreign}, b"{}")
            assert answer.status == 403, foreign
            assert "access-control-allow-origin" not in answer.headers
    async with serve(cors_origins=("https://mine.example",)) as client:
        answer = await client.request("GET", "/queue", {"Origin": "https://mine.example"})
        assert answer.headers["access-control-allow-origin"] == "https://mine.example"
        assert "access-control-allow-credentials" not in answer.headers
        assert (await client.request("GET", "/queue", {"Origin": "https://evil.example"})).status == 403


async def logged_in(client: Client) -> tuple[RawAnswer, str]:
    body = json.dumps({"token": "secret-token"}).encode()
    answer = await client.request("POST", "/nodeloom/login", JSON, body)
    return answer, answer.headers.get("set-cookie", "").partition(";")[0]


GUARDED = [
    "/", "/main.js", "/queue", "/prompt", "/history", "/users", "/userdata?dir=", "/settings", "/object_info",
    "/view?filename=real.png", "/system_stats", "/models", "/internal/logs", "/internal/logs/raw", "/api/jobs",
    "/internal/folder_paths", "/internal/files/output", "/nodeloom/workers", "/ws?clientId=x", "/extensions",
    "/absent", "/nodeloom/events", "/workflow_templates", "/features",
]  # fmt: skip


async def test_s15_s28_without_a_login_there_is_nothing(serve: Serve) -> None:
    """ComfyUI#15822, InvokeAI#9365."""
    async with serve(token="secret-token") as client:
        for target in GUARDED:
            for headers in (
                {},
                {"comfy-user": "default"},
                {"Authorization": "Bearer wrong"},
                {"Cookie": "nodeloom_session=a.b"},
            ):
                answer = await client.request("GET", target, headers)
                assert_refused(answer, (target, headers), 401)
        for path in POSTS:
            if path != "/nodeloom/login":
                answer = await client.request("POST", path, {**JSON, "comfy-user": "default"}, b"{}")
                assert answer.status in (401, 415), path


async def test_s15_a_login_opens_by_header_or_strict_cookie(serve: Serve) -> None:
    async with serve(token="secret-token") as client:
        wrong = await client.request("POST", "/nodeloom/login", JSON, b'{"token": "guess"}')
        assert wrong.status == 401
        assert "set-cookie" not in wrong.headers
        answer, cookie = await logged_in(client)
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
        assert (await client.request("GET", "/queue", {"Cookie": cookie})).status == 200
        assert (await client.request("GET", "/queue", {"Cookie": cookie[:-1] + "x"})).status == 401
        assert (await client.request("GET", "/queue", {"Authorization": "Bearer secret-token"})).status == 200
        page = await client.request("GET", "/", {"Accept": "text/html"})
        assert page.status == 401
        assert b"<form" in page.body
        assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_s16_keys_are_seen_by_the_node_alone(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    secret = {"class_type": "ToySecret", "inputs": {"word": "good"}}
    slow = {"1": {"class_type": "ToySleep", "inputs": {"seconds": 0.5, "seed": 0}}, "2": SHOW, "3": secret}
    extra = {"api_key_comfy_org": CANARY.decode(), "auth_token_comfy_org": CANARY.decode()}
    jobs = [
        await client.submit({**slow, "9": {**NUMBER, "inputs": {"value": n}}}, extra_data=extra)
        for n in range(2)
    ]
    shown = b""
    while await client.state(jobs[-1]) not in ("success", "error"):
        for target in ("/queue", "/history", "/api/jobs", *(f"/api/jobs/{job}" for job in jobs)):
            shown += (await client.request("GET", target)).body
        await asyncio.sleep(0.1)
    entry = await client.finished(jobs[-1])
    assert entry["outputs"]["3"]["text"] == [str(len(CANARY))], "the node got it"
    for target in ("/history", "/api/jobs", "/internal/logs/raw", f"/nodeloom/events?job={jobs[0]}"):
        shown += (await client.request("GET", target)).body
    assert CANARY not in shown
    journal = (path.read_bytes() for path in settings.state_dir.iterdir() if path.name.startswith("journal"))
    assert CANARY not in b"".join(journal)


async def test_s17_a_setting_is_a_value_and_not_a_line(client: Client, settings: Settings) -> None:
    """CVE-2026-22777."""
    value = "cache\r\nsecurity_level = weak"
    assert (await client.post("/settings/db_mode", value))[0] == 200
    assert await client.get("/settings/db_mode") == (200, value)
    kept = (data(settings) / "user" / "default" / "comfy.settings.json").read_bytes()
    assert b"\n" not in kept
    for path in ("/settings/a%0d%0ab", "/settings/" + "x" * 1000):
        assert_refused(await client.request("POST", path, JSON, b"1"), path, 400)
    for body in (b"[1]", b"7", b"{", b'{"a\\nb": 1}', b'{"": 1}', b"null"):
        assert_refused(await client.request("POST", "/settings", JSON, body), body, 400)
    before = kept
    await client.request("GET", "/settings/db_mode?value=cache%0Dsecurity_level%20=%20weak")
    assert (data(settings) / "user" / "default" / "comfy.settings.json").read_bytes() == before


SAFETENSORS: list[bytes] = [
    b"", b"\x01", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2**64 - 1), struct.pack("<Q", 100 * 2**20),
    struct.pack("<Q", 10) + b"not json!!", struct.pack("<Q", 5) + b"[[[[[", struct.pack("<Q", 2) + b"[]",
    struct.pack("<Q", 20) + b'{"__metadata__": []}', struct.pack("<Q", 20_000) + b"[" * 20_000,
    struct.pack("<Q", 8) + b"\x80\x04cposix",
]  # fmt: skip


async def test_s20_s21_hostile_weights_have_no_metadata(client: Client, settings: Settings) -> None:
    for index, content in enumerate(SAFETENSORS):
        (data(settings) / "models" / "checkpoints" / f"bad{index}.safetensors").write_bytes(content)
        start = time.monotonic()
        answer = await client.request("GET", f"/view_metadata/checkpoints?filename=bad{index}.safetensors")
        assert_refused(answer, content[:20], 404)
        assert time.monotonic() - start < 1
    for suffix in ("ckpt", "pt", "pth", "bin", "SafeTensors.ckpt"):
        answer = await client.request("GET", f"/view_metadata/checkpoints?filename=bad0.{suffix}")
        assert_refused(answer, suffix, 404)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes = b"", before: bytes = b"") -> bytes:
    """A PNG of grey pixels that claims a size, whatever rows it has."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture(width: int, height: int) -> bytes:
    return png(width, height, b"".join(b"\0" + bytes(width) for _ in range(height)))


def many_frames() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    frames = [Image.new("P", (8, 8), index % 256) for index in range(2_000)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=1)
    return out.getvalue()


async def test_s22_bombs_are_measured_before_they_are_opened(client: Client, settings: Settings) -> None:
    text = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(80 * 2**20)))
    bombs = {
        "wide.png": png(60_000, 60_000),
        "text.png": png(4, 4, b"\0" + bytes(4), before=text),
        "truncated.png": picture(64, 64)[:60],
        "empty.png": b"",
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
    }
    for name, content in bombs.items():
        (data(settings) / "input" / name).write_bytes(content)
        for form in ("preview=webp;90", "channel=rgb", "channel=a", "preview=jpeg;50", "size=64"):
            start = time.monotonic()
            answer = await client.request("GET", f"/view?filename={name}&type=input&{form}")
            assert_refused(answer, (name, form), 400)
            assert time.monotonic() - start < 5, (name, form)
    (data(settings) / "input" / "frames.gif").write_bytes(many_frames())
    answer = await client.request("GET", "/view?filename=frames.gif&type=input&preview=webp;90")
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/webp"


async def test_s22_odd_qualities_are_brought_into_range(client: Client, settings: Settings) -> None:
    (data(settings) / "input" / "p.png").write_bytes(picture(8, 8))
    for form in (
        "webp;-1",
        "webp;9999",
        "jpeg;99999999999999999999",
        "webp;x",
        "bogus",
        "webp;",
        "jpeg;0",
        ";;",
        "%D9%A1",
    ):
        answer = await client.request("GET", f"/view?filename=p.png&type=input&preview={form}")
        assert answer.status == 200, form
        assert answer.headers["content-type"] in ("image/webp", "image/jpeg")


def chain(length: int) -> dict[str, Any]:
    prompt: dict[str, Any] = {"0": NUMBER}
    for index in range(1, length):
        link = [str(index - 1), 0]
        prompt[str(index)] = {"class_type": "ToyAdd", "inputs": {"a": link, "b": link}}
    return {**prompt, "show": {"class_type": "ToyShow", "inputs": {"value": [str(length - 1), 0]}}}


def nested(levels: int) -> bytes:
    return b'{"prompt":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


ABUSES: dict[str, bytes] = {
    "cycle": json.dumps(
        {"prompt": {"1": {"class_type": "ToyAdd", "inputs": {"a": ["2", 0], "b": ["2", 0]}},
                    "2": {"class_type": "ToyAdd", "inputs": {"a": ["1", 0], "b": ["1", 0]}},
                    "3": {"class_type": "ToyShow", "inputs": {"value": ["1", 0]}}}}).encode(),
    "self": json.dumps({"prompt": {"1": {"class_type": "ToyShow", "inputs": {"value": ["1", 0]}}}}).encode(),
    "missing slot": json.dumps({"prompt": {"1": NUMBER, "2": {**SHOW, "inputs": {"value": ["1", 9]}}}}).encode(),
    "negative slot": json.dumps({"prompt": {"1": NUMBER, "2": {**SHOW, "inputs": {"value": ["1", -1]}}}}).encode(),
    "missing node": json.dumps({"prompt": {"2": {**SHOW, "inputs": {"value": ["7", 0]}}}}).encode(),
    "huge number": json.dumps({"prompt": {"1": {**NUMBER, "inputs": {"value": 10**30}}, "2": SHOW}}).encode(),
    "negative number": json.dumps({"prompt": {"1": {**NUMBER, "inputs": {"value": -1}}, "2": SHOW}}).encode(),
    "endless digits": b'{"prompt": {"1": {"class_type": "ToyNumber", "inputs": {"value": ' + b"9" * 10_000 + b"}}}}",
    "NaN": b'{"prompt": {"1": {"class_type": "ToyNumber", "inputs": {"value": NaN}}}}',
    "Infinity": b'{"prompt": {"1": {"class_type": "ToyNumber", "inputs": {"value": -Infinity}}}}',
    "1e999": b'{"prompt": {"1": {"class_type": "ToySleep", "inputs": {"seconds": 1e999}}}}',
    "deep 200": nested(200),
    "deep 100000": nested(100_000),
    "deep list": b'{"prompt":' + b"[" * 100_000,
    "100000 nodes": json.dumps({"prompt": {str(index): NUMBER for index in range(100_000)}}).encode(),
    "no prompt": b"{}",
    "list": b"[]",
    "prompt list": b'{"prompt": []}',
    "prompt null": b'{"prompt": null}',
    "empty prompt": b'{"prompt": {}}',
    "node no object": b'{"prompt": {"1": 3}}',
    "node no type": b'{"prompt": {"1": {"inputs": {}}}}',
    "type no text": b'{"prompt": {"1": {"class_type": ["x"], "inputs": {}}}}',
    "inputs a list": b'{"prompt": {"1": {"class_type": "ToyNumber", "inputs": []}}}',
    "unknown type": b'{"prompt": {"1": {"class_type": "<img src=x onerror=alert(1)>", "inputs": {}}}}',
    "no output": json.dumps({"prompt": {"1": NUMBER}}).encode(),
    "not json": b"hello",
    "not utf-8": b'{"prompt": "\xff\xfe"}',
    "number text": json.dumps({"prompt": GOOD, "number": "1"}).encode(),
    "number true": json.dumps({"prompt": GOOD, "number": True}).encode(),
    "number huge": json.dumps({"prompt": GOOD, "number": 10**400}).encode(),
    "id object": json.dumps({"prompt": GOOD, "prompt_id": {}}).encode(),
    "id long": json.dumps({"prompt": GOOD, "prompt_id": "x" * 1000}).encode(),
    "id control": json.dumps({"prompt": GOOD, "prompt_id": "a\nb"}).encode(),
    "client object": json.dumps({"prompt": GOOD, "client_id": {}}).encode(),
    "extra list": json.dumps({"prompt": GOOD, "extra_data": []}).encode(),
    "targets text": json.dumps({"prompt": GOOD, "partial_execution_targets": "2"}).encode(),
    "targets unknown": json.dumps({"prompt": GOOD, "partial_execution_targets": ["77"]}).encode(),
    "workflow nonsense": b'{"prompt": {"nodes": [1, 2], "links": []}}',
    "workflow links": b'{"prompt": {"nodes": [{"id": 1, "type": "ToyShow"}], "links": [[1]]}}',
}  # fmt: skip


@pytest.mark.parametrize("abuse", ABUSES)
async def test_s24_nonsense_is_refused_quickly_and_says_why(client: Client, abuse: str) -> None:
    await client.ready()
    start = time.monotonic()
    answer = await client.request("POST", "/prompt", JSON, ABUSES[abuse])
    assert answer.status == 400, (abuse, answer.status, answer.body[:300])
    assert time.monotonic() - start < 2, "an idle machine needs well under one second"
    error = json.loads(answer.body)["error"]
    assert error["type"] and error["message"], abuse
    assert (await client.get("/queue"))[1] == {"queue_running": [], "queue_pending": []}


async def test_s24_subgraphs_that_multiply_are_counted_before_they_are_opened(client: Client) -> None:
    def use(kind: str) -> dict[str, Any]:
        return {"nodes": [{"id": index, "type": kind} for index in range(10)], "links": []}

    levels = [{"id": f"g{level}", **use(f"g{level + 1}")} for level in range(20)]
    document = {**use("g0"), "definitions": {"subgraphs": levels}}
    start = time.monotonic()
    status, body = await client.post("/prompt", {"prompt": document})
    assert (status, body["error"]["type"]) == (400, "prompt_too_large")
    assert time.monotonic() - start < 2


async def test_s24_a_deep_chain_is_taken(client: Client) -> None:
    await client.ready()
    start = time.monotonic()
    job = await client.submit(chain(5_000))
    assert time.monotonic() - start < 5
    assert (await client.finished(job))["status"]["completed"] is True


async def test_s24_bodies_have_a_cap(serve: Serve) -> None:
    async with serve(limits=Limits(body=100_000, upload=200_000)) as client:
        big = json.dumps({"prompt": {"1": {**NUMBER, "note": "x" * 200_000}}}).encode()
        answer = await client.request("POST", "/prompt", JSON, big)
        assert answer.status == 413
        assert "0.0953674 MB" in json.loads(answer.body)["error"]["message"]
        zipped = {**JSON, "Content-Encoding": "gzip"}
        bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
        packed = bomb.compress(bytes(50 * 2**20)) + bomb.flush()
        assert (await client.request("POST", "/prompt", zipped, packed)).status in (400, 413)
        chunked = {**JSON, "Transfer-Encoding": "chunked", "Content-Length": None}
        pieces = b"".join(b"4000\r\n" + b" " * 0x4000 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
        assert (await client.request("POST", "/prompt", chunked, pieces)).status == 413
        assert (await upload(client, "/upload/image", "big.png", b"x" * 300_000)).status == 413
        assert (await upload(client, "/upload/image", "f.png", b"x", subfolder="y" * 70_000)).status == 413
        many = {f"field{index}": "x" for index in range(100)}
        assert (await upload(client, "/upload/image", "f.png", b"x", **many)).status == 400
        lying = {**JSON, "Content-Length": str(10**12)}
        assert (await client.request("POST", "/prompt", lying, b"{}")).status == 413
        assert (await client.get("/queue"))[0] == 200
        spool = client.parts.settings.state_dir / "uploads"
        assert not spool.exists() or not list(spool.iterdir()), "nothing is left of refused uploads"


async def test_s24_broken_forms_are_refused(client: Client) -> None:
    headers, body = form({"image": ("x.png", b"x")})
    cases = [
        body[:-10], b"", b"--edge\r\n", body.replace(b'name="image"', b'name="else"'),
        body.replace(b'; filename="x.png"', b""), b"--edge\r\n" + b"X: y\r\n" * 10_000 + b"\r\n--edge--\r\n",
    ]  # fmt: skip
    for case in cases:
        answer = await client.request("POST", "/upload/image", headers, case)
        assert answer.status in (400, 413), (case[:40], answer.status)
    answer = await client.request("POST", "/upload/image", {"Content-Type": "multipart/form-data"}, body)
    assert answer.status == 400


async def test_s24_sockets_and_the_queue_have_a_cap(serve: Serve) -> None:
    async with serve(limits=Limits(sockets=20, pending=5)) as client:
        sockets = [
            await client.session.ws_connect(f"{client.origin}/ws?clientId=c{index}") for index in range(20)
        ]
        assert (await client.request("GET", "/ws?clientId=more", UPGRADE)).status == 503
        slow = {"1": {"class_type": "ToySleep", "inputs": {"seconds": 5, "seed": 0}}, "2": SHOW}
        for _ in range(5):
            await client.submit(slow)
        assert (await client.post("/prompt", {"prompt": slow}))[0] == 503
        assert (await client.get("/queue"))[0] == 200
        for socket in sockets:
            await socket.close()


async def test_s24_no_trailer_or_cookie_floods_the_log(client: Client) -> None:
    """CVE-2026-22815, CVE-2025-69230."""
    trailers = b"0\r\n" + b"".join(b"X-%d: y\r\n" % index for index in range(20_000)) + b"\r\n"
    chunked = {**JSON, "Transfer-Encoding": "chunked", "Content-Length": None}
    assert (await client.request("POST", "/prompt", chunked, trailers)).status == 400
    cookies = "; ".join(f"a{index}=\x01" for index in range(500))
    await client.request("GET", "/queue", {"Cookie": cookies})
    assert len(client.parts.log.entries()) < 50


async def test_s25_pages_run_no_inline_script_and_names_travel_as_data(client: Client) -> None:
    for target in ("/", "/main.js"):
        policy = (await client.request("GET", target)).headers["content-security-policy"]
        directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
        assert directives["script-src"] == "'self'"
        assert directives["object-src"] == directives["base-uri"] == "'none'"
    name = "<img src=x onerror=alert(1)>"
    prompt = {"1": {"class_type": name, "inputs": {}, "_meta": {"title": name}}}
    answer = await client.request("POST", "/prompt", JSON, json.dumps({"prompt": prompt}).encode())
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_s28_internal_routes_are_for_this_machine(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.routes import internal

    async with serve(insecure=True) as client:
        targets = ["/internal/logs", "/internal/logs/raw", "/internal/folder_paths", "/internal/files/output"]
        for target in targets:
            assert (await client.request("GET", target)).status == 200
        monkeypatch.setattr(internal, "is_loopback", lambda address: False)
        for target in targets:
            assert_refused(await client.request("GET", target), target, 404)
        assert_refused(await client.request("GET", "/internal/files/..%2f.."), "files", 404)


async def test_s29_nothing_is_downloaded_by_path(client: Client) -> None:
    """CVE-2025-6237."""
    for target in ("/download/..%2f..%2fcanary", "/api/v1/images/..%2f..%2fcanary", "/api/..%2fcanary"):
        assert_refused(await client.request("GET", target), target, 404)


async def test_s31_nothing_redirects(client: Client) -> None:
    """Gradio CVE-2024-4940."""
    for target in ("/?next=//evil", "//evil.example", "/\\evil.example", "/login?next=//evil", "/%5cevil/"):
        answer = await client.request("GET", target)
        assert "location" not in answer.headers, target
        assert not 300 <= answer.status < 400, target


async def test_the_state_folder_is_private(client: Client, settings: Settings) -> None:
    assert settings.state_dir.stat().st_mode & 0o077 == 0 or settings.state_dir.stat().st_uid != os.getuid()
