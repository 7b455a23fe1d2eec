"""A right click acts on what lies under the pointer, and on the selection only if that belongs to it."""

from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, place, until, value, widget_at

pytestmark = NEEDS_CHROMIUM


def right_click(page: Any, at: tuple[float, float]) -> list[str]:
    page.mouse.click(*at, button="right")
    page.wait_for_selector(".menu:not([hidden])")
    labels: list[str] = page.eval_on_selector_all(
        ".menu-label, .menu-heading", "all => all.map((one) => one.textContent)"
    )
    return labels


def title_at(page: Any, node: int) -> tuple[float, float]:
    return place(page, f"(() => {{ const b = e.scene.box({node}); return [b[0] + 60, b[1] + 12]; }})()")


def marked(page: Any) -> list[list[Any]]:
    found: list[list[Any]] = page.evaluate(
        "[[...nodeloom.editor.selected], [...nodeloom.editor.selectedGroups]]"
    )
    return found


def grouped(page: Any) -> int:
    """A group around node 5 alone, with bare ground inside."""
    group: int = page.evaluate(
        """() => {
          const e = nodeloom.editor;
          e.select([5]); nodeloom.commands.run('group');
          const [id] = e.selectedGroups;
          const group = e.scene.scope.groups.get(id);
          const [x, y, w, h] = group.bounding;
          e.do({ label: 'Widen', puts: [{ scope: '', kind: 'groups', id, value: { ...group, bounding: [x, y, w, h + 160] } }] });
          e.fit(); e.select([1]);
          return id;
        }"""  # noqa: E501
    )
    return group


@pytest.mark.parametrize("spot", ["title", "value", "output"])
def test_a_right_click_on_any_place_of_a_node_acts_on_that_node(page: Any, spot: str) -> None:
    page.evaluate("nodeloom.editor.select([1, 2])")
    at = {
        "title": lambda: title_at(page, 5),
        "value": lambda: widget_at(page, 5, "steps"),
        "output": lambda: place(page, "e.scene.outputPoint(5, 0)"),
    }[spot]()
    labels = right_click(page, at)
    assert marked(page) == [[5], []]
    assert ("steps" in labels) == (spot == "value")
    page.click(".menu >> text=Bypass")
    modes = page.evaluate("[1, 2, 5].map((id) => nodeloom.editor.scene.node(id).mode ?? 0)")
    assert modes == [0, 0, 4]


def test_a_right_click_on_a_chosen_node_keeps_what_is_chosen(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([1, 5])")
    right_click(page, widget_at(page, 5, "steps"))
    assert marked(page) == [[1, 5], []]


def test_a_value_has_a_menu_of_its_own(page: Any) -> None:
    page.evaluate(
        "async () => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor;"
        " e.do(setValue(e.where, 5, 'steps', 33)); }"
    )
    right_click(page, widget_at(page, 5, "steps"))
    page.click(".menu >> text=Back to the default")
    assert value(page, 5, "steps") == 20


def test_a_right_click_on_the_ground_of_a_group_acts_on_the_group(page: Any) -> None:
    group = grouped(page)
    at = place(
        page,
        f"(() => {{ const [x, y, w, h] = e.scene.scope.groups.get({group}).bounding;"
        " return [x + w / 2, y + h - 40]; })()",
    )
    labels = right_click(page, at)
    assert marked(page) == [[], [group]]
    assert "Delete the group" in labels
    page.click(".menu >> text=Delete the group")
    assert page.evaluate("nodeloom.editor.scene.scope.groups.size") == 0
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.has(1)")


def test_dragging_the_ground_of_a_group_still_moves_the_view(page: Any) -> None:
    group = grouped(page)
    x, y = place(
        page,
        f"(() => {{ const [x, y, w, h] = e.scene.scope.groups.get({group}).bounding;"
        " return [x + w / 2, y + h - 40]; })()",
    )
    before = page.evaluate("nodeloom.editor.camera.x")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y, steps=4)
    page.mouse.up()
    assert page.evaluate("nodeloom.editor.camera.x") < before
    assert marked(page)[1] == []


