/** @import { Editor, Tab } from "./editor.js" */
/** @import { Commands } from "./commands.js" */
/** @import { Documents } from "../client/documents.js" */
/** @import { Runs } from "../client/runs.js" */
/** @import { Server } from "../client/server.js" */
/** Commands about files and runs. What they show is handed in, so this floor knows no panels. */
import { FOLDER } from "../client/documents.js";
import { addNode, setValue } from "../core/edits.js";
import { printExact } from "../core/exact.js";
import { toPrompt } from "../core/prompt.js";
import { isPrompt, isWorkflow, writeWorkflow } from "../core/workflow.js";
import { hit, nodeOf } from "./hit.js";

/**
 * @typedef {object} Dialogues
 * @property {(title: string, label: string, value: string, yes: string) => Promise<string | undefined>} ask
 * @property {(title: string, text: string, yes: string, kind?: string) => Promise<boolean>} confirm
 * @property {(title: string, text: string, ways: { label: string, value: any, kind?: string }[]) =>
 *   Promise<any>} choose
 * @property {(title: string, options?: any) => void} toast
 * @property {(tab: Tab, path: string) => void} conflict
 */

/**
 * @param {Commands} commands
 * @param {Editor} editor
 * @param {Documents} documents
 * @param {Server} server
 * @param {Dialogues} dialogues
 */
export function addFiles(commands, editor, documents, server, dialogues) {
  const add = (
    /** @type {string} */ id,
    /** @type {string} */ title,
    /** @type {string[]} */ keys,
    /** @type {(argument?: any) => any} */ run,
  ) => commands.add({ id, title, group: "File", keys, run });
  const save = async (/** @type {Tab} */ tab, /** @type {string} */ path) => {
    const saved = (await documents.save(tab, path)) === "saved";
    if (saved) dialogues.toast("Saved", { kind: "fine", text: tab.name });
    else dialogues.conflict(tab, path);
    return saved;
  };
  const saveAs = async (/** @type {Tab} */ tab = editor.tab) => {
    const name = await dialogues.ask("Save the workflow", "Name", tab.name, "Save");
    return Boolean(name) && save(tab, `${FOLDER}/${name?.replace(/\.json$/i, "")}.json`);
  };
  const close = async (/** @type {Tab} */ tab = editor.tab) => {
    if (tab.dirty && isWorth(tab)) {
      const how = await dialogues.choose(
        `Save “${tab.name}” before it is closed?`,
        "It has changes that are in no file. " +
          `“Reopen closed workflow” (${commands.hint("reopen-tab")}) brings back the last ten.`,
        [
          { label: "Cancel", value: undefined },
          { label: "Close without saving", value: "drop", kind: "danger" },
          { label: "Save", value: "save", kind: "primary" },
        ],
      );
      if (!how) return;
      if (how === "save" && !(await (tab.file ? save(tab, tab.file) : saveAs(tab)))) return;
    }
    documents.close(tab);
  };
  add("new", "New workflow", ["Alt+N"], () => documents.openEmpty());
  add("starter", "Text to image", [], () => documents.openStarter());
  add("save", "Save", ["Ctrl+S"], () => (editor.tab.file ? save(editor.tab, editor.tab.file) : saveAs()));
  commands.add({
    id: "save-quietly",
    title: "Save without a word",
    group: "File",
    when: () => Boolean(editor.tab.file),
    run: async () => {
      const { tab } = editor;
      if ((await documents.save(tab, /** @type {string} */ (tab.file))) !== "saved")
        dialogues.conflict(tab, /** @type {string} */ (tab.file));
    },
  });
  add("save-as", "Save as …", ["Ctrl+Shift+S"], () => saveAs());
  add("open", "Open a file …", ["Ctrl+O"], () =>
    chooseFiles((files) => openFiles(files, documents, dialogues, editor, server)),
  );
  add("open-saved", "Open a saved workflow", [], (path) => documents.openSaved(path));
  add("close-tab", "Close this workflow", ["Alt+W"], close);
  add("reopen-tab", "Reopen closed workflow", ["Ctrl+Shift+T", "Alt+Shift+W"], async () => {
    if (!(await documents.reopen())) dialogues.toast("No closed workflow is kept");
  });
  add("rename-workflow", "Rename this workflow", [], async () => {
    const name = await dialogues.ask("Rename the workflow", "Name", editor.tab.name, "Rename");
    if (name && name !== editor.tab.name) await documents.rename(editor.tab, name.replace(/\.json$/i, ""));
  });
  add("duplicate-workflow", "Duplicate this workflow", [], () => documents.duplicate(editor.tab));
  add("export", "Export to this computer", [], () =>
    download(`${editor.tab.name}.json`, writeWorkflow(editor.workflow)),
  );
  add("export-api", "Export in the API format", [], () =>
    download(`${editor.tab.name} (API).json`, toPrompt(editor.catalogue)),
  );
  add("open-job", "Open a job's workflow", [], async (/** @type {any} */ card) => {
    const json = isWorkflow(card.workflow) ? card.workflow : isPrompt(card.prompt) ? card.prompt : undefined;
    if (!json) throw new TypeError("This job was sent without a workflow.");
    const tab = await documents.openJson(json, `Job ${card.number}`);
    for (const [runId, output] of Object.entries(card.outputs ?? {})) tab.results.outputs.set(runId, output);
    editor.refreshAll();
  });
}

