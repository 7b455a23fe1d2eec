# ruff: noqa: E501 - scripts and tables that stand in one line each read better than wrapped
"""The page in a real Chromium: building a graph by mouse, by keys and by touch, files, drafts, conflicts, accessibility.

The server is `dev_server.py`: recorded specs, user files in memory, prompts kept for inspection.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.web.chromium import (
    NEEDS_CHROMIUM,
    add_by_palette,
    drafted,
    drag,
    drop,
    input_at,
    output_at,
    painted,
    picture,
    place,
    plain,
    prompt,
    ready,
    until,
    value,
    widget_at,
)

pytest.importorskip("playwright.sync_api")
pytestmark = NEEDS_CHROMIUM
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
HOSTILE = '<img src=x onerror="window.hacked=1">'


def test_the_starter_is_ready_to_run_and_the_prompt_arrives(page: Any, address: str) -> None:
    page.keyboard.press("Control+Enter")
    until(page, "nodeloom.runs.jobs.size === 1")
    sent = page.evaluate("async () => (await (await fetch('test/prompts')).json()).at(-1)")
    kinds = sorted(entry["class_type"] for entry in sent["prompt"].values())
    assert kinds == sorted(
        [
            "CheckpointLoaderSimple",
            "CLIPTextEncode",
            "CLIPTextEncode",
            "EmptyLatentImage",
            "KSampler",
            "VAEDecode",
            "SaveImage",
        ]
    )
    assert sent["extra_data"]["extra_pnginfo"]["workflow"]["nodes"]
    assert sent["prompt"]["4"]["inputs"] == {"width": 128, "height": 128, "batch_size": 1}


def test_a_graph_is_built_by_mouse(page: Any) -> None:
    page.evaluate("nodeloom.documents.openEmpty()")
    made = []
    for text, x, y in (
        ("load checkpoint", 120, 160),
        ("clip text encode prompt", 480, 160),
        ("empty latent image", 480, 520),
    ):
        page.mouse.dblclick(x, y)
        made.append(add_by_palette(page, text))
    drag(page, output_at(page, made[0], 1), input_at(page, made[1], "clip"))
    drag(page, output_at(page, made[2], 0), (980, 300))
    sampler = add_by_palette(page, "ksampler")
    x, y = place(page, f"[e.scene.node({sampler}).pos[0] + 150, e.scene.node({sampler}).pos[1] - 10]")
    drag(page, output_at(page, made[1], 0), (x, y))
    sent = prompt(page)
    assert sent[str(made[1])]["inputs"]["clip"] == [str(made[0]), 1]
    assert sent[str(sampler)]["inputs"]["latent_image"] == [str(made[2]), 0]
    assert sent[str(sampler)]["inputs"]["positive"] == [str(made[1]), 0]
    for _ in range(6):
        page.keyboard.press("Control+z")
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.size") == 0
    for _ in range(6):
        page.keyboard.press("Control+y")
    assert prompt(page) == sent


def test_a_graph_is_built_and_run_by_keys_alone(page: Any) -> None:
    page.keyboard.press("Alt+n")
    page.keyboard.press("a")
    add_by_palette(page, "load checkpoint")
    ids = [
        add_by_palette(page, text)
        for text in ("clip text encode prompt", "ksampler", "vae decode", "save image")
        if page.keyboard.press("a") is None
    ]
    page.keyboard.press("Shift+A")
    latent = add_by_palette(page, "empty latent image")
    for word in ("LATENT", "ksampler latent_image"):
        if word == "LATENT":
            page.keyboard.press("c")
        page.wait_for_selector(".picker:not([hidden])")
        page.keyboard.type(word)
        page.keyboard.press("Enter")
    until(page, "document.querySelector('.picker').hidden")
    page.evaluate("(id) => nodeloom.editor.reveal(id)", ids[0])
    page.keyboard.press("Enter")
    page.wait_for_selector("textarea.field")
    page.keyboard.type("a green pear")
    page.keyboard.press("Control+Enter")
    until(page, "nodeloom.runs.jobs.size === 1")
    sent = page.evaluate("async () => (await (await fetch('test/prompts')).json()).at(-1).prompt")
    assert sent[str(ids[0])]["inputs"] == {"text": "a green pear", "clip": ["1", 1]}
    assert sent[str(ids[1])]["inputs"]["latent_image"] == [str(latent), 0]
    assert sent[str(ids[1])]["inputs"]["positive"] == [str(ids[0]), 0]
    assert sent[str(ids[3])]["inputs"]["images"] == [str(ids[2]), 0]


def test_a_graph_is_made_by_touch(browser: Any, address: str) -> None:
    context = browser.new_context(viewport={"width": 414, "height": 800}, has_touch=True)
    page = ready(context, address)
    session = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {
                "type": kind,
                "touchPoints": [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)],
            },
        )

    before = page.evaluate("nodeloom.editor.camera.scale")
    touch("touchStart", (150, 300), (250, 300))
    touch("touchMove", (100, 300), (300, 300))
    touch("touchMove", (50, 300), (350, 300))
    touch("touchEnd")
    until(page, f"nodeloom.editor.camera.scale > {before} * 1.5")
    page.evaluate("() => { const e = nodeloom.editor; e.fit([4, 5]); }")
    painted(page)
    start = input_at(page, 5, "latent_image")
    touch("touchStart", start)
    touch("touchMove", (start[0] - 30, start[1] + 10))
    bare = place(page, "[850, 600]")
    touch("touchMove", bare)
    touch("touchEnd")
    until(page, "async () => !('latent_image' in (await app.graphToPrompt()).output[5].inputs)")
    source = output_at(page, 4, 0)
    touch("touchStart", source)
    touch("touchMove", (source[0] + 20, source[1]))
    touch("touchMove", input_at(page, 5, "latent_image"))
    touch("touchEnd")
    until(page, "async () => (await app.graphToPrompt()).output[5].inputs.latent_image?.[0] === '4'")
    title = place(page, "[e.scene.node(5).pos[0] + 80, e.scene.node(5).pos[1] - 14]")
    touch("touchStart", title)
    page.wait_for_selector(".menu:not([hidden])", timeout=3000)
    touch("touchEnd")
    context.close()


def test_widgets_are_edited_in_place(page: Any) -> None:
    x, y = widget_at(page, 5, "steps")
    page.mouse.click(x, y)
    page.keyboard.type("2*(10+5)")
    page.keyboard.press("Enter")
    assert value(page, 5, "steps") == 30
    drag(page, (x, y), (x + 40, y))
    assert value(page, 5, "steps") == 35
    page.mouse.click(*widget_at(page, 5, "sampler_name"))
    page.wait_for_selector(".picker:not([hidden])")
    page.keyboard.type("heun")
    page.keyboard.press("Enter")
    assert value(page, 5, "sampler_name") == "heun"
    page.mouse.click(*widget_at(page, 2, "text"))
    field = page.wait_for_selector("textarea.field")
    field.fill("red apple")
    page.keyboard.press("Control+ArrowUp")
    assert value(page, 2, "text") == "red (apple:1.05)"
    page.keyboard.press("Escape")
    assert value(page, 2, "text") == "an apple on a blue background"
    page.evaluate("nodeloom.editor.clearSelection()")


def test_dragging_moves_splices_and_undoes(page: Any) -> None:
    before = page.evaluate("nodeloom.editor.scene.node(6).pos")
    x, y = place(page, "[e.scene.node(6).pos[0] + 60, e.scene.node(6).pos[1] - 14]")
    drag(page, (x, y), (x + 30, y + 60))
    assert page.evaluate("nodeloom.editor.scene.node(6).pos") != before
    page.keyboard.press("Control+z")
    assert page.evaluate("nodeloom.editor.scene.node(6).pos") == before
    added = page.evaluate(
        "async () => { const { addNode } = await import('./core/edits.js'); const m = addNode(nodeloom.editor.where, 'LatentUpscale', [800, 560]); nodeloom.editor.do(m); return m.id; }"
    )
    middle = place(
        page,
        "(() => { const l = [...e.scene.scope.links.values()].find((k) => k.target_id === 6 && k.type === 'LATENT'); const c = e.scene.line(l.id).course.curves; return [(c[0] + c[6]) / 2, (c[1] + c[7]) / 2]; })()",
    )
    x, y = place(page, f"[e.scene.node({added}).pos[0] + 100, e.scene.node({added}).pos[1] - 14]")
    drag(page, (x, y), (middle[0], middle[1]))
    sent = prompt(page)
    assert sent["6"]["inputs"]["samples"] == [str(added), 0]
    assert sent[str(added)]["inputs"]["samples"] == ["5", 0]


def test_clipboard_groups_subgraphs_and_modes(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+d")
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.size") == 9
    page.keyboard.press("Control+z")
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+g")
    assert page.evaluate("nodeloom.editor.scene.scope.groups.size") == 1
    page.evaluate("nodeloom.editor.select([5])")
    page.keyboard.press("Control+b")
    assert "5" not in prompt(page)
    page.keyboard.press("Control+b")
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+Shift+e")
    until(page, "nodeloom.editor.workflow.definitions.size === 1")
    assert any(":" in key for key in prompt(page))
    page.evaluate("nodeloom.commands.run('enter')")
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.size") == 2
    page.wait_for_selector(".crumbs:not([hidden])")
    until(page, "document.activeElement === nodeloom.editor.host")
    page.keyboard.press("Escape")
    until(page, "nodeloom.editor.tab.path.length === 0")


def test_a_tab_that_was_just_opened_survives_a_reload(browser: Any, address: str) -> None:
    """Though the page was never at rest before it went."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script("window.requestIdleCallback = () => 0")
    page = ready(context, address)
    page.evaluate(
        "async () => { await app.loadApiJson({ 1: { class_type: 'EmptyImage', inputs: { width: 72 } } }, 'Just opened'); location.reload(); }"
    )
    page.wait_for_selector("text=Just opened")
    until(page, "nodeloom.documents.tabs.length === 2")
    assert page.evaluate("nodeloom.editor.tab.name") == "Just opened"
    assert value(page, 1, "width") == 72
    context.close()


