/** @import { GraphNode, InputSpec, Spec } from "../types.js" */
/** Widget values in a node of the file: a list by position, an object by name, or both; and what a control rule makes of one. */
import { controlPlaces, defaultValue } from "./specs.js";

/** Widgets that the reference's editor adds after the node's own and that take a place in the list. */
const UPLOADS = ["image_upload", "video_upload", "audio_upload", "file_upload"];

/** @typedef {Map<string, number>} Places from a widget's name (or `name/control`, `name/filter`) to its place in the list */

/** @param {GraphNode} node @param {Spec} spec @returns {Places} */
export function valuePlaces(node, spec) {
  const listed = Array.isArray(node.widgets_values) ? node.widgets_values.length : -1;
  const forced = places(spec, true);
  return forced.size !== places(spec, false).size && forced.size === listed ? forced : places(spec, false);
}

/**
 * Old files also hold values for inputs that are sockets only (`forceInput`); `withForced` counts those in.
 * @param {Spec} spec @param {boolean} withForced @returns {Places}
 */
function places(spec, withForced) {
  /** @type {Places} */ const found = new Map();
  const uploads = spec.inputs.some((input) => !input.optional && hasUpload(input));
  for (const input of spec.inputs) {
    if (uploads && input.optional && !found.has("upload/button")) found.set("upload/button", found.size);
    if (!input.widget && !(withForced && input.options.forceInput)) continue;
    found.set(input.name, found.size);
    const controls = controlPlaces(input) || (withForced && !input.widget && input.options.control_after_generate ? 1 : 0);
    if (controls > 0) found.set(`${input.name}/control`, found.size);
    if (controls > 1) found.set(`${input.name}/filter`, found.size);
  }
  if (uploads && !found.has("upload/button")) found.set("upload/button", found.size);
  return found;
}

/** @param {InputSpec} input @returns {boolean} the reference's editor adds a button after the required inputs, with a place in the list */
function hasUpload(input) { return UPLOADS.some((upload) => input.options[upload]); }

/**
 * @param {GraphNode} node @param {InputSpec} input @param {Places} places @param {any} [fallback] used instead of the spec's default
 * @param {string} [controlOf] the widget whose control rule is asked for
 * @returns {any}
 */
export function valueOf(node, input, places, fallback, controlOf) {
  const named = node.widgets_values_named;
  if (named && !controlOf && Object.hasOwn(named, input.name)) return named[input.name];
  const values = node.widgets_values;
  if (Array.isArray(values)) {
    const place = places.get(controlOf ? `${controlOf}/control` : input.name);
    if (place !== undefined && place < values.length) return values[place];
  } else if (values && typeof values === "object" && Object.hasOwn(values, input.name)) return values[input.name];
  return fallback === undefined ? defaultValue(input) : fallback;
}

/**
 * @param {GraphNode} node @param {Spec} spec @param {string} name the widget, or `name/control` @param {any} value
 * @returns {GraphNode} a node that differs in this value only
 */
export function withValue(node, spec, name, value) {
  const named = node.widgets_values_named && !name.includes("/") ? { widgets_values_named: { ...node.widgets_values_named, [name]: value } } : {};
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

/** @param {Spec} spec @returns {any[]} what a fresh node holds */
export function defaultValues(spec) {
  /** @type {any[]} */ const values = [];
  for (const [name] of places(spec, false)) values.push(name === "upload/button" ? "image" : name.endsWith("/control") ? controlDefault(spec, name) : name.endsWith("/filter") ? "" : defaultValue(/** @type {InputSpec} */ (spec.inputs.find((input) => input.name === name))) ?? null);
  return values;
}
/** @param {Spec} spec @param {string} name `widget/control` @returns {string} numbers are drawn anew, choices stay */
function controlDefault(spec, name) { return spec.inputs.find((input) => `${input.name}/control` === name)?.widget === "int" ? "randomize" : "fixed"; }

export const CONTROLS = ["fixed", "increment", "decrement", "randomize"];
const LARGEST_EXACT = 1125899906842624; // 2^50: a random seed stays exact in JSON and in JavaScript

/**
 * @param {number} value @param {string} rule @param {Record<string, any>} options the widget's min, max and step
 * @param {() => number} random
 * @returns {number}
 */
export function nextNumber(value, rule, options = {}, random = Math.random) {
  const min = Math.max(-LARGEST_EXACT, options.min ?? 0);
  const max = Math.min(LARGEST_EXACT, options.max ?? LARGEST_EXACT);
  const step = options.step ?? 1;
  if (rule === "increment") return value + step > max ? min : value + step;
  if (rule === "decrement") return value - step < min ? max : value - step;
  if (rule === "randomize") return min + Math.floor(random() * Math.floor((max - min) / step + 1)) * step;
  return value;
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
