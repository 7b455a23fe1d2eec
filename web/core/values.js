/** @import { GraphNode, InputSpec, Spec } from "../types.js" */
/**
 * Widget values in a node of the file: a list by position, an object by name, or both; and what a control
 * rule makes of one.
 */
import { clamped, plus } from "./exact.js";
import { controlPlaces, defaultValue } from "./specs.js";

/** Inputs behind which the reference's editor adds a button that takes a place in the list. */
const UPLOADS = ["image_upload", "animated_image_upload", "video_upload", "audio_upload", "file_upload"];
const BUTTON = "upload/button";

/**
 * @typedef {Map<string, number>} Places from a widget's name (or `name/control`, `name/filter`) to its place
 *   in the list
 */

/** @param {GraphNode} node @param {Spec} spec @returns {Places} */
export function valuePlaces(node, spec) {
  const list = Array.isArray(node.widgets_values) ? node.widgets_values : undefined;
  if (spec.definition) return instancePlaces(node, spec, list);
  const forced = list && forcedPlaces(spec);
  return forced && forced.size === list.length ? forced : places(spec, list);
}

/**
 * Old files also hold values for inputs that are sockets only (`forceInput`). The reference's editor tells
 * such a file by the length of its list, in which it counts the rules that a spec asks for in so many words.
 * @param {Spec} spec
 * @returns {Places | undefined} nothing when the spec has no such input
 */
function forcedPlaces(spec) {
  if (!spec.inputs.some((input) => input.options.forceInput)) return undefined;
  /** @type {Places} */ const found = new Map();
  for (const input of spec.inputs) {
    if (!input.widget && !input.options.forceInput) continue;
    found.set(input.name, found.size);
    if (input.options.control_after_generate) found.set(`${input.name}/control`, found.size);
  }
  return found;
}

/**
 * A subgraph's instance lists its values in the order of `proxyWidgets`, where `-1` stands for the instance
 * itself; inputs of its own that are not listed there come first.
 * @param {GraphNode} node
 * @param {Spec} spec
 * @param {any[] | undefined} list
 * @returns {Places}
 */
function instancePlaces(node, spec, list) {
  const pairs = proxyPairs(node);
  const order = pairs.map(({ id, name }, at) => {
    if (isRuleOf(pairs, at)) return undefined;
    if (id === "-1") return name;
    return (
      spec.inputs.find(({ target }) => target?.id === id && target.name === name)?.name ?? `${id}: ${name}`
    );
  });
  const inputs = spec.inputs.filter((input) => !order.includes(input.name));
  const listed = order.map((name, at) => {
    if (name === undefined) return listedWidget(`${order[at - 1]}/control`);
    const input = spec.inputs.find((one) => one.name === name && one.widget);
    if (!input) return listedWidget(name);
    // a rule that is promoted by its own name has its place there
    return isRuleOf(pairs, at + 1)
      ? { ...input, options: { ...input.options, control_after_generate: false } }
      : input;
  });
  return places({ ...spec, inputs: [...inputs, ...listed] }, list ?? []);
}

/**
 * @param {{ id: string, name: string }[]} pairs
 * @param {number} at
 * @returns {boolean} whether a promoted widget is the rule of the one before it
 */
function isRuleOf(pairs, at) {
  return at > 0 && pairs[at]?.name === "control_after_generate" && pairs[at].id === pairs[at - 1].id;
}

/** @param {string} name @returns {InputSpec} a place in the list of values, whatever stands there */
function listedWidget(name) {
  return { name, type: "*", widget: "other", options: {}, optional: true };
}

/**
 * @param {GraphNode} node
 * @returns {{ id: string, name: string, source?: string }[]} the widgets an instance promotes by name
 */
export function proxyPairs(node) {
  const listed = node.properties?.proxyWidgets;
  return (Array.isArray(listed) ? listed : []).filter(Array.isArray).map(([id, name, source]) => ({
    id: String(id),
    name: String(name),
    ...(source == null ? {} : { source: String(source) }),
  }));
}

/**
 * Rules and the upload button have places of their own; a list that holds something else there was written
 * without them.
 * @param {Spec} spec
 * @param {any[]} [list]
 * @returns {Places}
 */
function places(spec, list) {
  /** @type {Places} */ const found = new Map();
  const uploads = spec.inputs.some(
    (input) => !input.optional && UPLOADS.some((upload) => input.options[upload]),
  );
  const firstOptional = spec.inputs.findIndex((input) => input.optional);
  for (const [index, input] of spec.inputs.entries()) {
    if (uploads && index === firstOptional && !buttonIsLast(spec, list, found.size))
      found.set(BUTTON, found.size);
    if (input.type === "LOAD_3D") skipScene(found, list);
    if (!input.widget) continue;
    found.set(input.name, found.size);
    const controls = controlPlaces(input);
    if (!controls || !holdsRule(list, found.size, Boolean(spec.definition))) continue;
    found.set(`${input.name}/control`, found.size);
    if (controls > 1) found.set(`${input.name}/filter`, found.size);
  }
  if (uploads && !found.has(BUTTON)) found.set(BUTTON, found.size);
  return found;
}

