/** @import { InputSpec, OutputSpec, Spec } from "../types.js" */
/** Node types: from the server's `object_info` to what the editor shows, read one type at a time. */

const WIDGET_KINDS = new Map([
  ["INT", "int"], ["FLOAT", "float"], ["STRING", "string"], ["BOOLEAN", "boolean"], ["COMBO", "combo"], ["COLOR", "color"],
]);

/** Node types that exist only in the editor. */
const VIRTUAL = {
  Reroute: { title: "Reroute", inputs: [["", "*"]], outputs: [["", "*"]], description: "A bend in a link." },
  PrimitiveNode: { title: "Primitive", inputs: [], outputs: [["connect to widget input", "*"]], description: "One value for several widgets." },
  Note: { title: "Note", inputs: [], outputs: [], description: "Plain text beside the graph." },
  MarkdownNote: { title: "Markdown Note", inputs: [], outputs: [], description: "Formatted text beside the graph." },
};

export class Library {
  /** @type {Map<string, Spec>} */ #specs = new Map();

  /** @param {Record<string, any>} objectInfo @param {Set<string>} [widgetTypes] types that extensions draw widgets for */
  constructor(objectInfo, widgetTypes = new Set()) {
    this.objectInfo = objectInfo;
    this.widgetTypes = widgetTypes;
  }

  /** @param {string} type @returns {Spec | undefined} */
  get(type) {
    const known = this.#specs.get(type);
    if (known) return known;
    const spec = Object.hasOwn(VIRTUAL, type) ? virtualSpec(type)
      : Object.hasOwn(this.objectInfo, type) ? readSpec(type, this.objectInfo[type], this.widgetTypes) : undefined;
    if (spec) this.#specs.set(type, spec);
    return spec;
  }

  /** @returns {Spec[]} every type, the editor's own included */
  all() {
    return [...Object.keys(this.objectInfo), ...Object.keys(VIRTUAL)].map((type) => /** @type {Spec} */ (this.get(type)));
  }
}

/** @param {string} type @returns {Spec} */
function virtualSpec(type) {
  const { title, inputs, outputs, description } = VIRTUAL[/** @type {keyof typeof VIRTUAL} */ (type)];
  const noted = type === "Note" || type === "MarkdownNote";
  const text = { name: "text", type: "STRING", widget: "string", options: { multiline: true }, optional: true };
  return {
    type, title, description, category: "editor", outputNode: false, deprecated: false, experimental: false,
    aliases: [], module: "editor", virtual: true,
    inputs: noted ? [text] : inputs.map(([name, kind]) => ({ name, type: kind, widget: null, options: {}, optional: true })),
    outputs: outputs.map(([name, kind]) => ({ name, type: kind, isList: false })),
  };
}

/** @param {string} type @param {any} entry one entry of `object_info` @param {Set<string>} widgetTypes @returns {Spec} */
export function readSpec(type, entry, widgetTypes = new Set()) {
  return {
    type,
    title: String(entry.display_name || entry.name || type),
    category: String(entry.category ?? ""),
    description: String(entry.description ?? ""),
    inputs: [...readInputs(entry, "required", widgetTypes), ...readInputs(entry, "optional", widgetTypes)],
    outputs: readOutputs(entry),
    outputNode: Boolean(entry.output_node),
    deprecated: Boolean(entry.deprecated),
    experimental: Boolean(entry.experimental),
    aliases: Array.isArray(entry.search_aliases) ? entry.search_aliases.map(String) : [],
    module: String(entry.python_module ?? "nodes"),
  };
}

/** @param {any} entry @param {"required" | "optional"} group @param {Set<string>} widgetTypes @returns {InputSpec[]} */
function readInputs(entry, group, widgetTypes) {
  const inputs = entry.input?.[group] ?? {};
  const listed = (entry.input_order?.[group] ?? []).filter((/** @type {string} */ name) => Object.hasOwn(inputs, name));
  const names = [...listed, ...Object.keys(inputs).filter((name) => !listed.includes(name))];
  return names.map((name) => readInput(name, inputs[name], group === "optional", widgetTypes));
}

/** @param {string} name @param {any} entry `[type, options?]` @param {boolean} optional @param {Set<string>} widgetTypes @returns {InputSpec} */
export function readInput(name, entry, optional, widgetTypes = new Set()) {
  const [type, given] = Array.isArray(entry) ? entry : [entry, undefined];
  const options = given && typeof given === "object" ? given : {};
  const listed = Array.isArray(type);
  const kind = listed ? "combo" : WIDGET_KINDS.get(options.widgetType ?? type) ?? (widgetTypes.has(type) ? `custom:${type}` : null);
  const forced = options.forceInput === true || options.rawLink === true;
  const spec = { name, type: listed ? "COMBO" : type, widget: forced ? null : kind, options, optional };
  const choices = listed ? type : kind === "combo" ? options.options ?? [] : undefined;
  return choices ? { ...spec, choices } : spec;
}

/** @param {any} entry @returns {OutputSpec[]} */
function readOutputs(entry) {
  return (entry.output ?? []).map((/** @type {any} */ type, /** @type {number} */ index) => ({
    name: String(entry.output_name?.[index] ?? (Array.isArray(type) ? "COMBO" : type)),
    type: Array.isArray(type) ? "COMBO" : type,
    isList: Boolean(entry.output_is_list?.[index]),
    tooltip: entry.output_tooltips?.[index],
  }));
}

/** @param {InputSpec} input @returns {any} the value a fresh widget shows */
export function defaultValue(input) {
  const { widget, options, choices } = input;
  if (widget === "combo") {
    const value = options.default ?? choices?.[0];
    return options.multiselect ? (Array.isArray(value) ? value : []) : value;
  }
  if (options.default !== undefined) return options.default;
  if (widget === "int" || widget === "float") return 0;
  if (widget === "boolean") return false;
  return widget === "string" ? "" : undefined;
}

/**
 * How many extra places follow a widget's value in `widgets_values`: the rule for what happens after a run, and for
 * choices also a filter on the list.
 * @param {InputSpec} input @returns {number}
 */
export function controlPlaces(input) {
  const asked = input.options.control_after_generate;
  if (input.widget === "int") return (asked ?? ["seed", "noise_seed"].includes(input.name)) ? 1 : 0;
  if (input.widget === "combo") return asked ? 2 : 0;
  return 0;
}
