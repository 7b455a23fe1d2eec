# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""Taking pictures and sounds for a node, with Chromium's stand-in for camera and microphone, on the real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.chromium import ARGUMENTS, CHROMIUM, ready, until, value, widget_at
from tests.web.test_browser import AXE
from tests.web.test_run import LISTEN, finished, free_port, started

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on the path; install it, or set CHROMIUM"
)
FAKE_DEVICES = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
CAMERA = {
    "1": {
        "class_type": "WebcamCapture",
        "inputs": {"image": "", "width": 96, "height": 96, "capture_on_queue": False},
    },
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}
MICROPHONE = {
    "1": {"class_type": "RecordAudio", "inputs": {"audio": ""}},
    "2": {"class_type": "PreviewAudio", "inputs": {"audio": ["1", 0]}},
}
PORTS = {"bounding": [0, 0, 120, 60]}
SUBGRAPH = {
    "id": "b0b0b0b0-0000-4000-8000-000000000001",
    "name": "Within",
    "inputs": [{"id": "in", "name": "image", "type": "WEBCAM", "linkIds": [1]}],
    "outputs": [{"id": "out", "name": "IMAGE", "type": "IMAGE", "linkIds": [2]}],
    "inputNode": {"id": -10, **PORTS},
    "outputNode": {"id": -20, **PORTS},
    "nodes": [
        {
            "id": 7,
            "type": "WebcamCapture",
            "pos": [200, 0],
            "inputs": [{"name": "image", "type": "WEBCAM", "widget": {"name": "image"}, "link": 1}],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [2]}],
            "widgets_values": ["", 64, 32, True],
        }
    ],
    "links": [
        {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 7, "target_slot": 0, "type": "WEBCAM"},
        {"id": 2, "origin_id": 7, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "IMAGE"},
    ],
}
WITHIN = {
    "version": 0.4,
    "nodes": [
        {
            "id": 1,
            "type": SUBGRAPH["id"],
            "pos": [0, 0],
            "inputs": [{"name": "image", "type": "WEBCAM", "widget": {"name": "image"}, "link": None}],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [3]}],
        },
        {
            "id": 2,
            "type": "PreviewImage",
            "pos": [400, 0],
            "inputs": [{"name": "images", "type": "IMAGE", "link": 3}],
        },
    ],
    "links": [[3, 1, 0, 2, 0, "IMAGE"]],
    "definitions": {"subgraphs": [SUBGRAPH]},
}
WATCH_TRACKS = """() => {
  window.tracks = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wishes) => { const stream = await open(wishes); window.tracks.push(...stream.getTracks()); return stream; };
}"""
LIVE = "window.tracks.filter((track) => track.readyState === 'live').length"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    server = started(tmp_path_factory.mktemp("data"), port, "--allowed-host", "plain.test")
    yield f"http://127.0.0.1:{port}/"
    server.terminate()
    server.wait(30)


@pytest.fixture(scope="module")
def browser(driver: Any) -> Iterator[Any]:
    chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *FAKE_DEVICES])
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    opened = ready(context, address)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.evaluate(LISTEN)
    opened.evaluate(WATCH_TRACKS)
    yield opened
    context.close()
    assert errors == []


def show(page: Any, prompt: dict[str, Any]) -> None:
    page.evaluate("(prompt) => app.loadApiJson(prompt, 'Taken')", prompt)
    until(page, "nodeloom.editor.scene.scope.nodes.size === 2")


def press(page: Any, name: str) -> None:
    """Presses a value of the node in the graph."""
    page.mouse.click(*widget_at(page, 1, name))


def says(page: Any, text: str) -> None:
    page.wait_for_selector(f".capture-said:has-text('{text}')")


