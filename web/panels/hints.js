/** @import { Editor } from "../interaction/editor.js" */
/** Help on hover: what a socket takes, what a value means, what went wrong. */
import { INPUT_PORTS } from "../core/types.js";
import { typeLabel } from "../view/node_painter.js";
import { h, placeAt, refill } from "./dom.js";

const WAIT = 450;

export class Hints {
  #timer = 0;

  /** @param {HTMLElement} layer @param {Editor} editor @param {{ found: import("../interaction/hit.js").Hit, x: number, y: number }} [first] */
  constructor(layer, editor, first) {
    this.editor = editor;
    this.element = h("div", { class: "hint", role: "tooltip", hidden: true });
    layer.append(this.element);
    editor.host.addEventListener("hover", (event) => this.#soon(/** @type {CustomEvent} */ (event).detail));
    for (const type of ["pointerdown", "wheel", "keydown", "pointerleave"]) editor.host.addEventListener(type, () => this.hide(), { passive: true });
    if (first) this.#soon(first);
  }

  hide() {
    clearTimeout(this.#timer);
    this.element.hidden = true;
  }

  /** @param {{ found: import("../interaction/hit.js").Hit, x: number, y: number }} detail */
  #soon({ found, x, y }) {
    this.hide();
    const lines = this.#lines(found);
    if (!lines.length) return;
    this.#timer = window.setTimeout(() => {
      refill(this.element, lines);
      this.element.hidden = false;
      placeAt(this.element, x + 14, y + 16);
    }, WAIT);
  }

  /** @param {import("../interaction/hit.js").Hit} found @returns {any[]} */
  #lines(found) {
    const { editor } = this;
    if (found.kind === "link") return [h("strong", {}, typeLabel(found.link.type))];
    if (!("id" in found) || !editor.scene.scope.nodes.has(found.id)) return found.kind === "output" && found.id === INPUT_PORTS ? ["Drag to connect"] : [];
    const view = editor.scene.view(found.id);
    const error = editor.tab.results.error(editor.runId(found.id));
    if (found.kind === "input") {
      const input = view.inputs[found.index];
      return [h("strong", {}, `${input.label} · ${typeLabel(input.type)}`), input.optional ? " · optional" : "", tip(input.spec?.options.tooltip), error?.inputs.has(input.name) && h("span", { class: "bad" }, `\n${error.message}`)];
    }
    if (found.kind === "output") return [h("strong", {}, `${view.outputs[found.index].label} · ${typeLabel(view.outputs[found.index].type)}`), tip(/** @type {any} */ (view.spec?.outputs[found.index])?.tooltip)];
    if (found.kind === "widget") {
      const widget = view.widgets[found.index];
      const range = widget.options.min !== undefined && widget.options.max !== undefined && widget.options.max < 1e15 ? ` · ${widget.options.min} … ${widget.options.max}` : "";
      if (found.side === "control") return [`After this run: ${widget.control}. Click to change.`];
      return [h("strong", {}, widget.label), range, tip(widget.options.tooltip), error?.inputs.has(widget.name) && h("span", { class: "bad" }, `\n${error.message}`)];
    }
    if (found.kind === "node" && found.part === "title") return [h("strong", {}, view.spec?.title ?? editor.scene.node(found.id).type), tip(view.spec?.description), error && h("span", { class: "bad" }, `\n${error.message}`)];
    return [];
  }
}

/** @param {any} text */
function tip(text) { return text ? `\n${text}` : ""; }
