# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""What the pointer does: zooming to a box, panning, selecting, moving links, resizing, cloning, connecting, pulling out."""

from typing import Any

import pytest

from tests.web.chromium import (
    NEEDS_CHROMIUM,
    drag,
    input_at,
    output_at,
    place,
    prompt,
    until,
    value,
    widget_at,
)

pytest.importorskip("playwright.sync_api")
pytestmark = NEEDS_CHROMIUM


def title_at(page: Any, node: int) -> tuple[float, float]:
    return place(page, f"[e.scene.node({node}).pos[0] + 60, e.scene.node({node}).pos[1] - 14]")


def scale(page: Any) -> float:
    return float(page.evaluate("nodeloom.editor.camera.scale"))


def held(page: Any, keys: list[str], act: Any) -> None:
    for key in keys:
        page.keyboard.down(key)
    act()
    for key in reversed(keys):
        page.keyboard.up(key)


def around(page: Any, node: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two corners a little outside a node."""
    box = f"e.scene.box({node})"
    return place(page, f"[{box}[0] - 12, {box}[1] - 12]"), place(
        page, f"[{box}[0] + {box}[2] + 12, {box}[1] + {box}[3] + 12]"
    )


def seen(page: Any, node: int) -> bool:
    return bool(
        page.evaluate(
            "(id) => { const e = nodeloom.editor; const [x, y, w, h] = e.renderer.seen; const b = e.scene.box(id); return b[0] >= x && b[1] >= y && b[0] + b[2] <= x + w && b[1] + b[3] <= y + h; }",
            node,
        )
    )


def test_a_box_is_dragged_to_zoom_to_it(page: Any) -> None:
    before = scale(page)
    held(page, ["Control", "Shift"], lambda: drag(page, *around(page, 4)))
    assert scale(page) > before * 1.3
    assert seen(page, 4)
    page.keyboard.press("f")
    before = scale(page)
    page.keyboard.press("z")
    drag(page, *around(page, 4))
    assert scale(page) > before * 1.3
    page.keyboard.press("z")
    page.keyboard.press("Escape")
    assert page.evaluate("nodeloom.editor.host.style.cursor") == ""


def test_panning_zooming_and_fitting(page: Any) -> None:
    camera = "[nodeloom.editor.camera.x, nodeloom.editor.camera.y]"
    before = page.evaluate(camera)
    page.mouse.move(640, 120)
    page.mouse.down(button="middle")
    page.mouse.move(700, 150, steps=3)
    page.mouse.up(button="middle")
    assert page.evaluate(camera) != before
    small = scale(page)
    page.mouse.wheel(0, -240)
    until(page, f"nodeloom.editor.camera.scale > {small}")
    page.keyboard.press("Alt+Minus")
    page.keyboard.press("Alt+Equal")
    page.keyboard.press("1")
    assert scale(page) == 1
    page.keyboard.press(".")
    assert all(seen(page, node) for node in range(1, 8))


def test_a_box_selects_and_adds_and_keys_move_what_is_selected(page: Any) -> None:
    held(page, ["Control"], lambda: drag(page, *around(page, 4)))
    assert page.evaluate("[...nodeloom.editor.selected]") == [4]
    held(page, ["Shift"], lambda: page.mouse.click(*title_at(page, 6)))
    assert page.evaluate("[...nodeloom.editor.selected]") == [4, 6]
    before = page.evaluate("nodeloom.editor.scene.node(4).pos")
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("nodeloom.editor.scene.node(4).pos") == [before[0] + 10, before[1]]
    page.keyboard.press("Control+a")
    assert page.evaluate("nodeloom.editor.selected.size") == 7


def test_a_link_is_moved_and_all_links_of_an_output_at_once(page: Any) -> None:
    drag(page, input_at(page, 5, "positive"), input_at(page, 5, "negative"))
    sent = prompt(page)
    assert sent["5"]["inputs"]["negative"] == ["2", 0]
    assert "positive" not in sent["5"]["inputs"]
    page.keyboard.press("Control+z")
    added = page.evaluate(
        "async () => { const { addNode } = await import('./core/edits.js'); const m = addNode(nodeloom.editor.where, 'CLIPSetLastLayer', [40, 480]); nodeloom.editor.do(m); return m.id; }"
    )
    held(page, ["Shift"], lambda: drag(page, output_at(page, 1, 1), output_at(page, added, 0)))
    sent = prompt(page)
    assert sent["2"]["inputs"]["clip"] == sent["3"]["inputs"]["clip"] == [str(added), 0]


def test_nodes_are_resized_renamed_folded_cloned_and_coloured(page: Any) -> None:
    corner = place(page, "(() => { const b = e.scene.box(4); return [b[0] + b[2] - 4, b[1] + b[3] - 4]; })()")
    before = page.evaluate("nodeloom.editor.scene.box(4)")
    drag(page, corner, (corner[0] + 40, corner[1] + 30))
    assert page.evaluate("nodeloom.editor.scene.box(4)")[2] > before[2]
    page.mouse.dblclick(*title_at(page, 4))
    page.wait_for_selector("input.field")
    page.keyboard.type("Canvas")
    page.keyboard.press("Enter")
    assert page.evaluate("nodeloom.editor.scene.node(4).title") == "Canvas"
    page.mouse.click(*place(page, "[e.scene.node(4).pos[0] + 12, e.scene.node(4).pos[1] - 14]"))
    assert page.evaluate("nodeloom.editor.scene.node(4).flags.collapsed") is True
    page.evaluate("nodeloom.editor.clearSelection()")
    x, y = title_at(page, 6)
    held(page, ["Alt"], lambda: drag(page, (x, y), (x + 40, y + 120)))
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.size") == 8
    page.mouse.click(*title_at(page, 1), button="right")
    page.click(".menu-swatches [aria-label='green']")
    assert page.evaluate("nodeloom.editor.scene.node(1).color") == "#26492e"
    page.keyboard.press("p")
    assert page.evaluate("nodeloom.editor.scene.node(1).flags.pinned") is True


def test_nodes_are_joined_without_aiming_and_pulled_out_by_shaking(page: Any) -> None:
    page.evaluate(
        "async () => { const { disconnect } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(disconnect(e.where, [...e.scene.scope.links.values()].filter((k) => k.target_id === 7))); }"
    )
    held(page, ["Alt", "Shift"], lambda: drag(page, title_at(page, 6), title_at(page, 7)))
    assert prompt(page)["7"]["inputs"]["images"] == ["6", 0]
    added = page.evaluate(
        """async () => { const { addNode, splice } = await import('./core/edits.js'); const e = nodeloom.editor; const m = addNode(e.where, 'ImageInvert', [1000, 560]); e.do(m);
        e.do(splice(e.where, [...e.scene.scope.links.values()].find((k) => k.target_id === 7), m.id, [1000, 560])); return m.id; }"""
    )
    assert prompt(page)["7"]["inputs"]["images"] == [str(added), 0]
    x, y = title_at(page, added)
    page.mouse.move(x, y)
    page.mouse.down()
    for turn in range(8):
        page.mouse.move(x + (60 if turn % 2 else -60), y, steps=2)
    page.mouse.up()
    assert prompt(page)["7"]["inputs"]["images"] == ["6", 0]


def test_several_pairs_that_fit_are_offered_by_name_and_type(page: Any) -> None:
    positive, negative = 2, 3
    texts = {"positive": [str(positive), 0], "negative": [str(negative), 0]}
    before = prompt(page)
    assert {name: before["5"]["inputs"][name] for name in texts} == texts
    held(page, ["Alt", "Shift"], lambda: drag(page, title_at(page, positive), title_at(page, 5)))
    assert prompt(page)["5"]["inputs"]["negative"] == [str(positive), 0]  # the other pair is joined already
    page.keyboard.press("Control+z")
    page.evaluate(
        "async () => { const { disconnect } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(disconnect(e.where, [...e.scene.scope.links.values()].filter((k) => k.origin_id === 2))); }"
    )
    held(page, ["Alt", "Shift"], lambda: drag(page, title_at(page, positive), title_at(page, 5)))
    page.wait_for_selector(".menu:not([hidden])")
    rows = page.eval_on_selector_all(".menu [role=menuitem]", "(rows) => rows.map((row) => row.innerText)")
    assert [row.split("\n")[0] for row in rows] == ["CONDITIONING → positive", "CONDITIONING → negative"]
    assert "replaces a link" in rows[1]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert prompt(page)["5"]["inputs"]["negative"] == [str(positive), 0]
    assert "positive" not in prompt(page)["5"]["inputs"]
    page.keyboard.press("Control+z")
    held(page, ["Alt", "Shift"], lambda: drag(page, title_at(page, positive), title_at(page, 5)))
    page.wait_for_selector(".menu:not([hidden])")
    page.keyboard.press("Enter")
    assert prompt(page)["5"]["inputs"] == before["5"]["inputs"]


def test_a_node_that_gives_nothing_is_fed_by_the_one_it_is_dropped_on(page: Any) -> None:
    page.evaluate(
        "async () => { const { disconnect } = await import('./core/edits.js'); const e = nodeloom.editor; e.do(disconnect(e.where, [...e.scene.scope.links.values()].filter((k) => k.target_id === 7))); }"
    )
    held(page, ["Alt", "Shift"], lambda: drag(page, title_at(page, 7), title_at(page, 6)))
    assert prompt(page)["7"]["inputs"]["images"] == ["6", 0]


def test_deleting_may_join_the_links_around(page: Any) -> None:
    added = page.evaluate(
        """async () => { const { addNode, splice } = await import('./core/edits.js'); const e = nodeloom.editor; const m = addNode(e.where, 'ImageInvert', [1000, 560]); e.do(m);
        e.do(splice(e.where, [...e.scene.scope.links.values()].find((k) => k.target_id === 7), m.id, [1000, 560])); e.select([m.id]); return m.id; }"""
    )
    page.keyboard.press("Control+Delete")
    sent = prompt(page)
    assert str(added) not in sent
    assert sent["7"]["inputs"]["images"] == ["6", 0]


def test_a_link_has_a_menu_that_puts_a_node_into_it(page: Any) -> None:
    middle = place(
        page,
        "(() => { const l = [...e.scene.scope.links.values()].find((k) => k.target_id === 7); const c = e.scene.line(l.id).course.curves; return [(c[0] + c[6]) / 2, (c[1] + c[7]) / 2]; })()",
    )
    page.mouse.click(*middle, button="right")
    page.click("text=Insert a node here")
    page.wait_for_selector(".picker:not([hidden])")
    page.keyboard.type("invert image")
    page.keyboard.press("Enter")
    made = page.evaluate("[...nodeloom.editor.selected][0]")
    sent = prompt(page)
    assert sent["7"]["inputs"]["images"] == [str(made), 0]
    assert sent[str(made)]["inputs"]["image"] == ["6", 0]
    page.keyboard.press("Control+z")
    assert prompt(page)["7"]["inputs"]["images"] == ["6", 0]


def test_a_link_takes_a_value_over_and_gives_it_back(page: Any) -> None:
    added = page.evaluate(
        "async () => { const { addNode } = await import('./core/edits.js'); const m = addNode(nodeloom.editor.where, 'PrimitiveInt', [40, 620]); nodeloom.editor.do(m); nodeloom.editor.fit(); return m.id; }"
    )
    drag(page, output_at(page, added, 0), input_at(page, 5, "steps"))
    assert prompt(page)["5"]["inputs"]["steps"] == [str(added), 0]
    page.keyboard.press("Control+z")
    assert prompt(page)["5"]["inputs"]["steps"] == 20


def test_arrows_step_numbers_and_shift_turns_finely(page: Any) -> None:
    x, y = widget_at(page, 4, "batch_size")
    right = place(
        page,
        "(() => { const l = e.scene.layout(4); return [e.scene.node(4).pos[0] + l.width - 20, e.scene.node(4).pos[1] + l.widgets[2].y + 8]; })()",
    )
    page.mouse.click(*right)
    assert value(page, 4, "batch_size") == 2
    page.mouse.click(x, y)
    page.keyboard.type("99999")
    page.keyboard.press("Enter")
    assert value(page, 4, "batch_size") == 4096
