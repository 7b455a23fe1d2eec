/** A result in full: next and previous, open, save, copy. */
import { h, icon, iconButton } from "./dom.js";

/**
 * @param {import("../client/server.js").Server} server
 * @param {import("../client/results.js").FileRef[]} files
 * @param {number} index
 * @param {{ edit?: (file: import("../client/results.js").FileRef) => void }} [more]
 */
export function viewPictures(server, files, index, { edit } = {}) {
  const image = h("img", { alt: "" });
  const name = h("span", {});
  const close = () => element.close();
  const show = (/** @type {number} */ next) => {
    index = (next + files.length) % files.length;
    const file = files[index];
    image.src = server.view(file);
    image.alt = file.filename;
    name.textContent = `${file.filename}${files.length > 1 ? `  (${index + 1} of ${files.length})` : ""}`;
  };
  image.addEventListener("load", () => {
    image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) <= 320);
    const [text] = name.textContent?.split("  ·") ?? [];
    name.textContent = `${text}  · ${image.naturalWidth} × ${image.naturalHeight}`;
  });
  const save = () => h("a", { href: server.view(files[index]), download: files[index].filename }).click();
  const copy = async () => {
    const blob = await (await fetch(server.view(files[index]))).blob();
    await navigator.clipboard.write([new ClipboardItem({ [blob.type]: blob })]);
  };
  const element = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "viewer", "aria-label": "Picture", tabindex: "-1" },
      h(
        "div",
        { class: "viewer-bar" },
        name,
        files.length > 1 && [
          iconButton("Previous", "back", () => show(index - 1)),
          iconButton("Next", "next", () => show(index + 1)),
        ],
        edit &&
          iconButton("Paint a mask", "brush", () => {
            close();
            edit(files[index]);
          }),
        navigator.clipboard && iconButton("Copy", "copy", copy),
        iconButton("Save to this computer", "save", save),
        h(
          "a",
          {
            class: "icon-button",
            href: server.view(files[index]),
            target: "_blank",
            rel: "noopener",
            "aria-label": "Open in a new tab",
            title: "Open in a new tab",
            on: {
              click: (/** @type {MouseEvent} */ event) => {
                /** @type {HTMLAnchorElement} */ (event.currentTarget).href = server.view(files[index]);
              },
            },
          },
          icon("open"),
        ),
        iconButton("Close", "close", close),
      ),
      h(
        "div",
        {
          class: "viewer-stage",
          on: {
            click: (/** @type {MouseEvent} */ event) => {
              if (event.target !== image) close();
            },
          },
        },
        image,
      ),
    )
  );
  element.addEventListener("close", () => element.remove());
  element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    if (event.key === "ArrowRight") show(index + 1);
    if (event.key === "ArrowLeft") show(index - 1);
  });
  document.body.append(element);
  show(index);
  element.showModal();
  element.focus();
}
