/** A context menu: rows of buttons, usable by keys. */
import { h, placeAt } from "./dom.js";

/**
 * @typedef {{ label: string, heading?: boolean, hint?: string, detail?: string, color?: string, act?: () =>
 *   void, danger?: boolean, disabled?: boolean, swatches?: { name: string, color: string | undefined, act: ()
 *   => void }[] } | "line"} Entry
 */

export class Menu {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.element = h("div", { class: "menu", role: "menu", hidden: true });
    host.append(this.element);
    addEventListener(
      "pointerdown",
      (event) => {
        if (!this.element.contains(/** @type {Node} */ (event.target))) this.close();
      },
      true,
    );
    this.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
  }

  /** @param {Entry[]} entries @param {number} x @param {number} y on the page */
  open(entries, x, y) {
    this.before = document.activeElement;
    this.element.replaceChildren(...entries.map((entry) => this.#row(entry)));
    const heading = entries.find((entry) => entry !== "line" && entry.heading);
    this.element.setAttribute("aria-label", heading && heading !== "line" ? heading.label : "Menu");
    this.element.hidden = false;
    placeAt(this.element, x, y);
    this.#focusable[0]?.focus();
  }

  get isOpen() {
    return !this.element.hidden;
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    if (this.before instanceof HTMLElement) this.before.focus({ preventScroll: true });
  }

  /** @returns {HTMLElement[]} */
  get #focusable() {
    return [
      .../** @type {NodeListOf<HTMLElement>} */ (
        this.element.querySelectorAll("[role=menuitem]:not([disabled])")
      ),
    ];
  }

  /** @param {Entry} entry */
  #row(entry) {
    if (entry === "line") return h("hr", {});
    if (entry.heading) return h("div", { class: "menu-heading", "aria-hidden": "true" }, entry.label);
    const choose = (/** @type {(() => void) | undefined} */ act) => () => {
      this.close();
      act?.();
    };
    if (entry.swatches)
      return h(
        "div",
        { class: "menu-swatches", role: "group", "aria-label": entry.label },
        entry.swatches.map(({ name, color, act }) =>
          h("button", {
            type: "button",
            role: "menuitem",
            "aria-label": name,
            title: name,
            class: color ? "" : "none",
            style: { background: color ?? "" },
            on: { click: choose(act) },
          }),
        ),
      );
    return h(
      "button",
      {
        type: "button",
        role: "menuitem",
        class: entry.danger ? "danger" : "",
        disabled: Boolean(entry.disabled),
        on: { click: choose(entry.act) },
      },
      entry.color && h("span", { class: "picker-dot", style: { background: entry.color } }),
      h("span", { class: "menu-label" }, entry.label),
      entry.detail && h("small", {}, entry.detail),
      entry.hint && h("kbd", {}, entry.hint),
    );
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    event.stopPropagation();
    const items = this.#focusable;
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = {
      ArrowDown: at + 1,
      ArrowRight: at + 1,
      ArrowUp: at - 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: -1,
    }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      items.at(next % items.length)?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      this.close();
    }
  }
}
