"""The store in SQLite: a row per job, a row per change of state, a row per event."""

import json
import logging
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from server.answers import dumps
from server.database import Database
from server.jobs import MOST_ATTEMPTS, Once, Outcome, Queued, Status, died_twice, preview_file, shown_files
from server.store import IdTaken, Page, Recovered, Repeated, Waiting

logger = logging.getLogger(__name__)
VERSION = 2
"""Of the schema; a file of another one is put aside."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs(
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    number REAL NOT NULL,
    status TEXT NOT NULL,
    client_id TEXT,
    session TEXT NOT NULL,
    workflow_id TEXT,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    prompt TEXT NOT NULL,
    extra_data TEXT NOT NULL,
    targets TEXT NOT NULL,
    outputs TEXT,
    meta TEXT,
    outcome TEXT,
    error TEXT,
    preview TEXT,
    outputs_count INTEGER NOT NULL DEFAULT 0,
    listed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_queue ON jobs(status, number, ordinal);
CREATE INDEX IF NOT EXISTS jobs_history ON jobs(listed, ended, ordinal);
CREATE TABLE IF NOT EXISTS changes(
    job TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, why TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS changes_job ON changes(job);
CREATE TABLE IF NOT EXISTS events(
    job TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(job, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels(
    job TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(job, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS labels_value ON labels(name, value);
CREATE TABLE IF NOT EXISTS once(
    session TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, job TEXT NOT NULL,
    PRIMARY KEY(session, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS once_job ON once(job);
"""
LISTED = frozenset({Status.SUCCESS, Status.ERROR, Status.INTERRUPTED})
"""What the history shows: not what was cancelled before it ran."""
CUT_OFF = "the server was killed while this ran"
ROWS_A_PAGE = 50
RUNNING = "SELECT * FROM (SELECT * FROM jobs WHERE status = 'running' ORDER BY number, ordinal)"
PENDING_PAGE = (
    "SELECT * FROM (SELECT * FROM jobs WHERE status = 'pending' AND (number, ordinal) > (?, ?)"
    f" ORDER BY number, ordinal LIMIT {ROWS_A_PAGE})"
)
FINISHES_A_SWEEP = 64


def number_text(number: float) -> str:
    """A queue number as JSON: whole ones without a point."""
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def queue_text(row: sqlite3.Row) -> str:
    """`[number, id, prompt, extra_data, targets]`."""
    head = f"{number_text(row['number'])},{json.dumps(row['id'])}"
    return f"[{head},{row['prompt']},{row['extra_data']},{row['targets']}]"


def history_text(row: sqlite3.Row) -> str:
    """`"id":{"prompt","outputs","status","meta"}`."""
    parts = f'"outputs":{row["outputs"]},"status":{row["outcome"]},"meta":{row["meta"]}'
    return f'{json.dumps(row["id"])}:{{"prompt":{queue_text(row)},{parts}}}'


def lenient(document: object) -> str:
    """JSON of what a node made: numbers that JSON lacks become null, strange values text."""
    try:
        return dumps(document)
    except (ValueError, TypeError):
        return dumps(_plain(json.loads(json.dumps(document, default=str, skipkeys=True))))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def job_of(row: sqlite3.Row) -> Queued:
    """A job as it was added."""
    return Queued(
        id=row["id"],
        number=row["number"],
        prompt=json.loads(row["prompt"]),
        targets=tuple(json.loads(row["targets"])),
        extra_data=json.loads(row["extra_data"]),
        created=row["created"],
        client_id=row["client_id"],
        session=row["session"],
        attempts=row["attempts"],
    )


def change(connection: sqlite3.Connection, job: str, status: Status, at: float, why: str = "") -> None:
    """Note a change of state and set it."""
    connection.execute("INSERT INTO changes VALUES(?, ?, ?, ?)", (job, at, status, why))
    connection.execute("UPDATE jobs SET status = ? WHERE id = ?", (status, job))


def refuse_repeated(connection: sqlite3.Connection, session: str, once: Once) -> None:
    """See `Store.answered`."""
    statement = "SELECT job, request FROM once WHERE session = ? AND key = ?"
    found = connection.execute(statement, (session, once.key)).fetchone()
    if found:
        raise Repeated(found["job"], found["request"] == once.request)


