/** @import { ApiPrompt, GraphNode, Id, Point } from "../types.js" */
/** @import { Library } from "./specs.js" */
/** From prompts without positions (the API format, A1111's text) to a workflow laid out from left to right. */
import { Catalogue } from "./catalogue.js";
import { Draft, freshNode } from "./draft.js";
import { layoutOf } from "./layout.js";
import { emptyWorkflow } from "./workflow.js";

/** @param {ApiPrompt} prompt @param {Library} library @param {(text: string) => number} measure */
export function readPrompt(prompt, library, measure = (text) => text.length * 7) {
  const workflow = emptyWorkflow();
  const catalogue = new Catalogue(workflow, library);
  const draft = new Draft(catalogue, "");
  const ids = new Map(Object.keys(prompt).map((id) => [id, /^\d+$/.test(id) ? Number(id) : id]));
  for (const [key, entry] of Object.entries(prompt)) addEntry(draft, /** @type {Id} */ (ids.get(key)), entry);
  for (const [key, entry] of Object.entries(prompt)) {
    for (const [name, value] of Object.entries(entry.inputs ?? {})) {
      if (!isLink(value) || !ids.has(String(value[0]))) continue;
      const target = /** @type {Id} */ (ids.get(key));
      ensureInput(draft, target, name);
      draft.connect(/** @type {Id} */ (ids.get(String(value[0]))), value[1], target, name);
    }
  }
  workflow.apply(draft.puts);
  workflow.apply(arrange(catalogue, "", [...workflow.root.nodes.keys()], measure));
  return workflow;
}

/** @param {any} value @returns {value is [string, number]} */
function isLink(value) { return Array.isArray(value) && value.length === 2 && typeof value[1] === "number"; }

/** @param {Draft} draft @param {Id} id @param {ApiPrompt[string]} entry */
function addEntry(draft, id, entry) {
  const spec = draft.catalogue.library.get(entry.class_type);
  const made = freshNode(id, entry.class_type, [0, 0], spec);
  const title = entry._meta?.title;
  draft.put("nodes", id, { ...made, ...(title && title !== spec?.title ? { title } : {}), ...(spec ? {} : { widgets_values: constants(entry) }) });
  for (const [name, value] of outerFirst(entry.inputs ?? {})) {
    if (!isLink(value)) draft.setValue(id, name, value && typeof value === "object" && "__value__" in value ? value.__value__ : value);
  }
}

/** A choice comes before the inputs that it brings (`choice.input`). @param {Record<string, any>} inputs @returns {[string, any][]} */
function outerFirst(inputs) {
  const depth = (/** @type {string} */ name) => name.split(".").length;
  return Object.entries(inputs).sort(([a], [b]) => depth(a) - depth(b));
}

/** @param {ApiPrompt[string]} entry @returns {Record<string, any>} what an unknown node was given, by name */
function constants(entry) { return Object.fromEntries(Object.entries(entry.inputs ?? {}).filter(([, value]) => !isLink(value))); }

/** @param {Draft} draft @param {Id} id @param {string} name */
function ensureInput(draft, id, name) {
  if (draft.inputSlot(id, name) >= 0) return;
  const node = /** @type {GraphNode} */ (draft.node(id));
  draft.put("nodes", id, { ...node, inputs: [...(node.inputs ?? []), { name, type: "*", link: null }] });
}

/**
 * Columns by the longest way from a source, rows by the middle of what feeds them.
 * @param {Catalogue} catalogue @param {string} scopeId @param {Id[]} ids @param {(text: string) => number} measure
 * @param {Point} [corner] top left of the result
 */
export function arrange(catalogue, scopeId, ids, measure, corner = [60, 80]) {
  const scope = catalogue.workflow.scope(scopeId);
  const columns = columnsOf(catalogue, scopeId, ids);
  /** @type {Map<Id, number>} */ const middles = new Map();
  /** @type {import("../types.js").Put[]} */ const puts = [];
  let x = corner[0];
  for (const column of columns) {
    const wish = (/** @type {Id} */ id) => {
      const known = scope.linksTo(id).map((link) => middles.get(link.origin_id)).filter((one) => one !== undefined);
      return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : Infinity;
    };
    const sorted = column.map((id, index) => ({ id, wish: wish(id), index })).sort((a, b) => a.wish - b.wish || a.index - b.index);
    let y = corner[1];
    let width = 0;
    for (const { id } of sorted) {
      const node = /** @type {GraphNode} */ (scope.nodes.get(id));
      const layout = layoutOf(node, catalogue.view(node, scopeId), 0, measure);
      puts.push({ scope: scopeId, kind: "nodes", id, value: { ...node, pos: [x, y], size: [layout.width, layout.height] } });
      middles.set(id, y + layout.height / 2);
      y += layout.height + layout.title + 40;
      width = Math.max(width, layout.width);
    }
    x += width + 80;
  }
  return puts;
}

/** @param {Catalogue} catalogue @param {string} scopeId @param {Id[]} ids @returns {Id[][]} */
function columnsOf(catalogue, scopeId, ids) {
  const scope = catalogue.workflow.scope(scopeId);
  const inside = new Set(ids);
  /** @type {Map<Id, number>} */ const waiting = new Map(ids.map((id) => [id, scope.linksTo(id).filter((link) => inside.has(link.origin_id)).length]));
  /** @type {Map<Id, number>} */ const depth = new Map();
  const open = ids.filter((id) => waiting.get(id) === 0);
  for (let at = 0; at < open.length; at += 1) {
    const id = open[at];
    const own = depth.get(id) ?? 0;
    depth.set(id, own);
    for (const link of scope.linksFrom(id)) {
      if (!inside.has(link.target_id)) continue;
      depth.set(link.target_id, Math.max(depth.get(link.target_id) ?? 0, own + 1));
      const left = (waiting.get(link.target_id) ?? 0) - 1;
      waiting.set(link.target_id, left);
      if (left === 0) open.push(link.target_id);
    }
  }
  /** @type {Id[][]} */ const columns = [];
  for (const id of ids) (columns[depth.get(id) ?? 0] ??= []).push(id);
  return columns.filter(Boolean);
}
