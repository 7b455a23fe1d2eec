/**
 * A list one types into: node palette, command palette, find, choices, connect-to. One element, several
 * sources.
 */
import { h, placeAt, refill } from "./dom.js";

/**
 * @typedef {{ label: string, hint?: string, detail?: string, color?: string, picture?: string, group?:
 *   string, disabled?: boolean, value: any }} Item
 */
/**
 * @typedef {object} Source
 * @property {string} title read out as the name of the list
 * @property {string} [placeholder]
 * @property {(query: string) => Item[]} items best first
 * @property {(value: any, item: Item) => void} pick
 * @property {(value: any) => void} [hover]
 * @property {string} [query] what is typed at first
 * @property {any} [current] value marked as chosen
 * @property {[number, number]} [at] on the page; the middle otherwise
 * @property {number} [width]
 * @property {string} [empty] shown when nothing fits
 * @property {() => void} [closed]
 * @property {(step: 1 | -1) => void} [next] where Tab goes from here
 */

const SHOWN = 80;

export class Picker {
  /** @type {Source | undefined} */ source;
  /** @type {Item[]} */ items = [];
  index = 0;

  /** @param {HTMLElement} host */
  constructor(host) {
    this.input = h("input", {
      type: "text",
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": "picker-list",
      "aria-autocomplete": "list",
      autocomplete: "off",
      spellcheck: "false",
    });
    this.list = h("div", { id: "picker-list", role: "listbox", class: "picker-list" });
    this.element = h("div", { class: "picker", hidden: true, role: "dialog" }, this.input, this.list);
    host.append(this.element);
    this.input.addEventListener("input", () => this.#fill());
    this.input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    addEventListener(
      "pointerdown",
      (event) => {
        if (!this.element.hidden && !this.element.contains(/** @type {Node} */ (event.target))) this.close();
      },
      true,
    );
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** @param {Source} source */
  open(source) {
    if (this.isOpen) this.close();
    this.source = source;
    this.before = document.activeElement;
    this.input.value = source.query ?? "";
    this.input.placeholder = source.placeholder ?? "Type to search";
    this.input.setAttribute("aria-label", source.title);
    this.list.setAttribute("aria-label", source.title);
    this.element.setAttribute("aria-label", source.title);
    this.element.style.width = source.width ? `${source.width}px` : "";
    this.element.classList.toggle("picker-center", !source.at);
    this.element.hidden = false;
    this.#fill();
    if (source.at) placeAt(this.element, ...source.at);
    else Object.assign(this.element.style, { left: "", top: "" });
    this.input.focus();
    this.input.select();
  }

  close() {
    if (!this.isOpen) return;
    const { source } = this;
    this.element.hidden = true;
    this.source = undefined;
    if (this.before instanceof HTMLElement) this.before.focus({ preventScroll: true });
    source?.closed?.();
  }

  #fill() {
    const { source } = this;
    if (!source) return;
    this.items = source.items(this.input.value.trim()).slice(0, SHOWN);
    const current = this.input.value
      ? -1
      : this.items.findIndex((item) => source.current !== undefined && item.value === source.current);
    this.index = Math.max(0, current);
    let group = "";
    const rows = this.items.flatMap((item, index) => {
      const begins = item.group && item.group !== group;
      group = item.group || group;
      const head = begins ? [h("div", { class: "picker-group", role: "presentation" }, item.group)] : [];
      return [...head, this.#row(item, index)];
    });
    refill(
      this.list,
      rows.length
        ? rows
        : h("div", { class: "picker-empty" }, source.empty ?? "Nothing fits. Try fewer letters."),
    );
    this.#mark();
  }

  /** @param {Item} item @param {number} index */
  #row(item, index) {
    return h(
      "div",
      {
        class: "picker-row",
        role: "option",
        id: `picker-${index}`,
        "aria-disabled": item.disabled ? "true" : undefined,
        on: { click: () => this.#pick(index), pointermove: () => this.#hover(index) },
      },
      item.picture &&
        h("img", {
          class: "picker-picture",
          src: item.picture,
          alt: "",
          loading: "lazy",
          width: "40",
          height: "40",
        }),
      item.color && h("span", { class: "picker-dot", style: { background: item.color } }),
      h("span", { class: "picker-label" }, item.label),
      item.detail && h("span", { class: "picker-detail" }, item.detail),
      item.hint && h("kbd", {}, item.hint),
    );
  }

  /** @param {number} index */
  #hover(index) {
    if (this.index === index) return;
    this.index = index;
    this.#mark(false);
  }

  #mark(scroll = true) {
    for (const row of this.list.querySelectorAll("[aria-selected]")) row.removeAttribute("aria-selected");
    const row = this.list.querySelector(`#picker-${this.index}`);
    row?.setAttribute("aria-selected", "true");
    if (scroll) row?.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", row?.id ?? "");
    if (this.items[this.index]) this.source?.hover?.(this.items[this.index].value);
  }

  /** @param {number} index */
  #pick(index) {
    const { source } = this;
    const item = this.items[index];
    if (!item || item.disabled || !source) return;
    this.close();
    source.pick(item.value, item);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    event.stopPropagation();
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (step) {
      event.preventDefault();
      this.index = Math.max(0, Math.min(this.items.length - 1, this.index + step));
      this.#mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#pick(this.index);
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      const { source } = this;
      this.close();
      if (event.key === "Tab") source?.next?.(event.shiftKey ? -1 : 1);
    }
  }
}
