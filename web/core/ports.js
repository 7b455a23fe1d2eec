/** @import { Change, Definition, GraphNode, Link } from "../types.js" */
/** @import { Where } from "./edits.js" */
/** The inputs and outputs of a subgraph: renamed, moved, removed; every instance follows. */
import { Draft } from "./draft.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "./types.js";
import { valuePlaces } from "./values.js";

/** @typedef {"inputs" | "outputs"} Side */

/** @param {Where} where inside the subgraph @returns {{ scope: string, node: GraphNode }[]} */
function instances({ catalogue, scope }) {
  const { workflow } = catalogue;
  return [...workflow.scopes.values()].flatMap((one) =>
    [...one.nodes.values()].filter((node) => node.type === scope).map((node) => ({ scope: one.id, node })),
  );
}

/**
 * @param {Where} where inside the subgraph
 * @param {Side} side
 * @param {number} index
 * @param {string} name
 * @returns {Change | undefined} nothing when the name is taken
 */
export function renamePort(where, side, index, name) {
  const definition = /** @type {Definition} */ (where.catalogue.workflow.definitions.get(where.scope));
  const old = definition[side][index]?.name;
  if (!old || !name || definition[side].some((port) => port.name === name)) return undefined;
  const draft = new Draft(where.catalogue, where.scope);
  draft.put("definitions", where.scope, {
    ...definition,
    [side]: definition[side].map((port, at) => (at === index ? { ...port, name } : port)),
  });
  for (const { scope, node } of instances(where)) {
    const renamed = (node[side] ?? []).map((/** @type {any} */ one) =>
      one.name === old ? { ...one, name, ...(one.widget ? { widget: { ...one.widget, name } } : {}) } : one,
    );
    draft.put("nodes", node.id, { ...node, [side]: renamed }, scope);
  }
  return { label: "Rename port", puts: draft.puts };
}

/**
 * @param {Where} where
 * @param {Side} side
 * @param {number} index
 * @param {number} by places towards the end
 * @returns {Change | undefined}
 */
export function movePort(where, side, index, by) {
  const count = where.catalogue.workflow.definitions.get(where.scope)?.[side].length ?? 0;
  const target = index + by;
  if (target < 0 || target >= count) return undefined;
  const order = Array.from({ length: count }, (_, at) => at);
  [order[index], order[target]] = [order[target], order[index]];
  return { label: "Move port", puts: rearranged(where, side, order) };
}

/** @param {Where} where @param {Side} side @param {number} index @returns {Change} */
export function removePort(where, side, index) {
  const count = where.catalogue.workflow.definitions.get(where.scope)?.[side].length ?? 0;
  return {
    label: "Remove port",
    puts: rearranged(
      where,
      side,
      Array.from({ length: count }, (_, at) => at).filter((at) => at !== index),
    ),
  };
}

/**
 * @param {Where} where
 * @param {Side} side
 * @param {number[]} order old places in their new order; those left out go
 * @returns {import("../types.js").Put[]}
 */
function rearranged(where, side, order) {
  const inner = new Draft(where.catalogue, where.scope);
  const field = side === "inputs" ? "origin_slot" : "target_slot";
  const links = side === "inputs" ? inner.linksFrom(INPUT_PORTS) : inner.linksTo(OUTPUT_PORTS);
  for (const link of links) if (!order.includes(link[field])) inner.disconnect(link);
  for (const link of links)
    if (order.includes(link[field]))
      inner.put("links", link.id, { ...link, [field]: order.indexOf(link[field]) });
  const definition = inner.get("definitions", where.scope);
  inner.put("definitions", where.scope, { ...definition, [side]: order.map((at) => definition[side][at]) });
  const gone = definition[side]
    .filter((/** @type {any} */ _, /** @type {number} */ at) => !order.includes(at))
    .map((/** @type {any} */ port) => port.name);
  const names = order.map((at) => definition[side][at].name);
  const outer = instances(where).flatMap(({ scope, node }) => {
    const draft = new Draft(where.catalogue, scope);
    if (side === "inputs") followInputs(draft, node, gone, names);
    else followOutputs(draft, node, order);
    return draft.puts;
  });
  return [...inner.puts, ...outer];
}

/**
 * @param {Draft} draft
 * @param {GraphNode} node
 * @param {string[]} gone
 * @param {string[]} names in their new order
 */
function followInputs(draft, node, gone, names) {
  const { spec, widgets } = draft.catalogue.view(node, draft.scope);
  const places = spec ? valuePlaces(node, spec) : new Map();
  const listed = node.inputs ?? [];
  for (const link of draft.linksTo(node.id))
    if (gone.includes(listed[link.target_slot]?.name)) draft.disconnect(link);
  const kept = listed.filter((input) => !gone.includes(input.name));
  for (const link of draft.linksTo(node.id))
    draft.put("links", link.id, { ...link, target_slot: kept.indexOf(listed[link.target_slot]) });
  const values = Array.isArray(node.widgets_values)
    ? names
        .filter((name) => places.has(name))
        .map((name) => widgets.find((widget) => widget.name === name)?.value ?? null)
    : undefined;
  const current = /** @type {GraphNode} */ (draft.node(node.id));
  draft.put("nodes", node.id, {
    ...current,
    inputs: (current.inputs ?? []).filter((input) => !gone.includes(input.name)),
    ...(values ? { widgets_values: values } : {}),
  });
}

/** @param {Draft} draft @param {GraphNode} node @param {number[]} order */
function followOutputs(draft, node, order) {
  const links = draft.linksFrom(node.id);
  for (const link of links) if (!order.includes(link.origin_slot)) draft.disconnect(link);
  const stay = /** @type {(link: Link) => boolean} */ ((link) => order.includes(link.origin_slot));
  for (const link of links.filter(stay))
    draft.put("links", link.id, { ...link, origin_slot: order.indexOf(link.origin_slot) });
  const current = /** @type {GraphNode} */ (draft.node(node.id));
  draft.put("nodes", node.id, { ...current, outputs: order.flatMap((at) => current.outputs?.[at] ?? []) });
}
