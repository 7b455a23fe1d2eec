/** @import { ApiPrompt, GraphNode, Id, InputView, Link, WidgetView } from "../types.js" */
/** @import { Catalogue } from "./catalogue.js" */
/** @import { Scope, Workflow } from "./document.js" */
/**
 * From the workflow to the prompt that is sent: subgraphs flattened, reroutes and bypassed nodes looked
 * through, muted nodes left out, primitives written into the widgets they feed. The result equals what the
 * reference's editor sends.
 */
import { ROOT } from "./document.js";
import { formatDate, pickDynamic } from "./text.js";
import { connectable, INPUT_PORTS, MODE, OUTPUT_PORTS, typeName } from "./types.js";
import { undeclaredValues } from "./values.js";

/**
 * @typedef {Map<string, Map<string, any>>} Given values that an instance keeps for the nodes inside it, by
 *   node and widget
 */
/**
 * @typedef {{ scope: Scope, path: Id[], given: Given, parent?: Place, node?: GraphNode, interior?:
 *   import("./catalogue.js").Interior }} Place a graph, and through which instances it was entered
 */
/**
 * @typedef {{ id: string, slot: number } | { value: any } | { written: any } | undefined} Source what feeds
 *   an input in the end; `written` goes through the input's own widget
 */

const FILE_NAME_NODES = new Set([
  "SaveImage",
  "SaveVideo",
  "SaveAnimatedWEBP",
  "SaveWEBM",
  "SaveAudio",
  "SaveGLB",
  "SaveAnimatedPNG",
  "CLIPSave",
  "VAESave",
  "ModelSave",
  "LoraSave",
  "SaveLatent",
]);
const GETTERS = new Map([
  ["GetNode", "SetNode"],
  ["easy getNode", "easy setNode"],
]);

/**
 * @param {Catalogue} catalogue @param {{ random?: () => number, now?: Date }} [options]
 * @returns {ApiPrompt}
 */
export function toPrompt(catalogue, { random = Math.random, now = new Date() } = {}) {
  const { workflow } = catalogue;
  /** @type {ApiPrompt} */ const prompt = {};
  for (const { place, node } of executables(catalogue, {
    scope: workflow.scope(ROOT),
    path: [],
    given: new Map(),
  })) {
    prompt[[...place.path, node.id].join(":")] = entryOf(catalogue, place, node, random, now);
  }
  return withoutLooseLinks(prompt);
}

/**
 * @param {Catalogue} catalogue
 * @param {Place} start
 * @returns {{ place: Place, node: GraphNode }[]} nodes that can run, subgraphs opened
 */
function executables(catalogue, start) {
  /** @type {{ place: Place, node: GraphNode }[]} */ const found = [];
  const open = [start];
  for (let place = open.pop(); place; place = open.pop()) {
    for (const node of place.scope.ordered("nodes")) {
      if (node.mode === MODE.never || node.mode === MODE.bypass || isVirtual(catalogue, node)) continue;
      const inner = inside(catalogue, place, node);
      if (!inner) found.push({ place, node });
      else if (!isWithin(place, node.type)) open.push(inner);
    }
  }
  return found;
}

/**
 * @param {Place} place
 * @param {string} type
 * @returns {boolean} whether the place is inside a subgraph of that type
 */
function isWithin(place, type) {
  for (let at = /** @type {Place | undefined} */ (place); at; at = at.parent)
    if (at.node?.type === type) return true;
  return false;
}

/**
 * @param {Catalogue} catalogue
 * @param {Place} place
 * @param {GraphNode} node
 * @returns {Place | undefined} nothing when the node has no inside
 */
function inside(catalogue, place, node) {
  const interior = catalogue.interior(node);
  return (
    interior && {
      scope: interior.scope,
      path: [...place.path, node.id],
      given: givenInside(catalogue, place, node),
      parent: place,
      node,
      interior,
    }
  );
}

/**
 * @param {Catalogue} catalogue
 * @param {Place} place
 * @param {GraphNode} node an instance
 * @returns {Given} what it, or an instance around it, keeps for nodes inside
 */
