# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""Takes the pictures of docs/editor.md with Debian's Chromium: `python docs/editor_pictures.py`."""

import sys
from pathlib import Path

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

SCENES: dict[str, str] = {
    "starter": "() => {}",
    "palette": "async () => { nodeloom.editor.select([5]); await nodeloom.commands.run('palette'); }",
    "templates": "async () => { await nodeloom.commands.run('templates'); }",
    "error": "async () => { const e = nodeloom.editor; e.tab.results.errors.set('5', { inputs: new Set(['steps']), message: 'Value 99999 bigger than max of 10000: steps', kind: 'value_bigger_than_max' }); e.refreshAll(); e.host.dispatchEvent(new CustomEvent('explain-error', { detail: '5' })); }",
    "large": "async () => { await app.loadGraphData(window.large, true, true, 'Three hundred nodes'); document.querySelector('.toasts').replaceChildren(); }",
}


def main() -> None:
    """One picture a scene and theme."""
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
                    viewport={"width": 1440, "height": 860}, color_scheme=theme, reduced_motion="reduce"
                )
                page = context.new_page()
                page.goto(url)
                page.wait_for_selector("html[data-ready]")
                page.evaluate("(large) => { window.large = large; }", workflow(300))
                page.evaluate(script)
                page.wait_for_timeout(700)
                page.screenshot(path=TARGET / f"editor-{name}-{theme}.png")
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
