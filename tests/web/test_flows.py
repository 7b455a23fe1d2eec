# ruff: noqa: E501 - scripts that stand in one line each read better than wrapped
"""Finding, grouping, subgraphs, settings, keys, help, notices: what is neither a single gesture nor a run."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.web.chromium import (
    ARGUMENTS,
    CHROMIUM,
    NEEDS_CHROMIUM,
    drafted,
    drag,
    input_at,
    output_at,
    place,
    prompt,
    ready,
    until,
    value,
    widget_at,
)

pytest.importorskip("playwright.sync_api")
pytestmark = NEEDS_CHROMIUM
DO = "async ([name, ...given]) => { const edits = await import('./core/edits.js'); const e = nodeloom.editor; const made = edits[name](e.where, ...given); e.do(made); return made?.id; }"


def do(page: Any, name: str, *given: Any) -> Any:
    """An edit by name, as the program itself makes it."""
    return page.evaluate(DO, [name, *given])


def chosen(page: Any) -> list[int]:
    found: list[int] = page.evaluate("[...nodeloom.editor.selected].sort((a, b) => a - b)")
    return found


def picker(page: Any, text: str) -> list[str]:
    """Types into the open list; gives the rows."""
    page.wait_for_selector(".picker:not([hidden])")
    page.fill(".picker > input", text)
    rows: list[str] = page.eval_on_selector_all(".picker-label", "rows => rows.map((row) => row.textContent)")
    return rows


def test_the_palette_is_narrowed_by_input_output_and_category(page: Any) -> None:
    page.keyboard.press("Shift+A")
    rows = picker(page, "in:latent out:image")
    assert "VAE Decode" in rows
    assert "KSampler" not in rows
    assert picker(page, "cat:latent empty latent image")[0] == "Empty Latent Image"
    assert "VAE Decode" not in picker(page, "cat:sampling")


def test_the_nodes_panel_begins_with_everyday_categories_and_adds_by_a_click(page: Any) -> None:
    page.keyboard.press("n")
    page.wait_for_selector("#side summary")
    heads = page.eval_on_selector_all("#side summary", "all => all.map((one) => one.textContent)")
    assert heads[0].startswith("loaders")
    assert heads[-1].startswith("_")
    page.click("#side summary >> nth=0")
    page.click("#side .row:has-text('Load VAE')")
    assert page.evaluate("nodeloom.editor.selectedNodes[0].type") == "VAELoader"


def test_find_goes_to_nodes_by_title_value_and_error(page: Any) -> None:
    for text, node in (("negative", 3), ("dpmpp_2m", 5), ("#7", 7)):
        page.keyboard.press("Control+f")
        picker(page, text)
        page.keyboard.press("Enter")
        assert chosen(page) == [node]
    page.evaluate("nodeloom.editor.tab.results.errors.set('6', { inputs: new Set(), message: 'peculiar' })")
    page.keyboard.press("Control+f")
    picker(page, "peculiar")
    page.keyboard.press("Enter")
    assert chosen(page) == [6]


def test_hits_are_walked_and_values_replaced_everywhere(page: Any) -> None:
    page.keyboard.press("Control+f")
    picker(page, "prompt")
    page.keyboard.press("Enter")
    first = chosen(page)
    page.keyboard.press("F3")
    assert chosen(page) != first
    page.keyboard.press("Shift+F3")
    assert chosen(page) == first
    page.keyboard.press("Control+h")
    page.fill("dialog input", "apple")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog:has-text('takes the place')")
    page.fill("dialog input", "pear")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 value replaced")
    assert value(page, 2, "text") == "an pear on a blue background"
    page.keyboard.press("Control+z")
    assert value(page, 2, "text") == "an apple on a blue background"


def test_what_feeds_a_node_and_what_it_feeds_is_selected(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([6])")
    page.keyboard.press("Alt+ArrowRight")
    assert chosen(page) == [6, 7]
    page.evaluate("nodeloom.editor.select([3])")
    page.keyboard.press("Alt+ArrowLeft")
    assert chosen(page) == [1, 3]


def test_groups_move_what_is_in_them_and_are_fitted_muted_and_renamed(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([2, 3])")
    page.keyboard.press("Control+g")
    group = "[...e.scene.scope.groups.values()][0]"
    before = page.evaluate("nodeloom.editor.scene.node(2).pos")
    title = place(page, f"[{group}.bounding[0] + 200, {group}.bounding[1] + 12]")
    drag(page, title, (title[0] + 20, title[1] + 30))
    after = page.evaluate("nodeloom.editor.scene.node(2).pos")
    assert after[0] > before[0]
    assert after[1] > before[1]
    title = place(page, f"[{group}.bounding[0] + 200, {group}.bounding[1] + 12]")
    page.mouse.click(*title, button="right")
    page.click("text=Mute its nodes")
    assert page.evaluate("[2, 3].map((id) => nodeloom.editor.scene.node(id).mode)") == [2, 2]
    page.mouse.dblclick(*title)
    page.wait_for_selector("input.field")
    page.keyboard.type("Texts")
    page.keyboard.press("Enter")
    assert page.evaluate("[...nodeloom.editor.scene.scope.groups.values()][0].title") == "Texts"
    page.evaluate("nodeloom.editor.select([], [...nodeloom.editor.scene.scope.groups.keys()])")
    page.evaluate("nodeloom.commands.run('fit-group')")
    box = page.evaluate("[...nodeloom.editor.scene.scope.groups.values()][0].bounding")
    first = page.evaluate("nodeloom.editor.scene.box(2)")
    assert box[0] == first[0] - 20


def test_subgraphs_have_a_way_back_ports_that_are_renamed_and_can_be_unpacked(page: Any) -> None:
    sent = prompt(page)
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+Shift+e")
    until(page, "nodeloom.editor.workflow.definitions.size === 1")
    page.evaluate("nodeloom.commands.run('enter')")
    page.click(".crumbs button:has-text('Text to image')")
    assert page.evaluate("nodeloom.editor.tab.path.length") == 0
    page.evaluate(
        "() => { const e = nodeloom.editor; e.enter([[...e.scene.scope.nodes.values()].find((node) => e.catalogue.isInstance(node)).id]); }"
    )
    port = place(page, "e.scene.portPoint('inputs', 0)")
    page.mouse.click(*port, button="right")
    page.click(".menu >> text=Rename")
    page.fill("dialog input", "the model")
    page.keyboard.press("Enter")
    until(page, "[...nodeloom.editor.workflow.definitions.values()][0].inputs[0].name === 'the model'")
    until(page, "document.activeElement === nodeloom.editor.host")
    page.keyboard.press("Escape")
    until(page, "nodeloom.editor.tab.path.length === 0")
    page.evaluate(
        "() => { const e = nodeloom.editor; e.select([[...e.scene.scope.nodes.values()].find((node) => e.catalogue.isInstance(node)).id]); }"
    )
    page.evaluate("nodeloom.commands.run('unpack')")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 7")
    unpacked = prompt(page)
    assert sorted(each["class_type"] for each in unpacked.values()) == sorted(
        each["class_type"] for each in sent.values()
    )


def test_a_group_node_is_opened_as_a_subgraph_and_undo_brings_it_back(page: Any) -> None:
    cases = json.loads((Path(__file__).parent / "data" / "conversions.json").read_text())
    name = "group node workflow>: values of all members in one list, names with titles"
    workflow = next(case["workflow"] for case in cases if case["name"] == name)
    for place_in_row, node in enumerate(workflow["nodes"]):
        node["pos"] = [place_in_row * 340, 0]
    page.evaluate("(workflow) => app.loadGraphData(workflow, true, true, 'Old')", workflow)
    until(page, "nodeloom.editor.tab.name === 'Old'")
    group = page.evaluate(
        "[...nodeloom.editor.scene.scope.nodes.values()].find((node) => nodeloom.editor.catalogue.isGroup(node)).id"
    )
    before = prompt(page)
    title = place(page, f"[e.scene.node({group}).pos[0] + 60, e.scene.node({group}).pos[1] - 14]")
    page.mouse.dblclick(*title)
    page.wait_for_selector(".crumbs:not([hidden])")
    assert page.evaluate("[...nodeloom.editor.scene.scope.nodes.values()].map((node) => node.type)") == [
        "CLIPTextEncode",
        "CLIPTextEncode",
        "KSampler",
    ]
    assert prompt(page) == before
    page.wait_for_selector("text=The group is a subgraph now")
    page.click(".toast >> text=Undo")
    until(page, "document.querySelector('.crumbs').hidden")
    assert page.evaluate(f"nodeloom.editor.catalogue.isGroup(nodeloom.editor.scene.node({group}))")
    assert prompt(page) == before
    page.mouse.click(*title, button="right")
    page.click("text=Open the group")
    page.wait_for_selector(".crumbs:not([hidden])")
    page.keyboard.press("Escape")
    until(page, "document.querySelector('.crumbs').hidden")
    assert prompt(page) == before


def test_a_subgraph_that_was_just_made_stays_open_while_the_draft_is_written(page: Any) -> None:
    page.evaluate(
        """async () => { const { makeSubgraph } = await import('./core/subgraphs.js'); const { documents, editor } = nodeloom; documents.openStarter();
        const made = makeSubgraph(editor.where, [2, 3]); editor.do(made); editor.enter([made.id]); }"""
    )
    drafted(page)
    assert page.evaluate("nodeloom.editor.tab.path.length") == 1
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.size") == 2
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert len(prompt(page)) == 7
    page.keyboard.press("Control+z")
    assert page.evaluate("[...nodeloom.editor.scene.scope.nodes.keys()].sort()") == [1, 2, 3, 4, 5, 6, 7]


def test_a_value_is_promoted_to_the_subgraph_by_a_link_to_a_new_port(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5, 6])")
    page.keyboard.press("Control+Shift+e")
    until(page, "nodeloom.editor.workflow.definitions.size === 1")
    instance = chosen(page)[0]
    page.evaluate("nodeloom.commands.run('enter')")
    sampler = page.evaluate(
        "[...nodeloom.editor.scene.scope.nodes.values()].find((node) => node.type === 'KSampler').id"
    )
    count = page.evaluate("[...nodeloom.editor.workflow.definitions.values()][0].inputs.length")
    drag(page, place(page, f"e.scene.portPoint('inputs', {count})"), input_at(page, sampler, "steps"))
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    until(page, "nodeloom.editor.tab.path.length === 0")
    assert value(page, instance, "steps") == 20
    do(page, "setValue", instance, "steps", 9)
    assert (
        next(each for each in prompt(page).values() if each["class_type"] == "KSampler")["inputs"]["steps"]
        == 9
    )


def test_cut_and_paste_may_keep_the_links(browser: Any, address: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = ready(context, address)
    page.evaluate("nodeloom.editor.select([6])")
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+Shift+v")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 8")
    made = chosen(page)[0]
    assert page.evaluate("(id) => nodeloom.editor.scene.scope.linksTo(id).length", made) == 2
    page.keyboard.press("Control+x")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 7")
    page.keyboard.press("Control+v")
    until(page, "nodeloom.editor.scene.scope.nodes.size === 8")
    assert page.evaluate("(id) => nodeloom.editor.scene.scope.linksTo(id).length", chosen(page)[0]) == 0
    context.close()


def test_a_pasted_picture_becomes_a_loader(page: Any) -> None:
    page.evaluate(
        """async () => { const c = new OffscreenCanvas(8, 8); c.getContext('2d').fillRect(0, 0, 8, 8); const data = new DataTransfer();
        data.items.add(new File([await c.convertToBlob()], 'pasted.png', { type: 'image/png' })); dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true })); }"""
    )
    until(page, "nodeloom.editor.selectedNodes[0]?.type === 'LoadImage'")
    page.keyboard.press("Control+z")
    assert page.evaluate("nodeloom.editor.scene.scope.nodes.size") == 7


def test_links_take_every_shape(page: Any) -> None:
    for shape in ("linear", "straight", "hidden", "spline"):
        page.evaluate("nodeloom.commands.run('link-shape')")
        assert page.evaluate("nodeloom.editor.scene.linkShape") == shape


def test_settings_are_kept_by_the_server_and_act_at_once(page: Any, address: str) -> None:
    page.keyboard.press("Control+,")
    page.select_option("dialog [aria-label='Dragging on bare canvas']", label="Selects")
    page.select_option("dialog [aria-label='Appearance']", label="Light")
    until(page, "document.documentElement.dataset.theme === 'light'")
    until(
        page,
        "async () => (await (await fetch('api/settings')).json())['Nodeloom.navigation'] === 'drag selects'",
    )
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog')")
    box = "e.scene.box(4)"
    drag(
        page,
        place(page, f"[{box}[0] - 12, {box}[1] - 12]"),
        place(page, f"[{box}[0] + {box}[2] + 12, {box}[1] + {box}[3] + 12]"),
    )
    assert chosen(page) == [4]
    page.evaluate(
        "async () => { await nodeloom.settings.set('navigation', 'drag pans'); await nodeloom.settings.set('theme', 'system'); }"
    )


def test_a_dropped_link_offers_the_node_of_ones_choice_first(page: Any, address: str) -> None:
    def offered(start: tuple[float, float], end: tuple[float, float]) -> str:
        drag(page, start, end)
        page.wait_for_selector(".picker:not([hidden])")
        first: str = page.inner_text(".picker-row[aria-selected] .picker-label")
        assert page.eval_on_selector(".picker-row", "(row) => row.ariaSelected") == "true"
        return first

    bare = place(page, "[e.scene.box(1)[0] + 30, e.scene.box(1)[1] + 620]")
    assert offered(output_at(page, 1, 0), bare) == "KSampler"
    page.keyboard.press("Escape")
    assert offered(output_at(page, 1, 2), bare) == "VAE Decode"
    page.keyboard.press("Escape")
    drag(page, input_at(page, 2, "clip"), bare)  # a link that is there is let go
    assert offered(input_at(page, 2, "clip"), bare) == "Load Checkpoint"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+,")
    page.click("dialog [aria-label='Show: Nodes for dropped links']")
    page.fill("dialog [aria-label='Filter types']", "model")
    page.focus("dialog [aria-label='After an output of type MODEL']")
    page.select_option("dialog [aria-label='After an output of type MODEL']", label="LoraLoaderModelOnly")
    page.fill("dialog [aria-label='Filter types']", "vae")
    page.focus("dialog [aria-label='After an output of type VAE']")
    page.select_option("dialog [aria-label='After an output of type VAE']", label="No node in particular")
    until(
        page,
        """async () => JSON.stringify((await (await fetch('api/settings')).json())['Nodeloom.firstNodes']) === '{"after MODEL":"LoraLoaderModelOnly","after VAE":""}'""",
    )
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog')")
    count = page.evaluate("nodeloom.editor.scene.scope.nodes.size")
    assert offered(output_at(page, 1, 0), bare) == "LoraLoaderModelOnly"
    page.keyboard.press("Enter")
    until(page, f"nodeloom.editor.scene.scope.nodes.size === {count + 1}")
    added = chosen(page)[0]
    assert page.evaluate(f"nodeloom.editor.scene.node({added}).type") == "LoraLoaderModelOnly"
    assert prompt(page)[str(added)]["inputs"]["model"] == ["1", 0]
    page.evaluate("nodeloom.settings.set('firstNodes', {})")


def test_a_server_of_one_user_does_not_ask_who_works(page: Any) -> None:
    assert page.locator("dialog").count() == 0
    assert page.evaluate("nodeloom.server.user") == ""
    assert page.evaluate("nodeloom.commands.all.has('change-user')") is False


def test_a_command_takes_another_key(page: Any) -> None:
    page.keyboard.press("?")
    page.fill("dialog input[type=search]", "Tidy up")
    page.click("dialog .choice button")
    page.keyboard.press("Alt+j")
    until(page, "nodeloom.commands.hint('arrange') === 'Alt+J'")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog')")
    before = page.evaluate("nodeloom.editor.scene.node(7).pos")
    page.keyboard.press("l")
    assert page.evaluate("nodeloom.editor.scene.node(7).pos") == before
    page.keyboard.press("Alt+j")
    until(page, f"JSON.stringify(nodeloom.editor.scene.node(7).pos) !== '{before}'.replaceAll(' ', '')")
    page.evaluate("nodeloom.settings.set('keys', {})")


def test_help_tells_what_a_node_takes_and_gives(page: Any) -> None:
    page.evaluate("nodeloom.editor.select([5])")
    page.keyboard.press("F1")
    said = page.inner_text("dialog[open]")
    assert "latent_image" in said
    assert "1 … 10000" in said
    assert page.evaluate("document.activeElement.tagName") == "DIALOG"
    page.keyboard.press("Escape")
    page.mouse.move(*place(page, "[e.scene.node(5).pos[0] + 60, e.scene.node(5).pos[1] - 14]"))
    page.wait_for_selector(".hint:not([hidden])")
    page.mouse.move(*output_at(page, 5, 0))
    until(page, "document.querySelector('.hint').textContent.includes('LATENT')")


def test_another_tab_shows_its_graph_before_it_is_opened(page: Any) -> None:
    page.evaluate("nodeloom.documents.openEmpty()")
    page.hover(".tab:not(.current)")
    page.wait_for_selector(".tab-preview:not([hidden]) canvas")
    assert "7 nodes" in page.inner_text(".tab-preview")
    page.click(".tab:not(.current) .tab-name")
    assert page.query_selector(".tab-preview:not([hidden])") is None


def test_missing_files_are_listed_with_near_matches_that_one_click_takes(page: Any) -> None:
    page.evaluate(
        """async () => { const { workflow } = await app.graphToPrompt(); const loader = workflow.nodes.find((node) => node.type === 'CheckpointLoaderSimple');
        loader.widgets_values = ['old/nodeloom-emoji-064.safetensors']; await app.loadGraphData(workflow, true, true, 'Old'); }"""
    )
    page.click(".toast >> text=Show")
    page.click("dialog >> text=Use nodeloom-emoji-128.safetensors")
    assert value(page, 1, "ckpt_name") == "nodeloom-emoji-128.safetensors"


def test_several_problems_are_listed_and_gone_to(page: Any) -> None:
    page.evaluate(
        "() => { const { errors } = nodeloom.editor.tab.results; errors.set('5', { inputs: new Set(['steps']), message: 'too big', kind: 'value_bigger_than_max' }); errors.set('7', { inputs: new Set(['images']), message: 'missing', kind: 'required_input_missing' }); }"
    )
    page.keyboard.press("Alt+e")
    page.click("dialog .problem:has-text('Save Image') >> text=Show")
    page.wait_for_selector("dialog:has-text('Connect this input')")
    assert chosen(page) == [7]


def test_the_last_seed_is_one_click_away(page: Any) -> None:
    for count in (1, 2):
        page.keyboard.press("Control+Enter")
        until(page, f"nodeloom.runs.jobs.size === {count}")
    used = value(page, 5, "seed")
    do(page, "setValue", 5, "seed", 7)
    page.mouse.click(
        *place(
            page,
            "(() => { const l = e.scene.layout(5); return [e.scene.node(5).pos[0] + l.width - 20, e.scene.node(5).pos[1] + l.widgets[0].y + 8]; })()",
        )
    )
    page.click(f".picker >> text=Use {used} again")
    assert value(page, 5, "seed") == used


def test_switches_turn_by_a_click(page: Any) -> None:
    made = do(page, "addNode", "KSamplerAdvanced", [750, 430])
    page.evaluate("(id) => nodeloom.editor.fit([id])", made)
    name = page.evaluate(
        "(id) => nodeloom.editor.scene.view(id).widgets.find((w) => w.kind === 'combo').name", made
    )
    before = value(page, made, name)
    x, y = widget_at(page, made, name)
    page.mouse.click(x, y)
    rows = picker(page, "")
    assert before in rows
    page.keyboard.press("Escape")
    added = do(page, "addNode", "PrimitiveBoolean", [40, 400])
    page.evaluate("(id) => nodeloom.editor.fit([id])", added)
    page.mouse.click(*widget_at(page, added, "value"))
    assert value(page, added, "value") is True


def test_leaving_asks_only_when_edits_are_not_kept(browser: Any, address: str) -> None:
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(window, 'indexedDB', { value: undefined })")
    page = ready(context, address)
    asks = "() => { const event = new Event('beforeunload', { cancelable: true }); dispatchEvent(event); return event.defaultPrevented; }"
    assert page.evaluate(asks) is False
    do(page, "toggleMode", [6], 4)
    assert page.evaluate(asks) is True
    context.close()
    context = browser.new_context()
    page = ready(context, address)
    do(page, "toggleMode", [6], 4)
    assert page.evaluate(asks) is False
    context.close()


def test_an_extension_adds_widgets_menu_entries_and_panels(page: Any) -> None:
    page.evaluate("""async () => {
      window.drawn = 0;
      await app.registerExtension({ name: 'All', widgets: { LATENT: { draw: () => { window.drawn += 1; }, edit: () => { window.edited = true; } } },
        nodeMenu: (nodes) => [{ label: `Say ${nodes.length}`, act: () => { window.said = nodes[0].type; } }],
        panels: [{ id: 'extra', title: 'Extra', icon: 'search', key: 'Alt+9', open: (body) => { body.textContent = 'Hello from outside'; } }],
        setup: (editor) => { window.given = editor === nodeloom.editor; } });
    }""")
    assert page.evaluate("window.given") is True
    until(page, "window.drawn > 0")
    page.mouse.click(
        *place(page, "[e.scene.node(7).pos[0] + 60, e.scene.node(7).pos[1] - 14]"), button="right"
    )
    page.click("text=Say 1")
    assert page.evaluate("window.said") == "SaveImage"
    page.click("[data-panel=extra]")
    page.wait_for_selector("#side >> text=Hello from outside")


def started(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A browser of its own on a folder, and where it can be reached."""
    port = folder / "DevToolsActivePort"
    port.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            str(CHROMIUM),
            *ARGUMENTS,
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(400):
        if port.exists() and len(lines := port.read_text().split()) == 2:
            return process, f"http://127.0.0.1:{lines[0]}"
        time.sleep(0.05)
    process.kill()
    raise AssertionError("Chromium did not start")


def test_work_survives_a_kill_of_the_browser(driver: Any, address: str, tmp_path: Path) -> None:
    for turn in ("first", "again"):
        process, reached = started(tmp_path)
        try:
            page = driver.chromium.connect_over_cdp(reached).contexts[0].pages[0]
            page.goto(address)
            page.wait_for_selector("html[data-ready]", timeout=20000)
            if turn == "first":
                do(page, "setValue", 5, "steps", 44)
                drafted(page)
            else:
                assert value(page, 5, "steps") == 44
                page.keyboard.press("Control+z")
                assert value(page, 5, "steps") == 20
        finally:
            process.kill()
            process.wait(20)
