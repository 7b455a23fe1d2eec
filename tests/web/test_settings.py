"""Key bindings that are changed, set back and told apart; templates found by title, then by tag."""

from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, until

pytestmark = NEEDS_CHROMIUM


def row(page: Any, command: str) -> str:
    return f".key-row:has([data-command='{command}'])"


def bind(page: Any, command: str, key: str) -> None:
    page.click(f"[data-command='{command}']")
    page.keyboard.press(key)
    until(page, f"nodeloom.commands.all.get('{command}').keys.length <= 1")


def test_a_key_that_two_commands_have_is_shown_and_set_back(page: Any) -> None:
    page.evaluate("nodeloom.commands.run('keys')")
    page.wait_for_selector("dialog .key-row")
    bind(page, "heat", "Control+d")
    page.wait_for_selector(f"{row(page, 'heat')} .warn:has-text('Ctrl+D is taken from “Duplicate”')")
    page.wait_for_selector(
        f"{row(page, 'duplicate')} .warn:has-text('Ctrl+D runs “Colour titles by time” instead')"
    )
    page.click(f"{row(page, 'heat')} [aria-label^='Set back']")
    until(page, "nodeloom.commands.all.get('heat').keys.join() === 'H'")
    assert page.locator(".key-row .warn").count() == 0
    assert page.locator(f"{row(page, 'heat')} [aria-label^='Set back']").count() == 0
    page.keyboard.press("Escape")
    page.evaluate("nodeloom.editor.select([5])")
    page.evaluate("nodeloom.editor.host.focus()")
    page.keyboard.press("Control+d")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 8")


def test_all_keys_are_set_back_at_once_and_stay_so(page: Any) -> None:
    page.evaluate("nodeloom.commands.run('keys')")
    bind(page, "fit", "Alt+f")
    bind(page, "heat", "Alt+h")
    page.click("dialog >> text=Back to the defaults")
    until(page, "nodeloom.commands.all.get('fit').keys.join() === 'F,.'")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("nodeloom.commands.all.get('heat').keys.join()") == "H"


@pytest.mark.parametrize("query", ["upscale", "inpaint", "vae"])
def test_templates_with_the_word_in_their_title_come_first_then_those_with_such_nodes(
    page: Any, query: str
) -> None:
    page.evaluate("nodeloom.commands.run('templates')")
    page.fill("dialog input[type=search]", query)
    titles = page.eval_on_selector_all(".card strong", "all => all.map((one) => one.textContent)")
    fits = [query in title.lower() for title in titles]
    assert titles
    assert fits == sorted(fits, reverse=True)
