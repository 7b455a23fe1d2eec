/** @import { InputSpec, OutputSpec, Spec } from "../types.js" */
/** Node types: from the server's `object_info` to what the editor shows, read one type at a time. */

const WIDGET_KINDS = new Map([
  ["INT", "int"],
  ["FLOAT", "float"],
  ["STRING", "string"],
  ["BOOLEAN", "boolean"],
  ["COMBO", "combo"],
  ["COLOR", "color"],
  ["COMFY_DYNAMICCOMBO_V3", "combo"],
  ["WEBCAM", "webcam"],
  ["AUDIO_RECORD", "recording"],
]);

/** Types that the reference's editor itself puts in place of old or misspelt ones. */
const RENAMED = new Map([
  ["T2IAdapterLoader", "ControlNetLoader"],
  ["ConditioningAverage ", "ConditioningAverage"],
  ["SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning"],
]);

/** Node types that exist only in the editor. */
const VIRTUAL = {
  Reroute: { title: "Reroute", inputs: [["", "*"]], outputs: [["", "*"]], description: "A bend in a link." },
  PrimitiveNode: {
    title: "Primitive",
    inputs: [],
    outputs: [["connect to widget input", "*"]],
    description: "One value for several widgets.",
  },
  Note: { title: "Note", inputs: [], outputs: [], description: "Plain text beside the graph." },
  MarkdownNote: {
    title: "Markdown Note",
    inputs: [],
    outputs: [],
    description: "Formatted text beside the graph.",
  },
};

/**
 * Node types of well-known packs that exist only in the editor: never sent, not offered. `passes`: hands its
 * first input on.
 */
/** @type {Record<string, { inputs: string[][], outputs: string[][], passes?: boolean, named?: boolean }>} */
const PACK_VIRTUAL = {
  "Reroute (rgthree)": { inputs: [["", "*"]], outputs: [["", "*"]], passes: true },
  SetNode: { inputs: [["*", "*"]], outputs: [["*", "*"]], passes: true, named: true },
  GetNode: { inputs: [], outputs: [["*", "*"]], named: true },
  "easy setNode": { inputs: [["*", "*"]], outputs: [["*", "*"]], passes: true, named: true },
  "easy getNode": { inputs: [], outputs: [["*", "*"]], named: true },
  ...Object.fromEntries(
    [
      "Label (rgthree)",
      "Bookmark (rgthree)",
      "Fast Muter (rgthree)",
      "Fast Bypasser (rgthree)",
      "Fast Groups Muter (rgthree)",
      "Fast Groups Bypasser (rgthree)",
      "Fast Actions Button (rgthree)",
      "Node Collector (rgthree)",
      "Mute / Bypass Repeater (rgthree)",
      "Mute / Bypass Relay (rgthree)",
      "Random Unmuter (rgthree)",
    ].map((type) => [type, { inputs: [], outputs: [] }]),
  ),
};

/** Whose value is a text; of the last two, the name of the file that was taken. */
const TEXT_KINDS = ["string", "webcam", "recording"];

export class Library {
  /** @type {Map<string, Spec>} */ #specs = new Map();

  /**
   * @param {Record<string, any>} objectInfo
   * @param {Set<string>} [widgetTypes] types that extensions draw widgets for
   */
  constructor(objectInfo, widgetTypes = new Set()) {
    this.objectInfo = objectInfo;
    this.widgetTypes = widgetTypes;
  }

  /** @param {string} type @returns {Spec | undefined} */
  get(type) {
    const known = this.#specs.get(type);
    if (known) return known;
    const renamed = Object.hasOwn(this.objectInfo, type) ? undefined : RENAMED.get(type);
    if (renamed) return this.get(renamed);
    const spec = Object.hasOwn(VIRTUAL, type)
      ? virtualSpec(type)
      : Object.hasOwn(PACK_VIRTUAL, type)
        ? packSpec(type)
        : Object.hasOwn(this.objectInfo, type)
          ? readSpec(type, this.objectInfo[type], this.widgetTypes)
          : undefined;
    if (spec) this.#specs.set(type, spec);
    return spec;
  }

