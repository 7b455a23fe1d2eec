/** @import { ApiPrompt, GraphNode, Id, InputView, Link } from "../types.js" */
/** @import { Catalogue } from "./catalogue.js" */
/** @import { Scope, Workflow } from "./document.js" */
/**
 * From the workflow to the prompt that is sent: subgraphs flattened, reroutes and bypassed nodes looked through,
 * muted nodes left out, primitives written into the widgets they feed. The result equals what the reference's editor sends.
 */
import { ROOT } from "./document.js";
import { formatDate, pickDynamic } from "./text.js";
import { connectable, INPUT_PORTS, MODE, typeName } from "./types.js";

/** @typedef {{ scope: Scope, path: Id[], parent?: Place, node?: GraphNode }} Place a graph, and through which instances it was entered */
/** @typedef {{ id: string, slot: number } | { value: any } | undefined} Source what feeds an input in the end */

const FILE_NAME_NODES = new Set(["SaveImage", "SaveAnimatedWEBP", "SaveWEBM", "SaveAudio", "SaveGLB", "SaveAnimatedPNG", "CLIPSave", "VAESave", "ModelSave", "LoraSave", "SaveLatent"]);

/**
 * @param {Catalogue} catalogue @param {{ random?: () => number, now?: Date }} [options]
 * @returns {ApiPrompt}
 */
export function toPrompt(catalogue, { random = Math.random, now = new Date() } = {}) {
  const { workflow } = catalogue;
  /** @type {ApiPrompt} */ const prompt = {};
  for (const { place, node } of executables(catalogue, { scope: workflow.scope(ROOT), path: [] })) {
    prompt[[...place.path, node.id].join(":")] = entryOf(catalogue, place, node, random, now);
  }
  return withoutLooseLinks(prompt);
}

/** @param {Catalogue} catalogue @param {Place} start @returns {{ place: Place, node: GraphNode }[]} nodes that can run, subgraphs opened */
function executables(catalogue, start) {
  /** @type {{ place: Place, node: GraphNode }[]} */ const found = [];
  const open = [start];
  for (let place = open.pop(); place; place = open.pop()) {
    for (const node of place.scope.ordered("nodes")) {
      if (node.mode === MODE.never || node.mode === MODE.bypass || isVirtual(catalogue, node)) continue;
      if (!catalogue.isInstance(node)) found.push({ place, node });
      else if (place.path.length < 64) open.push(inside(catalogue, place, node));
    }
  }
  return found;
}

/** @param {Catalogue} catalogue @param {Place} place @param {GraphNode} node an instance @returns {Place} */
function inside(catalogue, place, node) {
  return { scope: catalogue.workflow.scope(node.type), path: [...place.path, node.id], parent: place, node };
}

/** @param {Catalogue} catalogue @param {GraphNode} node */
function isVirtual(catalogue, node) { return Boolean(catalogue.library.get(node.type)?.virtual); }

/** @param {Catalogue} catalogue @param {Place} place @param {GraphNode} node @param {() => number} random @param {Date} now */
function entryOf(catalogue, place, node, random, now) {
  const view = catalogue.view(node, place.scope.id);
  /** @type {Record<string, any>} */ const inputs = {};
  for (const widget of view.widgets) {
    let value = widget.value;
    if (widget.options.dynamicPrompts && typeof value === "string") value = pickDynamic(value, random);
    if (widget.name === "filename_prefix" && FILE_NAME_NODES.has(node.type)) value = replaceNames(catalogue, place.scope, String(value), now);
    if (value !== undefined) inputs[widget.name] = Array.isArray(value) ? { __value__: value } : value;
  }
  for (const input of view.inputs) {
    const source = sourceOf(catalogue, place, input);
    if (source && "id" in source) inputs[input.name] = [source.id, source.slot];
    else if (source && "value" in source) inputs[input.name] = source.value;
  }
  return { inputs, class_type: node.type, _meta: { title: String(node.title ?? view.spec?.title ?? node.type) } };
}

/** @param {ApiPrompt} prompt @returns {ApiPrompt} links to nodes that do not run are left out */
function withoutLooseLinks(prompt) {
  for (const { inputs } of Object.values(prompt)) {
    for (const [name, value] of Object.entries(inputs)) if (Array.isArray(value) && value.length === 2 && !Object.hasOwn(prompt, value[0])) delete inputs[name];
  }
  return prompt;
}

/** @param {Catalogue} catalogue @param {Place} place @param {InputView} input @returns {Source} */
function sourceOf(catalogue, place, input) {
  const link = input.link == null ? undefined : place.scope.links.get(input.link);
  return link && follow(catalogue, place, link, Boolean(input.widget));
}

/**
 * Walks up a link to a node that runs, to a value, or to nothing.
 * @param {Catalogue} catalogue @param {Place} start @param {Link} first @param {boolean} widget whether the input could hold a value
 * @returns {Source}
 */