def test_work_survives_a_reload_with_its_undo(page: Any) -> None:
    x, y = widget_at(page, 5, "steps")
    page.mouse.click(x, y)
    page.keyboard.type("33")
    page.keyboard.press("Enter")
    drafted(page)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert value(page, 5, "steps") == 33
    page.keyboard.press("Control+z")
    assert value(page, 5, "steps") == 20
    page.keyboard.press("Control+y")
    assert value(page, 5, "steps") == 33


def test_two_windows_never_overwrite_each_other(page: Any, address: str) -> None:
    save = "async () => { const { documents, editor } = nodeloom; return documents.save(editor.tab, 'workflows/shared.json'); }"
    assert page.evaluate(save) == "saved"
    other = ready(page.context, address)
    other.evaluate("nodeloom.documents.openSaved('workflows/shared.json')")
    until(other, "nodeloom.editor.tab.file === 'workflows/shared.json'")
    other.evaluate("nodeloom.editor.select([6])")
    other.keyboard.press("Control+b")
    assert other.evaluate(save) == "saved"
    page.wait_for_selector("text=was saved in another window")
    assert page.evaluate(save) == "conflict"
    page.keyboard.press("Control+s")
    page.wait_for_selector("dialog:has-text('The file has changed meanwhile')")
    other.close()


