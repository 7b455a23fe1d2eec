/** @import { Editor } from "../interaction/editor.js" */
/** @import { Id } from "../types.js" */
/**
 * The graph as a tree for screen readers: nodes, with sockets and values of the one in focus. At most a few
 * hundred elements.
 */
import { typeLabel, titleOf } from "../view/node_painter.js";
import { h, refill } from "./dom.js";

const MOST = 200;
const WAIT = 200;

export class Tree {
  #timer = 0;

  /**
   * @param {HTMLElement} element
   * @param {Editor} editor
   * @param {(id: Id, name: string | undefined) => void} edit
   * @param {HTMLElement} live
   */
  constructor(element, editor, edit, live) {
    this.element = element;
    this.editor = editor;
    this.edit = edit;
    this.live = live;
    for (const topic of /** @type {const} */ (["change", "tab", "scope", "select", "results"]))
      editor.on(topic, () => this.#soon());
    editor.on("select", () => this.#announce());
    element.addEventListener("keydown", (event) => this.#key(event));
    this.draw();
  }

  #soon() {
    if (!this.#timer)
      this.#timer = window.setTimeout(() => {
        this.#timer = 0;
        this.draw();
      }, WAIT);
  }

  /** Says which node has been gone to. */
  #announce() {
    if (this.editor.selected.size !== 1 || !this.editor.host.matches(":focus-visible")) return;
    const [id] = this.editor.selected;
    this.live.textContent = this.#describe(id);
  }

  /** @param {Id} id */
  #describe(id) {
    const { editor } = this;
    const node = editor.scene.node(id);
    const view = editor.scene.view(id);
    const error = editor.tab.results.error(editor.runId(id));
    const mode = node.mode === 2 ? ", muted" : node.mode === 4 ? ", bypassed" : "";
    const installed = view.spec ? "" : ", not installed";
    return `${titleOf(node, view)}${mode}${installed}${error ? `, error: ${error.message}` : ""}`;
  }

  draw() {
    const { editor } = this;
    const all = [...editor.scene.scope.nodes.keys()];
    const focus = [...editor.selected].at(-1) ?? all[0];
    const from = Math.max(0, Math.min(all.indexOf(focus) - MOST / 2, all.length - MOST));
    const held = this.element.contains(document.activeElement);
    const part = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.part;
    refill(
      this.element,
      all.slice(from, from + MOST).map((id) => this.#item(id, id === focus)),
    );
    if (held)
      /** @type {HTMLElement | null} */ (
        (part && this.element.querySelector(`[data-part="${CSS.escape(part)}"]`)) ||
          this.element.querySelector("[tabindex='0']")
      )?.focus();
  }

  /** @param {Id} id @param {boolean} open */
  #item(id, open) {
    const item = h(
      "div",
      {
        role: "treeitem",
        "aria-level": "1",
        "aria-expanded": String(open),
        "aria-selected": String(this.editor.selected.has(id)),
        tabindex: open ? "0" : "-1",
        "data-id": JSON.stringify(id),
        on: {
          focus: () => {
            if (!this.editor.selected.has(id)) this.editor.reveal(id);
          },
        },
      },
      this.#describe(id),
    );
    if (open) item.append(h("div", { role: "group" }, this.#parts(id)));
    return item;
  }

  /** @param {Id} id */
  #parts(id) {
    const view = this.editor.scene.view(id);
    const { scope } = this.editor.scene;
    const from = (/** @type {number | null} */ link) => {
      const origin = link == null ? undefined : scope.nodes.get(scope.links.get(link)?.origin_id ?? "");
      return origin ? `from ${titleOf(origin, this.editor.scene.view(origin.id))}` : "not connected";
    };
    const part = (/** @type {string} */ text, /** @type {string} */ name = text) =>
      h(
        "div",
        {
          role: "treeitem",
          "aria-level": "2",
          "aria-selected": "false",
          tabindex: "-1",
          "data-part": `${id}/${name}`,
        },
        text,
      );
    return [
      ...view.inputs
        .filter((input) => !input.widget)
        .map((input) => part(`Input ${input.label}, ${typeLabel(input.type)}, ${from(input.link)}`)),
      ...view.widgets.map((widget) => part(`${widget.label}: ${String(widget.value ?? "")}`, widget.name)),
      ...view.outputs.map((output) => {
        const links = scope.linksFrom(id).filter((link) => link.origin_slot === output.index);
        return part(`Output ${output.label}, ${typeLabel(output.type)}, ${links.length} links`);
      }),
    ];
  }

  /**
   * Up and down go through what is open, right and left between a node and its parts, Enter edits.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    const rows = /** @type {HTMLElement[]} */ ([...this.element.querySelectorAll("[role=treeitem]")]);
    const here = /** @type {HTMLElement} */ (document.activeElement);
    const at = rows.indexOf(here);
    const node = /** @type {HTMLElement | undefined} */ (here.closest("[data-id]") ?? undefined);
    const parent = here === node ? at : rows.indexOf(/** @type {any} */ (node));
    const next = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      ArrowRight: here === node ? at + 1 : at,
      ArrowLeft: parent,
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      rows[Math.max(0, Math.min(rows.length - 1, next))]?.focus();
    } else if (event.key === "Enter" && node) {
      event.preventDefault();
      event.stopPropagation();
      const id = /** @type {Id} */ (JSON.parse(node.dataset.id ?? "0"));
      const name = here.dataset.part?.slice(String(id).length + 1);
      this.edit(
        id,
        this.editor.scene.view(id).widgets.some((widget) => widget.name === name) ? name : undefined,
      );
    }
  }
}
