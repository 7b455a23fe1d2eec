/** @import { Editor } from "../interaction/editor.js" */
/**
 * Bundled workflows: the templates, each with a picture of its graph, then the examples; searched by name,
 * words and node type.
 */
import { EXAMPLES } from "../core/examples.js";
import { ranked } from "../core/fuzzy.js";
import { TEMPLATES } from "../core/starter.js";
import { dialog } from "./dialogs.js";
import { h, refill } from "./dom.js";
import { graphPicture } from "./graph_picture.js";

const NAMED = 6; // node types that the card of an example names

/** @typedef {{ title: string, tags: string[], text: string, element: HTMLElement }} Card */

/**
 * @param {Editor} editor
 * @param {import("../client/documents.js").Documents} documents
 * @param {import("../client/examples.js").Examples} examples
 */
export function showTemplates(editor, documents, examples) {
  /**
   * @param {string} name
   * @param {string} text
   * @param {string[]} types
   * @param {() => any} open
   * @param {HTMLElement} [picture]
   * @returns {Card}
   */
  const card = (name, text, types, open, picture) => {
    const click = () => {
      element.close();
      open();
    };
    return {
      title: name,
      tags: types.flatMap((type) => [type, editor.library.get(type)?.title ?? type]),
      text,
      element: h(
        "button",
        { type: "button", class: "card", on: { click } },
        picture,
        h("div", {}, h("strong", {}, name), h("span", {}, text)),
      ),
    };
  };
  const bundled = [...TEMPLATES, ...EXAMPLES].map(({ name, description, build }) => {
    const workflow = build(editor.library);
    const types = [...workflow.root.nodes.values()].map(({ type }) => type);
    return card(
      name,
      description,
      types,
      () => documents.open(documents.freeName(name), workflow),
      graphPicture(workflow, editor),
    );
  });
  const others = examples.all.map((example) =>
    card(example.title, named(example.types, editor, examples), example.types, () => examples.open(example)),
  );
  const field = h("input", {
    type: "search",
    class: "control",
    placeholder: "Search by words or by node",
    "aria-label": "Search templates",
  });
  const body = h("div", {});
  const draw = () => {
    const query = field.value.trim();
    const grid = (/** @type {Card[]} */ cards) =>
      cards.length > 0 &&
      h(
        "div",
        { class: "templates" },
        cards.map((one) => one.element),
      );
    if (query) {
      const found = searched([...bundled, ...others], query);
      return refill(body, grid(found) || h("p", {}, "Nothing fits. Try fewer letters."));
    }
    return refill(body, grid(bundled), others.length > 0 && [h("h3", {}, "Examples of nodes"), grid(others)]);
  };
  field.addEventListener("input", draw);
  const element = dialog("Templates", [field, body], []);
  draw();
}

/**
 * Those with the words in their title first, then those with such nodes, then those that say so.
 * @param {Card[]} cards
 * @param {string} query
 * @returns {Card[]} each once
 */
function searched(cards, query) {
  const words = query.toLowerCase().split(/\s+/);
  const says = (/** @type {string} */ text) => words.every((word) => text.toLowerCase().includes(word));
  const places = /** @type {((card: Card) => string[])[]} */ ([
    ({ title }) => [title],
    ({ tags }) => tags,
    ({ text }) => [text],
  ]);
  const found = places.map((textsOf) =>
    ranked(query, cards, (card) => textsOf(card).map((text) => [text, 1])),
  );
  const sure = found.flatMap((some, at) => some.filter((card) => places[at](card).some(says)));
  return [...new Set([...sure, ...found.flat()])];
}

/**
 * What is special about an example: its types that the fewest examples have.
 * @param {string[]} types
 * @param {Editor} editor
 * @param {import("../client/examples.js").Examples} examples
 */
function named(types, editor, examples) {
  const rare = [...types].sort((a, b) => examples.using(a).length - examples.using(b).length);
  const titles = rare.slice(0, NAMED).map((type) => editor.library.get(type)?.title ?? type);
  return [...titles, ...(types.length > NAMED ? ["…"] : [])].join(", ");
}