/** @param {Tab} tab @returns {boolean} whether there is anything in it */
function isWorth({ workflow: { root } }) {
  return root.nodes.size + root.groups.size > 0;
}

/** @param {any} reason of the server's `explain` @returns {string} */
function reasonText({ kind, name, old, new: now, path }) {
  const said = /** @type {Record<string, string>} */ ({
    never_ran: "It has not run yet.",
    always_runs: "It runs every time.",
    not_kept: "Its result is not kept any more.",
    code: "Its code has changed.",
  });
  if (kind === "constant") return `${name}: ${JSON.stringify(old ?? null)} → ${JSON.stringify(now ?? null)}`;
  if (kind === "link") return `${name} is connected otherwise.`;
  if (kind === "upstream") return `What comes in at ${name} is new.`;
  return said[kind] ?? (path ? `The file ${path} has changed.` : "It says that it has changed.");
}

/** @param {(files: File[]) => void} use @param {string} [accept] */
export function chooseFiles(use, accept = ".json,.txt,image/*,video/*,audio/*") {
  const field = Object.assign(document.createElement("input"), { type: "file", multiple: true, accept });
  field.addEventListener("change", () => use([...(field.files ?? [])]));
  field.click();
}

/** @param {string} name @param {any} json */
function download(name, json) {
  const address = URL.createObjectURL(new Blob([printExact(json, 2)], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/**
 * Opens what holds a workflow; a picture, film or sound without one becomes a node that loads it.
 * @param {File[]} files
 * @param {Documents} documents
 * @param {Dialogues} dialogues
 * @param {Editor} editor
 * @param {Server} server
 * @param {import("../types.js").Point} [at]
 */
export async function openFiles(files, documents, dialogues, editor, server, at = editor.middle) {
  for (const file of files) {
    try {
      if (await documents.openFile(file)) continue;
      if (await addMedia(file, editor, server, at)) continue;
      dialogues.toast(`“${file.name}” holds no workflow`, {
        kind: "bad",
        text: "Drop a workflow, a file that was made with one, or a picture, a film or a sound to load.",
      });
    } catch (error) {
      dialogues.toast(`“${file.name}” cannot be opened`, {
        kind: "bad",
        text:
          error instanceof SyntaxError
            ? "The file is not valid JSON."
            : String(/** @type {Error} */ (error).message),
      });
    }
  }
}

/**
 * @param {File} file
 * @param {Editor} editor
 * @param {Server} server
 * @param {import("../types.js").Id} id
 * @param {string} name of the widget
 */
export async function uploadTo(file, editor, server, id, name) {
  const stored = await server.upload(file, file.name || "pasted.png");
  editor.do(
    setValue(editor.where, id, name, stored.subfolder ? `${stored.subfolder}/${stored.name}` : stored.name),
  );
}

/**
 * A picture, film or sound goes to the loader under the pointer, to the selected one, or to a new one.
 * @param {File} file
 * @param {Editor} editor
 * @param {Server} server
 * @param {import("../types.js").Point} at
 * @returns {Promise<boolean>} false if it is none of these
 */
export async function addMedia(file, editor, server, at) {
  const { HEAD, LOADERS, mediumOf } = await import("../core/media.js");
  const medium = mediumOf(new Uint8Array(await file.slice(0, HEAD).arrayBuffer()), file.type);
  if (!medium) return false;
  const { type, option, word } = LOADERS[medium];
  const { scope } = editor.scene;
  const taking = (/** @type {import("../types.js").GraphNode | undefined} */ node) =>
    node && editor.scene.view(node.id).widgets.find((one) => one.options[option]);
  const node = [scope.nodes.get(nodeOf(hit(editor, at)) ?? ""), ...editor.selectedNodes].find(taking);
  const widget = taking(node);
  if (node && widget) {
    await uploadTo(file, editor, server, node.id, widget.name);
    return true;
  }
  const input = editor.library.get(type)?.inputs.find(({ options }) => options[option]);
  if (!input) throw new Error(`This server has no node that loads a ${word} (${type}).`);
  const { name, subfolder } = await server.upload(file, file.name || "pasted.png");
  const made = addNode(editor.where, type, editor.snapped(at));
  const merge = `${medium} ${made.id}`;
  editor.do({ ...made, merge });
  editor.do({
    ...setValue(editor.where, made.id, input.name, subfolder ? `${subfolder}/${name}` : name),
    merge,
  });
  editor.tab.history.seal();
  editor.select([made.id]);
  return true;
}

/**
 * @param {Commands} commands
 * @param {Editor} editor
 * @param {Runs} runs
 * @param {Server} server
 * @param {{ times: () => number, toast: Dialogues["toast"] }} around
 */
export function addRunning(commands, editor, runs, server, { times, toast }) {
  const add = (
    /** @type {string} */ id,
    /** @type {string} */ title,
    /** @type {string[]} */ keys,
    /** @type {() => any} */ run,
    /** @type {() => boolean} */ when = () => true,
  ) => commands.add({ id, title, group: "Run", keys, run, when });
  add("run", "Run", ["Ctrl+Enter"], () => runs.run({ times: times() }));
  add("run-front", "Run before what waits", ["Ctrl+Shift+Enter"], () => runs.run({ front: true }));
  add(
    "run-selected",
    "Run to the selected nodes",
    ["Alt+Enter"],
    () => {
      const ids = Object.keys(toPrompt(editor.catalogue, { random: () => 0 }));
      const wanted = [...editor.selected].map((id) => editor.runId(id));
      const targets = ids.filter((id) => wanted.some((one) => id === one || id.startsWith(`${one}:`)));
      if (!targets.length)
        return toast("Nothing to run here", {
          text: "The selected nodes are muted, bypassed or compute nothing.",
        });
      return runs.run({ targets });
    },
    () => editor.selected.size > 0,
  );
  add("run-auto", "Run again and again, or stop that", [], () => {
    runs.auto = !runs.auto;
    if (runs.auto && !runs.queued) runs.run();
  });
  add("run-on-change", "Run on every change, or stop that", [], () => {
    runs.onChange = !runs.onChange;
  });
  add(
    "cancel",
    "Cancel the running job",
    ["Ctrl+Alt+Enter"],
    () => runs.cancel(),
    () => Boolean(runs.active),
  );
  add("clear-queue", "Clear what waits", [], async () => {
    await server.editQueue({ clear: true });
    runs.tell("status");
  });
  add("previous-seed", "Bring back the seeds of the last run", [], () => runs.bringBackSeeds());
  add("forecast", "What would run, what is cached?", [], async () => {
    const answer = await server.json("nodeloom/explain", {
      method: "POST",
      json: { prompt: toPrompt(editor.catalogue), client_id: runs.socket.clientId },
    });
    const { forecast, reasons } = editor.tab.results;
    forecast.clear();
    reasons.clear();
    for (const [runId, { state, reasons: why }] of Object.entries(
      /** @type {Record<string, { state: string, reasons: any[] }>} */ (answer.nodes),
    )) {
      forecast.set(runId, state.replaceAll("_", " "));
      if (why.length) reasons.set(runId, why.map(reasonText).join("\n"));
    }
    editor.renderer.redraw();
    toast("Marked on the nodes", { text: "Each title says what the next run would do." });
  });
  add("refresh", "Reload the node list", ["R"], async () => {
    const { Library } = await import("../core/specs.js");
    editor.replaceLibrary(new Library(await server.objectInfo(), editor.library.widgetTypes));
    toast("Node list reloaded");
  });
}