  /** @returns {Spec[]} every type, the editor's own included */
  all() {
    return [...Object.keys(this.objectInfo), ...Object.keys(VIRTUAL)].map(
      (type) => /** @type {Spec} */ (this.get(type)),
    );
  }
}

/** @param {string} type @returns {Spec} */
function virtualSpec(type) {
  const { title, inputs, outputs, description } = VIRTUAL[/** @type {keyof typeof VIRTUAL} */ (type)];
  const noted = type === "Note" || type === "MarkdownNote";
  const text = {
    name: "text",
    type: "STRING",
    widget: "string",
    options: { multiline: true },
    optional: true,
  };
  return {
    type,
    title,
    description,
    category: "editor",
    outputNode: false,
    deprecated: false,
    experimental: false,
    aliases: [],
    module: "editor",
    virtual: true,
    ...(type === "Reroute" ? { passes: true } : {}),
    inputs: noted
      ? [text]
      : inputs.map(([name, kind]) => ({ name, type: kind, widget: null, options: {}, optional: true })),
    outputs: outputs.map(([name, kind]) => ({ name, type: kind, isList: false })),
  };
}

/** @param {string} type @returns {Spec} */
function packSpec(type) {
  const { inputs, outputs, passes = false, named = false } = PACK_VIRTUAL[type];
  const name = { name: "Constant", type: "STRING", widget: "string", options: {}, optional: true };
  const sockets = inputs.map(([socket, kind]) => ({
    name: socket,
    type: kind,
    widget: null,
    options: {},
    optional: true,
  }));
  return {
    type,
    title: type,
    description: "",
    category: "editor",
    outputNode: false,
    deprecated: false,
    experimental: false,
    aliases: [],
    module: "editor",
    virtual: true,
    passes,
    inputs: named ? [...sockets, name] : sockets,
    outputs: outputs.map(([output, kind]) => ({ name: output, type: kind, isList: false })),
  };
}

/**
 * @param {string} type
 * @param {any} entry one entry of `object_info`
 * @param {Set<string>} widgetTypes
 * @returns {Spec}
 */
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

/**
 * @param {any} entry
 * @param {"required" | "optional"} group
 * @param {Set<string>} widgetTypes
 * @returns {InputSpec[]}
 */
function readInputs(entry, group, widgetTypes) {
  const inputs = entry.input?.[group] ?? {};
  const listed = (entry.input_order?.[group] ?? []).filter((/** @type {string} */ name) =>
    Object.hasOwn(inputs, name),
  );
  const names = [...listed, ...Object.keys(inputs).filter((name) => !listed.includes(name))];
  return names.map((name) => readInput(name, inputs[name], group === "optional", widgetTypes));
}

/**
 * @param {string} name
 * @param {any} entry `[type, options?]`
 * @param {boolean} optional
 * @param {Set<string>} widgetTypes
 * @returns {InputSpec}
 */
export function readInput(name, entry, optional, widgetTypes = new Set()) {
  const [type, given] = Array.isArray(entry) ? entry : [entry, undefined];
  const options = given && typeof given === "object" ? given : {};
  const listed = Array.isArray(type);
  const kind = listed
    ? "combo"
    : (WIDGET_KINDS.get(options.widgetType ?? type) ?? (widgetTypes.has(type) ? `custom:${type}` : null));
  /** @type {InputSpec} */
  const spec = {
    name,
    type: listed ? "COMBO" : plainType(type, options),
    widget: options.forceInput === true ? null : kind,
    options,
    optional,
  };
  if (type === "COMFY_DYNAMICCOMBO_V3") return { ...spec, ...readBranches(name, options, widgetTypes) };
  if (type === "COMFY_AUTOGROW_V3" && options.template)
    return { ...spec, widget: null, grows: readGrowth(name, options.template, widgetTypes) };
  const choices = listed ? type : kind === "combo" ? (options.options ?? []) : undefined;
  return choices ? { ...spec, choices } : spec;
}