def insert(connection: sqlite3.Connection, job: Queued, prompt: str, extra_data: str) -> Waiting:
    """Add a pending job in place of an ended one with the same id."""
    if job.once is not None:
        refuse_repeated(connection, job.session, job.once)
    found = connection.execute("SELECT status FROM jobs WHERE id = ?", (job.id,)).fetchone()
    if found and found["status"] in (Status.PENDING, Status.RUNNING):
        raise IdTaken(job.id)
    if found:
        erase(connection, [job.id])
    columns = {
        "id": job.id,
        "number": job.number,
        "status": Status.PENDING,
        "client_id": job.client_id,
        "session": job.session,
        "workflow_id": job.workflow_id,
        "created": job.created,
        "prompt": prompt,
        "extra_data": extra_data,
        "targets": dumps(list(job.targets or ())),
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    cursor = connection.execute(f"INSERT INTO jobs({names}) VALUES({marks})", tuple(columns.values()))
    change(connection, job.id, Status.PENDING, job.created)
    labels = [(job.id, name, value) for name, value in job.labels.items()]
    connection.executemany("INSERT INTO labels VALUES(?, ?, ?)", labels)
    if job.once is not None:
        row = (job.session, *job.once, job.id)
        connection.execute("INSERT INTO once VALUES(?, ?, ?, ?)", row)
    return Waiting(job.number, cursor.lastrowid or 0, job.id)


def start(connection: sqlite3.Connection, job: str, at: float) -> int:
    """Note that a worker has the job; the number of the last event of its earlier attempts, or 0."""
    change(connection, job, Status.RUNNING, at)
    connection.execute("UPDATE jobs SET started = ?, attempts = attempts + 1 WHERE id = ?", (at, job))
    found = connection.execute("SELECT max(number) FROM events WHERE job = ?", (job,)).fetchone()[0]
    return int(found or 0)


def finish(connection: sqlite3.Connection, job: str, outcome: Outcome, at: float) -> None:
    """Write how a job ended."""
    change(connection, job, outcome.status, at, outcome.why)
    success = outcome.status is Status.SUCCESS
    status = {
        "status_str": "success" if success else "error",
        "completed": success,
        "messages": outcome.messages,
    }
    preview = preview_file(outcome.outputs)
    columns = {
        "ended": at,
        "outputs": lenient(outcome.outputs),
        "meta": lenient(outcome.meta),
        "outcome": lenient(status),
        "error": outcome.error and lenient(outcome.error),
        "preview": preview and lenient(preview),
        "outputs_count": sum(1 for _ in shown_files(outcome.outputs)),
        "listed": outcome.status in LISTED,
    }
    changes = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE jobs SET {changes} WHERE id = ?", (*columns.values(), job))


def erase(connection: sqlite3.Connection, jobs: Iterable[str]) -> None:
    """Drop jobs with all that was noted of them."""
    ids = [(job,) for job in jobs]
    connection.executemany("DELETE FROM events WHERE job = ?", ids)
    connection.executemany("DELETE FROM changes WHERE job = ?", ids)
    connection.executemany("DELETE FROM labels WHERE job = ?", ids)
    connection.executemany("DELETE FROM once WHERE job = ?", ids)
    connection.executemany("DELETE FROM jobs WHERE id = ?", ids)


def give_up(connection: sqlite3.Connection, job: sqlite3.Row, at: float) -> None:
    """End a job under which servers died too often, keeping what its nodes had shown by then."""
    outputs: dict[str, Any] = {}
    at_work: list[str] = []
    statement = "SELECT body FROM events WHERE job = ? ORDER BY number"
    for row in connection.execute(statement, (job["id"],)):
        event = json.loads(row["body"])
        if event.get("kind") == "Started":
            at_work.clear()
        elif event.get("kind") == "Running":
            at_work.append(event["place"]["real_node"])
        elif event.get("kind") == "Done":
            if event["place"]["real_node"] in at_work:
                at_work.remove(event["place"]["real_node"])
            if event.get("ui"):
                outputs[event["place"]["display_node"]] = event["ui"]
    node = at_work[-1] if at_work else None
    error = died_twice("server", CUT_OFF, json.loads(job["prompt"]), node)
    notice = {"prompt_id": job["id"], **error, "timestamp": round(at * 1000)}
    outcome = Outcome(
        Status.ERROR, outputs, {}, (("execution_error", notice),), error, f"quarantined: {CUT_OFF}"
    )
    finish(connection, job["id"], outcome, at)


def put_back(connection: sqlite3.Connection, jobs: Sequence[sqlite3.Row], at: float) -> None:
    """Let jobs that were cut off wait again, in their order, before all others."""
    lowest = connection.execute("SELECT min(number) FROM jobs WHERE status = 'pending'").fetchone()[0]
    for index, job in enumerate(jobs):
        change(connection, job["id"], Status.PENDING, at, CUT_OFF)
        if lowest is not None and job["number"] >= lowest:
            number = lowest - (len(jobs) - index)
            connection.execute("UPDATE jobs SET number = ? WHERE id = ?", (number, job["id"]))


def recover(connection: sqlite3.Connection) -> Recovered:
    """See `Store.recover`."""
    now = time.time()
    running = connection.execute(
        "SELECT * FROM jobs WHERE status = 'running' ORDER BY number, ordinal"
    ).fetchall()
    again = [job for job in running if job["attempts"] < MOST_ATTEMPTS]
    given_up = [job for job in running if job["attempts"] >= MOST_ATTEMPTS]
    for job in given_up:
        give_up(connection, job, now)
    put_back(connection, again, now)
    waiting = "SELECT number, ordinal, id FROM jobs WHERE status = 'pending' ORDER BY number, ordinal"
    pending = tuple(Waiting(*row) for row in connection.execute(waiting))
    highest = connection.execute("SELECT max(abs(number)) FROM jobs").fetchone()[0]
    next_number = 0.0 if highest is None else math.floor(highest) + 1.0
    return Recovered(
        pending, tuple(job["id"] for job in again), tuple(job["id"] for job in given_up), next_number
    )


def sweep(connection: sqlite3.Connection, most: int) -> None:
    """Drop the oldest ended jobs beyond `most`."""
    old = "SELECT id FROM jobs WHERE ended IS NOT NULL ORDER BY ended DESC, ordinal DESC LIMIT -1 OFFSET ?"
    erase(connection, [row["id"] for row in connection.execute(old, (most,)).fetchall()])


def record_of(row: sqlite3.Row) -> dict[str, Any]:
    """The short record of a job: plain columns, with its JSON parts parsed."""
    record = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a Row iterates over its values
    for name in ("error", "preview", "outputs", "outcome", "meta", "prompt", "extra_data", "targets"):
        if record.get(name) is not None:
            record[name] = json.loads(record[name])
    return record


SHORT = (
    "id, ordinal, number, status, workflow_id, created, started, ended, attempts, error, "
    "preview, outputs_count"
)


def select_jobs(connection: sqlite3.Connection, page: Page) -> tuple[list[dict[str, Any]], int]:
    """See `Store.jobs`."""
    marks = ",".join("?" * len(page.statuses))
    where, values = f"status IN ({marks})", list[Any](page.statuses)
    if page.workflow_id is not None:
        where, values = f"{where} AND workflow_id = ?", [*values, page.workflow_id]
    for name, value in page.labels.items():
        where += " AND EXISTS(SELECT 1 FROM labels WHERE job = jobs.id AND name = ? AND value = ?)"
        values += [name, value]
    if page.before is not None:
        where, values = f"{where} AND ordinal < ?", [*values, page.before]
    order = "coalesce(ended, 1e18) - coalesce(started, 0)" if page.by_duration else "created"
    way = "ASC" if page.ascending else "DESC"
    total = connection.execute(f"SELECT count(*) FROM jobs WHERE {where}", values).fetchone()[0]
    rows = connection.execute(
        f"SELECT {SHORT} FROM jobs WHERE {where} ORDER BY {order} {way}, ordinal {way} LIMIT ? OFFSET ?",
        [*values, page.limit, page.offset],
    ).fetchall()
    return [{**record_of(row), "labels": labels_of(connection, row["id"])} for row in rows], total


def labels_of(connection: sqlite3.Connection, job: str) -> dict[str, str]:
    """What a job is called by."""
    rows = connection.execute("SELECT name, value FROM labels WHERE job = ? ORDER BY name", (job,))
    return {row["name"]: row["value"] for row in rows}


def put_aside_other_versions(path: Path) -> None:
    """Rename a journal whose schema is not this one's, so that nothing of it is lost or misread."""
    if not path.exists():
        return
    connection = sqlite3.connect(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()
    if version != VERSION:
        kept = path.with_name(f"{path.stem}-version{version}-{time.time_ns()}{path.suffix}")
        path.rename(kept)
        logger.warning("The journal %s is of version %d; it is kept as %s.", path.name, version, kept.name)


class Journal:
    """`Store` in one SQLite file. `most_history` bounds the ended jobs kept."""

    def __init__(self, path: Path, most_history: int = 10_000) -> None:
        put_aside_other_versions(path)
        self._database = Database(path, f"{SCHEMA} PRAGMA user_version = {VERSION};")
        self._most = most_history
        self._revision = 0
        self._finishes = 0

    @property
    def revision(self) -> int:
        return self._revision

    async def _write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        result = await self._database.write(work)
        self._revision += 1
        return result

    async def recover(self) -> Recovered:
        recovered: Recovered = await self._write(recover)
        return recovered

    async def add(self, job: Queued) -> Waiting:
        prompt, extra_data = dumps(job.prompt), dumps(job.extra_data)
        waiting: Waiting = await self._write(lambda connection: insert(connection, job, prompt, extra_data))
        return waiting

    async def answered(self, session: str, once: Once) -> None:
        await self._database.read(lambda connection: refuse_repeated(connection, session, once))

    async def load(self, job: str) -> Queued | None:
        row = await self._row("SELECT * FROM jobs WHERE id = ? AND status IN ('pending', 'running')", job)
        return job_of(row) if row else None

    async def start(self, job: str, at: float) -> int:
        last: int = await self._write(lambda connection: start(connection, job, at))
        return last

    async def requeue(self, job: str, why: str) -> None:
        await self._write(lambda connection: change(connection, job, Status.PENDING, time.time(), why))

    async def finish(self, job: str, outcome: Outcome, at: float) -> None:
        self._finishes += 1
        sweeping = self._finishes % FINISHES_A_SWEEP == 0

        def work(connection: sqlite3.Connection) -> None:
            finish(connection, job, outcome, at)
            if sweeping:
                sweep(connection, self._most)

        await self._write(work)

    def record(self, job: str, events: Sequence[tuple[int, str]]) -> None:
        rows = [(job, number, body) for number, body in events]
        statement = "INSERT OR REPLACE INTO events VALUES(?, ?, ?)"
        self._database.post(lambda connection: connection.executemany(statement, rows))

    async def recorded(self) -> None:
        await self._database.write(lambda connection: None)  # writes are done in order

    async def events(self, job: str, after: int, limit: int) -> list[str]:
        statement = "SELECT body FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT ?"
        rows = await self._rows(statement, job, after, limit)
        return [row["body"] for row in rows]

    async def queue(self) -> AsyncIterator[tuple[Status, str]]:
        after: tuple[float, int] = (-math.inf, 0)
        statement = f"{RUNNING} UNION ALL {PENDING_PAGE}"  # one reading: who starts meanwhile is in it once
        while True:
            rows = await self._rows(statement, *after)
            for row in rows:
                yield Status(row["status"]), queue_text(row)
            waiting = [row for row in rows if row["status"] == Status.PENDING]
            if len(waiting) < ROWS_A_PAGE:
                return
            statement, after = PENDING_PAGE, (waiting[-1]["number"], waiting[-1]["ordinal"])

    async def history(self, most: int | None, offset: int | None) -> AsyncIterator[str]:
        total = (await self._rows("SELECT count(*) FROM jobs WHERE listed = 1"))[0][0]
        most = total if most is None else min(most, total)
        skip = max(total - most, 0) if offset is None else offset
        after = (-math.inf, 0)
        while most > 0:
            page = "SELECT * FROM jobs WHERE listed = 1 AND (ended, ordinal) > (?, ?) ORDER BY ended, ordinal"
            rows = await self._rows(f"{page} LIMIT ? OFFSET ?", *after, min(ROWS_A_PAGE, most), skip)
            for row in rows:
                yield history_text(row)
            if not rows:
                return
            most, skip, after = most - len(rows), 0, (rows[-1]["ended"], rows[-1]["ordinal"])

    async def history_of(self, job: str) -> str:
        row = await self._row("SELECT * FROM jobs WHERE id = ? AND listed = 1", job)
        return f"{{{history_text(row)}}}" if row else "{}"

    async def forget(self, jobs: Iterable[str] | None) -> None:
        wanted = None if jobs is None else set(jobs)

        def work(connection: sqlite3.Connection) -> None:
            ended = [row["id"] for row in connection.execute("SELECT id FROM jobs WHERE ended IS NOT NULL")]
            erase(connection, ended if wanted is None else [job for job in ended if job in wanted])

        await self._write(work)

    async def jobs(self, page: Page) -> tuple[list[dict[str, Any]], int]:
        return await self._database.read(lambda connection: select_jobs(connection, page))

    async def job(self, job: str) -> dict[str, Any] | None:
        row = await self._row("SELECT * FROM jobs WHERE id = ?", job)
        if row is None:
            return None
        changes = await self._rows("SELECT at, status, why FROM changes WHERE job = ? ORDER BY rowid", job)
        labels = await self._database.read(lambda connection: labels_of(connection, job))
        return {**record_of(row), "labels": labels, "changes": [dict(each) for each in changes]}

    def close(self) -> None:
        self._database.close()

    async def _row(self, statement: str, *values: Any) -> sqlite3.Row | None:
        rows = await self._rows(statement, *values)
        return rows[0] if rows else None

    async def _rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        return await self._database.read(lambda connection: connection.execute(statement, values).fetchall())