def pixels(page: Any, name: str) -> list[int]:
    """Width, height, and how many different colours there are, of a file of the server's."""
    return page.evaluate(
        """async (name) => {
          const { fileOf } = await import('./client/results.js');
          const picture = await createImageBitmap(await (await fetch(nodeloom.server.view(fileOf(name)))).blob());
          const ctx = new OffscreenCanvas(picture.width, picture.height).getContext('2d');
          ctx.drawImage(picture, 0, 0);
          return [picture.width, picture.height, new Set(new Uint32Array(ctx.getImageData(0, 0, picture.width, picture.height).data.buffer)).size];
        }""",
        name,
    )


def test_a_picture_is_taken_at_the_wished_size_shown_on_the_node_and_used(page: Any) -> None:
    show(page, CAMERA)
    assert page.evaluate("window.tracks.length") == 0
    press(page, "image")
    says(page, "The camera is open")
    assert page.evaluate("document.querySelector('.capture video').videoWidth") > 0
    page.click("text=Take the picture")
    says(page, "The picture is taken, 96 × 96")
    name = value(page, 1, "image")
    assert name.startswith("webcam/camera-")
    assert name.endswith(".png")
    width, height, colours = pixels(page, name)
    assert (width, height) == (96, 96)
    assert colours > 4
    until(page, "nodeloom.editor.tab.results.has('1', nodeloom.editor.scene.node(1))")
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    output = page.evaluate("nodeloom.editor.tab.results.outputs.get('2').images[0]")
    assert pixels(page, f"{output['subfolder']}/{output['filename']} [temp]")[:2] == [96, 96]
    assert value(page, 1, "image") == name
    page.keyboard.press("Escape")
    assert page.query_selector(".capture") is None
    assert page.evaluate(LIVE) == 0
    assert page.evaluate("document.activeElement === nodeloom.editor.host")
    page.keyboard.press("Control+z")
    assert value(page, 1, "image") == ""


def test_each_run_takes_a_new_picture_while_the_camera_is_open(page: Any) -> None:
    show(page, CAMERA)
    press(page, "capture_on_queue")
    press(page, "image")
    says(page, "The camera is open")
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    first = value(page, 1, "image")
    assert first.startswith("webcam/camera-")
    assert first.endswith(".png [temp]")
    page.keyboard.press("Control+Enter")
    finished(page, "success", "success")
    second = value(page, 1, "image")
    assert second != first
    sent = page.evaluate(
        "async () => Object.values(await nodeloom.server.history()).map((one) => one.prompt[2]['1'].inputs.image)"
    )
    assert {first, second} <= set(sent)
    page.click(".capture [aria-label=Close]")
    page.keyboard.press("Control+Enter")
    finished(page, "success", "success", "success")
    assert value(page, 1, "image") == second


def test_a_camera_within_a_subgraph_is_used_from_outside(page: Any) -> None:
    page.evaluate("(workflow) => app.loadGraphData(workflow)", WITHIN)
    until(page, "nodeloom.editor.scene.scope.nodes.size === 2")
    press(page, "image")
    says(page, "The camera is open")
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    assert pixels(page, value(page, 1, "image"))[:2] == [64, 32]
    page.keyboard.press("Escape")
    assert page.evaluate(LIVE) == 0


def test_runs_on_every_change_are_not_set_off_by_their_own_pictures(page: Any) -> None:
    show(page, CAMERA)
    press(page, "capture_on_queue")
    press(page, "image")
    says(page, "The camera is open")
    page.evaluate("nodeloom.commands.run('run-on-change')")
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 1, 'width', 80)); }"
    )
    finished(page, "success")
    assert page.evaluate("!nodeloom.runs.due && nodeloom.runs.jobs.size === 1")
    assert pixels(page, value(page, 1, "image"))[:2] == [80, 96]