function givenInside(catalogue, place, node) {
  /** @type {Given} */ const given = new Map();
  for (const widget of catalogue.view(node, place.scope.id).widgets) {
    const over = place.given.get(String(node.id));
    const inner = widget.spec?.inner;
    const [id, name] =
      inner && !widget.route
        ? [String(inner.member), inner.name]
        : [widget.route?.id, widget.route?.name ?? ""];
    const kept = over?.has(widget.name) || widget.own || (inner && !widget.route);
    if (id === undefined || !kept) continue;
    const values = given.get(id) ?? new Map();
    values.set(name, over?.has(widget.name) ? over.get(widget.name) : widget.value);
    given.set(id, values);
  }
  return given;
}

/** @param {Catalogue} catalogue @param {GraphNode} node */
function isVirtual(catalogue, node) {
  return Boolean(catalogue.library.get(node.type)?.virtual);
}

/**
 * @param {Catalogue} catalogue
 * @param {Place} place
 * @param {GraphNode} node
 * @param {() => number} random
 * @param {Date} now
 */
function entryOf(catalogue, place, node, random, now) {
  const view = catalogue.view(node, place.scope.id);
  const given = place.given.get(String(node.id));
  const sent = (/** @type {WidgetView} */ widget, /** @type {any} */ value) => {
    if (widget.name === "filename_prefix" && value !== undefined && FILE_NAME_NODES.has(node.type))
      return replaceNames(catalogue, place, String(value ?? ""), now);
    return asText(widget, value, random);
  };
  /** @type {Record<string, any>} */ const inputs = {};
  for (const widget of view.widgets) {
    const value = sent(widget, given?.has(widget.name) ? given.get(widget.name) : widget.value);
    if (value !== undefined) inputs[widget.name] = wrapped(value);
  }
  for (const [name, value] of undeclaredValues(node, view.spec).named) inputs[name] = wrapped(value);
  for (const input of view.inputs) {
    const source = sourceOf(catalogue, place, input, now);
    if (source && "id" in source) inputs[input.name] = [source.id, source.slot];
    else if (source && "value" in source) inputs[input.name] = wrapped(source.value);
    else if (source) {
      const widget = view.widgets.find((one) => one.name === input.widget);
      if (widget) inputs[input.name] = wrapped(sent(widget, settled(widget, source.written)));
    }
  }
  return {
    inputs,
    class_type: String(view.spec?.type ?? node.type),
    _meta: { title: String(node.title || view.spec?.title || node.type) },
  };
}

/** @param {any} value @returns {any} a list must not be taken for a link */
function wrapped(value) {
  return Array.isArray(value) ? { __value__: value } : value;
}

/**
 * Text areas hold plain text with line feeds; `{a|b}` is decided where the spec asks for it.
 * @param {WidgetView} widget
 * @param {any} value
 * @param {() => number} random
 */
function asText(widget, value, random) {
  if (widget.kind !== "string" || value === undefined || (value && typeof value === "object")) return value;
  const text = widget.options.multiline ? String(value ?? "").replace(/\r\n?/g, "\n") : value;
  return widget.options.dynamicPrompts && typeof text === "string" ? pickDynamic(text, random) : text;
}

/**
 * What a number field makes of a value that a primitive writes into it.
 * @param {WidgetView} widget
 * @param {any} value
 */
function settled(widget, value) {
  const { step = 1, min = -Infinity, max = Infinity, round } = widget.options;
  if (typeof value !== "number" || !Number.isFinite(value)) return value;
  if (widget.kind === "int") {
    const shift = Number.isFinite(min) && step > 1 ? min % step : 0;
    return step > 0 ? Math.round((value - shift) / step) * step + shift : Math.round(value);
  }
  if (widget.kind !== "float" || typeof round !== "number" || !(round > 0)) return value;
  const digits = Math.max(0, -Math.floor(Math.log10(round)));
  return Math.min(
    max,
    Math.max(min, Number((Math.round(value / round) * round).toFixed(Math.min(20, digits)))),
  );
}

/** @param {ApiPrompt} prompt @returns {ApiPrompt} links to nodes that do not run are left out */
function withoutLooseLinks(prompt) {
  for (const { inputs } of Object.values(prompt)) {
    for (const [name, value] of Object.entries(inputs))
      if (Array.isArray(value) && value.length === 2 && !Object.hasOwn(prompt, value[0])) delete inputs[name];
  }
  return prompt;
}

/**
 * @param {Catalogue} catalogue
 * @param {Place} place
 * @param {InputView} input
 * @param {Date} now
 * @returns {Source}
 */
