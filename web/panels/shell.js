/** @import { Editor } from "../interaction/editor.js" */
/** @import { Commands } from "../interaction/commands.js" */
/** @import { Runs } from "../client/runs.js" */
/** @import { Documents } from "../client/documents.js" */
/** The frame around the canvas: bar with tabs and Run, rail of panels, breadcrumb, zoom, the empty state. */
import { button, h, icon, iconButton, placeAt, refill } from "./dom.js";

const REST = 400; // milliseconds until a tab shows its graph

/**
 * @typedef {{ id: string, title: string, icon: string, open: (body: HTMLElement, head: HTMLElement) => (() =>
 *   void) | void, key?: string }} Panel
 */

export class Shell {
  /** @type {Map<string, Panel>} */ panels = new Map();
  /** @type {string | undefined} */ current;
  /** @type {(() => void) | void} */ #closePanel = undefined;
  cancel = iconButton("Cancel the running job", "stop", () => this.commands.run("cancel"), {
    disabled: true,
  });
  more = button("", () => this.#runMenu(), {
    class: "button primary",
    "aria-label": "More ways to run",
    "aria-haspopup": "menu",
  });
  /** @type {HTMLElement} */ tabs = h("nav", { class: "tabs", "aria-label": "Open workflows" });
  /** @type {HTMLElement} */ crumbs = h("nav", { class: "crumbs", "aria-label": "Subgraphs", hidden: true });

  /**
   * @param {Editor} editor
   * @param {Commands} commands
   * @param {Runs} runs
   * @param {Documents} documents
   * @param {(entries: import("./menu.js").Entry[], x: number, y: number) => void} menu
   */
  constructor(editor, commands, runs, documents, menu) {
    this.editor = editor;
    this.commands = commands;
    this.runs = runs;
    this.documents = documents;
    this.menu = menu;
    this.bar = byId("bar");
    this.rail = byId("rail");
    this.side = byId("side");
    this.#buildBar();
    this.#buildStage();
    this.#listen();
  }

  #buildBar() {
    const { commands } = this;
    this.state = h("div", { class: "state", "aria-hidden": "true" });
    this.times = h("input", {
      class: "run-times",
      type: "number",
      min: "1",
      max: "999",
      value: "1",
      "aria-label": "How many runs",
    });
    this.runButton = button("Run", () => commands.run("run"), {
      class: "button primary",
      title: "Run (Ctrl+Enter)",
    });
    this.runButton.prepend(icon("run"));
    this.more.append(icon("down"));
    const brand = h(
      "button",
      {
        type: "button",
        class: "brand",
        "aria-label": "Menu",
        "aria-haspopup": "menu",
        title: "Menu",
        on: { click: () => this.#mainMenu(brand) },
      },
      icon("weave"),
    );
    this.bar.append(
      h("h1", { class: "visually-hidden" }, "Nodeloom"),
      brand,
      this.tabs,
      iconButton("New workflow", "plus", () => commands.run("new"), { class: "icon-button bar-new" }),
      h(
        "div",
        { class: "runbar" },
        this.state,
        this.times,
        h("div", { class: "run" }, this.runButton, this.more),
        this.cancel,
      ),
    );
    this.meter = h(
      "div",
      { class: "meter", role: "progressbar", "aria-label": "Progress of the run", hidden: true },
      h("i", {}),
    );
    this.bar.append(this.meter);
    document.body.append(this.#preview);
    this.drawTabs();
  }

  #buildStage() {
    const { editor, commands } = this;
    this.percent = h("output", {}, "100%");
    this.corner = h(
      "div",
      { class: "corner" },
      h(
        "div",
        { class: "zoom" },
        iconButton("Zoom out", "back", () => commands.run("zoom-out"), { hidden: true }),
        button("−", () => commands.run("zoom-out"), { class: "icon-button", "aria-label": "Zoom out" }),
        this.percent,
        button("+", () => commands.run("zoom-in"), { class: "icon-button", "aria-label": "Zoom in" }),
        iconButton("Fit", "fit", () => commands.run("fit")),
        iconButton("Minimap", "map", () => commands.run("minimap")),
      ),
    );
    this.blank = h(
      "div",
      { class: "blank", hidden: true },
      h(
        "div",
        {},
        h("h1", {}, "An empty canvas"),
        h(
          "p",
          {},
          "Double-click or press A to add a node, drop a picture or a workflow here, " +
            "or begin with one of these.",
        ),
        button("Text to image", () => commands.run("starter"), { class: "button primary" }),
        button("All templates", () => commands.run("templates")),
      ),
    );
    editor.host.append(this.crumbs, this.corner, this.blank);
    this.drawBlank();
  }

  #listen() {
    const { editor, runs } = this;
    editor.on("camera", () => this.#tellScale());
    editor.on("tab", () => {
      this.drawTabs();
      this.drawCrumbs();
      this.drawBlank();
    });
    editor.on("scope", () => this.drawCrumbs());
    editor.on("change", () => {
      this.drawBlank();
      this.#markDirty();
    });
    for (const type of ["status", "started", "progress", "ended", "submitted", "refused"])
      runs.addEventListener(type, () => this.drawState());
    for (const type of ["started", "ended", "refused"]) runs.addEventListener(type, () => this.#markWrong());
    runs.socket.addEventListener("connected", () => this.drawState());
    runs.socket.addEventListener("disconnected", () => this.drawState());
    this.#tellScale();
  }

  /** Writes the scale only when it is another one: text that is written again is laid out again. */
  #tellScale() {
    const percent = `${Math.round(this.editor.camera.scale * 100)}%`;
    if (this.percent.textContent !== percent) this.percent.textContent = percent;
  }

  #markDirty() {
    const tab = this.tabs.querySelector(".current");
    tab?.classList.toggle("dirty", this.editor.tab.dirty);
  }

  /** What went wrong in a workflow that is not shown is marked on its tab; the notice waits there. */
  #markWrong() {
    const { documents, editor } = this;
    for (const [index, tab] of documents.tabs.entries())
      this.tabs.children[index]?.classList.toggle("wrong", tab !== editor.tab && tab.results.errors.size > 0);
  }

  drawTabs() {
    this.#hidePreview();
    const { documents, editor } = this;
    refill(
      this.tabs,
      documents.tabs.map((tab) => {
        const current = tab === editor.tab;
        const open = h(
          "button",
          {
            type: "button",
            class: "tab-name",
            "aria-current": current ? "page" : undefined,
            tabindex: current ? "0" : "-1",
            title: tab.name,
            on: {
              click: () => documents.show(tab),
              dblclick: () => this.commands.run("rename-workflow"),
              keydown: (/** @type {KeyboardEvent} */ event) => this.#tabKey(event),
            },
          },
          tab.name,
        );
        return h(
          "div",
          {
            class: `tab ${current ? "current" : ""} ${tab.dirty ? "dirty" : ""}`,
            on: {
              pointerenter: (/** @type {PointerEvent} */ event) => this.#previewSoon(event, tab),
              pointerleave: () => this.#hidePreview(),
              pointerdown: () => this.#hidePreview(),
            },
          },
          open,
          iconButton(`Close ${tab.name}`, "close", () => this.commands.run("close-tab", tab)),
        );
      }),
    );
    this.#markWrong();
    this.tabs.querySelector(".current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #preview = h("div", { class: "tab-preview", role: "tooltip", hidden: true });
  #previewTimer = 0;

  /**
   * A picture of another tab's graph, once the pointer rests on it.
   * @param {PointerEvent} event
   * @param {import("../interaction/editor.js").Tab} tab
   */
  #previewSoon(event, tab) {
    const at = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    this.#hidePreview();
    if (tab === this.editor.tab || event.pointerType === "touch") return;
    this.#previewTimer = window.setTimeout(async () => {
      const timer = this.#previewTimer;
      const { graphPicture } = await import("./graph_picture.js");
      if (timer !== this.#previewTimer) return;
      refill(
        this.#preview,
        graphPicture(tab.workflow, this.editor),
        h(
          "div",
          {},
          h("strong", {}, tab.name),
          h(
            "span",
            {},
            [plural(tab.workflow.root.nodes.size, "node"), tab.file ? "" : "not saved to a file"]
              .filter(Boolean)
              .join(" · "),
          ),
        ),
      );
      this.#preview.hidden = false;
      placeAt(this.#preview, at.left, at.bottom + 6);
    }, REST);
  }

  #hidePreview() {
    clearTimeout(this.#previewTimer);
    this.#previewTimer = 0;
    this.#preview.hidden = true;
  }

  /** @param {KeyboardEvent} event */
  #tabKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const { tabs } = this.documents;
    this.documents.show(/** @type {any} */ (tabs.at((tabs.indexOf(this.editor.tab) + step) % tabs.length)));
    /** @type {HTMLElement} */ (this.tabs.querySelector("[aria-current]"))?.focus();
  }

  drawCrumbs() {
    const { editor } = this;
    const { path } = editor.tab;
    this.crumbs.hidden = !path.length;
    let scope = "";
    const names = path.map((id) => {
      const node = editor.workflow.scope(scope).nodes.get(id);
      scope = node?.type ?? "";
      return String(node?.title || editor.workflow.definitions.get(scope)?.name || "Subgraph");
    });
    refill(
      this.crumbs,
      [editor.tab.name, ...names].map((name, depth) => [
        depth > 0 && icon("next"),
        h(
          "button",
          {
            type: "button",
            "aria-current": depth === path.length ? "page" : undefined,
            on: { click: () => editor.enter(path.slice(0, depth)) },
          },
          name,
        ),
      ]),
    );
  }

  drawBlank() {
    this.blank.hidden = this.editor.scene.scope.nodes.size > 0;
  }

  drawState() {
    const { runs } = this;
    const { active } = runs;
    const share = this.#share();
    const percent = active && share !== undefined ? `${Math.round(share * 100)}%` : "";
    this.state.classList.toggle("offline", !runs.socket.connected);
    this.state.textContent = !runs.socket.connected
      ? "Reconnecting …"
      : active
        ? `${percent || "Running"}${runs.queued > 1 ? ` · ${runs.queued - 1} waiting` : ""}`
        : runs.queued
          ? `${runs.queued} waiting`
          : "";
    this.cancel.disabled = !active;
    this.meter.hidden = !active;
    this.meter.setAttribute("aria-valuenow", String(Math.round((share ?? 0) * 100)));
    /** @type {HTMLElement} */ (this.meter.firstElementChild).style.width = `${(share ?? 0) * 100}%`;
    document.title = `${percent ? `${percent} · ` : ""}${this.editor.tab.name} · Nodeloom`;
    const count = this.rail.querySelector(".rail-count");
    if (count) {
      count.textContent = String(runs.queued);
      /** @type {HTMLElement} */ (count).hidden = !runs.queued;
    }
  }

  /** @returns {number | undefined} of the running nodes */
  #share() {
    const running = [...(this.runs.active?.tab.results.running.values() ?? [])];
    return running.length ? Math.max(...running) : undefined;
  }

  #runMenu() {
    const box = this.more.getBoundingClientRect();
    const { commands, runs } = this;
    const entry = (/** @type {string} */ id, label = commands.all.get(id)?.title ?? id) => ({
      label,
      hint: commands.hint(id),
      disabled: commands.all.get(id)?.when?.() === false,
      act: () => commands.run(id),
    });
    this.menu(
      [
        entry("run"),
        entry("run-front"),
        entry("run-selected"),
        { label: `${runs.auto ? "✓ " : ""}Run again and again`, act: () => commands.run("run-auto") },
        {
          label: `${runs.onChange ? "✓ " : ""}Run on every change`,
          act: () => commands.run("run-on-change"),
        },
        "line",
        entry("forecast"),
        entry("times"),
        entry("heat"),
        "line",
        entry("cancel"),
        entry("clear-queue"),
      ],
      box.right - 230,
      box.bottom + 4,
    );
  }

  /** @param {HTMLElement} from */
  #mainMenu(from) {
    const box = from.getBoundingClientRect();
    const { commands } = this;
    const entry = (/** @type {string} */ id) => ({
      label: commands.all.get(id)?.title ?? id,
      hint: commands.hint(id),
      disabled: commands.all.get(id)?.when?.() === false,
      act: () => commands.run(id),
    });
    this.menu(
      [
        entry("new"),
        entry("open"),
        entry("save"),
        entry("save-as"),
        entry("rename-workflow"),
        entry("duplicate-workflow"),
        entry("close-tab"),
        entry("reopen-tab"),
        "line",
        entry("export"),
        entry("export-api"),
        "line",
        entry("undo"),
        entry("redo"),
        "line",
        entry("commands"),
        entry("find"),
        entry("templates"),
        entry("keys"),
        entry("settings"),
        ...(commands.all.has("change-user") ? [entry("change-user")] : []),
      ],
      box.left + 6,
      box.bottom + 2,
    );
  }

  /** @param {Panel} panel */
  addPanel(panel) {
    this.panels.set(panel.id, panel);
    const open = iconButton(panel.title, panel.icon, (event) => this.toggle(panel.id, event.detail === 0), {
      "aria-expanded": "false",
      "data-panel": panel.id,
    });
    if (panel.id === "queue") open.append(h("span", { class: "rail-count", hidden: true }));
    this.rail.append(open);
    if (panel.key)
      this.commands.add({
        id: `panel-${panel.id}`,
        title: panel.title,
        group: "Panels",
        keys: [panel.key],
        run: () => this.toggle(panel.id, true),
      });
  }

  /**
   * A button of the rail that runs a command.
   * @param {string} title
   * @param {string} picture
   * @param {string} command
   * @param {boolean} [last]
   */
  addRail(title, picture, command, last = false) {
    if (last) this.rail.append(h("span", { class: "spacer" }));
    this.rail.append(iconButton(title, picture, () => this.commands.run(command)));
  }

  /** @param {string} id */
  open(id) {
    if (this.current !== id) this.toggle(id, true);
  }

  /** @param {string} id @param {boolean} [byKey] the panel takes the focus */
  toggle(id, byKey = false) {
    const held = this.side.contains(document.activeElement);
    this.#closePanel?.();
    this.#closePanel = undefined;
    const panel = this.current === id ? undefined : this.panels.get(id);
    this.current = panel?.id;
    this.side.hidden = !panel;
    for (const open of this.rail.querySelectorAll("[data-panel]"))
      open.setAttribute("aria-expanded", String(open.getAttribute("data-panel") === this.current));
    if (!panel) {
      if (held) this.editor.host.focus({ preventScroll: true });
      return;
    }
    const tools = h("span", { class: "side-head-tools" });
    const head = h(
      "div",
      { class: "side-head" },
      h("h2", {}, panel.title),
      tools,
      iconButton("Close panel", "close", () => this.toggle(panel.id)),
    );
    const body = h("div", { class: "side-body" });
    this.side.setAttribute("aria-label", panel.title);
    refill(this.side, head, body);
    this.#closePanel = panel.open(body, tools);
    if (byKey || held) this.side.focus({ preventScroll: true });
  }
}

/** @param {number} count @param {string} word */
function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
