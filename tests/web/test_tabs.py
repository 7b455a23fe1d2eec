"""Tabs that are closed and come back, drafts of another browser, notices that go with their workflow."""

from itertools import pairwise
from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, drafted, drag, place, prompt, ready, until, value

pytestmark = NEEDS_CHROMIUM
NAMES = "nodeloom.documents.tabs.map((tab) => tab.name)"
CHANGE = """async (steps) => {
  const { setValue } = await import('./core/edits.js');
  const e = nodeloom.editor;
  e.do(setValue(e.where, 5, 'steps', steps));
}"""


def window(browser: Any, address: str, errors: list[str]) -> Any:
    """A new browser, with nothing kept."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = ready(context, address)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page


def names(page: Any) -> list[str]:
    found: list[str] = page.evaluate(NAMES)
    return found


def kept(key: str) -> str:
    """Whether the server has a draft of a tab."""
    return f"fetch('api/userdata/drafts%2F{key}.json').then((answer) => answer.ok)"


def test_closing_a_changed_untitled_workflow_asks(page: Any) -> None:
    page.evaluate(CHANGE, 33)
    key = page.evaluate("nodeloom.editor.tab.key")
    page.click(".tab.current .icon-button")
    page.click("dialog >> text=Cancel")
    until(page, "!document.querySelector('dialog')")
    assert page.evaluate("nodeloom.editor.tab.key") == key
    page.keyboard.press("Alt+w")
    page.click("dialog >> text=Close without saving")
    until(page, f"nodeloom.editor.tab.key !== '{key}'")
    page.keyboard.press("Control+Shift+T")
    until(page, f"nodeloom.editor.tab.key === '{key}'")
    assert value(page, 5, "steps") == 33
    page.keyboard.press("Control+z")
    assert value(page, 5, "steps") == 20


def test_a_workflow_can_be_saved_as_it_is_closed(page: Any) -> None:
    page.evaluate(CHANGE, 21)
    page.keyboard.press("Alt+w")
    page.click("dialog >> text=/^Save$/")
    page.wait_for_selector("dialog[aria-label='Save the workflow'] input")
    page.keyboard.press("Control+a")
    page.keyboard.type("kept by closing")
    page.keyboard.press("Enter")
    until(page, "nodeloom.documents.tabs.length === 1 && !nodeloom.editor.scene.scope.nodes.size")
    assert page.evaluate("fetch('api/userdata/workflows%2Fkept%20by%20closing.json').then((r) => r.ok)")


def test_an_unchanged_workflow_closes_without_a_word_and_comes_back(page: Any) -> None:
    sent = prompt(page)
    page.keyboard.press("Alt+w")
    until(page, "!nodeloom.editor.scene.scope.nodes.size")
    page.keyboard.press("Control+Shift+T")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 7")
    assert prompt(page) == sent


def test_the_last_ten_closed_workflows_come_back_also_after_a_reload(page: Any) -> None:
    for count in range(12):
        page.evaluate(f"nodeloom.documents.openStarter().name = 'number {count}'")
        page.evaluate(CHANGE, 40 + count)
        page.evaluate("nodeloom.documents.close(nodeloom.editor.tab)")
    drafted(page)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    for count in range(11, 1, -1):
        page.evaluate("nodeloom.commands.run('reopen-tab')")
        assert names(page)[-1] == f"number {count}"
        assert value(page, 5, "steps") == 40 + count
    page.evaluate("nodeloom.commands.run('reopen-tab')")
    page.wait_for_selector("text=No closed workflow is kept")
    assert len(names(page)) == 11


def test_work_of_another_browser_is_listed_and_goes_on_here(browser: Any, address: str) -> None:
    errors: list[str] = []
    first = window(browser, address, errors)
    first.evaluate(CHANGE, 37)
    first.evaluate("nodeloom.documents.rename(nodeloom.editor.tab, 'Started elsewhere')")
    key = first.evaluate("nodeloom.editor.tab.key")
    until(first, kept(key))
    second = window(browser, address, errors)
    second.keyboard.press("f")
    second.click(".toast:has-text('unsaved work from another browser') >> text=Show")
    second.click("#side .row-main:has-text('Started elsewhere')")
    until(second, "nodeloom.editor.tab.name === 'Started elsewhere'")
    assert value(second, 5, "steps") == 37
    assert second.evaluate("nodeloom.editor.tab.dirty")
    assert "draft" not in second.evaluate(
        "app.graphToPrompt().then(({ workflow }) => JSON.stringify(workflow))"
    )
    until(second, f"({kept(key)}).then((there) => !there)")
    own = second.evaluate("nodeloom.editor.tab.key")
    assert second.evaluate(kept(own))
    second.wait_for_selector("#side .row-main:has-text('Started elsewhere')", state="detached")
    second.evaluate("nodeloom.documents.save(nodeloom.editor.tab, 'workflows/started.json')")
    until(second, f"({kept(own)}).then((there) => !there)")
    assert errors == []
    first.context.close()
    second.context.close()


def test_another_window_of_this_browser_is_no_other_browser(page: Any, address: str) -> None:
    page.evaluate(CHANGE, 34)
    page.evaluate("nodeloom.documents.rename(nodeloom.editor.tab, 'In the first window')")
    until(page, kept(page.evaluate("nodeloom.editor.tab.key")))
    other = ready(page.context, address)
    other.keyboard.press("w")
    other.wait_for_selector("#side .row, #side .empty")
    assert other.locator("#side .row-main:has-text('In the first window')").count() == 0


def test_the_workflows_panel_follows_saves_and_renames(page: Any) -> None:
    page.keyboard.press("w")
    page.wait_for_selector("#side .row, #side .empty")
    page.evaluate("nodeloom.documents.save(nodeloom.editor.tab, 'workflows/followed.json')")
    page.wait_for_selector("#side .row-main:has-text('followed')")
    page.click("[aria-label='Make followed a favourite']")
    page.evaluate("() => { nodeloom.commands.run('rename-workflow'); }")
    page.wait_for_selector("dialog input")
    page.keyboard.press("Control+a")
    page.keyboard.type("under another name")
    page.keyboard.press("Enter")
    page.wait_for_selector("#side .row-main:has-text('under another name')")
    until(
        page,
        "![...document.querySelectorAll('#side .row-main')].some((r) => r.textContent.includes('followed'))",
    )
    page.wait_for_selector("[aria-label='No longer a favourite: under another name']")


def test_notices_go_with_their_workflow_and_stand_in_one_column(page: Any) -> None:
    errors = [{"type": "value_bigger_than_max", "message": "Too much", "details": "steps"}]
    nodes = {"5": {"class_type": "KSampler", "errors": errors}}
    answer = {"error": {"message": "Prompt outputs failed validation"}, "node_errors": nodes}
    page.route("**/api/prompt", lambda route: route.fulfill(status=400, json=answer))
    page.evaluate("nodeloom.documents.openStarter()")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".toast:has-text('One node needs attention')")
    page.evaluate("nodeloom.commands.run('refresh')")
    page.wait_for_selector(".toast:has-text('Node list reloaded')")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.toast')].map((toast) => toast.getBoundingClientRect())"
        ".map(({ left, right, top, bottom }) => [left, right, top, bottom])"
    )
    assert len(boxes) >= 2
    assert len({(left, right) for left, right, _, _ in boxes}) == 1
    assert all(upper[3] <= lower[2] for upper, lower in pairwise(boxes))
    page.evaluate("nodeloom.documents.show(nodeloom.documents.tabs[0])")
    page.wait_for_selector(".toast:has-text('One node needs attention')", state="hidden")
    page.wait_for_selector(".tab.wrong:has-text('Text to image 2')")
    page.evaluate("nodeloom.documents.show(nodeloom.documents.tabs[1])")
    page.wait_for_selector(".toast:has-text('One node needs attention')")
    page.evaluate("nodeloom.documents.close(nodeloom.documents.tabs[1])")
    until(page, "![...document.querySelectorAll('.toast')].some((t) => t.textContent.includes('attention'))")


def test_the_zoom_label_and_the_minimap_follow_tab_and_panel(page: Any) -> None:
    label = "document.querySelector('.zoom output').textContent"
    scale = "`${Math.round(nodeloom.editor.camera.scale * 100)}%`"
    page.evaluate("() => { nodeloom.editor.camera.scale = 0.31; nodeloom.editor.moved(); }")
    page.evaluate("nodeloom.documents.openStarter()")
    assert page.evaluate(label) == page.evaluate(scale) != "31%"
    page.evaluate("nodeloom.documents.show(nodeloom.documents.tabs[0])")
    assert page.evaluate(label) == "31%"
    framed = "() => { const m = document.querySelector('.minimap'); return m.toDataURL(); }"
    page.evaluate("() => { nodeloom.editor.camera.scale = 1; nodeloom.editor.moved(); }")
    until(page, "document.querySelector('.minimap').style.visibility === ''")
    before = page.evaluate(framed)
    width = page.evaluate("nodeloom.editor.renderer.width")
    page.keyboard.press("n")
    until(page, f"nodeloom.editor.renderer.width < {width}")
    assert page.evaluate(framed) != before


@pytest.mark.parametrize("inside", [False, True])
def test_the_zoom_label_follows_into_a_subgraph(page: Any, inside: bool) -> None:
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+Shift+e")
    until(page, "nodeloom.editor.workflow.definitions.size === 1")
    page.evaluate("nodeloom.commands.run('enter')")
    if not inside:
        page.evaluate("nodeloom.editor.enter([])")
    assert page.evaluate("document.querySelector('.zoom output').textContent") == page.evaluate(
        "`${Math.round(nodeloom.editor.camera.scale * 100)}%`"
    )


def test_a_promoted_seed_keeps_its_randomise(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+Shift+e")
    until(page, "nodeloom.editor.workflow.definitions.size === 1")
    instance = page.evaluate("[...nodeloom.editor.selected][0]")
    page.evaluate("nodeloom.commands.run('enter')")
    sampler = "[...nodeloom.editor.scene.scope.nodes.values()].find((node) => node.type === 'KSampler').id"
    inner = page.evaluate(sampler)
    count = page.evaluate("[...nodeloom.editor.workflow.definitions.values()][0].inputs.length")
    at = place(
        page,
        f"(() => {{ const i = e.scene.view({inner}).inputs.findIndex((x) => x.name === 'seed');"
        f" const a = e.scene.layout({inner}).inputs[i]; const q = e.scene.node({inner}).pos;"
        " return [q[0] + a[0], q[1] + a[1]]; })()",
    )
    drag(page, place(page, f"e.scene.portPoint('inputs', {count})"), at)
    page.evaluate("nodeloom.editor.enter([])")
    rule = f"nodeloom.editor.scene.view({instance}).widgets.find((one) => one.name === 'seed').control"
    assert page.evaluate(rule) == "randomize"

    before = len(page.evaluate("async () => (await (await fetch('test/prompts')).json())"))
    page.evaluate("nodeloom.editor.host.focus()")
    for turn in range(1, 4):
        page.keyboard.press("Control+Enter")
        until(
            page,
            f"fetch('test/prompts').then((r) => r.json()).then((all) => all.length === {before + turn})",
        )
        until(page, f"nodeloom.runs.jobs.has('job-{before + turn}')")
    seeds = page.evaluate(
        "async () => (await (await fetch('test/prompts')).json()).map((one) =>"
        " Object.values(one.prompt).find((node) => node.class_type === 'KSampler').inputs.seed)"
    )[before:]
    assert len(set(seeds)) == 3
    page.evaluate(
        "async (id) => { const { setValue } = await import('./core/edits.js'); const e = nodeloom.editor;"
        " e.do(setValue(e.where, id, 'seed/control', 'fixed')); }",
        instance,
    )
    assert page.evaluate(rule) == "fixed"
