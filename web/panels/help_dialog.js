/** @import { Editor } from "../interaction/editor.js" */
/**
 * What a node does, and what its inputs and outputs are: all that its type says about itself; and examples of
 * it.
 */
import { titleOf, typeLabel } from "../view/node_painter.js";
import { dialog } from "./dialogs.js";
import { button, h } from "./dom.js";

const MOST_EXAMPLES = 8;

/**
 * @param {Editor} editor
 * @param {import("../types.js").Id} id
 * @param {import("../client/examples.js").Examples} examples
 */
export function explainNode(editor, id, examples) {
  const node = editor.scene.node(id);
  const view = editor.scene.view(id);
  const { spec } = view;
  const inputs = view.inputs.map((input) =>
    row(
      editor,
      input.label,
      input.type,
      [input.optional ? "optional" : "", limits(input.spec?.options)],
      input.spec?.options.tooltip,
    ),
  );
  const outputs = view.outputs.map((output, index) =>
    row(editor, output.label, output.type, [output.isList ? "a list" : ""], spec?.outputs[index]?.tooltip),
  );
  const open = (/** @type {import("../client/examples.js").Example} */ example) => {
    element.close();
    examples.open(example);
  };
  const shown = examples.using(node.type).slice(0, MOST_EXAMPLES);
  const element = dialog(titleOf(node, view), [
    h(
      "p",
      {},
      spec?.description ||
        (spec
          ? "This type has no description."
          : "This type is not installed here. Its values and links are kept."),
    ),
    spec &&
      h(
        "p",
        { class: "quiet" },
        [
          node.type,
          spec.category,
          spec.module,
          spec.experimental && "experimental",
          spec.deprecated && "deprecated",
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    inputs.length > 0 && [h("h3", {}, "Inputs"), h("ul", { class: "list-plain" }, inputs)],
    outputs.length > 0 && [h("h3", {}, "Outputs"), h("ul", { class: "list-plain" }, outputs)],
    shown.length > 0 && [
      h("h3", {}, "Open an example"),
      h(
        "div",
        { class: "help-examples" },
        shown.map((example) => button(example.title, () => open(example))),
      ),
    ],
  ]);
}

/**
 * @param {Editor} editor
 * @param {string} name
 * @param {any} type
 * @param {(string | undefined)[]} more
 * @param {string | undefined} tip
 */
function row(editor, name, type, more, tip) {
  const said = [typeLabel(type), ...more].filter(Boolean).join(" · ");
  return h(
    "li",
    { class: "help-row" },
    h("span", { class: "picker-dot", style: { background: editor.theme.typeColor(type) } }),
    h("div", {}, h("strong", {}, name), " ", h("span", { class: "quiet" }, said), tip && h("small", {}, tip)),
  );
}

/** @param {Record<string, any> | undefined} options */
function limits(options) {
  if (!options) return "";
  const range =
    options.min !== undefined && options.max !== undefined && options.max < 1e15
      ? `${options.min} … ${options.max}`
      : "";
  const start =
    ["string", "number", "boolean"].includes(typeof options.default) && options.default !== ""
      ? `at first ${options.default}`
      : "";
  return [range, start].filter(Boolean).join(", ");
}
