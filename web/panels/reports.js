/** @import { Editor, Tab } from "../interaction/editor.js" */
/** @import { Toasts } from "./toasts.js" */
/** @import { Documents } from "../client/documents.js" */
/** What people are told about errors, missing things and conflicts. */
import { adviceFor } from "../client/advice.js";
import { Draft } from "../core/draft.js";
import { missingTypes } from "../core/prompt.js";
import { parseJson } from "../core/text.js";
import { score } from "../core/fuzzy.js";
import { everyNode } from "../core/workflow.js";
import { titleOf } from "../view/node_painter.js";
import { dialog } from "./dialogs.js";
import { button, copyText, h } from "./dom.js";

/** @param {Editor} editor @param {string} runId */
export function explain(editor, runId) {
  const ids = runId.split(":").map((id) => (/^\d+$/.test(id) ? Number(id) : id));
  const path = ids.slice(0, -1);
  if (path.join(":") !== editor.tab.path.join(":")) editor.enter(path);
  const id = /** @type {any} */ (ids.at(-1));
  const error = editor.tab.results.error(runId);
  if (editor.scene.scope.nodes.has(id)) editor.reveal(id);
  if (!error) return;
  const name = editor.scene.scope.nodes.has(id)
    ? titleOf(editor.scene.node(id), editor.scene.view(id))
    : `Node ${runId}`;
  const advice = error.advice ?? adviceFor(error.kind, error.message);
  dialog(
    `${name}: what went wrong`,
    [
      h("p", {}, error.message),
      advice && [h("h3", {}, "What to do"), h("p", {}, advice)],
      error.trace && h("details", {}, h("summary", {}, "Trace"), h("pre", {}, error.trace)),
    ],
    [
      {
        label: "Copy report",
        act: () => {
          copyText(`${name} (${runId})\n${error.message}\n\n${error.trace ?? ""}`);
          return false;
        },
      },
      { label: "Close", kind: "primary" },
    ],
  );
}

/** Everything that is wrong at once, each to be gone to. @param {Editor} editor */
export function listProblems(editor) {
  const { errors } = editor.tab.results;
  if (errors.size === 1) return explain(editor, [...errors.keys()][0]);
  const element = dialog("What needs attention", [
    h(
      "ul",
      { class: "list-plain" },
      [...errors].map(([runId, error]) =>
        h(
          "li",
          { class: "problem" },
          h("div", {}, h("strong", {}, nameOf(editor, runId)), h("small", {}, error.message)),
          button("Show", () => {
            element.close();
            explain(editor, runId);
          }),
        ),
      ),
    ),
  ]);
  return undefined;
}

/** @param {Editor} editor @param {string} runId @returns {string} the node's title, wherever it lies */
function nameOf(editor, runId) {
  let scope = "";
  /** @type {any} */ let node;
  for (const part of runId.split(":")) {
    const { nodes } = editor.workflow.scope(scope);
    node = nodes.get(part) ?? nodes.get(Number(part));
    if (!node) return `Node ${runId}`;
    if (editor.workflow.definitions.has(node.type)) scope = node.type;
  }
  return String(node.title || editor.catalogue.library.get(node.type)?.title || node.type);
}

/** What each node of the last run took, dearest first. @param {Editor} editor */
export function listTimes(editor) {
  const timings = [...editor.tab.results.timings].sort(([, a], [, b]) => b.seconds - a.seconds);
  const total = timings.reduce((sum, [, { seconds }]) => sum + seconds, 0);
  const most = Math.max(0.001, timings[0]?.[1].seconds ?? 0);
  const row = (
    /** @type {[string, import("../client/results.js").Timing]} */ [runId, { seconds, cached, memory }],
  ) =>
    h(
      "tr",
      {},
      h(
        "td",
        {},
        button(
          nameOf(editor, runId),
          () => {
            element.close();
            explain(editor, runId);
          },
          { class: "link-button" },
        ),
      ),
      h(
        "td",
        { class: "bar-cell" },
        h("i", {
          style: {
            width: `${(100 * seconds) / most}%`,
            background: `hsl(${Math.round(130 - 130 * Math.sqrt(seconds / most))} 60% 45%)`,
          },
        }),
      ),
      h("td", {}, cached ? "cached" : `${seconds.toFixed(2)} s`),
      h("td", {}, memory ? `${(memory / 1e6).toFixed(0)} MB` : ""),
    );
  const element = dialog(
    "What the last run took",
    timings.length
      ? [
          h(
            "p",
            { class: "quiet" },
            `${total.toFixed(2)} seconds in ${timings.length} nodes; memory as it was after each.`,
          ),
          h(
            "table",
            { class: "times" },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                ["Node", "Share", "Time", "Memory"].map((name) => h("th", { scope: "col" }, name)),
              ),
            ),
            h("tbody", {}, timings.map(row)),
          ),
        ]
      : [
          h(
            "div",
            { class: "empty" },
            h("strong", {}, "Nothing has run yet"),
            "Times are listed here after a run.",
          ),
        ],
  );
}

/**
 * Lists missing node types and files, with near matches.
 * @param {Tab} tab
 * @param {Toasts} toasts
 * @param {Editor} editor
 */