function sourceOf(catalogue, place, input, now) {
  const link = input.link == null ? undefined : place.scope.links.get(input.link);
  return link && follow(catalogue, place, link, input, now);
}

/**
 * Walks up a link to a node that runs, to a value, or to nothing.
 * @param {Catalogue} catalogue
 * @param {Place} start
 * @param {Link} first
 * @param {InputView} input where the link ends
 * @param {Date} now
 * @returns {Source}
 */
function follow(catalogue, start, first, input, now) {
  /** @type {{ place: Place, link: Link } | undefined} */ let at = { place: start, link: first };
  for (let steps = 0; at && steps < 10000; steps += 1) {
    /** @type {{ place: Place, link: Link } | Source} */
    const next =
      at.link.origin_id === INPUT_PORTS
        ? outward(catalogue, at.place, at.link.origin_slot)
        : upward(catalogue, at, input, now);
    if (!next || !("link" in next)) return next;
    at = next;
  }
  return undefined;
}

/**
 * One step from a link to the node it comes from, and on to that node's own input where the node hands it on.
 * @param {Catalogue} catalogue
 * @param {{ place: Place, link: Link }} at
 * @param {InputView} input
 * @param {Date} now
 * @returns {{ place: Place, link: Link } | Source}
 */
function upward(catalogue, { place, link }, input, now) {
  const node = place.scope.nodes.get(link.origin_id);
  if (!node) return undefined;
  if (node.type === "PrimitiveNode")
    return input.widget ? primitiveValue(catalogue, place, node, now) : undefined;
  if (node.mode === MODE.never) return undefined;
  const within = (/** @type {Link | undefined} */ next) => next && { place, link: next };
  if (node.mode === MODE.bypass)
    return within(bypassed(catalogue, place.scope, node, link.origin_slot, link, input.type));
  const spec = catalogue.library.get(node.type);
  if (spec?.passes) return within(linkInto(place.scope, node, 0));
  if (GETTERS.has(node.type)) return kept(place, node);
  if (spec?.virtual) return undefined;
  const inner = inside(catalogue, place, node);
  if (!inner) return { id: [...place.path, node.id].join(":"), slot: link.origin_slot };
  const end = inner.scope.linksTo(OUTPUT_PORTS).find((one) => one.target_slot === link.origin_slot);
  return end && { place: inner, link: end };
}

/**
 * @param {Catalogue} catalogue
 * @param {Place} place
 * @param {GraphNode} node
 * @param {Date} now
 * @returns {Source}
 */
function primitiveValue(catalogue, place, node, now) {
  const given = place.given.get(String(node.id));
  if (!given?.has("value") && !(Array.isArray(node.widgets_values) && node.widgets_values.length))
    return undefined;
  const value = given?.has("value") ? given.get("value") : /** @type {any[]} */ (node.widgets_values)[0];
  const replace = node.properties?.["Run widget replace on values"] && typeof value === "string";
  return { written: replace ? replaceNames(catalogue, place, value, now) : value };
}

/**
 * From a getter to what its setter of the same name is fed, here or in a graph around.
 * @param {Place} start
 * @param {GraphNode} node
 */
function kept(start, node) {
  const nameOf = (/** @type {GraphNode} */ one) =>
    Array.isArray(one.widgets_values) ? one.widgets_values[0] : undefined;
  for (let place = /** @type {Place | undefined} */ (start); place; place = place.parent) {
    const setter = place.scope
      .ordered("nodes")
      .find((one) => one.type === GETTERS.get(node.type) && nameOf(one) === nameOf(node));
    const link = setter && linkInto(place.scope, setter, 0);
    if (setter) return link && { place, link };
  }
  return undefined;
}

/**
 * From a subgraph's input to what its instance has there.
 * @param {Catalogue} catalogue @param {Place} place @param {number} slot
 * @returns {{ place: Place, link: Link } | { value: any } | undefined}
 */
function outward(catalogue, place, slot) {
  const { parent, node, interior } = place;
  if (!parent || !node || !interior) return undefined;
  const ports = interior.definition.inputs ?? [];
  const name = ports[slot]?.name;
  const filed = node.inputs ?? [];
  const other =
    filed[slot] && !ports.some((port) => port.name === filed[slot].name) ? filed[slot] : undefined;
  const input = filed.find((one) => one.name === name) ?? other;
  const link = input?.link == null ? undefined : parent.scope.links.get(input.link);
  if (link) return { place: parent, link };
  const widget = catalogue.view(node, parent.scope.id).widgets.find((one) => !one.proxy && one.name === name);
  const over = parent.given.get(String(node.id));
  if (!widget || widget.spec?.inner) return undefined;
  const value = over?.has(widget.name) ? over.get(widget.name) : widget.value;
  return value === undefined ? undefined : { value };
}

