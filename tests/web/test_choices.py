# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""Lists of choices in the page: those a route of the server gives, and those that bring inputs of their own."""

import json
from typing import Any

import pytest

from tests.web.chromium import NEEDS_CHROMIUM, prompt, until, value, widget_at

pytest.importorskip("playwright.sync_api")
pytestmark = NEEDS_CHROMIUM
LOAD = "async (type) => { const { addNode } = await import('./core/edits.js'); const e = nodeloom.editor; e.do({ label: 'Clear', puts: [...e.scene.scope.nodes.keys()].map((id) => ({ scope: '', kind: 'nodes', id, value: undefined })) }); const made = addNode(e.where, type, [200, 200]); e.do(made); e.camera.moveTo?.(0, 0, 1); return made.id; }"
CHOOSING = {
    "input": {
        "required": {
            "mode": [
                "COMFY_DYNAMICCOMBO_V3",
                {
                    "options": [
                        {"key": "plain", "inputs": {}},
                        {"key": "sized", "inputs": {"required": {"width": ["INT", {"default": 5}]}}},
                    ]
                },
            ],
            "last": ["INT", {"default": 9}],
        }
    },
    "output": [],
    "output_name": [],
}


def choose(page: Any, node: int, widget: str, words: str) -> None:
    page.mouse.click(*widget_at(page, node, widget))
    page.wait_for_selector(".picker:not([hidden])")
    page.keyboard.type(words)
    page.keyboard.press("Enter")


def test_a_list_that_a_route_gives_is_asked_for_when_it_is_opened(page: Any) -> None:
    page.route("**/internal/files/output", lambda route: route.fulfill(json=["first.png", "second.png"]))
    node = page.evaluate(LOAD, "LoadImageOutput")
    choose(page, node, "image", "second")
    until(page, f"nodeloom.editor.scene.view({node}).widgets[0].value === 'second.png'")
    assert prompt(page)[str(node)]["inputs"] == {"image": "second.png"}


def test_a_choice_shows_the_inputs_it_brings(browser: Any, address: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()

    def with_own_type(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps(answer.json() | {"Choosing": CHOOSING}))

    page.route("**/api/object_info*", with_own_type)
    page.goto(address)
    page.wait_for_selector("html[data-ready]", timeout=20000)
    node = page.evaluate(LOAD, "Choosing")
    choose(page, node, "mode", "sized")
    assert value(page, node, "mode.width") == 5
    assert prompt(page)[str(node)]["inputs"] == {"mode": "sized", "mode.width": 5, "last": 9}
    page.keyboard.press("Control+z")
    assert prompt(page)[str(node)]["inputs"] == {"mode": "plain", "last": 9}
    context.close()
