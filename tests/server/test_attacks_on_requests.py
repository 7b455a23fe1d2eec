"""The replay list, second part, requests: attacks sent as raw bytes, and what an immune server does then.

Numbers S1 to S31 are those of our field study of advisories; the CVE or issue is in the test's docstring.
"""

import asyncio
import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from server.settings import Limits, Settings
from tests.server.attacks import (
    CANARY,
    FOREIGN,
    GOOD,
    JSON,
    NUMBER,
    POSTS,
    SHOW,
    UPGRADE,
    assert_refused,
    data,
    form,
    plant_canaries,
    upload,
)
from tests.server.client import Client, RawAnswer
from tests.server.conftest import NOBODY, Serve


@pytest.fixture(autouse=True)
def canaries(settings: Settings) -> None:
    """Files that must never be read."""
    plant_canaries(settings)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "form"]
)
async def test_s11_other_sites_change_nothing(calm: Client, kind: str) -> None:
    """CVE-2024-10481, CVE-2026-56674."""
    body = json.dumps({"prompt": GOOD, "clear": True}).encode()
    headers: dict[str, Any] = {"Content-Type": kind}
    if kind == "form":
        headers, body = form({"image": ("x.png", b"x")})
    for path in POSTS:
        for foreign in FOREIGN:
            answer = await calm.request("POST", path, {**headers, **foreign}, body)
            assert answer.status == 403, (path, foreign, answer.status)
    assert await calm.get("/queue") == (200, {"queue_running": [], "queue_pending": []})


async def test_s11_a_form_is_not_a_request(calm: Client) -> None:
    """ComfyUI-Manager PR#2818: a form's fields are no JSON, so they ask for nothing."""
    takes_any = ("/userdata/", "/upload/", "/nodeloom/login")
    for path in POSTS:
        for kind, body in [(FORM, b"a=b&c=%7B%7D"), ("text/plain", b"clear=true"), ("text/html", b"<p>")]:
            answer = await calm.request("POST", path, {"Content-Type": kind}, body)
            if not path.startswith(takes_any):
                assert answer.status == 415, (path, kind, answer.status, answer.body)
    assert (await calm.request("POST", "/upload/image", {"Content-Type": FORM}, b"image=x")).status == 400


FORM = "application/x-www-form-urlencoded"
SCRIPTS: list[dict[str, str | None]] = [
    {},
    {"Content-Type": "application/json"},
    {"Content-Type": "application/json; charset=utf-8"},
    {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "Python/3.11 aiohttp/3.13.2"},
    {"Content-Type": FORM, "User-Agent": "Python-urllib/3.11"},
    {"Content-Type": FORM, "User-Agent": "curl/8.5.0", "Accept": "*/*"},
    {"Content-Type": "text/plain;charset=UTF-8", "User-Agent": "node", "Sec-Fetch-Mode": "cors"},
    {"Content-Type": "text/plain;charset=UTF-8", "User-Agent": "Deno/2.1", "Referer": "http://127.0.0.1/"},
    {"Content-Type": "application/octet-stream"},
    {"Content-Type": "nonsense"},
]
"""How clients that are no browsers send JSON: aiohttp's `data=str`, urllib, curl's default, Node's fetch."""


async def test_s11_scripts_send_json_under_any_type(calm: Client) -> None:
    posts = {
        "/queue": {"clear": True}, "/history": {"clear": True}, "/interrupt": {},
        "/free": {"unload_models": True}, "/settings": {"a": 1}, "/settings/b": 2, "/api/jobs/x/cancel": {},
        "/nodeloom/login": {"token": "x"}, "/userdata/x.json": {"nodes": []},
        "/userdata/x.json/move/x.json": None,
    }  # fmt: skip
    for headers in SCRIPTS:
        for path, document in posts.items():
            body = json.dumps(document).encode()
            answer = await calm.request("POST", path, headers, body)
            expected = 404 if path == "/api/jobs/x/cancel" else 200
            assert answer.status == expected, (path, headers, answer.status, answer.body)
        stored = await calm.request("GET", "/userdata/x.json")
        assert json.loads(stored.body) == {"nodes": []}
    assert (await calm.get("/settings"))[1] == {"a": 1, "b": 2}


