/** @import { Point } from "../types.js" */
/** @import { Editor } from "./editor.js" */
/** Files and texts that arrive by drop or paste. */
import { addNode } from "../core/edits.js";

/**
 * @param {Editor} editor
 * @param {{ files: (files: File[], at: Point) => void, text: (text: string, links: boolean) => void, picture:
 *   (file: File) => void }} take
 */
export function acceptDrops(editor, take) {
  const { host } = editor;
  const place = (/** @type {DragEvent} */ event) =>
    editor.camera.toGraph(editor.renderer.local([event.clientX, event.clientY]));
  let keepLinks = false;
  host.addEventListener("dragover", (event) => {
    event.preventDefault();
    host.classList.toggle("dropping", Boolean(event.dataTransfer?.types.includes("Files")));
  });
  host.addEventListener("dragleave", (event) => {
    if (!host.contains(/** @type {Node} */ (event.relatedTarget))) host.classList.remove("dropping");
  });
  host.addEventListener("drop", (event) => {
    event.preventDefault();
    host.classList.remove("dropping");
    const type = event.dataTransfer?.getData("application/x-nodeloom-node");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (type) {
      const made = addNode(editor.where, type, editor.snapped(place(event)));
      editor.do(made);
      editor.select([made.id]);
    } else if (files.length) take.files(files, place(event));
  });
  addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey) keepLinks = event.shiftKey;
    },
    true,
  );
  addEventListener("paste", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (
      target instanceof HTMLInputElement ||
      target instanceof HTMLTextAreaElement ||
      document.querySelector("dialog[open]")
    )
      return;
    const files = [...(event.clipboardData?.files ?? [])];
    const picture = files.find((file) => file.type.startsWith("image/"));
    if (picture) take.picture(picture);
    else if (files.length) take.files(files, editor.middle);
    else take.text(event.clipboardData?.getData("text/plain") ?? "", keepLinks);
  });
}
