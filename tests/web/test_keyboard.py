"""The keyboard goes everywhere and comes away; an input method keeps its keys; one press is one deed."""

from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, until, value

pytestmark = NEEDS_CHROMIUM
FOCUS = "document.activeElement?.closest('#bar, #rail, #side, #stage, #tree, #layer')?.id"
COMPOSING = """(key) => {
  const how = { key, code: key, bubbles: true, cancelable: true, isComposing: true };
  const event = new KeyboardEvent("keydown", how);
  document.activeElement.dispatchEvent(event);
}"""


def where(page: Any) -> Any:
    return page.evaluate(FOCUS)


@pytest.mark.parametrize(("key", "part"), [("Tab", "stage"), ("Shift+Tab", "rail"), ("F6", "tree")])
def test_the_canvas_is_no_trap(page: Any, key: str, part: str) -> None:
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press(key)
    until(page, "document.activeElement !== nodeloom.editor.host")
    assert where(page) == part
    assert page.evaluate("document.querySelector('.picker')?.hidden ?? true")


def test_escape_goes_out_one_step_at_a_time_and_back(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5])")
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("Escape")
    until(page, "nodeloom.editor.selected.size === 0")
    assert where(page) == "stage"
    page.keyboard.press("Escape")
    until(page, f"{FOCUS} === 'bar'")
    page.keyboard.press("Escape")
    until(page, "document.activeElement === nodeloom.editor.host")


def test_f6_goes_round_all_parts_and_back(page: Any) -> None:
    page.keyboard.press("n")
    until(page, f"{FOCUS} === 'side'")
    seen = []
    for _ in range(5):
        before = where(page)
        page.keyboard.press("F6")
        until(page, f"{FOCUS} !== '{before}'")
        seen.append(where(page))
    assert seen == ["stage", "tree", "bar", "rail", "side"]
    page.keyboard.press("Shift+F6")
    until(page, f"{FOCUS} === 'rail'")


@pytest.mark.parametrize("key", ["n", "w", "q"])
def test_each_panel_is_reached_and_left_by_keys(page: Any, key: str) -> None:
    page.keyboard.press(key)
    until(page, f"{FOCUS} === 'side'")
    page.keyboard.press("Tab")
    assert where(page) == "side"
    page.keyboard.press("Escape")
    until(page, "document.activeElement === nodeloom.editor.host")
    page.keyboard.press(key)
    until(page, "document.querySelector('#side').hidden")
    assert page.evaluate("document.activeElement === nodeloom.editor.host")


@pytest.mark.parametrize("command", ["settings", "keys", "templates", "save-as", "rename-workflow"])
def test_each_dialog_is_left_by_escape_to_where_one_was(page: Any, command: str) -> None:
    page.evaluate("nodeloom.editor.host.focus()")
    page.evaluate("(id) => { nodeloom.commands.run(id); }", command)
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog')")
    until(page, "document.activeElement === nodeloom.editor.host")


def test_tab_goes_through_the_fields_of_a_node(page: Any) -> None:
    names = page.evaluate(
        "nodeloom.editor.scene.view(5).widgets.filter((one) => !one.linked).map((one) => one.label)"
    )
    page.evaluate("nodeloom.editor.reveal(5)")
    page.keyboard.press("F2")
    page.wait_for_selector("input.field")
    seen = []
    for _ in names:
        page.keyboard.press("Tab")
        page.wait_for_selector("input.field, .picker:not([hidden])")
        until(page, f"{json_list(seen)}.at(-1) !== ({LABEL})()")
        seen.append(page.evaluate(LABEL))
    assert seen == names
    page.keyboard.press("Shift+Tab")
    until(page, f"({LABEL})() === '{names[-2]}'")
    page.keyboard.press("Escape")
    page.keyboard.press("F2")
    page.wait_for_selector("input.field")
    page.keyboard.press("Shift+Tab")
    until(page, "document.activeElement === nodeloom.editor.host")


LABEL = """() => document.querySelector('.picker:not([hidden]) input')?.getAttribute('aria-label')
  ?? document.querySelector('.field')?.getAttribute('aria-label')"""


def json_list(seen: list[str]) -> str:
    return "[" + ",".join(f"'{each}'" for each in seen) + "]"


def test_a_number_typed_before_tab_is_kept(page: Any) -> None:
    page.evaluate("nodeloom.editor.reveal(5)")
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("F2")
    page.keyboard.press("Tab")
    until(page, f"({LABEL})() === 'seed'")
    page.keyboard.type("77")
    page.keyboard.press("Tab")
    until(page, f"({LABEL})() === 'steps'")
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    until(page, "!document.querySelector('.field')")
    assert (value(page, 5, "seed"), value(page, 5, "steps")) == (77, 9)


