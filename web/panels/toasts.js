/** @import { Editor } from "../interaction/editor.js" */
/** @import { Runs } from "../client/runs.js" */
/** Short notices, among them how runs ended. Errors stay until dismissed; the rest leave by themselves. */
import { button, h, iconButton } from "./dom.js";

export class Toasts {
  /** @param {HTMLElement} host @param {HTMLElement} live read out by screen readers */
  constructor(host, live) {
    this.element = h("div", { class: "toasts" });
    this.live = live;
    host.append(this.element);
  }

  /**
   * @param {string} title
   * @param {{ text?: string, kind?: "" | "bad" | "fine", actions?: { label: string, act: () => void }[],
   *   key?: string, stay?: boolean }} [options] `key`: replaces an earlier one
   */
  show(title, { text, kind = "", actions = [], key, stay = kind === "bad" || actions.length > 0 } = {}) {
    if (key) this.element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.remove();
    const close = () => toast.remove();
    const toast = h(
      "div",
      { class: `toast ${kind}`, "data-key": key },
      h(
        "p",
        {},
        h("strong", {}, title),
        text ? `\n${text}` : "",
        actions.length > 0 &&
          h(
            "span",
            { class: "toast-actions" },
            actions.map(({ label, act }) =>
              button(label, () => {
                close();
                act();
              }),
            ),
          ),
      ),
      iconButton("Dismiss", "close", close),
    );
    this.element.append(toast);
    while (this.element.children.length > 4) this.element.firstElementChild?.remove();
    this.live.textContent = text ? `${title}. ${text}` : title;
    if (!stay) setTimeout(close, 4200);
  }
}

/**
 * @param {Runs} runs
 * @param {Editor} editor
 * @param {Toasts} toasts
 * @param {() => Promise<typeof import("./reports.js")>} reports
 */
export function reportRuns(runs, editor, toasts, reports) {
  const explain = async (/** @type {Editor} */ where, /** @type {string} */ runId) =>
    (await reports()).explain(where, runId);
  const listen = (/** @type {string} */ type, /** @type {(detail: any) => void} */ act) =>
    runs.addEventListener(type, (event) => act(/** @type {CustomEvent} */ (event).detail));
  listen("refused", ({ error, tab }) => {
    const count = tab.results.errors.size;
    const first = [...tab.results.errors.keys()][0];
    toasts.show(
      count
        ? `${count === 1 ? "One node needs" : `${count} nodes need`} attention`
        : error.status
          ? "The run was refused"
          : "The server cannot be reached",
      {
        kind: "bad",
        key: "refused",
        text: count
          ? firstLine(tab.results.errors.get(first).message)
          : error.status
            ? error.message
            : "Your work is kept here. Run again when the server is back.",
        actions: count ? [{ label: "Show", act: async () => (await reports()).listProblems(editor) }] : [],
      },
    );
  });
  listen("noticed", ({ node_type, message }) =>
    toasts.show(node_type, { text: message, key: `notice ${message}`, stay: true }),
  );
  listen("ended", ({ how, data, seconds, tab }) => {
    if (how === "success") toasts.live.textContent = `Done in ${seconds.toFixed(1)} seconds.`;
    if (how === "interrupted") toasts.show("Cancelled", { key: "ended" });
    if (how === "error")
      toasts.show(`${data?.node_type ?? "The run"} failed`, {
        kind: "bad",
        key: "ended",
        text: firstLine(data?.exception_message ?? ""),
        actions: data?.node_id
          ? [
              {
                label: "Details",
                act: () => {
                  if (tab === editor.tab) explain(editor, String(data.node_id));
                },
              },
            ]
          : [],
      });
  });
  editor.host.addEventListener("explain-error", (event) =>
    explain(editor, /** @type {CustomEvent} */ (event).detail),
  );
  document.querySelector("[data-key=refused]")?.remove();
  listen("submitted", () => document.querySelector("[data-key=refused]")?.remove());
}

/** @param {string} text */
function firstLine(text) {
  return text.split("\n")[0].slice(0, 240);
}
