"""On a telephone: the canvas stays while one types, a graph is seen whole, a pinch enlarges no panel."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, place, ready, until

pytestmark = NEEDS_CHROMIUM
NEXT_FRAME = "() => new Promise((done) => requestAnimationFrame(() => done(true)))"


@pytest.fixture
def phone(browser: Any, address: str) -> Iterator[Any]:
    context = browser.new_context(
        viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = ready(context, address)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def test_tapping_a_text_that_crosses_the_edge_keeps_the_canvas(phone: Any) -> None:
    node = phone.evaluate(
        "[...nodeloom.editor.scene.scope.nodes.values()].find((one) => one.type === 'CLIPTextEncode').id"
    )
    phone.evaluate(
        """(id) => { const e = nodeloom.editor; const [x, y] = e.scene.box(id);
          e.camera.scale = 1; e.camera.x = x - 300; e.camera.y = y - 200; e.moved(); }""",
        node,
    )
    at = place(phone, f"[e.scene.box({node})[0] + 40, e.scene.box({node})[1] + 90]")
    phone.touchscreen.tap(*at)
    phone.wait_for_selector("textarea.field")
    phone.keyboard.type("a long text that goes on and on")
    moved = "[nodeloom.editor.host, document.scrollingElement].map((one) => [one.scrollLeft, one.scrollTop])"
    assert phone.evaluate(moved) == [[0, 0], [0, 0]]
    assert phone.evaluate("document.querySelector('#stage > canvas').getBoundingClientRect().left") == 0


def test_fit_goes_as_far_as_needed(phone: Any) -> None:
    phone.evaluate(
        """() => { const e = nodeloom.editor; const value = { ...e.scene.node(7), pos: [40000, 30000] };
          e.do({ label: 'Far', puts: [{ scope: '', kind: 'nodes', id: 7, value }] }); }"""
    )
    phone.tap(".zoom [aria-label='Fit']")
    inside = phone.evaluate(
        """() => { const e = nodeloom.editor; const b = e.scene.bounds();
          const [x, y, w, h] = e.renderer.seen;
          return b[0] >= x && b[1] >= y && b[0] + b[2] <= x + w && b[1] + b[3] <= y + h; }"""
    )
    assert inside
    before = phone.evaluate("nodeloom.editor.camera.scale")
    phone.tap(".zoom [aria-label='Zoom in']")
    until(phone, f"nodeloom.editor.camera.scale > {before}")


def test_a_graph_opens_at_a_legible_size(phone: Any) -> None:
    assert phone.evaluate("nodeloom.editor.camera.scale") >= 0.6


@pytest.mark.parametrize("panel", ["workflows", "queue", "nodes"])
def test_a_pinch_on_a_panel_does_not_enlarge_the_page(phone: Any, panel: str) -> None:
    phone.tap(f"[data-panel='{panel}']")
    phone.wait_for_selector("#side:not([hidden])")
    session = phone.context.new_cdp_session(phone)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        held = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": held})

    touch("touchStart", (150, 400), (240, 400))
    for apart in range(10, 130, 10):
        touch("touchMove", (150 - apart, 400), (240 + apart, 400))
        until(phone, NEXT_FRAME)
    touch("touchEnd")
    until(phone, NEXT_FRAME)
    assert phone.evaluate("visualViewport.scale") == 1
