/** @import { Editor } from "../interaction/editor.js" */
/** Bundled workflows, each with a picture of its graph. */
import { EXAMPLES } from "../core/examples.js";
import { TEMPLATES } from "../core/starter.js";
import { dialog } from "./dialogs.js";
import { h } from "./dom.js";
import { graphPicture } from "./graph_picture.js";

/** @param {Editor} editor @param {import("../client/documents.js").Documents} documents */
export function showTemplates(editor, documents) {
  const cards = [...TEMPLATES, ...EXAMPLES].map((template) => {
    const workflow = template.build(editor.library);
    const open = () => {
      element.close();
      documents.open(documents.freeName(template.name), workflow);
    };
    return h("button", { type: "button", class: "card", on: { click: open } }, graphPicture(workflow, editor), h("div", {}, h("strong", {}, template.name), h("span", {}, template.description)));
  });
  const element = dialog("Templates", [h("div", { class: "templates" }, cards)], []);
}
