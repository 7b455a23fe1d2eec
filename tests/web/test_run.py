# ruff: noqa: E501 - scripts and tables that stand in one line each read better than wrapped
"""The page on the real server and the default checkpoint: running, queue, results, values on links, masks, saved workflows."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.chromium import CHROMIUM, drag, drop, painted, place, plain, ready, until, value, widget_at

pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parents[2]
CHECKPOINTS = sorted((ROOT / "models" / "checkpoints").glob("nodeloom-*.safetensors"))
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path; install it, or set CHROMIUM"),
    pytest.mark.skipif(not CHECKPOINTS, reason="the default checkpoint is not in models/checkpoints"),
]


def fresh(data: Path) -> Path:
    """A data folder with the default checkpoint."""
    (data / "models").mkdir()
    shutil.copytree(ROOT / "models" / "checkpoints", data / "models" / "checkpoints", copy_function=os.link)
    return data


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(data: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """A server that knows its nodes."""
    with (data / "log.txt").open("a") as log:
        server = subprocess.Popen(
            [sys.executable, "main.py", "--data-dir", str(data), "--port", str(port), *options],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/object_info", timeout=5) as answer:
                if b"KSampler" in answer.read():
                    break
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.5)
    return server


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    server = started(fresh(tmp_path_factory.mktemp("data")), port)
    yield f"http://127.0.0.1:{port}/"
    server.terminate()
    server.wait(30)


LISTEN = "() => { window.ended = []; nodeloom.runs.addEventListener('ended', (event) => { window.ended.push(event.detail.how); }); }"


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    opened = ready(context, address)
    opened.evaluate(LISTEN)
    yield opened
    context.close()


def finished(page: Any, *how: str) -> None:
    """Waits until as many runs have ended as words are given, and that they ended so."""
    until(page, f"window.ended.length >= {len(how)}", seconds=60)
    assert page.evaluate("window.ended") == list(how)


SMALL = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 0xFF0000},
    },
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    "4": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
}


def small(page: Any) -> None:
    """A graph without a model: a red picture, its inverse, and previews of both."""
    page.evaluate("(prompt) => app.loadApiJson(prompt, 'Small')", SMALL)
    until(page, "nodeloom.editor.scene.scope.nodes.size === 4")


def endless(page: Any) -> None:
    """The starter, with more steps than anyone waits for."""
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 5, 'steps', 10000)); }"
    )


def test_the_starter_makes_a_picture_that_opens_again(page: Any) -> None:
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    files: list[dict[str, Any]] = page.evaluate(
        "[...nodeloom.editor.tab.results.outputs.values()].flatMap((output) => output.images ?? [])"
    )
    assert len(files) == 1
    sent = page.evaluate("async () => (await app.graphToPrompt()).output")
    page.evaluate(
        "async (file) => { const blob = await (await fetch(nodeloom.server.view(file))).blob(); await app.handleFile(new File([blob], file.filename, { type: 'image/png' })); }",
        files[0],
    )
    until(page, "nodeloom.documents.tabs.length === 2")
    assert page.evaluate("async () => (await app.graphToPrompt()).output") == sent
    page.keyboard.press("q")
    page.wait_for_selector("#side .row img")


def test_hovering_tells_what_went_through_a_link_and_what_a_node_took(page: Any) -> None:
    small(page)
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    until(page, "nodeloom.editor.tab.results.timings.get('2')?.memory > 0")
    link = "[...e.scene.scope.links.values()].find((k) => String(k.target_id) === '4')"
    page.mouse.move(
        *place(
            page,
            f"(() => {{ const c = e.scene.line({link}.id).course.curves; return [(c[0] + c[6]) / 2, (c[1] + c[7]) / 2]; }})()",
        )
    )
    page.wait_for_selector(".hint:not([hidden]) .hint-value img")
    said = page.inner_text(".hint")
    assert "1 × 32 × 64 × 3 float32" in said
    assert "0 … 1" in said
    page.mouse.move(
        *place(page, "(() => { const p = e.scene.node(2).pos; return [p[0] + 60, p[1] - 15]; })()")
    )
    page.wait_for_selector(".hint:not([hidden]) .hint-facts")
    assert "Last run" in page.inner_text(".hint")
    assert "Memory in use" in page.inner_text(".hint")


def middle_of(page: Any, target: int) -> tuple[float, float]:
    """The middle of the first link into a node."""
    link = f"[...e.scene.scope.links.values()].find((k) => k.target_id == {target})"
    return place(
        page,
        f"(() => {{ const c = e.scene.line({link}.id).course.curves; return [(c[0] + c[6]) / 2, (c[1] + c[7]) / 2]; }})()",
    )


def test_values_and_pictures_of_the_last_run_outlive_a_reload(page: Any) -> None:
    small(page)
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 1, 'color', 0x123456)); }"
    )  # so that nothing is cached
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    shown = "[...nodeloom.editor.tab.results.outputs].map(([id, output]) => [id, output.images])"
    before = sorted(page.evaluate(shown))
    assert [id for id, _ in before] == ["3", "4"]
    until(page, "nodeloom.editor.tab.results.timings.get('2')?.memory > 0")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    until(page, "nodeloom.editor.tab.results.outputs.size === 2")
    assert sorted(page.evaluate(shown)) == before
    until(page, "nodeloom.editor.tab.results.timings.size === 4")
    page.mouse.move(*middle_of(page, 4))
    page.wait_for_selector(".hint:not([hidden]) .hint-value img")
    assert "1 × 32 × 64 × 3 float32" in page.inner_text(".hint")


def test_a_latent_on_a_link_is_shown_in_rough_colours(page: Any) -> None:
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    page.mouse.move(*middle_of(page, 6))
    shown = page.wait_for_selector(".hint:not([hidden]) .hint-value img")
    assert shown.evaluate(
        "async (img) => { await img.decode(); return [img.naturalWidth, img.naturalHeight]; }"
    ) == [128, 128]
    assert "samples: 1 × 4 × 16 × 16" in page.inner_text(".hint")


def test_a_run_goes_on_being_shown_after_a_reload(page: Any) -> None:
    endless(page)
    page.keyboard.press("Control+Enter")
    until(page, "nodeloom.editor.tab.results.running.get('5') > 0")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.evaluate(LISTEN)
    until(page, "nodeloom.editor.tab.results.running.get('5') > 0")
    assert page.is_enabled("[aria-label='Cancel the running job']")
    page.keyboard.press("Control+Alt+Enter")
    finished(page, "interrupted")


LAYOUT = """async (name) => {
  const { TEMPLATES } = await import('./core/starter.js');
  const { EXAMPLES } = await import('./core/examples.js');
  const { documents, editor } = nodeloom;
  documents.open(name, [...TEMPLATES, ...EXAMPLES].find((one) => one.name === name).build(editor.library));
  const { scene, renderer } = editor;
  const boxes = [...scene.scope.nodes.values()].map((node) => ({ name: node.title ?? scene.view(node.id).spec?.title ?? node.type, box: scene.box(node.id) }));
  const [x, y, w, h] = renderer.seen;
  const near = (a, b) => Math.max(a[0] - b[0] - b[2], b[0] - a[0] - a[2], a[1] - b[1] - b[3], b[1] - a[1] - a[3]);
  const found = boxes.flatMap(({ name: one, box: a }, index) => boxes.slice(index + 1).filter(({ box: b }) => near(a, b) < 16).map(({ name: other }) => `${one} touches ${other}`));
  for (const { name: one, box } of boxes) if (scene.measure(one) * 1.06 + 42 > box[2]) found.push(`${one} is cut`);
  const left = boxes.filter(({ box }) => box[0] >= x && box[1] >= y && box[0] + box[2] <= x + w && box[1] + box[3] <= y + h).length;
  const first = boxes.toSorted((a, b) => a.box[0] - b.box[0])[0];
  const begins = first.box[0] >= x && first.box[1] >= y && first.box[0] + first.box[2] <= x + w && first.box[1] < y + h;
  documents.close(editor.tab);
  return { found, all: left === boxes.length, begins };
}"""


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_bundled_workflows_open_with_nothing_touching_cut_or_out_of_view(
    browser: Any, address: str, size: tuple[int, int]
) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page = ready(context, address)
    names = page.evaluate(
        "async () => [...(await import('./core/starter.js')).TEMPLATES, ...(await import('./core/examples.js')).EXAMPLES].map((one) => one.name)"
    )
    assert len(names) > 10
    for name in names:
        laid = page.evaluate(LAYOUT, name)
        assert laid["found"] == [], name
        assert laid["begins"], name
        assert laid["all"] or size[0] < 640, name  # a telephone shows the beginning, at a legible size
    context.close()


def test_a_forecast_says_what_the_next_run_would_do_and_why(page: Any) -> None:
    small(page)
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 1, 'color', 255)); await nodeloom.commands.run('forecast'); }"
    )
    until(page, "nodeloom.editor.tab.results.forecast.size === 4")
    assert page.evaluate("nodeloom.editor.tab.results.forecast.get('1')") == "will run"
    assert page.evaluate("nodeloom.editor.tab.results.reasons.get('1')") == "color: 16711680 → 255"
    page.keyboard.press("h")
    assert page.evaluate("nodeloom.editor.tab.results.heat('1')").startswith("hsl(")
    page.keyboard.press("Alt+t")
    page.wait_for_selector("dialog .times")
    assert page.eval_on_selector_all(".times tbody tr", "rows => rows.length") == 4


def test_a_run_goes_only_to_the_selected_nodes(page: Any) -> None:
    small(page)
    page.evaluate("nodeloom.editor.select([3])")
    page.keyboard.press("Alt+Enter")
    finished(page, "success")
    assert page.evaluate("[...nodeloom.editor.tab.results.outputs.keys()]") == ["3"]


def test_a_run_goes_to_a_node_that_shows_nothing(page: Any) -> None:
    small(page)
    page.evaluate("nodeloom.editor.select([2])")
    page.keyboard.press("Alt+Enter")
    finished(page, "success")
    assert page.evaluate("[...nodeloom.editor.tab.results.outputs.keys()]") == []
    assert page.evaluate(
        "async () => (await nodeloom.server.value(nodeloom.editor.tab.results.job, '2', 0)).kept"
    )


def test_runs_repeat_on_every_change_until_that_is_stopped(page: Any) -> None:
    small(page)
    page.evaluate("nodeloom.commands.run('run-on-change')")
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 1, 'width', 80)); }"
    )
    finished(page, "success")
    page.evaluate("nodeloom.commands.run('run-on-change')")
    assert page.evaluate("nodeloom.runs.onChange") is False


def test_runs_on_every_change_are_not_set_off_by_the_seeds_they_change(page: Any) -> None:
    page.evaluate(
        "(prompt) => app.loadApiJson(prompt, 'Seeds')",
        {
            **SMALL,
            "5": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
        },
    )
    until(page, "nodeloom.editor.scene.scope.nodes.size === 5")
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 5, 'noise_seed/control', 'randomize')); await nodeloom.commands.run('run'); }"
    )
    finished(page, "success")
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; await nodeloom.commands.run('run-on-change'); e.do(setValue(e.where, 1, 'width', 80)); }"
    )
    finished(page, "success", "success")
    assert value(page, 5, "noise_seed") != 5
    assert page.evaluate("!nodeloom.runs.due && nodeloom.runs.jobs.size === 2")


def test_runs_queue_up_go_to_the_front_and_are_cancelled_one_by_one(page: Any) -> None:
    endless(page)
    page.keyboard.press("Control+Enter")
    until(page, "nodeloom.editor.tab.results.running.get('5') > 0")
    until(page, "/^\\d+%/.test(document.title)")
    until(page, "nodeloom.editor.tab.results.previews.has('5')")
    small(page)
    page.fill(".run-times", "3")
    page.click("text=Run")
    until(page, "nodeloom.runs.queued === 4")
    page.fill(".run-times", "1")
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("Control+Shift+Enter")
    until(page, "nodeloom.runs.queued === 5")
    order = page.evaluate(
        "async () => (await nodeloom.server.queue()).queue_pending.sort((a, b) => a[0] - b[0]).map((one) => one[1])"
    )
    assert order[0] == page.evaluate("[...nodeloom.runs.jobs.keys()].at(-1)")
    page.keyboard.press("q")
    page.click("#side .row:has-text('waiting') >> nth=0 >> [aria-label='Remove from the queue']")
    until(page, "nodeloom.runs.queued === 4")
    page.click("#side [aria-label='Clear what waits']")
    until(page, "nodeloom.runs.queued === 1")
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("Control+Alt+Enter")
    finished(page, "interrupted")
    page.wait_for_selector("text=Cancelled")
    page.click("#side .row:has-text('cancelled') >> nth=0 >> .row-main")
    until(page, "nodeloom.documents.tabs.length === 3")
    assert (
        page.evaluate("nodeloom.editor.scene.view(5).widgets.find((w) => w.name === 'steps').value") == 10000
    )


def test_several_pictures_stand_in_a_grid_and_the_one_clicked_opens(page: Any) -> None:
    small(page)
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 1, 'batch_size', 4)); e.select([3]); }"
    )
    page.keyboard.press("Alt+Enter")
    finished(page, "success")
    until(page, "nodeloom.editor.tab.results.pictures('3', undefined, 200).length === 4")
    page.evaluate("nodeloom.editor.fit([3])")
    painted(page)
    page.mouse.click(
        *place(
            page,
            "(() => { const l = e.scene.layout(3); const p = e.scene.node(3).pos; return [p[0] + l.width - 40, p[1] + l.height - 40]; })()",
        )
    )
    page.wait_for_selector("dialog.viewer")
    until(page, "/4 of 4/.test(document.querySelector('.viewer-bar').textContent)")
    page.keyboard.press("ArrowRight")
    until(page, "/1 of 4/.test(document.querySelector('.viewer-bar').textContent)")
    for name in ("Save to this computer", "Copy", "Open in a new tab", "Paint a mask"):
        assert page.query_selector(f"dialog.viewer [aria-label='{name}']")


ALPHA = """async (value) => { const [, folder, name] = value.match(/^(?:(.*)[/])?(.*)$/); const r = await fetch(nodeloom.server.view({ filename: name, subfolder: folder ?? '', type: 'input' }));
    const b = await createImageBitmap(await r.blob(), { premultiplyAlpha: 'none' }); const c = new OffscreenCanvas(b.width, b.height); const x = c.getContext('2d', { willReadFrequently: true }); x.drawImage(b, 0, 0);
    return [[5, 5], [32, 32], [60, 60]].map(([i, j]) => x.getImageData(i, j, 1, 1).data[3]); }"""


SEEN = """async (address) => { const b = await createImageBitmap(await (await fetch(address)).blob(), { premultiplyAlpha: 'none', imageOrientation: 'none' });
    const c = new OffscreenCanvas(b.width, b.height); const x = c.getContext('2d', { willReadFrequently: true }); x.drawImage(b, 0, 0);
    return [b.width, b.height, [...x.getImageData(16, 8, 1, 1).data], [...x.getImageData(16, 56, 1, 1).data]]; }"""


def test_a_mask_is_painted_on_a_photo_as_its_camera_held_it(page: Any) -> None:
    """The file lies on its side, 64 by 32; its EXIF says upright, red above blue."""
    drop(page, "lying.jpg", "image/jpeg", (Path(__file__).parent / "data" / "lying.jpg").read_bytes())
    until(page, "nodeloom.editor.selectedNodes[0]?.type === 'LoadImage'")
    made = page.evaluate("[...nodeloom.editor.selected][0]")
    before = value(page, made, "image")
    page.evaluate("nodeloom.commands.run('menu')")
    page.click(".menu >> text=Paint a mask")
    canvas = page.wait_for_selector("dialog.viewer canvas")
    assert page.evaluate("(c) => [c.width, c.height]", canvas) == [32, 64]
    top, bottom = page.evaluate(
        "(c) => [8, 56].map((y) => [...c.getContext('2d').getImageData(16, y, 1, 1).data])", canvas
    )
    assert top[0] > 200 > 60 > top[2]
    assert bottom[2] > 200 > 60 > bottom[0]
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 8)
    page.click("text=Use this mask")
    until(page, f"nodeloom.editor.scene.view({made}).widgets[0].value !== {json.dumps(before)}")
    name = value(page, made, "image").rpartition("/")[2]
    width, height, above, below = page.evaluate(
        SEEN,
        page.evaluate(
            "(filename) => nodeloom.server.view({ filename, subfolder: 'masks', type: 'input' })", name
        ),
    )
    assert [width, height] == [32, 64]
    assert above[3] == 0
    assert below[3] == 255
    assert below[2] > 200 > 60 > below[0]


def test_a_mask_is_painted_erased_filled_undone_softened_and_used(page: Any) -> None:
    drop(page, "plain.png", "image/png", plain(page, 64))
    until(page, "[...nodeloom.editor.scene.scope.nodes.values()].some((node) => node.type === 'LoadImage')")
    made = page.evaluate("[...nodeloom.editor.selected][0]")
    until(page, f"nodeloom.editor.scene.view({made}).widgets[0].value.startsWith('plain')")
    until(
        page,
        f"nodeloom.editor.tab.results.pictures('{made}', nodeloom.editor.scene.node({made}), 200).length === 1",
    )
    page.evaluate("() => { const e = nodeloom.editor; e.fit(e.selected); }")
    painted(page)

    def paint(name: str) -> Any:
        page.mouse.click(
            *place(page, f"[e.scene.node({made}).pos[0] + 100, e.scene.node({made}).pos[1] + 8]"),
            button="right",
        )
        page.click("text=Paint a mask")
        box = page.wait_for_selector("dialog.viewer canvas").bounding_box()
        page.click(f"dialog.viewer >> text={name}")
        return box

    def used() -> list[int]:
        before = value(page, made, "image")
        page.click("text=Use this mask")
        until(page, f"nodeloom.editor.scene.view({made}).widgets[0].value !== {json.dumps(before)}")
        alpha: list[int] = page.evaluate(ALPHA, value(page, made, "image"))
        return alpha

    box = paint("Fill")
    page.mouse.click(box["x"] + 40, box["y"] + 40)
    page.keyboard.press("e")
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    drag(page, (middle[0] - 30, middle[1]), (middle[0] + 30, middle[1]))
    assert used() == [0, 255, 0]
    box = paint("Brush")
    drag(page, (middle[0] - 30, middle[1]), (middle[0] + 30, middle[1]))
    page.keyboard.press("Control+z")
    page.click("dialog.viewer >> text=Invert")
    assert used() == [255, 0, 255]
    paint("Brush")
    page.evaluate(
        "() => { const s = document.querySelector('[aria-label=\"Soft edge\"]'); s.value = 20; s.dispatchEvent(new Event('input')); }"
    )
    corner, inside, _ = used()
    assert 0 < inside < corner


def test_workflows_are_saved_renamed_duplicated_starred_and_deleted(page: Any) -> None:
    page.keyboard.press("Control+s")
    page.fill("dialog input", "First")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Saved")
    page.evaluate("void nodeloom.commands.run('rename-workflow')")
    page.fill("dialog input", "Second")
    page.keyboard.press("Enter")
    until(page, "nodeloom.editor.tab.file === 'workflows/Second.json'")
    page.evaluate("nodeloom.commands.run('duplicate-workflow')")
    until(page, "nodeloom.editor.tab.name === 'Second copy'")
    assert page.evaluate("nodeloom.editor.tab.file") is None
    page.keyboard.press("w")
    page.click("[aria-label='Make Second a favourite']")
    page.wait_for_selector("#side h3:has-text('Favourites')")
    page.click("#side .row-main:has-text('Second')")
    until(page, "nodeloom.editor.tab.file === 'workflows/Second.json'")
    page.evaluate("nodeloom.settings.set('autosave', true)")
    revision = page.evaluate("nodeloom.editor.tab.revision")
    page.evaluate("nodeloom.editor.select([6])")
    page.evaluate("nodeloom.commands.run('bypass')")
    until(page, f"nodeloom.editor.tab.revision !== {json.dumps(revision)}")
    assert (
        page.evaluate(
            "async () => JSON.parse((await nodeloom.server.readFile('workflows/Second.json')).text).nodes.find((n) => n.id === 6).mode"
        )
        == 4
    )
    page.evaluate("nodeloom.settings.set('autosave', false)")
    page.click("[aria-label='Delete Second']")
    page.click("dialog >> text=Delete >> nth=-1")
    page.wait_for_selector("text=No saved workflows yet")


def test_a_picture_is_chosen_by_its_thumbnail(page: Any) -> None:
    drop(page, "thumbnail.png", "image/png", plain(page, 64))
    until(page, "nodeloom.editor.selectedNodes[0]?.type === 'LoadImage'")
    made = page.evaluate("[...nodeloom.editor.selected][0]")
    page.evaluate("nodeloom.commands.run('refresh')")
    until(page, f"nodeloom.editor.scene.view({made}).widgets[0].choices.includes('thumbnail.png')")
    page.evaluate("() => { const e = nodeloom.editor; e.fit(e.selected); }")
    painted(page)
    page.mouse.click(*widget_at(page, made, "image"))
    page.wait_for_selector(".picker-row:has-text('thumbnail.png') img")
    until(
        page,
        "[...document.querySelectorAll('.picker-picture')].some((img) => img.complete && img.naturalWidth === 64)",
    )


def test_the_history_is_cleared_after_a_question(page: Any) -> None:
    small(page)
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    page.keyboard.press("q")
    page.wait_for_selector("#side .row")
    page.click("[aria-label='Clear the history']")
    page.click("dialog >> text=Clear >> nth=-1")
    page.wait_for_selector("text=Nothing has run yet")


def test_an_error_while_running_marks_the_node_and_shows_its_trace(page: Any) -> None:
    page.evaluate(
        "(prompt) => app.loadApiJson(prompt, 'Wrong')",
        {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 4, "height": 4, "batch_size": 1, "color": 0},
            },
            "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINTS[0].name}},
            "3": {"class_type": "VAEEncode", "inputs": {"pixels": ["1", 0], "vae": ["2", 2]}},
            "4": {"class_type": "SaveLatent", "inputs": {"samples": ["3", 0], "filename_prefix": "x"}},
        },
    )
    until(page, "nodeloom.editor.scene.scope.nodes.size === 4")
    page.keyboard.press("Control+Enter")
    finished(page, "error")
    assert page.evaluate("[...nodeloom.editor.tab.results.errors.keys()]") == ["3"]
    page.click(".toast.bad >> text=Details")
    page.click("dialog summary:has-text('Trace')")
    assert page.inner_text("dialog pre").strip()
    assert page.evaluate("[...nodeloom.editor.selected].map(String)") == ["3"]


def test_a_kill_of_the_server_in_a_run_is_told_and_nothing_is_lost(browser: Any, tmp_path: Path) -> None:
    data, port = fresh(tmp_path), free_port()
    server = started(data, port)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = ready(context, f"http://127.0.0.1:{port}/")
        page.evaluate(LISTEN)
        endless(page)
        page.keyboard.press("Control+Enter")
        until(page, "nodeloom.editor.tab.results.running.get('5') > 0")
        server.kill()
        server.wait(30)
        page.wait_for_selector(".state.offline")
        page.keyboard.press("Control+z")
        assert value(page, 5, "steps") == 20
        page.evaluate("nodeloom.editor.tab.results.running.clear()")
        server = started(data, port)
        until(page, "!document.querySelector('.state.offline')")
        running = "nodeloom.editor.tab.results.running.get('5') > 0"
        until(page, running, seconds=60)  # it is run once more
        page.keyboard.press("Control+Alt+Enter")
        finished(page, "interrupted")
        page.keyboard.press("Control+Enter")
        finished(page, "interrupted", "success")
    finally:
        context.close()
        server.terminate()
        server.wait(30)