async def test_s11_scripts_queue_prompts_under_any_type(client: Client) -> None:
    body = json.dumps({"prompt": GOOD}).encode()
    own = {"Origin": f"http://127.0.0.1:{client.port}", "Sec-Fetch-Site": "same-origin"}
    for headers in [*SCRIPTS, *({**each, **own} for each in SCRIPTS)]:
        answer = await client.request("POST", "/prompt", headers, body)
        assert answer.status == 200, (headers, answer.body)


async def test_s11_a_foreign_page_is_refused_under_any_type(calm: Client) -> None:
    for headers in SCRIPTS:
        for foreign in FOREIGN:
            for path in ("/queue", "/settings", "/userdata/x.json", "/upload/image"):
                answer = await calm.request("POST", path, {**headers, **foreign}, b'{"clear": true}')
                assert answer.status == 403, (path, headers, foreign)
    assert await calm.get("/settings") == (200, {})
    assert (await calm.get("/userdata/x.json"))[0] == 404


async def test_s11_reading_changes_nothing(calm: Client, settings: Settings) -> None:
    before = snapshot(data(settings))
    for path in [
        *POSTS,
        "/free?unload_models=true",
        "/queue?clear=true",
        "/history?clear=true",
        "/settings?x=1",
    ]:
        await calm.request("GET", path)
    assert snapshot(data(settings)) == before


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): path.read_bytes() for path in files}


HOSTS = [
    "attacker.example:8188", "attacker.example", "127.0.0.1.attacker.example", "localhost.",
    "localhost.:8188",
    None, "", "0.0.0.0:8188", "[::]:8188", "127.0.0.1@attacker.example", "127.0.0.1, attacker.example",
    "8.8.8.8",
    "192.168.0.7:8188", "localhost:99999", "local host", "127.1",
]  # fmt: skip


async def test_s12_a_rebound_name_is_not_this_server(calm: Client) -> None:
    """ComfyUI#12860."""
    for host in HOSTS:
        for target in ("/", "/queue", "/ws?clientId=a", "/object_info"):
            answer = await calm.request("GET", target, {"Host": host, "Origin": f"http://{host}"})
            assert answer.status in (400, 403, 421), (host, target, answer.status)
    twice = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{calm.port}\r\nHost: attacker.example\r\n\r\n"
    assert (await calm.raw(twice)).status in (400, 421)


async def test_s12_loopback_by_any_of_its_names(calm: Client) -> None:
    for host in (
        f"127.0.0.1:{calm.port}",
        "localhost",
        f"LOCALHOST:{calm.port}",
        "127.0.0.1",
        "[::1]:8188",
    ):
        assert (await calm.request("GET", "/queue", {"Host": host})).status == 200, host


async def test_s12_a_configured_host_passes_with_its_origin(serve: Serve) -> None:
    async with serve(worker_command=NOBODY, allowed_hosts=("studio.example",)) as client:
        headers = {"Host": "studio.example", "Origin": "https://studio.example", **JSON}
        assert (await client.request("POST", "/interrupt", headers, b"{}")).status == 200
        headers["Origin"] = "https://other.example"
        assert (await client.request("POST", "/interrupt", headers, b"{}")).status == 403