def test_a_side_of_0_is_the_cameras_own(page: Any) -> None:
    show(page, CAMERA)
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 1, 'width', 0)); e.do(setValue(e.where, 1, 'height', 0)); }"
    )
    press(page, "image")
    says(page, "The camera is open")
    own = page.evaluate(
        "[document.querySelector('.capture video').videoWidth, document.querySelector('.capture video').videoHeight]"
    )
    page.click("text=Take the picture")
    says(page, "The picture is taken")
    assert pixels(page, value(page, 1, "image"))[:2] == own
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(setValue(e.where, 1, 'width', 160)); }"
    )
    page.click("text=Take the picture")
    says(page, f"The picture is taken, 160 × {round(160 * own[1] / own[0])}")


def test_the_camera_closes_with_its_node_and_with_its_tab(page: Any) -> None:
    show(page, CAMERA)
    press(page, "image")
    says(page, "The camera is open")
    assert page.evaluate(LIVE) == 1
    page.evaluate("nodeloom.editor.host.focus()")
    page.evaluate("nodeloom.editor.select([1])")
    page.keyboard.press("Delete")
    until(page, "!document.querySelector('.capture')")
    assert page.evaluate(LIVE) == 0
    page.keyboard.press("Control+z")
    press(page, "image")
    says(page, "The camera is open")
    page.keyboard.press("Alt+n")
    until(page, "!document.querySelector('.capture')")
    assert page.evaluate(LIVE) == 0


def test_a_picture_is_taken_by_keys_alone(page: Any) -> None:
    show(page, CAMERA)
    page.evaluate("nodeloom.editor.select([1])")
    page.wait_for_selector(
        "#tree [data-part='1/image']", state="attached"
    )  # it follows the graph a little later
    page.focus("#tree [tabindex='0']")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    says(page, "The camera is open")
    assert page.evaluate("document.activeElement.textContent") == "Take the picture"
    page.keyboard.press("Enter")
    says(page, "The picture is taken")
    assert page.evaluate("document.activeElement.textContent") == "Take the picture"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.part") == "1/image"


def test_a_sound_is_recorded_listened_to_and_used(page: Any) -> None:
    show(page, MICROPHONE)
    press(page, "audio")
    page.wait_for_selector(".capture")
    assert page.evaluate("window.tracks.length") == 0  # nothing is asked before Record is pressed
    page.keyboard.press("Enter")
    says(page, "Recording")
    until(page, "document.querySelector('.capture meter').value > 0.2")  # the stand-in beeps
    until(page, "document.querySelector('.capture-clock').textContent === '0:01'")
    assert page.evaluate("document.activeElement.textContent") == "Stop"
    page.keyboard.press("Enter")
    says(page, "Recorded, ")
    assert page.evaluate(LIVE) == 0
    name = value(page, 1, "audio")
    assert name.startswith("recordings/recording-")
    assert page.evaluate(
        "async () => { const sound = document.querySelector('.capture audio'); await sound.play(); sound.pause(); return sound.error === null && !sound.hidden; }"
    )
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    output = page.evaluate("nodeloom.editor.tab.results.outputs.get('2').audio[0]")
    seconds, loudest = page.evaluate(
        """async (file) => {
          const bytes = await (await fetch(nodeloom.server.view(file))).arrayBuffer();
          const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(bytes);
          return [sound.duration, Math.max(...sound.getChannelData(0).slice(0, 96000))];
        }""",
        output,
    )
    assert 0.8 < seconds < 10
    assert loudest > 0.05
    page.keyboard.press("Escape")
    press(page, "audio")
    page.wait_for_selector(".capture audio:not([hidden])")  # what was taken before can be listened to
    assert page.evaluate("document.querySelector('.capture audio').src").endswith("type=input")