def test_a_second_window_says_that_a_file_is_edited_before_anybody_saves(page: Any, address: str) -> None:
    save = "async () => { const { documents, editor } = nodeloom; return documents.save(editor.tab, 'workflows/both.json'); }"
    notice = ".toast:has-text('“both” is being edited in another window')"
    assert page.evaluate(save) == "saved"
    other = ready(page.context, address)
    other.evaluate("nodeloom.documents.openSaved('workflows/both.json')")
    until(other, "nodeloom.editor.tab.file === 'workflows/both.json'")
    assert page.locator(notice).count() == other.locator(notice).count() == 0  # only looked at
    page.evaluate("nodeloom.editor.select([6])")
    page.keyboard.press("Control+b")
    other.wait_for_selector(notice)
    assert page.locator(notice).count() == 0
    other.evaluate("nodeloom.editor.select([7])")
    other.keyboard.press("Control+b")
    page.wait_for_selector(notice)
    drafted(other)
    other.reload()
    other.wait_for_selector("html[data-ready]")
    other.wait_for_selector(notice)  # the first one is asked again
    page.wait_for_selector(notice)
    assert page.evaluate(save) == "saved"
    other.wait_for_selector(notice, state="detached")
    other.wait_for_selector("text=was saved in another window")
    edited = other.evaluate("nodeloom.editor.scene.node(7).mode")
    page.click(f"{notice} >> text=Go on in a copy")
    page.wait_for_selector(notice, state="detached")
    assert page.evaluate("nodeloom.editor.tab.file === undefined")
    assert page.evaluate("nodeloom.editor.tab.name").startswith("both copy")
    assert page.evaluate("nodeloom.editor.scene.node(6).mode") == edited == 4
    third = ready(page.context, address)
    third.evaluate("nodeloom.documents.openSaved('workflows/both.json')")
    third.wait_for_selector(notice)  # opened after the edits
    other.close()
    third.wait_for_selector(notice, state="detached")


