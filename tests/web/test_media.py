"""Films, sounds and pictures that are dropped; the mask editor; what was last seen stays through a reload."""

import io
import struct
import wave
from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, drop, plain, until, value

pytestmark = NEEDS_CHROMIUM


def sound() -> bytes:
    """A tenth of a second of silence."""
    held = io.BytesIO()
    with wave.open(held, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(1600))
    return held.getvalue()


def film() -> bytes:
    """The beginning of an MP4, without pictures."""
    return struct.pack(">I", 24) + b"ftypisom" + bytes(12) + struct.pack(">I", 8) + b"mdat"


@pytest.mark.parametrize(
    ("name", "kind", "content", "loader", "widget"),
    [
        ("film.mp4", "video/mp4", film(), "LoadVideo", "file"),
        ("film.bin", "", film(), "LoadVideo", "file"),
        ("film.mkv", "", b"\x1aE\xdf\xa3" + bytes(32), "LoadVideo", "file"),
        ("sound.wav", "audio/wav", sound(), "LoadAudio", "audio"),
        ("sound.dat", "", sound(), "LoadAudio", "audio"),
        ("sound.flac", "audio/flac", b"fLaC" + bytes(40), "LoadAudio", "audio"),
    ],
)
def test_a_dropped_film_or_sound_makes_the_node_that_loads_it(
    page: Any, name: str, kind: str, content: bytes, loader: str, widget: str
) -> None:
    drop(page, name, kind, content)
    until(page, "nodeloom.editor.scene.scope.nodes.size === 8")
    made = page.evaluate("[...nodeloom.editor.selected][0]")
    assert page.evaluate("(id) => nodeloom.editor.scene.node(id).type", made) == loader
    assert value(page, made, widget) == name
    drop(page, f"second {name}", kind, content)
    until(page, f"nodeloom.editor.scene.view({made}).widgets[0].value.startsWith('second')")
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.size") == 8
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 7")


def test_what_is_no_medium_is_named(page: Any) -> None:
    drop(page, "notes.doc", "application/msword", b"nothing of the kind")
    page.wait_for_selector(".toast:has-text('“notes.doc” holds no workflow')")


def loaded(page: Any, side: int = 64) -> int:
    drop(page, "plain.png", "image/png", plain(page, side))
    until(page, "nodeloom.editor.scene.scope.nodes.size === 8")
    made: int = page.evaluate("[...nodeloom.editor.selected][0]")
    until(page, f"nodeloom.editor.scene.view({made}).widgets[0].value === 'plain.png'")
    return made


@pytest.mark.parametrize(("stored", "label"), [("plain.png", "uploaded"), ("gone.png", "no such file")])
def test_a_file_outside_the_list_is_called_what_it_is(page: Any, stored: str, label: str) -> None:
    made = loaded(page)
    page.evaluate(
        "async ([id, name]) => { const { setValue } = await import('./core/edits.js');"
        " const e = nodeloom.editor; e.do(setValue(e.where, id, 'image', name)); }",
        [made, stored],
    )
    page.evaluate("(id) => nodeloom.editor.reveal(id)", made)
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("F2")
    page.keyboard.press("Tab")
    page.wait_for_selector(f".picker-row:has-text('{stored}') .picker-detail:has-text('{label}')")
    assert page.locator(".picker-row:has-text('not installed')").count() == 0


def masking(page: Any) -> dict[str, float]:
    made = loaded(page)
    page.evaluate(
        "(id) => { const e = nodeloom.editor; e.select([id]); nodeloom.commands.run('menu'); }", made
    )
    page.click(".menu >> text=Paint a mask")
    page.wait_for_selector("dialog.viewer canvas")
    page.click("dialog.viewer >> text=Clear")
    return box_of(page)


def box_of(page: Any) -> dict[str, float]:
    found: dict[str, float] = page.query_selector("dialog.viewer canvas").bounding_box()
    return found


PAINTED = """() => { const c = document.querySelector('dialog.viewer canvas');
  const p = c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data; return p[2] > 20; }"""


def test_strokes_of_a_mask_are_taken_back_and_done_again(page: Any) -> None:
    box = masking(page)
    assert not page.evaluate(PAINTED)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(page, PAINTED)
    page.keyboard.press("Control+z")
    assert not page.evaluate(PAINTED)
    page.keyboard.press("Control+Shift+Z")
    assert page.evaluate(PAINTED)
    page.click("dialog.viewer >> text=Undo")
    assert not page.evaluate(PAINTED)
    page.click("dialog.viewer >> text=Redo")
    assert page.evaluate(PAINTED)


