/** @import { Editor } from "../interaction/editor.js" */
/** All node types by category; a click or a drag adds one. */
import { addNode } from "../core/edits.js";
import { ranked } from "../core/fuzzy.js";
import { h, refill } from "./dom.js";

/** @param {Editor} editor */
export function nodesPanel(editor) {
  return (/** @type {HTMLElement} */ body) => {
    const filter = h("input", {
      type: "search",
      class: "control",
      placeholder: "Filter nodes",
      "aria-label": "Filter nodes",
    });
    const add = (/** @type {string} */ type, at = editor.middle) => {
      const made = addNode(editor.where, type, editor.snapped(at));
      editor.do(made);
      editor.select([made.id]);
    };
    const row = (/** @type {import("../types.js").Spec} */ spec) =>
      h(
        "button",
        {
          type: "button",
          class: "row",
          draggable: true,
          title: spec.description || spec.type,
          on: {
            click: () => add(spec.type),
            dragstart: (/** @type {DragEvent} */ event) =>
              event.dataTransfer?.setData("application/x-nodeloom-node", spec.type),
          },
        },
        h("span", {
          class: "picker-dot",
          style: {
            background: spec.outputs[0] ? editor.theme.typeColor(spec.outputs[0].type) : "var(--faint)",
          },
        }),
        h("span", { class: "row-main" }, spec.title),
      );
    const draw = () => {
      const query = filter.value.trim();
      const specs = ranked(query, editor.library.all(), (spec) => [
        [spec.title, 1],
        [spec.type, 0.9],
        [spec.category, 0.4],
      ]);
      if (query) return refill(body, specs.slice(0, 120).map(row));
      /** @type {Map<string, import("../types.js").Spec[]>} */ const groups = new Map();
      for (const spec of specs) groups.set(spec.category, [...(groups.get(spec.category) ?? []), spec]);
      return refill(
        body,
        [...groups]
          .sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b))
          .map(([category, own]) => {
            const details = h(
              "details",
              {},
              h("summary", { class: "side-title" }, `${category || "other"} (${own.length})`),
            );
            details.addEventListener("toggle", () => {
              if (details.open && details.children.length === 1) details.append(...own.map(row));
            });
            return details;
          }),
      );
    };
    filter.addEventListener("input", draw);
    body.before(h("div", { class: "side-tools" }, filter));
    draw();
    filter.focus();
  };
}

const FIRST = ["loaders", "conditioning", "sampling", "latent", "image", "mask"];

/** Everyday categories come first, special ones last. @param {string} category @returns {number} */
function place(category) {
  const [top] = category.split("/");
  const known = FIRST.indexOf(top);
  if (known >= 0) return known;
  return top.startsWith("_") ? 99 : ["advanced", "3d"].includes(top) ? 98 : 50;
}