def shown_seed(page: Any) -> int:
    """The seed of the sampler, exactly."""
    return int(page.evaluate("String(nodeloom.editor.scene.view(5).widgets[0].value)"))


def test_a_seed_of_64_bits_stays_exact_from_file_to_prompt(page: Any) -> None:
    seed = 18446744073709551557
    file = page.evaluate("async () => JSON.stringify((await app.graphToPrompt()).workflow)")
    text = json.dumps(json.loads(file)).replace("1234,", f"{seed},", 1)
    assert str(seed) in text
    drop(page, "large.json", "application/json", text.encode())
    until(page, "nodeloom.documents.tabs.length === 2")
    assert shown_seed(page) == seed
    x, y = widget_at(page, 5, "seed")
    page.mouse.click(x, y)
    field = page.wait_for_selector("input.field.number")
    assert field.input_value() == str(seed)
    page.keyboard.type("9007199254740993")
    page.keyboard.press("Enter")
    assert shown_seed(page) == 9007199254740993
    page.keyboard.press("Control+z")
    until(page, f"String(nodeloom.editor.scene.view(5).widgets[0].value) === '{seed}'")
    assert page.evaluate("nodeloom.documents.save(nodeloom.editor.tab, 'workflows/large.json')") == "saved"
    saved = page.evaluate("async () => (await fetch('api/userdata/workflows%2Flarge.json')).text()")
    assert json.loads(saved)["nodes"][4]["widgets_values"][0] == seed
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert shown_seed(page) == seed
    assert float(prompt(page)["5"]["inputs"]["seed"]) == float(seed), "scripts have JavaScript's numbers"
    page.evaluate("nodeloom.editor.select([5])")
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 8")
    page.keyboard.press("Control+Enter")
    until(page, "async () => (await (await fetch('test/prompts')).text()).includes('18446744073709551557')")
    sent = page.evaluate("async () => (await fetch('test/prompts')).text()")
    assert json.loads(sent)[-1]["prompt"]["5"]["inputs"]["seed"] == seed


def test_a_dropped_picture_brings_its_workflow(page: Any) -> None:
    made = page.evaluate("async () => JSON.stringify((await app.graphToPrompt()).workflow)")
    drop(page, "result.png", "image/png", picture(made))
    until(page, "nodeloom.documents.tabs.length === 2")
    assert page.evaluate("async () => (await app.graphToPrompt()).workflow") == json.loads(made)


def test_a_dropped_prompt_and_a_broken_file(page: Any) -> None:
    sent = prompt(page)
    drop(page, "api.json", "application/json", json.dumps(sent).encode())
    until(page, "nodeloom.documents.tabs.length === 2")
    assert prompt(page) == sent
    drop(page, "broken.json", "application/json", b"{")
    page.wait_for_selector("text=The file is not valid JSON")