async def test_s12_a_foreign_page_opens_no_socket(calm: Client) -> None:
    for foreign in FOREIGN:
        answer = await calm.request("GET", "/ws?clientId=a", {**UPGRADE, **foreign})
        assert answer.status == 403, foreign
    assert (await calm.request("GET", "/ws?clientId=a", UPGRADE)).status == 101


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
    async with serve(worker_command=NOBODY, token="secret-token") as client:
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
    async with serve(worker_command=NOBODY, cors_origins=("*",)) as client:
        for foreign in FOREIGN:
            answer = await client.request("POST", "/prompt", {**JSON, **foreign}, b"{}")
            assert answer.status == 403, foreign
            assert "access-control-allow-origin" not in answer.headers
    async with serve(worker_command=NOBODY, cors_origins=("https://mine.example",)) as client:
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
    "/view?filename=real.png", "/system_stats", "/models", "/internal/logs", "/internal/logs/raw",
    "/api/jobs",
    "/internal/folder_paths", "/internal/files/output", "/nodeloom/workers", "/ws?clientId=x", "/extensions",
    "/absent", "/nodeloom/events", "/workflow_templates", "/features",
]  # fmt: skip


async def test_s15_s28_without_a_login_there_is_nothing(serve: Serve) -> None:
    """ComfyUI#15822, InvokeAI#9365."""
    async with serve(worker_command=NOBODY, token="secret-token") as client:
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
                assert answer.status == 401, path


async def test_s15_a_login_opens_by_header_or_strict_cookie(serve: Serve) -> None:
    async with serve(worker_command=NOBODY, token="secret-token") as client:
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


INSTALLERS = [
    "/customnode/install", "/customnode/install/git_url", "/customnode/install/pip", "/manager/queue/install",
    "/manager/reboot", "/manager/db_mode?value=cache%0Dsecurity_level%20=%20weak",
    "/snapshot/restore?target=x",
    "/model/install", "/v2/models/install", "/customnode/import_fail_info", "/install", "/exec", "/eval",
]  # fmt: skip


async def test_s17_s18_s23_no_route_installs_or_fetches(calm: Client) -> None:
    """CVE-2024-21574, CVE-2025-45076, CVE-2024-12029: there is nothing to ask."""
    body = json.dumps({"pip": ["canary"], "files": ["http://169.254.169.254/"], "url": "file:///etc/passwd"})
    for path in INSTALLERS:
        for prefix in ("", "/api"):
            assert_refused(await calm.request("GET", prefix + path), path, 404)
            answer = await calm.request("POST", prefix + path, JSON, body.encode())
            assert_refused(answer, path, 404, 405)
            answer = await calm.request("POST", prefix + path, {"Content-Type": "text/plain"}, b"http://evil")
            assert_refused(answer, path, 404, 405)


def chain(length: int) -> dict[str, Any]:
    prompt: dict[str, Any] = {"0": NUMBER}
    for index in range(1, length):
        link = [str(index - 1), 0]
        prompt[str(index)] = {"class_type": "ToyAdd", "inputs": {"a": link, "b": link}}
    return {**prompt, "show": {"class_type": "ToyShow", "inputs": {"value": [str(length - 1), 0]}}}


def nested(levels: int) -> bytes:
    return b'{"prompt":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


def showing(link: list[Any]) -> bytes:
    """The body of a prompt whose shown value comes by a link."""
    return json.dumps({"prompt": {"1": NUMBER, "2": {**SHOW, "inputs": {"value": link}}}}).encode()


