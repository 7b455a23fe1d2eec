/** @import { GraphNode, InputSpec, Spec } from "../types.js" */
/** Widget values in a node of the file: a list by position, an object by name, or both. */
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
  for (const input of spec.inputs) {
    if (!input.widget && !(withForced && input.options.forceInput)) continue;
    found.set(input.name, found.size);
    const controls = controlPlaces(input) || (withForced && !input.widget && input.options.control_after_generate ? 1 : 0);
    if (controls > 0) found.set(`${input.name}/control`, found.size);
    if (controls > 1) found.set(`${input.name}/filter`, found.size);
  }
  return found;
}

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
  const values = spec.inputs.filter((input) => input.widget).flatMap((input) => {
    const controls = controlPlaces(input);
    const rule = input.widget === "int" ? "randomize" : "fixed";
    return [defaultValue(input) ?? null, ...(controls > 0 ? [rule] : []), ...(controls > 1 ? [""] : [])];
  });
  return spec.inputs.some((input) => UPLOADS.some((upload) => input.options[upload])) ? [...values, "image"] : values;
}
