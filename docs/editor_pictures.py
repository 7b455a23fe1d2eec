# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""Takes the pictures of docs/editor.md with Debian's Chromium: `python docs/editor_pictures.py`."""

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "pictures"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

WIDE = {"width": 1440, "height": 860}
NARROW = {"width": 390, "height": 800}
SCENES: dict[str, str] = {
    "starter": "() => {}",
    "small": "() => {}",
    "palette": "async () => { nodeloom.editor.select([5]); await nodeloom.commands.run('palette'); }",
    "templates": "async () => { await nodeloom.commands.run('templates'); }",
    "error": "async () => { const e = nodeloom.editor; e.tab.results.errors.set('5', { inputs: new Set(['steps']), message: 'Value 99999 bigger than max of 10000: steps', kind: 'value_bigger_than_max' }); e.refreshAll(); e.host.dispatchEvent(new CustomEvent('explain-error', { detail: '5' })); }",
    "large": "async () => { await app.loadGraphData(window.large, true, true, 'Three hundred nodes'); document.querySelector('.toasts').replaceChildren(); }",
}


RAN = """async () => { const e = nodeloom.editor; const link = [...e.scene.scope.links.values()].find((one) => one.target_id === 7); const c = e.scene.line(link.id).course.curves;
    const at = e.camera.toScreen([(c[0] + c[6]) / 2, (c[1] + c[7]) / 2]); const box = e.host.getBoundingClientRect(); return [at[0] + box.left, at[1] + box.top]; }"""


def after_a_run(browser: Any) -> None:
    """The starter with its result and the value on a link, from a real run with the default checkpoint."""
    from tests.web.chromium import ready, until
    from tests.web.test_run import LISTEN, finished, free_port, fresh, started

    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        server = started(fresh(Path(folder)), port)
        try:
            for theme in ("dark", "light"):
                context = browser.new_context(viewport=WIDE, color_scheme=theme, reduced_motion="reduce")
                page = ready(context, f"http://127.0.0.1:{port}/")
                page.evaluate(LISTEN)
                page.keyboard.press("Control+Enter")
                finished(page, "success")
                page.keyboard.press("h")
                until(page, "nodeloom.editor.tab.results.pictures('7', undefined, 300).length === 1")
                page.wait_for_timeout(700)
                page.mouse.move(*page.evaluate(RAN))
                page.wait_for_selector(".hint-value img")
                page.wait_for_timeout(300)
                page.screenshot(path=TARGET / f"editor-result-{theme}.png")
                context.close()
        finally:
            server.terminate()
            server.wait(30)


def main() -> None:
    """One picture a scene and theme; the starter on a telephone as well."""
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
    from editor import workflow
    from playwright.sync_api import sync_playwright

    from tests.web.dev_server import served

    TARGET.mkdir(exist_ok=True)
    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        for theme in ("dark", "light"):
            for name, script in SCENES.items():
                context = browser.new_context(
                    viewport=NARROW if name == "small" else WIDE,
                    color_scheme=theme,
                    reduced_motion="reduce",
                )
                page = context.new_page()
                page.goto(url)
                page.wait_for_selector("html[data-ready]")
                page.evaluate("(large) => { window.large = large; }", workflow(300))
                page.evaluate(script)
                page.wait_for_timeout(700)
                page.screenshot(path=TARGET / f"editor-{name}-{theme}.png")
                context.close()
        after_a_run(browser)
        browser.close()


if __name__ == "__main__":
    main()
