/** @import { Editor } from "../interaction/editor.js" */
/**
 * Help on hover: what a socket takes, what a value means, what went wrong, what a node took, what went
 * through a link.
 */
import { INPUT_PORTS, OUTPUT_PORTS } from "../core/types.js";
import { nodeOf } from "../interaction/hit.js";
import { titleOf, typeLabel } from "../view/node_painter.js";
import { h, placeAt, refill } from "./dom.js";

const WAIT = 450;

export class Hints {
  #timer = 0;

  /** @type {Map<string, Promise<any>>} values that were asked for, of the last job */ #values = new Map();
  #job = "";

  /**
   * @param {HTMLElement} layer
   * @param {Editor} editor
   * @param {import("../client/server.js").Server} server
   * @param {() => boolean} busy whether something is being dragged
   * @param {{ found: import("../interaction/hit.js").Hit, x: number, y: number }} [first]
   */
  constructor(layer, editor, server, busy, first) {
    this.editor = editor;
    this.server = server;
    this.busy = busy;
    this.element = h("div", { class: "hint", role: "tooltip", hidden: true });
    layer.append(this.element);
    editor.host.addEventListener("hover", (event) => this.#soon(/** @type {CustomEvent} */ (event).detail));
    for (const type of ["pointerdown", "wheel", "keydown", "pointerleave"])
      editor.host.addEventListener(type, () => this.hide(), { passive: true });
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
      if (this.busy()) return;
      refill(this.element, lines);
      this.element.hidden = false;
      placeAt(this.element, x + 14, y + 16);
      this.#addValue(found, x, y);
    }, WAIT);
  }

  /**
   * What went through the link or the output in the last run comes in below.
   * @param {import("../interaction/hit.js").Hit} found
   * @param {number} x
   * @param {number} y
   */
  async #addValue(found, x, y) {
    const end = this.#end(found);
    const { job } = this.editor.tab.results;
    if (!end || !job) return;
    const timer = this.#timer;
    const value = await this.#value(job, ...end).catch(() => undefined);
    if (!value || timer !== this.#timer || this.element.hidden) return;
    if (!value.kept) this.element.append(h("small", {}, "\nNot kept from the last run."));
    else
      this.element.append(
        h(
          "div",
          { class: "hint-value" },
          value.picture && h("img", { src: value.picture, alt: "" }),
          h(
            "div",
            {},
            (value.count > 1 ? [`${value.count} values, the first:`, ...value.lines] : value.lines).join(
              "\n",
            ),
          ),
        ),
      );
    placeAt(this.element, x + 14, y + 16);
  }

  /** @param {string} job @param {string} node @param {number} output */
  #value(job, node, output) {
    if (job !== this.#job) this.#values.clear();
    this.#job = job;
    const key = `${node}/${output}`;
    const value = this.#values.get(key) ?? this.server.value(job, node, output);
    this.#values.set(key, value);
    value.then(
      ({ kept }) => {
        if (!kept) this.#values.delete(key);
      },
      () => this.#values.delete(key),
    );
    return value;
  }

  /**
   * Where the value comes from: a subgraph's output is one of a node in it.
   * @param {import("../interaction/hit.js").Hit} found
   * @returns {[string, number] | undefined}
   */
  #end(found) {
    const { editor } = this;
    if (found.kind === "output" && editor.scene.scope.nodes.has(found.id))
      return sourceOf(editor, found.id, found.index);
    if (found.kind !== "link" || !editor.scene.scope.nodes.has(found.link.origin_id)) return undefined;
    return sourceOf(editor, found.link.origin_id, found.link.origin_slot);
  }

  /** @param {import("../interaction/hit.js").Hit} found @returns {any[]} */
  #lines(found) {
    const { editor } = this;
    if (found.kind === "link") return this.#linkLines(found.link);
    const node = nodeOf(found);
    if (node === undefined || !editor.scene.scope.nodes.has(node))
      return found.kind === "output" && found.id === INPUT_PORTS ? ["Drag to connect"] : [];
    const view = editor.scene.view(node);
    const error = editor.tab.results.error(editor.runId(node));
    if (found.kind === "input") {
      const input = view.inputs[found.index];
      return [
        h("strong", {}, `${input.label} · ${typeLabel(input.type)}`),
        input.optional ? " · optional" : "",
        tip(input.spec?.options.tooltip),
        error?.inputs.has(input.name) && h("span", { class: "bad" }, `\n${error.message}`),
      ];
    }
    if (found.kind === "output")
      return [
        h("strong", {}, `${view.outputs[found.index].label} · ${typeLabel(view.outputs[found.index].type)}`),
        tip(/** @type {any} */ (view.spec?.outputs[found.index])?.tooltip),
      ];
    if (found.kind === "widget") {
      const widget = view.widgets[found.index];
      const range =
        widget.options.min !== undefined && widget.options.max !== undefined && widget.options.max < 1e15
          ? ` · ${widget.options.min} … ${widget.options.max}`
          : "";
      if (found.side === "control") return [`After this run: ${widget.control}. Click to change.`];
      return [
        h("strong", {}, widget.label),
        range,
        tip(widget.options.tooltip),
        error?.inputs.has(widget.name) && h("span", { class: "bad" }, `\n${error.message}`),
      ];
    }
    if (found.kind === "node" && found.part === "title")
      return [
        h("strong", {}, view.spec?.title ?? editor.scene.node(node).type),
        tip(view.spec?.description),
        this.#facts(editor.runId(node)),
        error && h("span", { class: "bad" }, `\n${error.message}`),
      ];
    return [];
  }

  /** @param {import("../types.js").Link} link */
  #linkLines(link) {
    const { scope } = this.editor.scene;
    const [from, to] = [scope.nodes.get(link.origin_id), scope.nodes.get(link.target_id)];
    const name = (/** @type {any} */ node) =>
      node ? titleOf(node, this.editor.scene.view(node.id)) : "the subgraph";
    return [h("strong", {}, typeLabel(link.type)), h("small", {}, `\n${name(from)} → ${name(to)}`)];
  }

  /** Time, memory and cache state of the last run, and what the next one would do. @param {string} runId */
  #facts(runId) {
    const { results } = this.editor.tab;
    const timing = results.timings.get(runId);
    const said = [];
    if (timing?.cached) said.push("Last run: from the cache");
    else if (timing) {
      const seconds = timing.seconds < 10 ? timing.seconds.toFixed(2) : Math.round(timing.seconds);
      said.push(`Last run: ${seconds} s, ${share(timing, results.timings)} of it all`);
    }
    if (timing?.memory) said.push(`Memory in use after it: ${(timing.memory / 1e6).toFixed(0)} MB`);
    if (results.forecast.has(runId))
      said.push(`Next run: ${results.forecast.get(runId)}`, results.reasons.get(runId) ?? "");
    return said.length > 0 && h("div", { class: "hint-facts" }, said.filter(Boolean).join("\n"));
  }
}

/**
 * @param {import("../client/results.js").Timing} timing
 * @param {Map<string, import("../client/results.js").Timing>} all
 */
function share(timing, all) {
  const total = [...all.values()].reduce((sum, { seconds }) => sum + seconds, 0);
  return `${Math.round((100 * timing.seconds) / (total || 1))}%`;
}

/**
 * @param {Editor} editor
 * @param {import("../types.js").Id} id
 * @param {number} slot
 * @returns {[string, number] | undefined} the node in the prompt, and its output
 */
function sourceOf(editor, id, slot) {
  const path = [...editor.tab.path];
  let { scope } = editor.scene;
  for (let deep = 0; deep < 100; deep += 1) {
    const node = scope.nodes.get(id);
    if (!node) return undefined;
    const inner = editor.catalogue.interior(node)?.scope;
    if (!inner) return [[...path, id].join(":"), slot];
    const link = inner.linksTo(OUTPUT_PORTS).find((one) => one.target_slot === slot);
    if (!link) return undefined;
    path.push(id);
    [scope, id, slot] = [inner, link.origin_id, link.origin_slot];
  }
  return undefined;
}

/** @param {any} text */
function tip(text) {
  return text ? `\n${text}` : "";
}