export function reportMissing(tab, toasts, editor) {
  const types = missingTypes(tab.workflow, tab.catalogue);
  const files = [...new Map(missingFiles(tab).map((file) => [`${file.name} ${file.value}`, file])).values()];
  if (!types.size && !files.length) return;
  const words = [
    types.size && `${types.size} node ${types.size === 1 ? "type" : "types"}`,
    files.length && `${files.length} ${files.length === 1 ? "file" : "files"}`,
  ]
    .filter(Boolean)
    .join(" and ");
  const show = () =>
    dialog("Missing here", [
      types.size > 0 && [
        h("h3", {}, "Node types"),
        h(
          "p",
          {},
          "They are kept as they are, with their values and links. Install the pack they come from, " +
            "or replace them.",
        ),
        h(
          "ul",
          { class: "list-plain" },
          [...types].map(([type, count]) =>
            h(
              "li",
              {},
              h("strong", {}, type),
              count > 1 ? ` × ${count}` : "",
              h(
                "small",
                {},
                near(
                  type,
                  editor.library.all().map((spec) => spec.type),
                ),
              ),
              button("Go to it", () => {
                element.close();
                goTo(editor, type);
              }),
            ),
          ),
        ),
      ],
      files.length > 0 && [
        h("h3", {}, "Files"),
        h(
          "ul",
          { class: "list-plain" },
          files.map(({ value, name, choices, node }) =>
            h(
              "li",
              {},
              h("strong", {}, String(value)),
              h("small", {}, `${name} of ${node.type}. ${near(String(value), choices)}`),
              best(String(value), choices) !== undefined &&
                button(`Use ${best(String(value), choices)}`, () => {
                  element.close();
                  useInstead(tab, name, value, best(String(value), choices));
                }),
            ),
          ),
        ),
      ],
    ]);
  /** @type {HTMLDialogElement} */ let element;
  toasts.show(
    `This workflow needs ${words} that ${types.size + files.length === 1 ? "is" : "are"} not installed`,
    {
      key: "missing",
      kind: "bad",
      tab,
      actions: [
        {
          label: "Show",
          act: () => {
            element = show();
          },
        },
      ],
    },
  );
}

/** @param {Editor} editor @param {string} type */
function goTo(editor, type) {
  for (const node of editor.scene.scope.nodes.values()) if (node.type === type) return editor.reveal(node.id);
}

/**
 * @param {Tab} tab
 * @returns {{ node: any, scope: string, name: string, value: any, choices: any[] }[]} choices of loaders that
 *   are not there
 */
function missingFiles(tab) {
  const found = [];
  for (const { scope, node } of everyNode(tab.workflow)) {
    for (const widget of tab.catalogue.view(node, scope.id).widgets) {
      const isFile =
        widget.kind === "combo" &&
        typeof widget.value === "string" &&
        /\.\w{2,12}$/.test(widget.value) &&
        !widget.options.image_upload;
      if (isFile && !widget.linked && !(widget.choices ?? []).includes(widget.value))
        found.push({
          node,
          scope: scope.id,
          name: widget.name,
          value: widget.value,
          choices: widget.choices ?? [],
        });
    }
  }
  return found;
}

/**
 * Every widget that asks for the missing file gets the other one, as one change.
 * @param {Tab} tab
 * @param {string} name
 * @param {any} value
 * @param {any} other
 */
function useInstead(tab, name, value, other) {
  const puts = missingFiles(tab)
    .filter((file) => file.name === name && file.value === value)
    .flatMap(({ node, scope }) => {
      const draft = new Draft(tab.catalogue, scope);
      draft.setValue(node.id, name, other);
      return draft.puts;
    });
  tab.history.do({ label: "Use another file", puts });
}

/** @param {string} wanted @param {string[]} names @returns {string | undefined} */
function best(wanted, names) {
  const base = (/** @type {string} */ text) =>
    text
      .split(/[\\/]/)
      .at(-1)
      ?.replace(/\.\w+$/, "")
      .toLowerCase() ?? "";
  const rated = names
    .map((name) => ({
      name,
      rate:
        base(name) === base(wanted)
          ? 1000
          : Math.max(
              score(base(wanted).slice(0, 6), base(name)),
              score(base(name).slice(0, 6), base(wanted)),
            ),
    }))
    .sort((a, b) => b.rate - a.rate);
  return rated[0]?.rate > 40 ? rated[0].name : undefined;
}

/** @param {string} wanted @param {string[]} names */
function near(wanted, names) {
  const found = best(wanted, names);
  return found
    ? `Near: ${found}`
    : names.length
      ? "Nothing like it is installed."
      : "None of this kind is installed.";
}

/** Someone else saved the file. @param {Documents} documents @param {Tab} tab @param {string} path */
export function settleConflict(documents, tab, path) {
  dialog(
    "The file has changed meanwhile",
    [h("p", {}, `“${tab.name}” was saved somewhere else since you opened it. Nothing has been overwritten.`)],
    [
      { label: "Cancel" },
      {
        label: "Load the other version",
        act: async () => {
          const other = await documents.server.readFile(path);
          documents.openJson(parseJson(other.text), `${tab.name} (other)`);
        },
      },
      {
        label: "Save a copy",
        act: async () => {
          await documents.save(
            tab,
            path.replace(
              /\.json$/,
              ` copy ${new Date().toISOString().slice(0, 16).replace(/[:T]/g, "-")}.json`,
            ),
          );
        },
      },
      {
        label: "Replace it",
        kind: "danger",
        act: async () => {
          await documents.save(tab, path, { force: true });
        },
      },
    ],
  );
}