def test_closing_the_window_keeps_what_was_being_recorded(page: Any) -> None:
    show(page, MICROPHONE)
    press(page, "audio")
    page.click(".capture .primary")
    says(page, "Recording")
    until(page, "document.querySelector('.capture meter').value > 0")
    page.keyboard.press("Escape")
    until(
        page,
        "nodeloom.editor.scene.view(1).widgets.find((w) => w.name === 'audio').value.startsWith('recordings/')",
    )
    assert page.evaluate(LIVE) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotAllowedError", "was refused. Allow it for this page"),
        ("NotFoundError", "was found. Connect one"),
        ("NotReadableError", "another program may be using it"),
    ],
)
def test_what_hinders_is_said_and_tried_again(page: Any, name: str, said: str) -> None:
    show(page, CAMERA)
    page.evaluate(
        "(name) => { const open = navigator.mediaDevices.getUserMedia; navigator.mediaDevices.getUserMedia = async (wishes) => { navigator.mediaDevices.getUserMedia = open; throw new DOMException('no', name); }; }",
        name,
    )
    press(page, "image")
    says(page, said)
    assert page.evaluate("document.activeElement.textContent") == "Try again"
    page.keyboard.press("Enter")
    says(page, "The camera is open")


def test_a_refusal_of_the_browsers_says_so(driver: Any, address: str) -> None:
    chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, FAKE_DEVICES[0]])
    page = ready(chromium.new_context(), address)
    for prompt, name, said in (
        (CAMERA, "image", "The camera was refused."),
        (MICROPHONE, "audio", "The microphone was refused."),
    ):
        show(page, prompt)
        press(page, name)
        page.wait_for_selector(".capture")
        if name == "audio":
            page.keyboard.press("Enter")
        says(page, said)
    chromium.close()


def test_a_page_that_came_over_plain_http_says_what_to_do(driver: Any, address: str) -> None:
    chromium = driver.chromium.launch(
        executable_path=CHROMIUM,
        args=[*ARGUMENTS, *FAKE_DEVICES, "--host-resolver-rules=MAP plain.test 127.0.0.1"],
    )
    page = ready(chromium.new_context(), address.replace("127.0.0.1", "plain.test"))
    page.evaluate(LISTEN)
    assert page.evaluate("isSecureContext") is False
    show(page, CAMERA)
    press(page, "image")
    says(page, "only to pages that came over https or from localhost")
    with page.expect_file_chooser() as chooser:
        page.click("button:has-text('Choose a file')")
    picture = page.evaluate(
        "async () => { const c = new OffscreenCanvas(8, 4); c.getContext('2d').fillRect(0, 0, 8, 4); return [...new Uint8Array(await (await c.convertToBlob()).arrayBuffer())]; }"
    )
    chooser.value.set_files({"name": "mine.png", "mimeType": "image/png", "buffer": bytes(picture)})
    says(page, "“mine.png” is used.")
    assert value(page, 1, "image") == "mine.png"
    assert pixels(page, "mine.png")[:2] == [8, 4]
    page.keyboard.press("Control+Enter")
    finished(page, "success")
    chromium.close()


def test_accessibility_rules_hold_in_both_windows(page: Any) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Page.setBypassCSP", {"enabled": True})
    session.send("Runtime.evaluate", {"expression": AXE.read_text(), "returnByValue": False})
    for theme, given, name, said in (
        ("dark", CAMERA, "image", "The camera is open"),
        ("light", MICROPHONE, "audio", "The microphone is asked for"),
    ):
        page.evaluate("(theme) => nodeloom.settings.set('theme', theme)", theme)
        show(page, given)
        press(page, name)
        says(page, said)
        found = page.evaluate(
            "async () => (await axe.run('.capture', { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })).violations"
        )
        assert [(one["id"], one["nodes"][0]["html"][:160]) for one in found] == []


def test_a_run_is_not_sent_when_its_picture_cannot_be_kept(page: Any) -> None:
    show(page, CAMERA)
    press(page, "capture_on_queue")
    press(page, "image")
    says(page, "The camera is open")
    page.route("**/api/upload/image", lambda route: route.abort())
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".toast:has-text('The run was not sent')")
    says(page, "The server cannot be reached.")
    assert page.evaluate("nodeloom.runs.jobs.size") == 0
