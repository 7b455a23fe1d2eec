/** @import { ApiPrompt, GraphNode, Id, Point } from "../types.js" */
/** @import { Library } from "./specs.js" */
/**
 * From prompts without positions (the API format, A1111's text) to a workflow laid out from left to right.
 */
import { Catalogue } from "./catalogue.js";
import { Draft, freshNode } from "./draft.js";
import { layoutOf } from "./layout.js";
import { emptyWorkflow } from "./workflow.js";

const GAP = 40; // between rows; twice that between columns
const PICTURE_ROOM = 220;
const TEXT_ROOM = 80;

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
  workflow.apply(
    arrange(catalogue, "", [...workflow.root.nodes.keys()], measure, undefined, (node) =>
      roomFor(catalogue.spec(node, "")),
    ),
  );
  return workflow;
}

/** @param {any} value @returns {value is [string, number]} */
function isLink(value) {
  return Array.isArray(value) && value.length === 2 && typeof value[1] === "number";
}

/** @param {Draft} draft @param {Id} id @param {ApiPrompt[string]} entry */
function addEntry(draft, id, entry) {
  const spec = draft.catalogue.library.get(entry.class_type);
  const made = freshNode(id, entry.class_type, [0, 0], spec);
  const title = entry._meta?.title;
  draft.put("nodes", id, {
    ...made,
    ...(title && title !== spec?.title ? { title } : {}),
    ...(spec ? {} : { widgets_values: constants(entry) }),
  });
  for (const [name, value] of outerFirst(entry.inputs ?? {}))
    if (!isLink(value)) setConstant(draft, id, name, value?.__value__ ?? value);
}

/**
 * A value for a socket makes it a widget, as files have it; one that no spec declares stands by its name.
 * @param {Draft} draft
 * @param {Id} id
 * @param {string} name
 * @param {any} value
 */
function setConstant(draft, id, name, value) {
  const node = /** @type {GraphNode} */ (draft.node(id));
  const inputOf = (/** @type {GraphNode} */ one) =>
    draft.spec(one)?.inputs.find((input) => input.name === name);
  if (inputOf(node)?.widget || !draft.spec(node) || draft.spec(node)?.virtual)
    return draft.setValue(id, name, value);
  const others = (node.inputs ?? []).filter((filed) => filed.name !== name);
  const filed = node.inputs?.find((one) => one.name === name) ?? { name, type: "*", link: null };
  // an input that grows is there by being filed
  const asWidget = { ...node, inputs: [...others, { ...filed, widget: { name } }] };
  const input = inputOf(asWidget);
  if (!input)
    return draft.patch(id, { widgets_values_named: { ...node.widgets_values_named, [name]: value } });
  draft.put("nodes", id, {
    ...asWidget,
    inputs: [...others, { ...filed, type: input.type, widget: { name } }],
  });
  return draft.setValue(id, name, value);
}

/**
 * A choice comes before the inputs that it brings (`choice.input`).
 * @param {Record<string, any>} inputs
 * @returns {[string, any][]}
 */
function outerFirst(inputs) {
  const depth = (/** @type {string} */ name) => name.split(".").length;
  return Object.entries(inputs).sort(([a], [b]) => depth(a) - depth(b));
}

/** @param {ApiPrompt[string]} entry @returns {Record<string, any>} what an unknown node was given, by name */
function constants(entry) {
  return Object.fromEntries(Object.entries(entry.inputs ?? {}).filter(([, value]) => !isLink(value)));
}

/** @param {Draft} draft @param {Id} id @param {string} name */
function ensureInput(draft, id, name) {
  if (draft.inputSlot(id, name) >= 0) return;
  const node = /** @type {GraphNode} */ (draft.node(id));
  draft.put("nodes", id, { ...node, inputs: [...(node.inputs ?? []), { name, type: "*", link: null }] });
}

/**
 * @param {import("../types.js").Spec | undefined} spec
 * @returns {number} height for what an output node will show
 */
function roomFor(spec) {
  if (!spec?.outputNode) return 0;
  const takes = (/** @type {string[]} */ ...types) =>
    spec.inputs.some((input) => types.includes(String(input.type)));
  return takes("IMAGE", "MASK", "VIDEO") ? PICTURE_ROOM : takes("*") ? TEXT_ROOM : 0;
}