ABUSES: dict[str, bytes] = {
    "cycle": json.dumps(
        {"prompt": {"1": {"class_type": "ToyAdd", "inputs": {"a": ["2", 0], "b": ["2", 0]}},
                    "2": {"class_type": "ToyAdd", "inputs": {"a": ["1", 0], "b": ["1", 0]}},
                    "3": {"class_type": "ToyShow", "inputs": {"value": ["1", 0]}}}}).encode(),
    "self": json.dumps({"prompt": {"1": {"class_type": "ToyShow", "inputs": {"value": ["1", 0]}}}}).encode(),
    "missing slot": showing(["1", 9]),
    "negative slot": showing(["1", -1]),
    "missing node": json.dumps({"prompt": {"2": {**SHOW, "inputs": {"value": ["7", 0]}}}}).encode(),
    "huge number": json.dumps({"prompt": {"1": {**NUMBER, "inputs": {"value": 10**30}}, "2": SHOW}}).encode(),
    "negative number": json.dumps({"prompt": {"1": {**NUMBER, "inputs": {"value": -1}}, "2": SHOW}}).encode(),
    "endless digits": b'{"prompt": {"1": {"inputs": {"value": ' + b"9" * 10_000 + b"}}}}",
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


async def test_s24_nonsense_is_refused_quickly_and_says_why(client: Client) -> None:
    await client.ready()
    for abuse, body in ABUSES.items():
        start = time.monotonic()
        answer = await client.request("POST", "/prompt", JSON, body)
        assert answer.status == 400, (abuse, answer.status, answer.body[:300])
        assert time.monotonic() - start < 10, f"{abuse}: an idle machine needs well under one second"
        error = json.loads(answer.body)["error"]
        assert error["type"], abuse
        assert error["message"], abuse
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
    job = await client.submit(chain(3_000))
    assert time.monotonic() - start < 5
    assert (await client.finished(job))["status"]["completed"] is True


async def test_s24_bodies_have_a_cap(serve: Serve) -> None:
    async with serve(worker_command=NOBODY, limits=Limits(body=100_000, upload=200_000)) as client:
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
        many = {f"field{index}": "x" for index in range(200)}
        assert (await upload(client, "/upload/image", "f.png", b"x", **many)).status == 400
        lying = {**JSON, "Content-Length": str(10**12)}
        assert (await client.request("POST", "/prompt", lying, b"{}")).status == 413
        assert (await client.get("/queue"))[0] == 200
        spool = client.parts.settings.state_dir / "uploads"
        assert not spool.exists() or not list(spool.iterdir()), "nothing is left of refused uploads"


async def test_s24_broken_forms_are_refused(calm: Client) -> None:
    headers, body = form({"image": ("x.png", b"x")})
    cases = [
        body[:-10], b"", b"--edge\r\n", body.replace(b'name="image"', b'name="else"'),
        body.replace(b'; filename="x.png"', b""), b"--edge\r\n" + b"X: y\r\n" * 10_000 + b"\r\n--edge--\r\n",
    ]  # fmt: skip
    for case in cases:
        answer = await calm.request("POST", "/upload/image", headers, case)
        assert answer.status in (400, 413), (case[:40], answer.status)
    answer = await calm.request("POST", "/upload/image", {"Content-Type": "multipart/form-data"}, body)
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


async def test_s24_no_trailer_or_cookie_floods_the_log(calm: Client) -> None:
    """CVE-2026-22815, CVE-2025-69230."""
    trailers = b"0\r\n" + b"".join(b"X-%d: y\r\n" % index for index in range(20_000)) + b"\r\n"
    chunked = {**JSON, "Transfer-Encoding": "chunked", "Content-Length": None}
    assert (await calm.request("POST", "/prompt", chunked, trailers)).status == 400
    cookies = "; ".join(f"a{index}=\x01" for index in range(500))
    await calm.request("GET", "/queue", {"Cookie": cookies})
    assert len(calm.parts.log.entries()) < 50


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

    async with serve(worker_command=NOBODY, insecure=True) as client:
        targets = ["/internal/logs", "/internal/logs/raw", "/internal/folder_paths", "/internal/files/output"]
        for target in targets:
            assert (await client.request("GET", target)).status == 200
        monkeypatch.setattr(internal, "is_loopback", lambda address: False)
        for target in targets:
            assert_refused(await client.request("GET", target), target, 404)
        assert_refused(await client.request("GET", "/internal/files/..%2f.."), "files", 404)


async def test_s31_nothing_redirects(calm: Client) -> None:
    """Gradio CVE-2024-4940."""
    for target in ("/?next=//evil", "//evil.example", "/\\evil.example", "/login?next=//evil", "/%5cevil/"):
        answer = await calm.request("GET", target)
        assert "location" not in answer.headers, target
        assert not 300 <= answer.status < 400, target
