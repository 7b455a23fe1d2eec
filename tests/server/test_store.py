"""The journal: whatever a method returned from is on disk, in order, and without secrets."""

import json
import math
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.jobs import Once, Outcome, Queued, Status, preview_file, shown_files, without_secrets
from server.journal import CUT_OFF, Journal, lenient, number_text
from server.store import IdTaken, Page, Recovered, Repeated

PROMPT = {"1": {"class_type": "A", "inputs": {"x": 1, "text": "ü\ud800"}}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


def job(name: str, number: float = 0, **more: Any) -> Queued:
    extra = {"client_id": "c"}
    created = time.time()
    return Queued(name, PROMPT, ("1",), extra, number=number, created=created, client_id="c", **more)


async def queue(store: Journal, status: Status = Status.PENDING) -> list[Any]:
    return [json.loads(piece) async for each, piece in store.queue() if each is status]


async def history(store: Journal, most: int | None = None, offset: int | None = None) -> dict[str, Any]:
    pieces = [piece async for piece in store.history(most, offset)]
    entries: dict[str, Any] = json.loads("{" + ",".join(pieces) + "}")
    return entries


async def ended(store: Journal, name: str, outcome: Outcome | None = None) -> None:
    await store.add(job(name))
    await store.start(name, time.time())
    await store.finish(name, outcome or Outcome(Status.SUCCESS), time.time())


async def test_the_queue_is_in_order_of_number_then_arrival(store: Journal) -> None:
    for name, number in (("a", 1.0), ("b", 0.0), ("c", 1.0), ("d", -3.0)):
        await store.add(job(name, number))
    waiting = await queue(store)
    assert [entry[1] for entry in waiting] == ["d", "b", "a", "c"]
    assert waiting[0] == [-3, "d", PROMPT, {"client_id": "c"}, ["1"]]


async def test_a_queue_longer_than_a_page_is_whole(store: Journal) -> None:
    for index in range(120):
        await store.add(job(f"j{index}", float(index % 7)))
    waiting = await queue(store)
    assert len({entry[1] for entry in waiting}) == 120
    assert [entry[0] for entry in waiting] == sorted(entry[0] for entry in waiting)


async def test_who_starts_while_the_queue_is_read_is_in_it_once(store: Journal) -> None:
    """comfyui-utils looks for its prompt in the queue, then in the history; in one it must be."""
    for index in range(120):
        await store.add(job(f"j{index}", float(index)))
    await store.start("j0", time.time())
    seen = []
    async for _, piece in store.queue():
        if not seen:
            await store.start("j1", time.time())
        seen.append(json.loads(piece)[1])
    assert seen == [f"j{index}" for index in range(120)]


async def killed(path: Path) -> tuple[Journal, Recovered]:
    """The journal as the next process finds it."""
    journal = Journal(path)
    return journal, await journal.recover()


@pytest.mark.parametrize("number", [5.0, 6.5, 99.0])
async def test_a_restart_puts_what_ran_before_what_waited(tmp_path: Path, number: float) -> None:
    """Also when others were put before it while it ran."""
    first = Journal(tmp_path / "j.sqlite")
    for name, place in (("ran", number), ("late", 7.0), ("early", 6.0), ("front", -4.0)):
        await first.add(job(name, place))
    await first.start("ran", time.time())
    second, recovered = await killed(tmp_path / "j.sqlite")
    assert [waiting.id for waiting in recovered.pending] == ["ran", "front", "early", "late"]
    assert (recovered.again, recovered.given_up) == (("ran",), ())
    assert recovered.next_number > 7
    assert (await queue(second))[0][1] == "ran"
    assert await history(second) == {}, "it has not ended"
    record = await second.job("ran")
    assert record is not None
    assert [each["status"] for each in record["changes"]] == ["pending", "running", "pending"]
    assert record["changes"][-1]["why"] == CUT_OFF
    first.close()
    second.close()


async def test_several_that_ran_keep_their_order(tmp_path: Path) -> None:
    first = Journal(tmp_path / "j.sqlite")
    for name, place in (("a", 8.0), ("b", 9.0), ("waits", 3.0)):
        await first.add(job(name, place))
    for name in "ab":
        await first.start(name, time.time())
    second, recovered = await killed(tmp_path / "j.sqlite")
    assert [waiting.id for waiting in recovered.pending] == ["a", "b", "waits"]
    first.close()
    second.close()


async def test_a_job_under_which_the_server_dies_twice_is_given_up(tmp_path: Path) -> None:
    first = Journal(tmp_path / "j.sqlite")
    for name, number in (("ran", 5.0), ("late", 7.0)):
        await first.add(job(name, number))
    await first.start("ran", time.time())
    place = {"node": "9.0", "display_node": "9", "real_node": "9"}
    events: list[dict[str, Any]] = [
        {"kind": "Started", "number": 1}, {"kind": "Running", "number": 2, "place": place},
        {"kind": "Done", "number": 3, "place": place, "ui": {"text": ["kept"]}},
        {"kind": "Running", "number": 4, "place": {"node": "1", "display_node": "1", "real_node": "1"}},
    ]  # fmt: skip
    second, recovered = await killed(tmp_path / "j.sqlite")
    assert recovered.again == ("ran",)
    await second.start("ran", time.time())
    second.record("ran", [(event["number"], json.dumps(event)) for event in events])
    await second._database.write(lambda connection: None)  # what was posted is on disk before this is
    third, recovered = await killed(tmp_path / "j.sqlite")
    assert (recovered.again, recovered.given_up) == ((), ("ran",))
    assert [waiting.id for waiting in recovered.pending] == ["late"]
    entry = (await history(third))["ran"]
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    ((kind, error),) = entry["status"]["messages"]
    assert (kind, error["exception_type"], error["node_id"]) == ("execution_error", "ServerDied", "1")
    assert "node 1" in error["exception_message"]
    assert "not tried again" in error["exception_message"]
    assert entry["outputs"] == {"9": {"text": ["kept"]}}, "what was shown before the end is kept"
    record = await third.job("ran")
    assert record is not None
    changes = [each["status"] for each in record["changes"]]
    assert changes == ["pending", "running", "pending", "running", "error"]
    for journal in (first, second, third):
        journal.close()


async def test_history_is_paged_from_both_ends(store: Journal) -> None:
    for index in range(7):
        await ended(store, f"j{index}")
    cases: list[tuple[int | None, int | None, list[str]]] = [
        (None, None, [f"j{index}" for index in range(7)]),
        (2, None, ["j5", "j6"]),
        (2, 0, ["j0", "j1"]),
        (3, 5, ["j5", "j6"]),
        (0, None, []),
        (5, 100, []),
    ]
    for most, offset, expected in cases:
        assert list(await history(store, most, offset)) == expected, (most, offset)


async def test_an_id_in_use_is_refused_and_an_ended_one_is_replaced(store: Journal) -> None:
    await store.add(job("a"))
    with pytest.raises(IdTaken):
        await store.add(job("a"))
    await store.finish("a", Outcome(Status.ERROR), time.time())
    await store.add(job("a", 3.0))
    assert await history(store) == {}
    assert len(await queue(store)) == 1


async def test_only_ended_jobs_are_forgotten(store: Journal) -> None:
    await ended(store, "old")
    await ended(store, "older")
    await store.add(job("waits"))
    await store.forget(["old", "waits", "unknown"])
    assert list(await history(store)) == ["older"]
    assert await store.load("waits") is not None
    await store.forget(None)
    assert await history(store) == {}
    assert await store.load("waits") is not None


async def test_a_job_comes_back_as_it_was_added(store: Journal) -> None:
    await store.add(job("a", 2.5, session="s", secrets={"api_key": "CANARY"}))
    loaded = await store.load("a")
    assert loaded is not None
    assert (loaded.number, loaded.prompt, loaded.targets, loaded.session) == (2.5, PROMPT, ("1",), "s")
    assert loaded.secrets == {}


async def test_secrets_are_nowhere_on_disk(tmp_path: Path) -> None:
    store = Journal(tmp_path / "j.sqlite")
    shown, secrets = without_secrets({"api_key_comfy_org": "CANARY", "AUTH_TOKEN_x": "CANARY", "seed": 1})
    assert shown == {"seed": 1}
    await store.add(Queued("a", {}, (), shown, number=0, created=0.0, secrets=secrets))
    store.close()
    assert not any(b"CANARY" in path.read_bytes() for path in tmp_path.iterdir())
    assert "CANARY" not in repr(Queued("a", {}, (), shown, number=0, created=0.0, secrets=secrets))


async def test_a_journal_of_another_version_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = sqlite3.connect(tmp_path / "j.sqlite")
    old.execute("CREATE TABLE jobs(id TEXT)")
    old.close()
    store = Journal(tmp_path / "j.sqlite")
    await store.add(job("a"))
    store.close()
    assert len(list(tmp_path.glob("j-version0-*.sqlite"))) == 1
    assert "kept as" in caplog.text
    again = Journal(tmp_path / "j.sqlite")
    assert await again.load("a") is not None
    again.close()


async def test_pages_of_a_long_history_are_found_without_sorting(store: Journal) -> None:
    question = (
        "SELECT * FROM jobs WHERE listed = 1 AND (ended, ordinal) > (?, ?) ORDER BY ended, ordinal LIMIT 5"
    )
    plan = await store._rows(f"EXPLAIN QUERY PLAN {question}", 0, 0)
    assert [row["detail"] for row in plan] == ["SEARCH jobs USING INDEX jobs_history (listed=? AND ended>?)"]


async def test_history_is_bounded(tmp_path: Path) -> None:
    store = Journal(tmp_path / "j.sqlite", most_history=10)
    for index in range(140):
        await ended(store, f"j{index}")
    assert len(await history(store)) < 10 + 64
    store.close()


async def test_events_are_given_from_a_number_on(store: Journal) -> None:
    await store.add(job("a"))
    store.record("a", [(number, json.dumps({"number": number})) for number in range(1, 6)])
    await store.recorded()
    assert [json.loads(text)["number"] for text in await store.events("a", 3, 100)] == [4, 5]
    assert await store.start("a", 0.0) == 5, "a retry goes on counting from here"


async def test_writes_that_fail_are_told_alone(store: Journal) -> None:
    def breaks(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO changes VALUES('half', 0, '', '')")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store._database.write(breaks)
    rows = await store._database.read(
        lambda connection: connection.execute("SELECT * FROM changes").fetchall()
    )
    assert rows == [], "what it had written is undone"
    await store.add(job("a"))


async def test_a_full_disk_is_an_error_and_not_a_lost_job(tmp_path: Path) -> None:
    store = Journal(tmp_path / "j.sqlite")
    pages = await store._database.read(
        lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]
    )
    store._database._connection.execute(f"PRAGMA max_page_count={pages + 2}")
    big = Queued("big", {"1": {"class_type": "A", "inputs": {"x": "y" * 100_000}}}, (), number=0, created=0.0)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await store.add(big)
    store._database._connection.execute("PRAGMA max_page_count=1000000")
    await store.add(big)
    assert await store.load("big") is not None
    store.close()


async def test_jobs_are_listed_by_state_and_workflow(store: Journal) -> None:
    await ended(store, "good")
    await ended(store, "bad", Outcome(Status.ERROR, error={"exception_message": "no"}))
    extra = {"extra_pnginfo": {"workflow": {"id": "w1"}}}
    await store.add(Queued("mine", PROMPT, (), extra, number=1, created=time.time()))
    cases: list[tuple[Page, list[str], int]] = [
        (Page(10), ["mine", "bad", "good"], 3),
        (Page(10, ascending=True), ["good", "bad", "mine"], 3),
        (Page(1, 1), ["bad"], 3),
        (Page(10, statuses=(Status.ERROR,)), ["bad"], 1),
        (Page(10, workflow_id="w1"), ["mine"], 1),
    ]
    for page, expected, total in cases:
        records, found = await store.jobs(page)
        assert ([record["id"] for record in records], found) == (expected, total), page


def test_the_file_that_stands_for_a_job_is_a_saved_one() -> None:
    temp, saved = ({"filename": name, "subfolder": "", "type": name} for name in ("temp", "output"))
    outputs = {"1": {"images": [temp]}, "2": {"images": [saved, temp], "text": ["x"]}, "3": None}
    assert len(list(shown_files(outputs))) == 3
    assert preview_file(outputs) == {**saved, "nodeId": "2", "mediaType": "images"}
    assert preview_file({"1": {"images": [temp]}}) == {**temp, "nodeId": "1", "mediaType": "images"}
    assert preview_file({}) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_queue_numbers_survive_their_text(number: float) -> None:
    assert json.loads(number_text(number)) == number


def test_whole_queue_numbers_have_no_point() -> None:
    assert [number_text(number) for number in (3.0, -2.0, 0.5)] == ["3", "-2", "0.5"]


def test_what_nodes_show_becomes_json_whatever_it_is() -> None:
    strange = {"n": math.nan, "i": [math.inf], "p": Path("x"), 3: {"t": (1, 2)}}
    assert json.loads(lenient(strange)) == {"n": None, "i": [None], "p": "x", "3": {"t": [1, 2]}}


async def test_a_key_has_one_job_until_that_is_forgotten(store: Journal) -> None:
    await store.add(job("a", session="me", once=Once("key", "what")))
    for once, same in ((Once("key", "what"), True), (Once("key", "else"), False)):
        with pytest.raises(Repeated) as raised:
            await store.add(job("b", session="me", once=once))
        assert (raised.value.job, raised.value.same) == ("a", same)
        with pytest.raises(Repeated):
            await store.answered("me", once)
    await store.answered("you", Once("key", "what"))
    await store.add(job("c", session="you", once=Once("key", "what")))
    await store.finish("a", Outcome(Status.SUCCESS), time.time())
    await store.forget(["a"])
    await store.add(job("d", session="me", once=Once("key", "else")))


async def test_jobs_are_found_by_their_labels(store: Journal) -> None:
    for index in range(4):
        await store.add(job(str(index), labels={"client": "acme" if index % 2 else "other", "n": str(index)}))
    records, total = await store.jobs(Page(limit=9, labels={"client": "acme"}))
    assert ([record["id"] for record in records], total) == (["3", "1"], 2)
    assert records[0]["labels"] == {"client": "acme", "n": "3"}
    before, _ = await store.jobs(Page(limit=9, before=records[0]["ordinal"]))
    assert [record["id"] for record in before] == ["2", "1", "0"]
    record = await store.job("2")
    assert record is not None
    assert record["labels"] == {"client": "other", "n": "2"}