/**
 * Columns as near to where they are needed as can be, rows beside the middle of what feeds them.
 * @param {Catalogue} catalogue
 * @param {string} scopeId
 * @param {Id[]} ids
 * @param {(text: string) => number} measure
 * @param {Point} [corner] top left of the result
 * @param {(node: GraphNode) => number} [room] height below the widgets
 */
export function arrange(catalogue, scopeId, ids, measure, corner = [60, 80], room = () => 0) {
  const scope = catalogue.workflow.scope(scopeId);
  /** @type {Map<Id, number>} */ const middles = new Map();
  /** @type {{ node: GraphNode, x: number, y: number, size: Point }[]} */ const placed = [];
  let x = corner[0];
  for (const column of columnsOf(catalogue, scopeId, ids)) {
    const boxes = column.map((id) => {
      const node = /** @type {GraphNode} */ (scope.nodes.get(id));
      const { width, height, title } = layoutOf(node, catalogue.view(node, scopeId), room(node), measure);
      const known = scope
        .linksTo(id)
        .map((link) => middles.get(link.origin_id))
        .filter((one) => one !== undefined);
      return {
        node,
        width,
        height,
        outer: height + title + GAP,
        wish: known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : Infinity,
      };
    });
    boxes.sort((a, b) => (a.wish === b.wish ? 0 : a.wish - b.wish));
    const tops = stacked(
      boxes.map(({ wish, height }) => wish - height / 2),
      boxes.map(({ outer }) => outer),
    );
    boxes.forEach(({ node, width, height }, index) => {
      middles.set(node.id, tops[index] + height / 2);
      placed.push({ node, x, y: tops[index], size: [width, height] });
    });
    x += Math.max(...boxes.map(({ width }) => width)) + 2 * GAP;
  }
  const down = corner[1] - Math.min(...placed.map(({ y }) => y));
  return placed.map(
    ({ node, x: left, y, size }) =>
      /** @type {import("../types.js").Put} */ ({
        scope: scopeId,
        kind: "nodes",
        id: node.id,
        value: { ...node, pos: [left, Math.round(y + down)], size },
      }),
  );
}

/**
 * Boxes below each other, each as near to its wish as the others let it: neighbours that would overlap share
 * the mean of their wishes.
 * @param {number[]} wishes tops, rising; infinite where there is none
 * @param {number[]} heights
 * @returns {number[]} tops
 */
function stacked(wishes, heights) {
  /** @type {{ sum: number, count: number, members: number }[]} */ const blocks = [];
  const mean = ({ sum, count } = { sum: 0, count: 1 }) => sum / count;
  let above = 0;
  for (const [index, wish] of wishes.entries()) {
    const last = blocks.at(-1);
    if (wish === Infinity && last) last.members += 1;
    else blocks.push({ sum: wish === Infinity ? 0 : wish - above, count: 1, members: 1 });
    while (blocks.length > 1 && mean(blocks.at(-2)) > mean(blocks.at(-1))) {
      const { sum, count, members } = /** @type {{ sum: number, count: number, members: number }} */ (
        blocks.pop()
      );
      const joined = blocks[blocks.length - 1];
      Object.assign(joined, {
        sum: joined.sum + sum,
        count: joined.count + count,
        members: joined.members + members,
      });
    }
    above += heights[index];
  }
  above = 0;
  return blocks
    .flatMap((block) => Array(block.members).fill(mean(block)))
    .map((top, index) => {
      above += index ? heights[index - 1] : 0;
      return top + above;
    });
}

/** @param {Catalogue} catalogue @param {string} scopeId @param {Id[]} ids @returns {Id[][]} */
function columnsOf(catalogue, scopeId, ids) {
  const scope = catalogue.workflow.scope(scopeId);
  const inside = new Set(ids);
  /** @type {Map<Id, number>} */ const waiting = new Map(
    ids.map((id) => [id, scope.linksTo(id).filter((link) => inside.has(link.origin_id)).length]),
  );
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
  for (const id of open.reverse()) {
    const needed = scope
      .linksFrom(id)
      .filter((link) => inside.has(link.target_id))
      .map((link) => depth.get(link.target_id) ?? 0);
    if (needed.length) depth.set(id, Math.min(...needed) - 1);
  }
  /** @type {Id[][]} */ const columns = [];
  for (const id of ids) {
    const column = depth.get(id) ?? 0;
    columns[column] ??= [];
    columns[column].push(id);
  }
  return columns.filter(Boolean);
}