const SCENE_BUTTONS = new Set(["upload3dmodel", "uploadExtraResources", "clear", "upload 3d model"]);

/**
 * A scene has buttons before it in files of the reference, then a place of its own.
 * @param {Places} found
 * @param {any[] | undefined} list
 */
function skipScene(found, list) {
  const first = found.size;
  while (SCENE_BUTTONS.has(list?.[found.size])) found.set(`scene/button ${found.size}`, found.size);
  if (found.size > first) found.set("scene/view", found.size);
}

/**
 * @param {any[] | undefined} list
 * @param {number} place
 * @param {boolean} surely only if it is there
 * @returns {boolean} whether a rule stands there, or may
 */
function holdsRule(list, place, surely) {
  if (!list || place >= list.length) return !surely;
  return RULES.has(list[place]) || (!surely && (list[place] == null || typeof list[place] === "boolean"));
}

/**
 * Versions differ in where the button stands: behind the required inputs, or behind all.
 * @param {Spec} spec
 * @param {any[] | undefined} list
 * @param {number} place
 */
function buttonIsLast(spec, list, place) {
  return Boolean(
    list &&
      list[place] !== "image" &&
      list.lastIndexOf("image") >=
        place + spec.inputs.filter((input) => input.optional && input.widget).length,
  );
}

/**
 * @param {GraphNode} node
 * @param {InputSpec} input
 * @param {Places} places
 * @param {any} [fallback] used instead of the spec's default
 * @param {string} [controlOf] the widget whose control rule is asked for
 * @returns {any}
 */
export function valueIn(node, input, places, fallback, controlOf) {
  const named = node.widgets_values_named;
  const values = node.widgets_values;
  const whole = Array.isArray(values) && values.length === places.size;
  if (named && !whole && !controlOf && Object.hasOwn(named, input.name)) return named[input.name];
  if (Array.isArray(values)) {
    const place = places.get(controlOf ? `${controlOf}/control` : input.name);
    if (place !== undefined && place < values.length && (values[place] !== null || fallback === undefined))
      return values[place];
  } else if (values && typeof values === "object" && Object.hasOwn(values, input.name))
    return values[input.name];
  return fallback === undefined ? defaultValue(input) : fallback;
}

/**
 * @param {GraphNode} node
 * @param {Spec} spec
 * @param {string} name the widget, or `name/control`
 * @param {any} value
 * @returns {GraphNode} a node that differs in this value only
 */
export function withValue(node, spec, name, value) {
  const named =
    node.widgets_values_named && !name.includes("/")
      ? { widgets_values_named: { ...node.widgets_values_named, [name]: value } }
      : {};
  const values = node.widgets_values;
  if (values && !Array.isArray(values) && typeof values === "object") {
    const key = name.endsWith("/control") ? "control_after_generate" : name;
    return { ...node, ...named, widgets_values: { ...values, [key]: value } };
  }
  const found = valuePlaces(node, spec);
  const place = found.get(name);
  if (place === undefined) return node;
  const defaults = defaultValues(spec);
  const list = values ? [...values] : defaults;
  for (let index = list.length; index <= place; index += 1) list.push(defaults[index] ?? null);
  list[place] = value;
  return { ...node, ...named, widgets_values: list };
}

/**
 * Values of widgets that no spec declares: a pack's own script makes those in the reference's editor. An
 * object names its values; of a list the file's inputs name them, or the pack's habit does.
 * @param {GraphNode} node
 * @param {Spec | undefined} spec
 * @returns {{ named: Map<string, any>, unnamed: any[] }} `unnamed`: what cannot be sent, as nothing says
 *   under which name
 */
export function undeclaredValues(node, spec) {
  /** @type {Map<string, any>} */ const named = new Map();
  const values = node.widgets_values;
  if (!spec || spec.virtual || spec.definition || spec.module === "group") return { named, unnamed: [] };
  const declared = new Set([...spec.inputs.map(({ name }) => name), "control_after_generate"]);
  const keyed = { ...(Array.isArray(values) ? {} : values), ...node.widgets_values_named };
  // the reference's own types have no further widgets
  const scripted = spec.module.startsWith("custom_nodes");
  const counts = (/** @type {any} */ value) => (scripted ? saysSomething(value) : isStructured(value));
  for (const [name, value] of Object.entries(keyed))
    if (!declared.has(name) && (scripted || isStructured(value))) named.set(name, value);
  if (!Array.isArray(values) || node.widgets_values_named) return { named, unnamed: [] };
  const rest = values.slice(valuePlaces(node, spec).size);
  const filed = (node.inputs ?? []).flatMap(({ widget }) => widget?.name ?? []);
  const names = filed.filter((name) => !declared.has(name));
  if (names.length && names.length === rest.length)
    return { named: new Map(names.map((name, at) => [name, rest[at]])), unnamed: [] };
  /** @type {any[]} */ const unnamed = [];
  for (const value of rest.filter(counts))
    if (isLora(value)) named.set(`lora_${named.size + 1}`, value);
    else unnamed.push(value);
  return { named, unnamed };
}