def test_a_right_click_on_bare_canvas_acts_on_the_canvas(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([1, 2])")
    right_click(page, (640, 770))
    assert marked(page) == [[], []]
    page.click(".menu >> text=Add a group")
    until(page, "nodeloom.editor.scene.scope.groups.size === 1")
    x, y, w, h = page.evaluate("[...nodeloom.editor.scene.scope.groups.values()][0].bounding")
    corner = place(page, f"[{x}, {y}]")
    far = place(page, f"[{x + w}, {y + h}]")
    assert corner[0] < 640 < far[0]
    assert corner[1] < 770 < far[1]


def test_a_right_click_on_a_link_acts_on_the_link(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([1])")
    count = page.evaluate("nodeloom.editor.scene.scope.links.size")
    at = place(
        page,
        """(() => {
          const link = [...e.scene.scope.links.values()].find((one) => one.target_id === 7);
          const [a, b] = [e.scene.outputPoint(link.origin_id, link.origin_slot), e.scene.node(7).pos];
          const c = e.scene.layout(7).inputs[0];
          return [(a[0] + b[0] + c[0]) / 2, (a[1] + b[1] + c[1]) / 2];
        })()""",
    )
    labels = right_click(page, at)
    assert "Delete this link" in labels
    page.click(".menu >> text=Delete this link")
    assert page.evaluate("nodeloom.editor.scene.scope.links.size") == count - 1
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.has(1)")


def test_escape_after_a_click_on_a_groups_title_keeps_the_view(page: Any) -> None:
    group = grouped(page)
    page.evaluate("() => { const e = nodeloom.editor; e.camera.pan(-30, -20); e.moved(); }")
    at = place(
        page,
        f"e.scene.scope.groups.get({group}).bounding.slice(0, 2).map((c, i) => c + [40, 14][i])",
    )
    page.mouse.click(*at)
    assert marked(page) == [[], [group]]
    camera = "[nodeloom.editor.camera.x, nodeloom.editor.camera.y, nodeloom.editor.camera.scale]"
    before = page.evaluate(camera)
    page.keyboard.press("Escape")
    until(page, "nodeloom.editor.selectedGroups.size === 0")
    assert page.evaluate(camera) == before


def test_a_group_goes_into_a_subgraph_with_its_nodes_and_comes_out_again(page: Any) -> None:
    grouped(page)
    page.evaluate("nodeloom.editor.select([], nodeloom.editor.scene.scope.groups.keys())")
    page.keyboard.press("Control+Shift+e")
    until(page, "nodeloom.editor.workflow.definitions.size === 1")
    assert page.evaluate("nodeloom.editor.scene.scope.groups.size") == 0
    assert not page.evaluate("nodeloom.editor.scene.scope.nodes.has(5)")
    page.evaluate("nodeloom.commands.run('enter')")
    assert page.evaluate("nodeloom.editor.scene.scope.groups.size") == 1
    page.evaluate("() => { nodeloom.editor.enter([]); }")
    page.evaluate(
        "() => { const e = nodeloom.editor; const all = [...e.scene.scope.nodes.values()];"
        " e.select(all.filter((n) => e.catalogue.isInstance(n)).map((n) => n.id)); }"
    )
    page.evaluate("nodeloom.commands.run('unpack')")
    until(page, "nodeloom.editor.scene.scope.groups.size === 1")
    assert overlaps(page) == []


def overlaps(page: Any) -> list[list[int]]:
    found: list[list[int]] = page.evaluate(
        """() => {
          const e = nodeloom.editor;
          const boxes = [...e.scene.scope.nodes.keys()].map((id) => [id, e.scene.box(id)]);
          const meet = (p, q, i) => p[i] < q[i] + q[i + 2] && q[i] < p[i] + p[i + 2];
          return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
            .filter(([, q]) => meet(p, q, 0) && meet(p, q, 1)).map(([b]) => [a, b]));
        }"""
    )
    return found


def test_unpacking_makes_room(page: Any) -> None:
    assert overlaps(page) == []
    page.evaluate("nodeloom.editor.select([2, 3, 4, 5])")
    page.keyboard.press("Control+Shift+e")
    until(page, "nodeloom.editor.workflow.definitions.size === 1")
    page.evaluate(
        "() => { nodeloom.editor.do(tight()); function tight() {"
        " const e = nodeloom.editor; const [id] = e.selected; const [x, y, w] = e.scene.box(id);"
        " const near = [6, 7].map((other, i) => ({ scope: '', kind: 'nodes', id: other,"
        " value: { ...e.scene.node(other), pos: [x + w + 20 + i * 330, y + 40] } }));"
        " return { label: 'Close up', puts: near }; } }"
    )
    page.evaluate("nodeloom.commands.run('unpack')")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 7")
    assert overlaps(page) == []
    page.keyboard.press("Control+z")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 4")
