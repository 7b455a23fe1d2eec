/** @import { Change, Put } from "../types.js" */
/** @import { Workflow } from "./document.js" */
/** Undo and redo: two stacks of entries, each holding the puts for both directions. */

/** @typedef {{ label: string, undo: Put[], redo: Put[], merge?: string, at: number }} Entry */

const MERGE_WITHIN = 1500; // milliseconds between two edits of one gesture

export class History {
  /** @type {Entry[]} */ done = [];
  /** @type {Entry[]} */ undone = [];
  /** @type {Set<(entry: Entry, how: "do" | "undo" | "redo") => void>} */ listeners = new Set();

  /** @param {Workflow} workflow @param {() => number} now */
  constructor(workflow, now = Date.now) {
    this.workflow = workflow;
    this.now = now;
  }

  /** Applies a change and remembers how to take it back. @param {Change} change */
  do({ label, puts, merge }) {
    if (!puts.length) return;
    const undo = this.workflow.apply(puts);
    const last = this.done.at(-1);
    const at = this.now();
    if (merge && last?.merge === merge && at - last.at < MERGE_WITHIN && !this.undone.length) {
      last.redo = latest([...last.redo, ...puts]);
      last.undo = latest([...undo, ...last.undo]);
      last.at = at;
      this.#tell(last, "do");
      return;
    }
    const entry = { label, undo, redo: puts, merge, at };
    this.done.push(entry);
    this.undone.length = 0;
    this.#tell(entry, "do");
  }

  /** The next edit starts an entry of its own. */
  seal() {
    const last = this.done.at(-1);
    if (last) last.merge = undefined;
  }

  /** @returns {string | undefined} the label of what was taken back */
  undo() {
    const entry = this.done.pop();
    if (!entry) return undefined;
    this.workflow.apply(entry.undo);
    this.undone.push(entry);
    this.#tell(entry, "undo");
    return entry.label;
  }

  /** @returns {string | undefined} the label of what was done again */
  redo() {
    const entry = this.undone.pop();
    if (!entry) return undefined;
    this.workflow.apply(entry.redo);
    this.done.push(entry);
    this.#tell(entry, "redo");
    return entry.label;
  }

  /** @param {Entry} entry @param {"do" | "undo" | "redo"} how */
  #tell(entry, how) {
    for (const listener of this.listeners) listener(entry, how);
  }
}

/**
 * The last value of each object wins; the order of the objects stays.
 * @param {Put[]} puts @returns {Put[]}
 */
function latest(puts) {
  const byKey = new Map();
  for (const put of puts) byKey.set(`${put.scope}/${put.kind}/${put.id}`, put);
  return [...byKey.values()];
}
