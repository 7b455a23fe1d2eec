"""The rest of the API: lists of jobs, history pages, events, timings, packs' files, the page, and every
route under /api.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from server.app import TOPICS
from server.settings import Settings
from tests.server.client import Client
from tests.server.prompts import node, number, shown, sleep
from tests.server.test_sockets import page


async def test_every_route_is_also_under_api(client: Client) -> None:
    resources = {resource.canonical for resource in client.app.router.resources()}
    for topic in TOPICS:
        for route in topic.routes():
            path = route.path.replace(":.*}", "}")
            assert {path, f"/api{path.removeprefix('/api')}"} <= resources, path


async def test_history_comes_in_pages(client: Client) -> None:
    jobs = [await client.submit(number(index)) for index in range(6)]
    for job in jobs:
        await client.finished(job)
    cases = {"": jobs, "?max_items=2": jobs[4:], "?max_items=2&offset=0": jobs[:2], "?offset=4": jobs[4:],
             "?max_items=2&offset=-1": jobs[4:], "?max_items=0": [],
             "?max_items=99999999999999": jobs}  # fmt: skip
    for query, expected in cases.items():
        assert list((await client.get(f"/history{query}"))[1]) == expected, query
    for query in ("?max_items=x", "?max_items=-2", "?offset=1e3", "?max_items=%D9%A1"):
        assert (await client.get(f"/history{query}"))[0] == 400, query
    assert (await client.post("/history", {"delete": [jobs[0], "unknown"]}))[0] == 200
    assert list((await client.get("/history"))[1]) == jobs[1:]
    assert (await client.post("/history", {"clear": True}))[0] == 200
    assert await client.get("/history") == (200, {})
    assert await client.get(f"/history/{jobs[0]}") == (200, {})


async def test_an_unchanged_history_is_not_sent_again(client: Client) -> None:
    await client.finished(await client.submit(number(1)))
    response, _ = await client.response("GET", "/history")
    headers = {"If-None-Match": response.headers["ETag"]}
    assert (await client.response("GET", "/history", headers=headers))[0].status == 304
    await client.finished(await client.submit(number(2)))
    assert (await client.response("GET", "/history", headers=headers))[0].status == 200


async def test_a_long_history_is_sent_in_pieces(client: Client) -> None:
    text = "x" * 200_000
    for index in range(4):
        await client.finished(await client.submit(number(index), extra_data={"note": text}))
    _, history = await client.get("/history")
    assert [entry["prompt"][3]["note"] for entry in history.values()] == [text] * 4


async def test_jobs_are_listed_filtered_and_shown(client: Client) -> None:
    await client.ready()
    good = await client.submit(number(1))
    bad = await client.submit(shown(node("ToyFail", message="no", seed=1)))
    await client.finished(bad)
    running = await client.submit(sleep(20, 1))
    await client.until(running, "running")
    waiting = await client.submit(sleep(0, 2), extra_data={"extra_pnginfo": {"workflow": {"id": "w-1"}}})
    cases = {
        "": [waiting, running, bad, good], "?status=completed": [good], "?status=failed": [bad],
        "?status=pending,in_progress": [waiting, running], "?workflow_id=w-1": [waiting],
        "?limit=1&offset=1": [running],
        "?sort_order=asc&limit=2": [good, bad], "?status=cancelled": [],
    }  # fmt: skip
    for query, expected in cases.items():
        _, body = await client.get(f"/api/jobs{query}")
        assert [job["id"] for job in body["jobs"]] == expected, query
    _, body = await client.get("/api/jobs?limit=1&offset=1")
    assert body["pagination"] == {"offset": 1, "limit": 1, "total": 4, "has_more": True}
    for query in ("?status=nonsense", "?sort_by=x", "?sort_order=up", "?limit=x", "?limit=0", "?offset=-5"):
        assert (await client.get(f"/api/jobs{query}"))[0] == 400, query
    _, record = await client.get(f"/jobs/{good}")
    assert record["workflow"]["prompt"] == number(1)
    assert record["update_time"] == record["execution_end_time"]
    assert record["outputs"] == {"2": {"text": ["1"]}}
    assert record["execution_end_time"] >= record["execution_start_time"] >= record["create_time"]
    assert (await client.get("/api/jobs/unknown"))[0] == 404
    await client.post("/interrupt")


async def test_events_can_be_followed_by_their_number(client: Client) -> None:
    job = await client.submit(shown(node("ToySteps", count=5, pause=0.3, seed=1)))
    after, kinds, live = (
        0,
        [],
        [],
    )  # the steps take longer than a question waits, which tells the progress then
    end = time.monotonic() + 20
    while time.monotonic() < end:
        _, told = await client.get(f"/nodeloom/events?job={job}&after={after}&wait=1")
        after = told["last"]
        kinds += [event["kind"] for event in told["events"]]
        live += [told["live"]["value"]] if told["live"] else []
        if "Finished" in kinds:
            break
    assert kinds[0] == "Started"
    assert kinds.count("Running") == kinds.count("Done") == 2
    assert live
    assert (await client.get("/nodeloom/events?job=unknown"))[0] == 404
    _, latest = await client.get("/nodeloom/events")
    assert latest["job"] == job


async def test_timings_name_the_dearest_first(client: Client) -> None:
    assert (await client.get("/nodeloom/timings"))[0] == 404
    job = await client.submit(sleep(0.3, 5))
    await client.finished(job)
    _, timings = await client.get("/nodeloom/timings")
    assert timings["job"] == job
    first = timings["nodes"][0]
    assert (first["node"], first["class_type"], first["cached"]) == ("1", "ToySleep", False)
    assert first["seconds"] >= 0.3


async def test_timings_are_whole_at_the_last_word_on_a_job(client: Client) -> None:
    listener = await page(client, "clientId=me")
    job = await client.submit(number(4), client_id="me")
    while (await listener.next("executing"))["data"] != {"node": None, "prompt_id": job}:
        pass
    _, timings = await client.get(f"/nodeloom/timings?job={job}")
    assert timings["state"] == "success"
    assert {each["node"] for each in timings["nodes"]} == {"1", "2"}
    await listener.socket.close()


async def test_explain_is_the_workers(client: Client) -> None:
    job = await client.submit(number(1))
    await client.finished(job)
    for status, told in (
        await client.get(f"/nodeloom/explain?job={job}"),
        await client.post("/nodeloom/explain", {"prompt": number(1)}),
    ):
        assert status == 200, told
        assert "1" in json.dumps(told)
    assert (await client.post("/nodeloom/explain", {"prompt": number(-1)}))[0] == 400


async def test_what_went_through_an_output_is_told(client: Client) -> None:
    job = await client.submit(number(7))
    await client.finished(job)
    status, told = await client.get(f"/nodeloom/value?job={job}&node=1&output=0")
    assert (status, told) == (200, {"kept": [[7]], "output": 0})
    assert (await client.get(f"/nodeloom/value?job={job}&node=absent"))[0] == 404


@pytest.fixture
def pack(settings: Settings) -> Path:
    """The web folder that the toy worker names."""
    folder = settings.folders.base / "toys-web"
    (folder / "js").mkdir(parents=True)
    (folder / "js" / "toys.js").write_text("export const toys = 1;\n" * 100)
    (folder / "style.css").write_text("a {}")
    return folder


async def test_packs_bring_scripts(client: Client, pack: Path) -> None:
    await client.ready()
    while not client.parts.catalogue.packs:
        await asyncio.sleep(0.02)
    assert await client.get("/extensions") == (200, ["/extensions/toys/js/toys.js"])
    response, body = await client.response("GET", "/extensions/toys/js/toys.js")
    assert response.content_type == "text/javascript"
    assert b"toys = 1" in body
    assert (await client.get("/extensions/toys/js/absent.js"))[0] == 404


async def test_packs_bring_translations_and_examples(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    files = {
        "locales/de/main.json": {"a": {"x": "1"}}, "locales/de/nodeDefs.json": {"N": {"title": "T"}},
        "locales/fr/main.json": {"a": "b"}, "example_workflows/one.json": {"nodes": []},
    }  # fmt: skip
    for name, document in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(document))
    (folder / "locales" / "de" / "broken.json").write_text("{")
    (folder / "example_workflows" / "one.jpg").write_bytes(b"jpg")
    await client.ready()
    while not client.parts.catalogue.packs:
        await asyncio.sleep(0.02)
    client.parts.catalogue.packs = [{"name": "p", "path": str(folder)}]
    assert await client.get("/i18n") == (
        200, {"de": {"a": {"x": "1"}, "nodeDefs": {"N": {"title": "T"}}}, "fr": {"a": "b"}},
    )  # fmt: skip
    assert await client.get("/workflow_templates") == (200, {"p": ["one"]})
    assert await client.get("/workflow_templates/p/one.json") == (200, {"nodes": []})
    assert (await client.get("/workflow_templates/p/one.jpg"))[0] == 200
    for name in ("p/two.json", "q/one.json", "p/..%2flocales%2ffr%2fmain.json"):
        assert (await client.get(f"/workflow_templates/{name}"))[0] == 404, name


async def test_the_page_is_packed_cached_and_kept_for_a_year_if_asked_by_content(
    client: Client, settings: Settings
) -> None:
    response, body = await client.response("GET", "/")
    assert response.content_type == "text/html"
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Cache-Control"] == "no-cache"
    etag = response.headers["ETag"]
    again, nothing = await client.response("GET", "/", headers={"If-None-Match": etag})
    assert (again.status, nothing) == (304, b"")
    tag = (await client.response("GET", "/main.js"))[0].headers["ETag"].strip('"')
    for version, cached in ((tag, "max-age=31536000, immutable"), ("other", "no-cache")):
        versioned, _ = await client.response("GET", f"/main.js?v={version}")
        assert versioned.headers["Cache-Control"] == cached
    (settings.web_root / "index.html").write_text("<!doctype html>new")
    changed, body = await client.response("GET", "/", headers={"If-None-Match": etag})
    assert (changed.status, body) == (200, b"<!doctype html>new")


async def test_a_large_file_of_the_page_is_streamed(client: Client, settings: Settings) -> None:
    (settings.web_root / "big.wasm").write_bytes(bytes(5 * 2**20))
    response, body = await client.response("GET", "/big.wasm")
    assert (response.content_type, len(body)) == ("application/wasm", 5 * 2**20)


async def test_small_questions_have_answers(client: Client) -> None:
    answers: dict[str, Any] = {
        "/users": {"storage": "server", "migrated": False}, "/i18n": {}, "/workflow_templates": {},
        "/global_subgraphs": {}, "/node_replacements": {},
    }  # fmt: skip
    for path, expected in answers.items():
        assert await client.get(path) == (200, expected), path
    _, features = await client.get("/features")
    assert features["supports_preview_metadata"] is True
    _, stats = await client.get("/system_stats")
    assert stats["system"]["comfyui_version"]
    assert stats["system"]["ram_free"] > 0


async def test_refusals_are_json_and_name_the_method(client: Client) -> None:
    status, body = await client.ask("PUT", "/queue")
    assert (status, body["error"]["type"]) == (405, "method_not_allowed")
    status, body = await client.get("/absent")
    assert (status, body["error"]["type"]) == (404, "not_found")


async def test_what_fails_inside_is_logged_and_answered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.parts.store, "history_of", None)
    status, body = await client.get("/history/x")
    assert (status, body["error"]["type"]) == (500, "server_error")
    assert any("GET /history/x failed" in entry["m"] for entry in client.parts.log.entries())