/** @param {Scope} scope @param {GraphNode} node @param {number} index @returns {Link | undefined} */
function linkInto(scope, node, index) {
  const id = node.inputs?.[index]?.link;
  return id == null ? undefined : scope.links.get(id);
}

/**
 * A bypassed node hands on the input that fits its output: the one of the same number, else the first of the
 * type that is wanted, else the first that may be connected. To fit is to be connectable to the output and to
 * where the value ends.
 * @param {Catalogue} catalogue
 * @param {Scope} scope
 * @param {GraphNode} node
 * @param {number} slot
 * @param {Link} link
 * @param {import("../types.js").SocketType} [wanted] the type of the input where the value ends
 * @returns {Link | undefined}
 */
export function bypassed(catalogue, scope, node, slot, link, wanted) {
  const { inputs, outputs } = catalogue.view(node, scope.id);
  const type = outputs[slot]?.type ?? link.type;
  const target = wanted ?? type;
  const fits = (/** @type {InputView | undefined} */ input) =>
    input && connectable(type, input.type) && connectable(target, input.type);
  const chosen =
    typeName(target) === "*"
      ? (inputs[slot] ?? inputs[0])
      : fits(inputs[slot])
        ? inputs[slot]
        : (inputs.find((input) => typeName(input.type) === typeName(target)) ?? inputs.find(fits));
  return chosen?.link == null ? undefined : scope.links.get(chosen.link);
}

/**
 * `%date:…%` and `%Node.widget%` in file names; nodes of the same graph come first, then those around it.
 * @param {Catalogue} catalogue @param {Place} start @param {string} text @param {Date} now
 */
function replaceNames(catalogue, start, text, now) {
  return text.replace(/%([^%]+)%/g, (whole, inner) => {
    if (inner.startsWith("date:")) return formatDate(inner.slice(5), now);
    const [name, widgetName, ...more] = inner.split(".");
    if (!widgetName || more.length) return whole;
    for (let place = /** @type {Place | undefined} */ (start); place; place = place.parent) {
      const { scope } = place;
      const nodes = scope.ordered("nodes");
      const node =
        nodes.find((one) => nameForReplacement(one) === name) ?? nodes.find((one) => one.title === name);
      const widget = node && catalogue.view(node, scope.id).widgets.find((one) => one.name === widgetName);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what file names may not hold
      if (widget) return String(widget.value ?? "").replace(/[/?<>\\:*|"\x00-\x1F\x7F]/g, "_");
    }
    return whole;
  });
}

/**
 * @param {GraphNode} node
 * @returns {string | undefined} nodes that write files have no such name of their own accord
 */
function nameForReplacement(node) {
  return node.properties?.["Node name for S&R"] ?? (FILE_NAME_NODES.has(node.type) ? undefined : node.type);
}

/**
 * Nodes that hold values which a run could not send: nothing says under which name.
 * @param {Catalogue} catalogue
 * @returns {{ runId: string, node: GraphNode, values: any[] }[]}
 */
export function unsendable(catalogue) {
  const start = { scope: catalogue.workflow.scope(ROOT), path: [], given: new Map() };
  return executables(catalogue, start).flatMap(({ place, node }) => {
    const values = undeclaredValues(node, catalogue.spec(node, place.scope.id)).unnamed;
    return values.length ? [{ runId: [...place.path, node.id].join(":"), node, values }] : [];
  });
}

/**
 * @param {Workflow} workflow
 * @param {Catalogue} catalogue
 * @returns {Map<string, number>} types that no spec describes, with how often they occur
 */
export function missingTypes(workflow, catalogue) {
  /** @type {Map<string, number>} */ const missing = new Map();
  for (const [id, scope] of workflow.scopes) {
    if (id !== ROOT && !workflow.definitions.has(id)) continue;
    for (const node of scope.nodes.values()) {
      if (!catalogue.interior(node) && !catalogue.library.get(node.type))
        missing.set(node.type, (missing.get(node.type) ?? 0) + 1);
    }
  }
  return missing;
}
