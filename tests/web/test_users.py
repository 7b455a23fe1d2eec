# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""Several users on one server: each chooses a name once, and has workflows, settings and drafts of their own."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, drafted, until
from tests.web.test_run import free_port, started

pytest.importorskip("playwright.sync_api")
pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    server = started(tmp_path_factory.mktemp("users"), port, "--multi-user")
    yield f"http://127.0.0.1:{port}/"
    server.terminate()
    server.wait(30)


def seen(context: Any, address: str, who: str) -> Any:
    """A page of a browser in which that user was just made, or chosen if there is one of the name."""
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("dialog:has-text('Who is working?')")
    if page.locator(f".user:has-text('{who}')").count():
        page.click(f".user:has-text('{who}')")
    else:
        page.fill("dialog [aria-label='Name of a new user']", who)
        page.keyboard.press("Enter")
    page.wait_for_selector("html[data-ready]", timeout=20000)
    return page


def test_each_user_has_workflows_settings_and_drafts_of_their_own(browser: Any, address: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    first = context.new_page()
    first.goto(address)
    first.wait_for_selector("dialog:has-text('Make the first user')")
    first.keyboard.press("Escape")
    first.wait_for_selector("dialog:has-text('Make the first user')")  # nobody works as nobody
    assert first.locator("html[data-ready]").count() == 0
    first.close()
    anna = seen(context, address, "Anna")
    assert anna.evaluate("nodeloom.server.user").startswith("Anna_")
    assert anna.evaluate("nodeloom.documents.save(nodeloom.editor.tab, 'workflows/hers.json')") == "saved"
    anna.evaluate("nodeloom.settings.set('theme', 'light')")
    drafted(anna)
    anna.reload()
    anna.wait_for_selector("html[data-ready]")  # asked once only
    assert anna.evaluate("nodeloom.editor.tab.file") == "workflows/hers.json"
    other = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    bert = seen(other, address, "Bert")
    assert bert.evaluate("nodeloom.settings.get('theme')") == "system"
    assert bert.evaluate("async () => (await nodeloom.server.files('workflows')).length") == 0
    bert.click("[aria-label=Menu]")
    bert.click("text=Change the user")
    bert.wait_for_selector(".user[aria-current]:has-text('Bert')")
    bert.fill("dialog [aria-label='Name of a new user']", "Anna")
    bert.keyboard.press("Enter")
    bert.wait_for_selector("dialog [role=alert]:has-text('Duplicate username')")
    bert.click(".user:has-text('Anna')")
    until(bert, "globalThis.nodeloom?.server.user.startsWith('Anna_')")
    until(bert, "document.documentElement.dataset.theme === 'light'")
    assert bert.evaluate(
        "async () => (await nodeloom.server.files('workflows')).map(({ path }) => path)"
    ) == ["hers.json"]
    assert bert.evaluate("nodeloom.documents.tabs.map((tab) => tab.name)") == [
        "Text to image"
    ]  # her drafts are in her browser
    context.close()
    other.close()