def test_a_dropped_picture_without_a_workflow_becomes_a_loader(page: Any) -> None:
    drop(page, "plain.png", "image/png", plain(page))
    until(page, "[...nodeloom.editor.scene.scope.nodes.values()].some((node) => node.type === 'LoadImage')")
    made = page.evaluate("[...nodeloom.editor.selected][0]")
    until(page, f"nodeloom.editor.scene.view({made}).widgets[0].value === 'plain.png'")
    until(
        page,
        f"nodeloom.editor.tab.results.pictures('{made}', nodeloom.editor.scene.node({made}), 200).length === 1",
    )


def test_copies_cross_windows_by_the_clipboard(browser: Any, address: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = ready(context, address)
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+c")
    page.keyboard.press("Alt+n")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 0")
    page.keyboard.press("Control+v")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 2")
    assert page.evaluate("nodeloom.editor.scene.scope.links.size") == 1
    context.close()


def test_a_report_is_copied_where_pages_get_no_clipboard(browser: Any, address: str) -> None:
    """As over plain http from another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined })"
    )
    page = ready(context, address)
    page.evaluate(
        "nodeloom.editor.tab.results.errors.set('5', { inputs: new Set(), message: 'It broke in the middle.' })"
    )
    page.evaluate("nodeloom.editor.host.dispatchEvent(new CustomEvent('explain-error', { detail: '5' }))")
    page.click("text=Copy report")
    page.click("dialog >> text=Close")
    page.keyboard.press("Control+f")
    page.wait_for_selector(".picker:not([hidden])")
    page.keyboard.press("Control+v")
    until(page, "document.activeElement.value.includes('(5) It broke in the middle.')")
    context.close()


def test_links_bend_and_bends_are_moved_and_deleted(page: Any) -> None:
    middle = place(
        page,
        "(() => { const l = [...e.scene.scope.links.values()].find((k) => k.target_id === 6 && k.type === 'LATENT'); const c = e.scene.line(l.id).course.curves; return [(c[0] + c[6]) / 2, (c[1] + c[7]) / 2]; })()",
    )
    page.keyboard.down("Alt")
    page.mouse.click(*middle)
    page.keyboard.up("Alt")
    until(page, "nodeloom.editor.scene.scope.reroutes.size === 1")
    sent = prompt(page)
    drag(page, middle, (middle[0], middle[1] + 60))
    assert page.evaluate("async () => (await app.graphToPrompt()).workflow.extra.reroutes.length") == 1
    page.keyboard.press("Delete")
    assert page.evaluate("nodeloom.editor.scene.scope.reroutes.size") == 0
    assert prompt(page) == sent


def test_the_seed_shown_is_the_seed_that_was_run(page: Any) -> None:
    def run() -> int:
        before = page.evaluate("nodeloom.runs.jobs.size")
        page.keyboard.press("Control+Enter")
        until(page, f"nodeloom.runs.jobs.size === {before + 1}")
        seed = page.evaluate(
            "async () => (await (await fetch('test/prompts')).json()).at(-1).prompt[5].inputs.seed"
        )
        assert value(page, 5, "seed") == seed
        return int(seed)

    first, second = run(), run()
    assert first == 1234 != second
    page.evaluate("nodeloom.commands.run('undo')")
    assert value(page, 5, "seed") == first
    foreign = page.evaluate(
        "async () => { const { workflow } = await app.graphToPrompt(); delete workflow.extra.nodeloom; await app.loadGraphData(workflow); return nodeloom.editor.tab.workflow.head.get('extra').nodeloom === undefined; }"
    )
    assert foreign
    page.keyboard.press("Control+Enter")
    until(page, "nodeloom.editor.scene.view(5).widgets[0].value !== 1234")
    assert (
        page.evaluate("async () => (await (await fetch('test/prompts')).json()).at(-1).prompt[5].inputs.seed")
        == 1234
    )


def test_names_stay_text_and_missing_nodes_are_kept(page: Any) -> None:
    hostile = {
        "nodes": [
            {
                "id": 1,
                "type": HOSTILE,
                "pos": [100, 100],
                "size": [200, 100],
                "title": HOSTILE,
                "inputs": [{"name": HOSTILE, "type": "IMAGE", "link": None}],
                "outputs": [],
                "widgets_values": [HOSTILE],
            }
        ],
        "links": [],
        "groups": [{"title": HOSTILE, "bounding": [0, 0, 400, 400]}],
        "extra": {},
        "version": 0.4,
    }
    page.evaluate("(json) => app.loadGraphData(json, true, true, json.nodes[0].title)", hostile)
    page.wait_for_selector("text=that is not installed")
    page.click("text=Show")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog')")
    page.keyboard.press("Control+f")
    page.wait_for_selector(".picker:not([hidden])")
    page.keyboard.press("Escape")
    page.evaluate(
        "(text) => nodeloom.editor.tab.results.errors.set('1', { inputs: new Set(), message: text })", HOSTILE
    )
    page.evaluate("nodeloom.editor.host.dispatchEvent(new CustomEvent('explain-error', { detail: '1' }))")
    page.wait_for_selector("dialog:has-text('what went wrong')")
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("async () => (await app.graphToPrompt()).workflow") == hostile


def test_errors_are_shown_on_the_node_and_its_input(page: Any, address: str) -> None:
    answer = {
        "error": {
            "type": "prompt_outputs_failed_validation",
            "message": "Prompt outputs failed validation",
            "details": "",
            "extra_info": {},
        },
        "node_errors": {
            "5": {
                "errors": [
                    {
                        "type": "value_bigger_than_max",
                        "message": "Value 99999 bigger than max of 10000",
                        "details": "steps",
                        "extra_info": {"input_name": "steps"},
                    }
                ],
                "dependent_outputs": ["7"],
                "class_type": "KSampler",
            }
        },
    }
    page.route("**/api/prompt", lambda route: route.fulfill(status=400, json=answer))
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=One node needs attention")
    assert page.evaluate("[...nodeloom.editor.tab.results.errors.get('5').inputs]") == ["steps"]
    page.click("text=Show")
    page.wait_for_selector("dialog:has-text('Enter a smaller value')")


def test_an_extension_that_throws_is_left_out_alone(page: Any) -> None:
    page.evaluate("""async () => {
      await app.registerExtension({ name: 'Bad', drawLive() { throw new Error('boom'); } });
      await app.registerExtension({ name: 'Good', commands: [{ id: 'good.mark', title: 'Mark it', run: () => { window.marked = true; } }] });
      nodeloom.editor.renderer.stir();
    }""")
    page.wait_for_selector("text=The extension “Bad” failed")
    page.keyboard.press("Control+k")
    page.wait_for_selector(".picker:not([hidden])")
    page.keyboard.type("Mark it")
    page.keyboard.press("Enter")
    until(page, "window.marked === true")


def test_a_cold_visit_is_small_and_asks_nobody_else(browser: Any, address: str) -> None:
    context = browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = ready(context, address)
    page.wait_for_load_state("networkidle")
    assert len(asked) <= 60
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_accessibility_rules_hold(page: Any, theme: str) -> None:
    page.evaluate("(theme) => nodeloom.settings.set('theme', theme)", theme)
    page.evaluate("() => { nodeloom.editor.select([5]); nodeloom.commands.run('panel-workflows'); }")
    page.wait_for_selector("[aria-label=Workflows] .side-body")
    session = page.context.new_cdp_session(page)
    session.send("Page.setBypassCSP", {"enabled": True})
    session.send("Runtime.evaluate", {"expression": AXE.read_text(), "returnByValue": False})

    def rules() -> list[str]:
        found = page.evaluate(
            "async () => (await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations"
        )
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:160]} {one['nodes'][0]['failureSummary'][:200]}"
            for one in found
        ]

    assert rules() == []
    for command in ("panel-queue", "panel-nodes"):
        page.evaluate(f"nodeloom.commands.run('{command}')")
        panel = command.removeprefix("panel-")
        page.wait_for_selector(f"[data-panel={panel}][aria-expanded=true]")
        assert rules() == [], command
    for command in ("settings", "keys", "templates", "help"):
        page.evaluate(f"nodeloom.commands.run('{command}')")
        page.wait_for_selector("dialog[open]")
        assert rules() == [], command
        page.keyboard.press("Escape")
        until(page, "!document.querySelector('dialog')")
    page.evaluate("nodeloom.commands.run('settings')")
    page.click("dialog [aria-label='Show: Nodes for dropped links']")
    page.wait_for_selector("dialog .first-node select")
    assert rules() == [], "nodes for dropped links"
    page.keyboard.press("Escape")
    page.evaluate(
        "async () => { const { chooseUser } = await import('./panels/users_dialog.js'); chooseUser(nodeloom.server, { anna_1: 'Anna', bert_2: 'Bert' }); }"
    )
    page.wait_for_selector("dialog .user")
    assert rules() == [], "users"
    page.keyboard.press("Escape")
    page.evaluate(
        """async () => { const { nodePairs } = await import('./core/edits.js'); const { pairMenu } = await import('./interaction/context_menu.js'); const { Menu } = await import('./panels/menu.js');
        const e = nodeloom.editor; new Menu(document.getElementById('layer')).open(pairMenu(nodePairs(e.where, 1, 2).concat(nodePairs(e.where, 2, 5)), e), 300, 300); }"""
    )
    page.wait_for_selector(".menu:not([hidden])")
    assert rules() == [], "pairs"
    page.keyboard.press("Escape")
    page.evaluate("() => { nodeloom.documents.openEmpty(); }")
    page.wait_for_selector(".blank:not([hidden])")
    assert rules() == [], "blank"
    page.evaluate("nodeloom.commands.run('commands')")
    page.wait_for_selector(".picker:not([hidden])")
    assert rules() == []


def test_the_tree_mirrors_the_graph(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5])")
    page.wait_for_selector("#tree [role=treeitem][aria-selected=true]", state="attached")
    names = page.eval_on_selector_all(
        "#tree > [role=treeitem]", "items => items.map((item) => item.firstChild.textContent)"
    )
    assert names[:5] == [
        "Load Checkpoint",
        "Positive prompt",
        "Negative prompt",
        "Empty Latent Image",
        "KSampler",
    ]
    parts = page.eval_on_selector_all(
        "#tree [role=group] > [role=treeitem]", "items => items.map((item) => item.textContent)"
    )
    assert "Input model, MODEL, from Load Checkpoint" in parts
    assert "steps: 20" in parts
    page.focus("#tree [data-part='5/steps']")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.part") == "5/seed"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("input.field")
    page.keyboard.type("31")
    page.keyboard.press("Enter")
    assert value(page, 5, "steps") == 31
    page.focus("#tree [tabindex='0']")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-level')") == "2"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('aria-level')") == "1"


def test_a_dropped_text_file_and_a_video_open_by_what_is_in_them(page: Any) -> None:
    made = {"nodes": [{"id": 1, "type": "EmptyImage", "pos": [0, 0]}], "links": [], "version": 0.4}
    drop(page, "Named by a system.json.txt", "text/plain", json.dumps(made).encode())
    until(page, "nodeloom.editor.tab.name === 'Named by a system'")

    def box(kind: bytes, *content: bytes) -> bytes:
        return (8 + sum(map(len, content))).to_bytes(4, "big") + kind + b"".join(content)

    comment = f'{{"prompt": {{"1": {{"is_changed": [NaN]}}}}, "workflow": {json.dumps(made)}}}'
    tags = box(b"ilst", box(b"\xa9cmt", box(b"data", bytes(8), comment.encode())))
    film = box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"udta", box(b"meta", bytes(4), tags)))
    drop(page, "clip.mp4", "video/mp4", film)
    until(page, "nodeloom.editor.tab.name === 'clip'")
    assert page.evaluate(
        "[...nodeloom.editor.tab.workflow.root.nodes.values()].map((node) => node.type)"
    ) == ["EmptyImage"]