/**
 * @param {any} type
 * @param {Record<string, any>} options
 * @returns {any} a type that follows what is connected takes what it allows
 */
function plainType(type, options) {
  if (type !== "COMFY_MATCHTYPE_V3") return type;
  const allowed = options.template?.allowed_types ?? "*";
  return Array.isArray(allowed) ? allowed.join(",") : allowed;
}

/**
 * A choice that brings inputs of its own, named `choice.input`.
 * @param {string} name @param {Record<string, any>} options @param {Set<string>} widgetTypes
 */
function readBranches(name, options, widgetTypes) {
  /** @type {[string, InputSpec[]][]} */
  const branches = (options.options ?? []).map((/** @type {any} */ one) => [
    String(one.key),
    readGroup(one.inputs, (child) => `${name}.${child}`, false, widgetTypes),
  ]);
  return { choices: branches.map(([key]) => key), branches: new Map(branches) };
}

/**
 * Inputs that come one after another, named `group.prefix0`, `group.prefix1` … or by a list of names.
 * @param {string} name @param {any} template @param {Set<string>} widgetTypes
 */
function readGrowth(name, template, widgetTypes) {
  const single =
    Object.values(template.input ?? {}).reduce(
      (count, group) => count + Object.keys(group ?? {}).length,
      0,
    ) === 1;
  const names = Array.isArray(template.names) ? template.names : undefined;
  const min = Number(template.min ?? 1);
  const label = (/** @type {string} */ key, /** @type {number} */ ordinal) =>
    `${name}.${names ? names[ordinal] : `${single ? (template.prefix ?? "") : key}${ordinal}`}`;
  return {
    min,
    max: Number(names?.length ?? template.max ?? 100),
    at: (/** @type {number} */ ordinal) =>
      readGroup(template.input, (key) => label(key, ordinal), ordinal >= min, widgetTypes),
  };
}

/**
 * @param {any} groups `required` and `optional`
 * @param {(key: string) => string} nameOf
 * @param {boolean} optional
 * @param {Set<string>} widgetTypes
 * @returns {InputSpec[]}
 */
function readGroup(groups, nameOf, optional, widgetTypes) {
  const read = (/** @type {string} */ group) =>
    Object.entries(groups?.[group] ?? {}).map(([key, entry]) =>
      readInput(nameOf(key), entry, optional || group === "optional", widgetTypes),
    );
  return [...read("required"), ...read("optional")];
}

/** @param {any} entry @returns {OutputSpec[]} */
function readOutputs(entry) {
  return (entry.output ?? []).map((/** @type {any} */ type, /** @type {number} */ index) => ({
    name: String(entry.output_name?.[index] ?? (Array.isArray(type) ? "COMBO" : type)),
    type: Array.isArray(type) ? "COMBO" : type === "COMFY_MATCHTYPE_V3" ? "*" : type,
    isList: Boolean(entry.output_is_list?.[index]),
    tooltip: entry.output_tooltips?.[index],
    ...(type === "COMFY_MATCHTYPE_V3" ? { follows: true } : {}),
  }));
}

/** @param {InputSpec} input @returns {any} the value a fresh widget shows */
export function defaultValue(input) {
  const { widget, options, choices } = input;
  if (widget === "combo") {
    const value = options.default ?? choices?.[0];
    return options.multiselect || options.multi_select ? (Array.isArray(value) ? value : []) : value;
  }
  if (options.default !== undefined) return options.default;
  if (widget === "int" || widget === "float") return 0;
  if (widget === "boolean") return false;
  return TEXT_KINDS.includes(widget ?? "") ? "" : undefined;
}

/**
 * How many extra places follow a widget's value in `widgets_values`: the rule for what happens after a run,
 * and for choices also a filter on the list.
 * @param {InputSpec} input
 * @returns {number}
 */
export function controlPlaces(input) {
  const asked = input.options.control_after_generate;
  if (input.widget === "int") return (asked ?? ["seed", "noise_seed"].includes(input.name)) ? 1 : 0;
  if (input.widget === "combo") return asked ? 2 : 0;
  return 0;
}
