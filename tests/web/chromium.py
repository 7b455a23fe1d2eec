# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""Driving the page in Chromium: where things lie, gestures, files, waiting."""

import os
import shutil
import struct
import zlib
from typing import Any

import pytest

CHROMIUM = (
    os.environ.get("CHROMIUM")
    or shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on the path; install it, or set CHROMIUM"
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def ready(context: Any, address: str) -> Any:
    opened = context.new_page()
    opened.goto(address)
    opened.wait_for_selector("html[data-ready]", timeout=20000)
    until(opened, "document.hasFocus()")  # keys go nowhere before
    painted(opened)
    return opened


def until(page: Any, expression: str, seconds: float = 10) -> None:
    """Waits for an expression (or what an async function gives) to hold; the page's policy forbids Playwright's own way."""
    for _ in range(round(seconds * 20)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def painted(page: Any) -> None:
    """Waits until what has changed by now is drawn."""
    until(
        page,
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))",
    )


DRAFTED = """async () => {
  const { tab } = nodeloom.editor, { name } = nodeloom.documents.drafts;
  const database = await new Promise((done, fail) => Object.assign(indexedDB.open(name), { onsuccess: (e) => done(e.target.result), onerror: fail }));
  const read = (store, key) => new Promise((done, fail) => Object.assign(database.transaction(store).objectStore(store).get(key), { onsuccess: (e) => done(e.target.result), onerror: fail }));
  const { done, undone } = tab.history, total = done.length + undone.length;
  const [kept, base, last] = await Promise.all([read("tabs", tab.key), read("bases", tab.key), total ? read("entries", [tab.key, done.length - 1]) : undefined]);
  database.close();
  if (!kept || !base || kept.file !== tab.file || kept.name !== tab.name || kept.dirty !== tab.dirty) return false;
  return kept.done === done.length && kept.total === total && (!done.length || last?.at === done.at(-1).at);
}"""


def drafted(page: Any) -> None:
    """Waits until the browser's store holds the open tab as it is."""
    until(page, DRAFTED)


def place(page: Any, script: str) -> tuple[float, float]:
    """Where a point of the graph, given by an expression over `e`, lies on the page."""
    found = page.evaluate(
        f"() => {{ const e = nodeloom.editor; const p = e.camera.toScreen({script}); const b = e.host.getBoundingClientRect(); return [p[0] + b.left, p[1] + b.top]; }}"
    )
    return found[0], found[1]


def output_at(page: Any, node: int, slot: int) -> tuple[float, float]:
    return place(page, f"e.scene.outputPoint({node}, {slot})")


def input_at(page: Any, node: int, name: str) -> tuple[float, float]:
    return place(
        page,
        f"(() => {{ const i = e.scene.view({node}).inputs.findIndex((x) => x.name === '{name}'); const a = e.scene.layout({node}).inputs[i]; const q = e.scene.node({node}).pos; return [q[0] + a[0], q[1] + a[1]]; }})()",
    )


def widget_at(page: Any, node: int, name: str) -> tuple[float, float]:
    return place(
        page,
        f"(() => {{ const i = e.scene.view({node}).widgets.findIndex((x) => x.name === '{name}'); const l = e.scene.layout({node}); const q = e.scene.node({node}).pos; return [q[0] + l.width / 2, q[1] + l.widgets[i].y + 8]; }})()",
    )


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=3)
    page.mouse.move(*end, steps=3)
    page.mouse.up()


def prompt(page: Any) -> dict[str, Any]:
    return page.evaluate("async () => (await app.graphToPrompt()).output")


def add_by_palette(page: Any, text: str) -> int:
    """Types into the open palette, takes the first hit, and returns the new node's id."""
    page.wait_for_selector(".picker:not([hidden])")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.picker').hidden")
    return page.evaluate("[...nodeloom.editor.selected][0]")


def value(page: Any, node: int, name: str) -> Any:
    return page.evaluate(
        "([id, name]) => nodeloom.editor.scene.view(id).widgets.find((w) => w.name === name)?.value",
        [node, name],
    )


def picture(workflow: str) -> bytes:
    """A one-pixel PNG that holds a workflow."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        chunk(b"tEXt", b"workflow\0" + workflow.encode()),
        chunk(b"IDAT", zlib.compress(b"\0\0\0\0")),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def drop(page: Any, name: str, kind: str, content: bytes) -> None:
    page.evaluate(
        """([name, kind, bytes]) => { const data = new DataTransfer(); data.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
           const stage = document.getElementById('stage'); stage.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, clientX: 600, clientY: 400 })); }""",
        [name, kind, list(content)],
    )


def plain(page: Any, side: int = 32) -> bytes:
    """A red PNG without texts."""
    return bytes(
        page.evaluate(
            "async (side) => { const c = new OffscreenCanvas(side, side); const x = c.getContext('2d'); x.fillStyle = 'red'; x.fillRect(0, 0, side, side); return [...new Uint8Array(await (await c.convertToBlob()).arrayBuffer())]; }",
            side,
        )
    )
