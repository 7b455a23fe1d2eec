/** Short notices. Errors stay until dismissed; the rest leave by themselves. */
import { button, h, iconButton } from "./dom.js";

export class Toasts {
  /** @param {HTMLElement} host @param {HTMLElement} live read out by screen readers */
  constructor(host, live) {
    this.element = h("div", { class: "toasts" });
    this.live = live;
    host.append(this.element);
  }

  /**
   * @param {string} title @param {{ text?: string, kind?: "" | "bad" | "fine", actions?: { label: string, act: () => void }[], key?: string, stay?: boolean }} [options] `key`: replaces an earlier one
   */
  show(title, { text, kind = "", actions = [], key, stay = kind === "bad" || actions.length > 0 } = {}) {
    if (key) this.element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.remove();
    const close = () => toast.remove();
    const toast = h("div", { class: `toast ${kind}`, "data-key": key },
      h("p", {}, h("strong", {}, title), text ? `\n${text}` : "", actions.length > 0 && h("span", { class: "toast-actions" }, actions.map(({ label, act }) => button(label, () => { close(); act(); })))),
      iconButton("Dismiss", "close", close));
    this.element.append(toast);
    while (this.element.children.length > 4) this.element.firstElementChild?.remove();
    this.live.textContent = text ? `${title}. ${text}` : title;
    if (!stay) setTimeout(close, 4200);
  }
}
