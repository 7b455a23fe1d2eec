/** @import { GraphNode, Id, InputSpec, Spec } from "../types.js" */
/** @import { Draft } from "./draft.js" */
/**
 * Inputs that depend on the node: those a choice brings with it, and those that grow as they are connected.
 */
import { valueIn, valuePlaces } from "./values.js";

const MOST_ROUNDS = 1000;

/**
 * @param {Spec} spec as the server describes the type
 * @param {GraphNode} node
 * @returns {Spec} with the inputs this node has
 */
export function expanded(spec, node) {
  if (!spec.inputs.some((input) => input.branches || input.grows)) return spec;
  let inputs = spec.inputs;
  /** @type {Set<string>} */ const opened = new Set();
  for (let rounds = 0; rounds < MOST_ROUNDS; rounds += 1) {
    const index = inputs.findIndex((input) => input.grows || (input.branches && !opened.has(input.name)));
    if (index < 0) break;
    const input = inputs[index];
    opened.add(input.name);
    const brought = input.grows
      ? grown(input.grows, node)
      : [input, ...chosen(input, node, { ...spec, inputs })];
    inputs = [...inputs.slice(0, index), ...brought, ...inputs.slice(index + 1)];
  }
  return { ...spec, inputs };
}

/**
 * @param {InputSpec} input
 * @param {GraphNode} node
 * @param {Spec} spec what stands before the input is expanded already
 * @returns {InputSpec[]}
 */
function chosen(input, node, spec) {
  const value = valueIn(node, input, valuePlaces(node, spec));
  return input.branches?.get(String(value)) ?? [];
}

/**
 * @param {NonNullable<InputSpec["grows"]>} grows
 * @param {GraphNode} node
 * @returns {InputSpec[]} those that must be there or are, and one to spare
 */
function grown(grows, node) {
  const filed = new Map((node.inputs ?? []).map((input) => [input.name, input]));
  let count = Math.max(1, grows.min);
  for (let ordinal = 0; ordinal < grows.max; ordinal += 1) {
    const here = grows
      .at(ordinal)
      .map((input) => filed.get(input.name))
      .filter((input) => input !== undefined);
    if (here.length) count = Math.max(count, ordinal + (here.some((input) => input.link != null) ? 2 : 1));
  }
  return Array.from({ length: Math.min(count, grows.max) }, (_, ordinal) => grows.at(ordinal)).flat();
}

/**
 * A choice that brings inputs is changed: values keep their names, inputs of the old choice go with their
 * links.
 * @param {Draft} draft
 * @param {Id} id
 * @param {string} name
 * @param {any} value
 */
export function chooseBranch(draft, id, name, value) {
  const before = /** @type {GraphNode} */ (draft.node(id));
  const old = /** @type {Spec} */ (draft.spec(before));
  const values = Object.fromEntries(keptValues(before, old));
  const next = { ...before, widgets_values: { ...values, [name]: value } };
  const spec = /** @type {Spec} */ (draft.spec(next));
  const names = new Set(spec.inputs.map((input) => input.name));
  const gone = (before.inputs ?? [])
    .map((input) => input.name)
    .filter((one) => one.startsWith(`${name}.`) && !names.has(one));
  for (const one of gone) takeOut(draft, id, one);
  const node = /** @type {GraphNode} */ (draft.node(id));
  const listed = Array.isArray(before.widgets_values) || !before.widgets_values;
  draft.put("nodes", id, {
    ...node,
    widgets_values: listed ? listedValues(next, spec) : next.widgets_values,
  });
}

/** @param {GraphNode} node @param {Spec} spec @returns {[string, any][]} values by the name of their place */
function keptValues(node, spec) {
  const list = node.widgets_values;
  if (!Array.isArray(list)) return Object.entries(list ?? {});
  return [...valuePlaces(node, spec)]
    .filter(([, place]) => place < list.length)
    .map(([name, place]) => [name, list[place]]);
}

/** @param {GraphNode} node values by name @param {Spec} spec @returns {any[]} */
function listedValues(node, spec) {
  const values = /** @type {Record<string, any>} */ (node.widgets_values);
  const fresh = { ...node, widgets_values: undefined };
  return [...valuePlaces(fresh, spec).keys()].map((name) => {
    if (Object.hasOwn(values, name)) return values[name];
    const input = spec.inputs.find((one) => one.name === name);
    return input ? (valueIn(fresh, input, new Map()) ?? null) : name.endsWith("/control") ? "fixed" : null;
  });
}

/**
 * @param {Draft} draft
 * @param {Id} id
 * @param {string} name an input that goes; links to those behind it move up
 */
function takeOut(draft, id, name) {
  const index = draft.node(id)?.inputs?.findIndex((input) => input.name === name) ?? -1;
  if (index < 0) return;
  for (const link of draft.linksTo(id)) if (link.target_slot === index) draft.disconnect(link);
  for (const link of draft.linksTo(id))
    if (link.target_slot > index) draft.put("links", link.id, { ...link, target_slot: link.target_slot - 1 });
  const node = /** @type {GraphNode} */ (draft.node(id));
  draft.put("nodes", id, { ...node, inputs: node.inputs?.filter((_, at) => at !== index) });
}