/**
 * @param {any} value
 * @returns {boolean} one row of rgthree's *Power Lora Loader*, which names them `lora_1`, `lora_2` …
 */
function isLora(value) {
  return isObject(value) && "on" in value && "lora" in value && "strength" in value;
}

/** @param {any} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Rules, buttons and headings take places too. @param {any} value @returns {boolean} */
function saysSomething(value) {
  if (isObject(value)) return Object.keys(value).some((name) => name !== "type");
  if (Array.isArray(value)) return value.length > 0;
  return (
    value != null && value !== "" && value !== "image" && typeof value !== "boolean" && !RULES.has(value)
  );
}

/**
 * @param {any} value
 * @returns {boolean} whether it is more than a number or a text: somebody has set it up
 */
export function isStructured(value) {
  return isObject(value) || (Array.isArray(value) && value.some(isStructured));
}

/** @param {Spec} spec @returns {any[]} what a fresh node holds */
export function defaultValues(spec) {
  /** @type {any[]} */ const values = [];
  for (const [name] of places(spec, spec.definition ? [] : undefined))
    values.push(
      name === BUTTON
        ? "image"
        : name.endsWith("/control")
          ? controlDefault(spec, name)
          : name.endsWith("/filter")
            ? ""
            : (defaultValue(/** @type {InputSpec} */ (spec.inputs.find((input) => input.name === name))) ??
              null),
    );
  return values;
}
/**
 * @param {Spec} spec
 * @param {string} name `widget/control`
 * @returns {string} numbers are drawn anew, choices stay
 */
function controlDefault(spec, name) {
  return spec.inputs.find((input) => `${input.name}/control` === name)?.widget === "int"
    ? "randomize"
    : "fixed";
}

export const CONTROLS = ["fixed", "increment", "decrement", "randomize"];
const RULES = new Set([...CONTROLS, "increment-wrap"]);
const LARGEST_EXACT = 1125899906842624; // 2^50: a random seed stays exact in JSON and in JavaScript

/**
 * @param {number | bigint} value
 * @param {string} rule
 * @param {Record<string, any>} options the widget's min, max and step
 * @param {() => number} random
 * @returns {number | bigint}
 */
export function nextNumber(value, rule, options = {}, random = Math.random) {
  if (typeof value === "bigint" && rule !== "randomize") return nextLarge(value, rule, options);
  const min = Math.max(-LARGEST_EXACT, options.min ?? 0);
  const max = Math.min(LARGEST_EXACT, options.max ?? LARGEST_EXACT);
  const step = options.step ?? 1;
  const from = Number(value);
  if (rule === "increment") return from + step > max ? min : from + step;
  if (rule === "decrement") return from - step < min ? max : from - step;
  if (rule === "randomize") return min + Math.floor(random() * Math.floor((max - min) / step + 1)) * step;
  return value;
}

/**
 * Beyond what JavaScript's numbers can count, up to the widget's own bound.
 * @param {bigint} value
 * @param {string} rule
 * @param {Record<string, any>} options
 * @returns {number | bigint}
 */
function nextLarge(value, rule, { min = 0, max, step = 1 }) {
  const next = plus(value, rule === "increment" ? step : rule === "decrement" ? -step : 0);
  return rule === "fixed" || clamped(BigInt(next), min, max) === next ? next : min;
}

/**
 * @param {any} value @param {string} rule @param {any[]} choices @param {() => number} random
 * @returns {any}
 */
export function nextChoice(value, rule, choices, random = Math.random) {
  if (!choices.length) return value;
  const index = choices.indexOf(value);
  if (rule === "increment") return choices[Math.min(index + 1, choices.length - 1)];
  if (rule === "increment-wrap") return choices[(index + 1) % choices.length];
  if (rule === "decrement") return choices[Math.max(index - 1, 0)];
  return rule === "randomize" ? choices[Math.floor(random() * choices.length)] : value;
}

/** @param {any} rule as files have it: a word, or `true`/`false` in old ones @returns {string} */
export function controlRule(rule) {
  if (rule === true) return "randomize";
  if (rule === false) return "fixed";
  return typeof rule === "string" ? rule : "fixed";
}