def text_field(page: Any) -> int:
    node: int = page.evaluate(
        "[...nodeloom.editor.scene.scope.nodes.values()].find((one) => one.type === 'CLIPTextEncode').id"
    )
    page.evaluate("(id) => nodeloom.editor.reveal(id)", node)
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("Enter")
    page.wait_for_selector("textarea.field")
    return node


def test_escape_in_a_text_is_undone(page: Any) -> None:
    node = text_field(page)
    before = value(page, node, "text")
    page.keyboard.press("Control+a")
    page.keyboard.type("a poem of many lines")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('.field')")
    assert value(page, node, "text") == before
    page.keyboard.press("Control+z")
    assert value(page, node, "text") == "a poem of many lines"


@pytest.mark.parametrize("key", ["Escape", "Enter", "Tab"])
def test_a_composition_keeps_its_keys_in_texts(page: Any, key: str) -> None:
    node = text_field(page)
    page.keyboard.press("Control+a")
    page.keyboard.type("a poem")
    page.evaluate(COMPOSING, key)
    assert page.evaluate("document.activeElement === document.querySelector('textarea.field')")
    assert value(page, node, "text") == "a poem"


@pytest.mark.parametrize("key", ["Escape", "Enter", "ArrowDown"])
@pytest.mark.parametrize("command", ["palette-free", "commands", "find", "save-as", "templates", "rename"])
def test_a_composition_keeps_its_keys_in_lists_and_dialogs(page: Any, command: str, key: str) -> None:
    page.evaluate("nodeloom.editor.select([5])")
    page.evaluate("(id) => { nodeloom.commands.run(id); }", command)
    box = ".picker:not([hidden]) input, dialog[open] input, .field"
    page.wait_for_selector(box)
    until(page, f"document.activeElement === document.querySelector('{box}')")
    page.keyboard.type("ka")
    state = (
        "[document.activeElement.value, document.activeElement.getAttribute('aria-activedescendant')].join()"
    )
    before = page.evaluate(state)
    page.evaluate(COMPOSING, key)
    assert page.evaluate(state) == before
    assert page.evaluate(f"document.activeElement === document.querySelector('{box}')")


def test_words_of_an_input_method_reach_the_value_once_they_are_done(page: Any) -> None:
    node = text_field(page)
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    cdp = page.context.new_cdp_session(page)
    cdp.send("Input.imeSetComposition", {"text": "ねこ", "selectionStart": 2, "selectionEnd": 2})
    assert value(page, node, "text") == ""
    cdp.send("Input.insertText", {"text": "猫"})
    until(page, "document.querySelector('.field').value === '猫'")
    assert value(page, node, "text") == "猫"


@pytest.mark.parametrize("way", ["tab", "menu"])
def test_renaming_a_workflow_ends_with_enter(page: Any, way: str) -> None:
    if way == "tab":
        page.dblclick(".tab.current .tab-name")
    else:
        page.click(".brand")
        page.click(".menu >> text=Rename this workflow")
    page.wait_for_selector("dialog[open] input")
    page.keyboard.press("Control+a")
    page.keyboard.type(f"renamed {way}")
    page.keyboard.press("Enter")
    page.wait_for_selector(f".tab.current:has-text('renamed {way}')")
    assert not page.is_visible("dialog[open]")
    assert not page.is_visible(".menu")


def test_renaming_a_node_ends_with_enter(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5])")
    page.keyboard.press("F2")
    page.wait_for_selector("input.field")
    page.keyboard.type("The sampler")
    page.keyboard.down("Enter")
    page.keyboard.down("Enter")  # held a little long
    page.keyboard.up("Enter")
    until(page, "nodeloom.editor.scene.node(5).title === 'The sampler'")
    assert page.evaluate("document.activeElement === nodeloom.editor.host")
    assert not page.is_visible(".field")
    assert page.evaluate("document.querySelector('.picker')?.hidden ?? true")


def test_the_menu_of_what_is_selected_opens_by_a_key(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5])")
    page.keyboard.press("Shift+F10")
    page.wait_for_selector(".menu >> text=Add a node after this")
    page.keyboard.press("Escape")
    until(page, "document.activeElement === nodeloom.editor.host")
    assert page.evaluate("[...nodeloom.editor.selected]") == [5]


def test_a_click_into_a_panel_ends_a_field_and_stays_there(page: Any) -> None:
    page.keyboard.press("n")
    page.wait_for_selector("#side input")
    text_field(page)
    page.click("#side input")
    until(page, "!document.querySelector('.field')")
    assert where(page) == "side"
