/** Modal questions, on the browser's own dialog element. */
import { button, h, iconButton } from "./dom.js";

/**
 * @param {string} title
 * @param {any[]} body
 * @param {{ label: string, act?: () => any, kind?: string }[]} [actions]
 * @param {string} [className]
 * @returns {HTMLDialogElement} shown; it goes when closed
 */
export function dialog(title, body, actions = [{ label: "Close" }], className = "") {
  const close = () => element.close();
  const element = h(
    "dialog",
    { class: className, "aria-label": title, tabindex: "-1" },
    h("div", { class: "dialog-head" }, h("h2", {}, title), iconButton("Close", "close", close)),
    h("div", { class: "dialog-body" }, body),
    actions.length > 0 &&
      h(
        "div",
        { class: "dialog-foot" },
        actions.map(({ label, act, kind = "" }) =>
          button(
            label,
            async () => {
              if ((await act?.()) !== false) close();
            },
            { class: `button ${kind}` },
          ),
        ),
      ),
  );
  element.addEventListener("close", () => element.remove());
  element.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.target === element) close();
  });
  element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.stopPropagation());
  document.body.append(element);
  element.showModal();
  /** @type {HTMLElement | null} */ const field = element.querySelector(".dialog-body input");
  (field ?? element).focus(); // not the first button, which would be Close
  return element;
}

/**
 * @param {string} title
 * @param {string} text
 * @param {{ label: string, value: any, kind?: string }[]} ways
 * @returns {Promise<any>} the value of the way that was chosen; nothing when the dialog was left
 */
export function choose(title, text, ways) {
  return new Promise((resolve) => {
    const actions = ways.map(({ label, value, kind }) => ({ label, kind, act: () => resolve(value) }));
    const element = dialog(title, [h("p", {}, text)], actions, "narrow");
    element.addEventListener("close", () => resolve(undefined));
  });
}

/**
 * @param {string} title
 * @param {string} text
 * @param {string} yes
 * @param {string} [kind]
 * @returns {Promise<boolean>}
 */
export function confirm(title, text, yes, kind = "primary") {
  return new Promise((resolve) => {
    const element = dialog(
      title,
      [h("p", {}, text)],
      [{ label: "Cancel" }, { label: yes, kind, act: () => resolve(true) }],
    );
    element.addEventListener("close", () => resolve(false));
  });
}

/**
 * @param {string} title
 * @param {string} label
 * @param {string} value
 * @param {string} yes
 * @returns {Promise<string | undefined>}
 */
export function ask(title, label, value, yes) {
  return new Promise((resolve) => {
    const field = h("input", { type: "text", class: "control", value, "aria-label": label });
    const element = dialog(
      title,
      [h("label", {}, label, field)],
      [
        { label: "Cancel" },
        { label: yes, kind: "primary", act: () => resolve(field.value.trim() || undefined) },
      ],
    );
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // the rest of the press must not reach what has the focus next
      resolve(field.value.trim() || undefined);
      element.close();
    });
    element.addEventListener("close", () => resolve(undefined));
    field.select();
  });
}
