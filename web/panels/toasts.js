/** @import { Editor, Tab } from "../interaction/editor.js" */
/** @import { Runs } from "../client/runs.js" */
/** Short notices, among them how runs ended. Errors stay until dismissed; the rest leave by themselves. */
import { button, h, iconButton } from "./dom.js";

const LASTS = 4200; // milliseconds
const MOST = 4; // of those that leave by themselves, and of one workflow's that stay

/**
 * @typedef {object} Notice
 * @property {string} [text]
 * @property {"" | "bad" | "fine"} [kind]
 * @property {{ label: string, act: () => void }[]} [actions]
 * @property {string} [key] replaces the earlier one of the same workflow
 * @property {boolean} [stay] until it is dismissed
 * @property {Tab} [tab] the workflow it is about: seen while that is open and shown
 */

export class Toasts {
  /** @type {WeakMap<Element, { tab?: Tab, key?: string, stay: boolean }>} */ #notices = new WeakMap();
  /** @type {Tab | undefined} the workflow that is shown */ #shown;

  /** @param {HTMLElement} host @param {HTMLElement} live read out by screen readers */
  constructor(host, live) {
    this.element = h("div", { class: "toasts" });
    this.live = live;
    host.append(this.element);
  }

  /** @param {string} title @param {Notice} [notice] */
  show(title, { text, kind = "", actions = [], key, stay = kind === "bad" || actions.length > 0, tab } = {}) {
    if (key) this.dismiss(key, tab);
    const close = () => toast.remove();
    const choose = (/** @type {() => void} */ act) => () => {
      close();
      act();
    };
    const toast = h(
      "div",
      { class: `toast ${kind}`, hidden: Boolean(tab && this.#shown && tab !== this.#shown) },
      h(
        "p",
        {},
        h("strong", {}, title),
        text ? `\n${text}` : "",
        actions.length > 0 &&
          h(
            "span",
            { class: "toast-actions" },
            actions.map(({ label, act }) => button(label, choose(act))),
          ),
      ),
      iconButton("Dismiss", "close", close),
    );
    this.#notices.set(toast, { tab, key, stay });
    this.element.append(toast);
    this.#thin(stay, tab);
    this.live.textContent = text ? `${title}. ${text}` : title;
    if (!stay) setTimeout(close, LASTS);
  }

  /** Of many of one sort the oldest goes. @param {boolean} stay @param {Tab | undefined} tab */
  #thin(stay, tab) {
    const alike = [...this.element.children].filter((one) => {
      const notice = this.#notices.get(one);
      return notice?.stay === stay && (!stay || notice.tab === tab);
    });
    for (const one of alike.slice(0, -MOST)) one.remove();
  }

  /** @param {string} key @param {Tab} [tab] the workflow it is about */
  dismiss(key, tab) {
    for (const one of [...this.element.children]) {
      const notice = this.#notices.get(one);
      if (notice?.key === key && notice.tab === tab) one.remove();
    }
  }

  /**
   * Notices go with their workflow: away when it is closed, out of sight while another is shown.
   * @param {Tab} shown
   * @param {Tab[]} open
   */
  follow(shown, open) {
    this.#shown = shown;
    for (const one of /** @type {HTMLElement[]} */ ([...this.element.children])) {
      const tab = this.#notices.get(one)?.tab;
      if (tab && !open.includes(tab)) one.remove();
      else one.hidden = Boolean(tab && tab !== shown);
    }
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
        tab,
        text: count
          ? firstLine(tab.results.errors.get(first).message)
          : error.status
            ? error.message
            : "Your work is kept here. Run again when the server is back.",
        actions: count ? [{ label: "Show", act: async () => (await reports()).listProblems(editor) }] : [],
      },
    );
  });
  listen("noticed", ({ node_type, message, tab }) =>
    toasts.show(node_type, { text: message, key: `notice ${message}`, stay: true, tab }),
  );
  const titles = (/** @type {any[]} */ nodes, /** @type {Tab} */ tab) =>
    [
      ...new Set(
        nodes.map(
          ({ node }) => `“${node.title || tab.catalogue.library.get(node.type)?.title || node.type}”`,
        ),
      ),
    ].join(", ");
  listen("unsendable", ({ tab, nodes, run }) =>
    toasts.show(`${titles(nodes, tab)} would lose values`, {
      kind: "bad",
      key: "refused",
      tab,
      text:
        `The type names no inputs for ${amount(nodes)}: in ComfyUI a script of its pack does. ` +
        "Nothing was sent.",
      actions: [
        { label: "Show", act: () => explain(editor, nodes[0].runId) },
        { label: "Run without them", act: () => runs.run({ ...run, partly: true }) },
      ],
    }),
  );
  listen("unsent", ({ tab, nodes }) =>
    toasts.show(`${titles(nodes, tab)} ran without some values`, {
      key: "unsent",
      tab,
      text: `The type has no inputs for ${amount(nodes)}: it may have been another version of it.`,
    }),
  );
  listen("ended", ({ how, data, seconds, tab }) => {
    if (how === "success") toasts.live.textContent = `Done in ${seconds.toFixed(1)} seconds.`;
    if (how === "interrupted") toasts.show("Cancelled", { key: "ended", tab });
    if (how === "error")
      toasts.show(`${data?.node_type ?? "The run"} failed`, {
        kind: "bad",
        key: "ended",
        tab,
        text: firstLine(data?.exception_message ?? ""),
        actions: data?.node_id
          ? [
              {
                label: "Details",
                act: () => explain(editor, String(data.node_id)),
              },
            ]
          : [],
      });
  });
  editor.host.addEventListener("explain-error", (event) =>
    explain(editor, /** @type {CustomEvent} */ (event).detail),
  );
  listen("submitted", ({ tab }) => toasts.dismiss("refused", tab));
  listen("started", ({ tab }) => tab && toasts.dismiss("ended", tab));
}

/** @param {{ values: any[] }[]} nodes */
function amount(nodes) {
  const count = nodes.reduce((sum, { values }) => sum + values.length, 0);
  return count === 1 ? "one of its values" : `${count} of the values`;
}

/** @param {string} text */
function firstLine(text) {
  return text.split("\n")[0].slice(0, 240);
}