function follow(catalogue, start, first, widget) {
  let place = start;
  /** @type {Link | undefined} */ let link = first;
  for (let steps = 0; link && steps < 10000; steps += 1) {
    if (link.origin_id === INPUT_PORTS) {
      const step = outward(catalogue, place, link.origin_slot);
      if (!step || "value" in step) return step;
      ({ place, link } = step);
      continue;
    }
    const node = place.scope.nodes.get(link.origin_id);
    if (!node) return undefined;
    const slot = link.origin_slot;
    if (node.type === "PrimitiveNode") return widget && Array.isArray(node.widgets_values) ? { value: node.widgets_values[0] } : undefined;
    if (node.mode === MODE.bypass) link = bypassed(catalogue, place.scope, node, slot, link);
    else if (node.type === "Reroute") link = linkInto(place.scope, node, 0);
    else if (isVirtual(catalogue, node)) return undefined;
    else if (catalogue.isInstance(node) && node.mode !== MODE.never) {
      place = inside(catalogue, place, node);
      link = place.scope.linksTo(-20).find((one) => one.target_slot === slot);
    } else return { id: [...place.path, node.id].join(":"), slot };
  }
  return undefined;
}

/**
 * From a subgraph's input to what its instance has there.
 * @param {Catalogue} catalogue @param {Place} place @param {number} slot
 * @returns {{ place: Place, link: Link } | { value: any } | undefined}
 */
function outward(catalogue, place, slot) {
  if (!place.parent || !place.node) return undefined;
  const port = catalogue.workflow.definitions.get(place.node.type)?.inputs[slot];
  const view = catalogue.view(place.node, place.parent.scope.id);
  const input = view.inputs.find((one) => one.name === port?.name) ?? view.inputs[slot];
  const link = input?.link == null ? undefined : place.parent.scope.links.get(input.link);
  if (link) return { place: place.parent, link };
  const widget = view.widgets.find((one) => !one.proxy && one.name === input?.name);
  return widget && widget.value !== undefined ? { value: widget.value } : undefined;
}

/** @param {Scope} scope @param {GraphNode} node @param {number} index @returns {Link | undefined} */
function linkInto(scope, node, index) {
  const id = node.inputs?.[index]?.link;
  return id == null ? undefined : scope.links.get(id);
}

/**
 * A bypassed node hands on the input that fits its output: the one of the same number, else the first of the same type,
 * else the first that may be connected.
 * @param {Catalogue} catalogue @param {Scope} scope @param {GraphNode} node @param {number} slot @param {Link} link
 * @returns {Link | undefined}
 */
export function bypassed(catalogue, scope, node, slot, link) {
  const { inputs, outputs } = catalogue.view(node, scope.id);
  const type = outputs[slot]?.type ?? link.type;
  const fits = (/** @type {InputView | undefined} */ input) => input && connectable(input.type, type);
  const chosen = typeName(type) === "*" ? inputs[slot] ?? inputs[0]
    : fits(inputs[slot]) ? inputs[slot]
      : inputs.find((input) => typeName(input.type) === typeName(type)) ?? inputs.find(fits);
  return chosen?.link == null ? undefined : scope.links.get(chosen.link);
}

/**
 * `%date:…%` and `%Node.widget%` in file names.
 * @param {Catalogue} catalogue @param {Scope} scope @param {string} text @param {Date} now
 */
function replaceNames(catalogue, scope, text, now) {
  return text.replace(/%([^%]+)%/g, (whole, inner) => {
    if (inner.startsWith("date:")) return formatDate(inner.slice(5), now);
    const [name, widgetName, ...more] = inner.split(".");
    if (!widgetName || more.length) return whole;
    const nodes = scope.ordered("nodes");
    const node = nodes.find((one) => one.properties?.["Node name for S&R"] === name) ?? nodes.find((one) => one.title === name);
    const widget = node && catalogue.view(node, scope.id).widgets.find((one) => one.name === widgetName);
    return widget ? String(widget.value).replace(/[/?<>\\:*|"\x00-\x1F\x7F]/g, "_") : whole;
  });
}

/** @param {Workflow} workflow @param {Catalogue} catalogue @returns {Map<string, number>} types that no spec describes, with how often they occur */
export function missingTypes(workflow, catalogue) {
  /** @type {Map<string, number>} */ const missing = new Map();
  for (const [id, scope] of workflow.scopes) {
    if (id !== ROOT && !workflow.definitions.has(id)) continue;
    for (const node of scope.nodes.values()) {
      if (!catalogue.isInstance(node) && !catalogue.library.get(node.type)) missing.set(node.type, (missing.get(node.type) ?? 0) + 1);
    }
  }
  return missing;
}