def test_the_wheel_enlarges_the_picture_around_the_pointer(page: Any) -> None:
    box = masking(page)
    at = (box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.75)
    page.mouse.move(*at)
    page.mouse.wheel(0, -400)
    until(page, f"document.querySelector('dialog.viewer canvas').clientWidth > {box['width'] * 1.5}")
    page.mouse.wheel(0, -400)
    until(page, f"document.querySelector('dialog.viewer canvas').clientWidth > {box['width'] * 3}")
    larger = box_of(page)
    share = [(at[0] - larger["x"]) / larger["width"], (at[1] - larger["y"]) / larger["height"]]
    page.mouse.wheel(0, -100)
    until(page, f"document.querySelector('dialog.viewer canvas').clientWidth > {larger['width'] * 1.1}")
    largest = box_of(page)
    assert share == pytest.approx(
        [(at[0] - largest["x"]) / largest["width"], (at[1] - largest["y"]) / largest["height"]], abs=0.01
    )
    page.mouse.click(*at)
    assert page.evaluate(
        """([x, y]) => { const c = document.querySelector('dialog.viewer canvas');
          return c.getContext('2d').getImageData(c.width * x, c.height * y, 1, 1).data[2] > 20; }""",
        share,
    )
    page.keyboard.press("0")
    until(page, f"document.querySelector('dialog.viewer canvas').clientWidth === {round(box['width'])}")


def test_the_last_picture_stays_after_a_reload_in_mid_run(page: Any) -> None:
    drop(page, "last.png", "image/png", plain(page))
    until(page, "nodeloom.editor.scene.scope.nodes.size === 8")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("Control+Enter")
    until(page, "nodeloom.runs.jobs.size === 1 && [...nodeloom.runs.jobs.keys()][0].startsWith('job-')")
    say = """([type, detail]) => nodeloom.runs.socket.dispatchEvent(new CustomEvent(type, { detail: {
      prompt_id: [...nodeloom.runs.jobs.keys()].at(-1), ...detail } }))"""
    shown = {"node": "7", "output": {"images": [{"filename": "last.png", "subfolder": "", "type": "input"}]}}
    for type_, detail in (("execution_start", {}), ("executed", shown), ("execution_success", {})):
        page.evaluate(say, [type_, detail])
    page.keyboard.press("Control+Enter")
    until(page, "nodeloom.runs.jobs.size === 2 && [...nodeloom.runs.jobs.keys()][1].startsWith('job-')")
    page.evaluate(say, ["execution_start", {}])
    job = page.evaluate("nodeloom.editor.tab.results.job")
    queue = {"queue_running": [[0, job, {}, {}, []]], "queue_pending": []}
    page.route("**/api/queue", lambda route: route.fulfill(json=queue))
    page.reload()
    page.wait_for_selector("html[data-ready]")
    until(page, f"nodeloom.runs.active?.id === '{job}'")
    assert page.evaluate("nodeloom.editor.tab.results.files('7').map((file) => file.filename)") == [
        "last.png"
    ]
    until(page, "nodeloom.editor.tab.results.pictures('7', undefined, 200).length === 1")


def test_values_that_nothing_names_hold_the_run_until_a_word(page: Any) -> None:
    page.evaluate(
        """() => { const e = nodeloom.editor; const node = e.scene.node(5);
          e.do({ label: 'Fill', puts: [{ scope: '', kind: 'nodes', id: 5,
            value: { ...node, widgets_values: [...node.widgets_values, [{ on: 1 }, { on: 2 }]] } }] }); }"""
    )
    page.evaluate("nodeloom.editor.host.focus()")
    before = len(page.evaluate("async () => (await (await fetch('test/prompts')).json())"))
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".toast.bad:has-text('would lose values')")
    count = "async () => (await (await fetch('test/prompts')).json()).length"
    assert page.evaluate(count) == before
    page.click(".toast >> text=/^Show$/")
    until(page, "nodeloom.editor.selected.has(5)")
    page.keyboard.press("Control+Enter")
    page.click(".toast >> text=Run without them")
    until(page, f"({count})().then((now) => now === {before + 1})")
