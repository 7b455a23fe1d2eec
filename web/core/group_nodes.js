/** @import { Definition, GraphNode, InputSpec, Port } from "../types.js" */
/** @import { Workflow } from "./document.js" */
/** @import { Library } from "./specs.js" */
/**
 * Group nodes of old files (`extra.groupNodes`), given the shape of a subgraph: members by position, links by
 * position, and an outside made of whatever nothing inside feeds or takes.
 */
import { Scope } from "./document.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "./types.js";
import { valueIn, valuePlaces } from "./values.js";

/**
 * @typedef {{ definition: Definition, scope: Scope, inputs: InputSpec[] }} Interior `inputs`: what a group
 *   node shows, with the member behind each widget
 */
/** @typedef {{ name: string, type: any, member: number, slot: number }} Slot */

const PREFIX = /^workflow[>/]/;

/**
 * @param {Workflow} workflow
 * @param {string} type
 * @returns {any} the file's words about a group, if the type is one
 */
export function groupOf(workflow, type) {
  if (!PREFIX.test(type)) return undefined;
  const groups = workflow.head.get("extra")?.groupNodes;
  const name = type.replace(PREFIX, "");
  return groups && Object.hasOwn(groups, name) && Array.isArray(groups[name]?.nodes)
    ? groups[name]
    : undefined;
}

/**
 * @param {string} type
 * @param {any} group
 * @param {Library} library
 * @param {number} count how many values the group node lists
 * @returns {Interior}
 */
export function groupInterior(type, group, library, count) {
  const strict = outside(group, library, true);
  const chosen =
    count < 0 || places(strict.widgets) === count
      ? strict
      : ([outside(group, library, false)].find((one) => places(one.widgets) === count) ?? strict);
  const outputs = outputsOf(group);
  const scope = fill(type, group, chosen.slots, outputs);
  const port = (/** @type {Slot} */ { name, type: kind }, /** @type {number} */ index) =>
    /** @type {Port} */ ({ id: String(index), name, type: kind });
  const definition = /** @type {Definition} */ ({
    id: type,
    name: type.replace(PREFIX, ""),
    inputs: chosen.slots.map(port),
    outputs: outputs.map(port),
    inputNode: { id: INPUT_PORTS, bounding: [0, 0, 0, 0] },
    outputNode: { id: OUTPUT_PORTS, bounding: [0, 0, 0, 0] },
  });
  const sockets = chosen.slots.map(({ name, type: kind }) => ({
    name,
    type: kind,
    widget: null,
    options: {},
    optional: true,
  }));
  return { definition, scope, inputs: [...sockets, ...chosen.widgets] };
}

/** @param {InputSpec[]} widgets @returns {number} how many values they take in a list */
function places(widgets) {
  return valuePlaces(/** @type {GraphNode} */ ({}), /** @type {any} */ ({ inputs: widgets })).size;
}

/**
 * @param {any} group
 * @param {Library} library
 * @param {boolean} converted whether a widget that the member lists as an input was made a socket
 * @returns {{ slots: Slot[], widgets: InputSpec[] }}
 */
function outside(group, library, converted) {
  const fed = new Set(inner(group).map(([, , member, slot]) => `${member}/${slot}`));
  const names = new Names();
  /** @type {Slot[]} */ const slots = [];
  /** @type {Slot[]} */ const last = [];
  /** @type {InputSpec[]} */ const widgets = [];
  group.nodes.forEach((/** @type {GraphNode} */ node, /** @type {number} */ member) => {
    const hidden = (/** @type {string} */ name) => group.config?.[member]?.input?.[name]?.visible === false;
    const given = (/** @type {string} */ name) => group.config?.[member]?.input?.[name]?.name;
    for (const input of memberWidgets(group, node, member, library)) {
      const slot = node.inputs?.findIndex((one) => one.widget?.name === input.name) ?? -1;
      if (slot >= 0 && (converted || fed.has(`${member}/${slot}`))) continue;
      widgets.push({
        ...input,
        name:
          input.widget === "button"
            ? `${member}/${input.name}`
            : names.take(node, input.name, given(input.name)),
        optional: true,
        inner: { member, name: input.name },
      });
    }
    (node.inputs ?? []).forEach((input, slot) => {
      if (fed.has(`${member}/${slot}`) || hidden(input.name) || (input.widget && !converted)) return;
      (input.widget ? last : slots).push({
        name: names.take(node, input.name, given(input.name), input.label),
        type: input.type,
        member,
        slot,
      });
    });
  });
  return { slots: [...slots, ...last], widgets };
}

/** Names on the outside are unique: one that is taken gets its node's title in front. */
class Names {
  /** @type {Map<string, number>} */ #seen = new Map();

  /**
   * @param {GraphNode} node
   * @param {string} own
   * @param {string} [given]
   * @param {string} [label]
   * @returns {string}
   */
  take(node, own, given, label) {
    const plain = given ?? label ?? own;
    const titled = this.#seen.has(plain) || (node.type === "PrimitiveNode" && Boolean(node.title));
    const key = titled ? `${node.title ?? node.type} ${own}` : plain;
    const count = this.#seen.get(key);
    this.#seen.set(key, (count ?? 1) + 1);
    return count === undefined ? key : `${node.title ?? node.type} ${count} ${own}`;
  }
}

const UPLOADS = ["image_upload", "animated_image_upload", "video_upload"];

/**
 * @param {any} group
 * @param {GraphNode} node
 * @param {number} member
 * @param {Library} library
 * @returns {InputSpec[]} its widgets with the values it has, an upload button among them
 */
function memberWidgets(group, node, member, library) {
  const spec = library.get(node.type);
  if (node.type === "PrimitiveNode") return primitiveWidget(group, member, library);
  if (!spec || spec.virtual) return [];
  const widgets = spec.inputs.filter((input) => input.widget);
  const upload = widgets.some((input) => !input.optional && UPLOADS.some((kind) => input.options[kind]));
  const places = valuePlaces(node, spec);
  const plain = widgets.map((input) => ({
    ...input,
    options: withoutUploads({ ...input.options, default: valueIn(node, input, places) }),
  }));
  return upload
    ? [...plain, { name: "upload", type: "", widget: "button", options: {}, optional: true }]
    : plain;
}

/** @param {Record<string, any>} options @returns {Record<string, any>} the button has an entry of its own */
function withoutUploads(options) {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !UPLOADS.includes(name)));
}

/**
 * @param {any} group
 * @param {number} member
 * @param {Library} library
 * @returns {InputSpec[]} a primitive has the widget of what it feeds
 */
function primitiveWidget(group, member, library) {
  for (const [origin, , target, slot] of inner(group)) {
    if (origin !== member) continue;
    const name = group.nodes[target]?.inputs?.[slot]?.widget?.name;
    const input = library
      .get(group.nodes[target]?.type)
      ?.inputs.find((one) => one.widget && one.name === name);
    const value = group.nodes[member].widgets_values?.[0];
    if (input)
      return [
        {
          ...input,
          name: "value",
          options: {
            ...input.options,
            ...(value === undefined ? {} : { default: value }),
            control_after_generate: ["int", "float", "combo"].includes(String(input.widget)),
          },
        },
      ];
  }
  return [];
}

/** @param {any} group @returns {number[][]} links between members */
function inner(group) {
  return (group.links ?? []).filter(
    (/** @type {any} */ link) => Array.isArray(link) && link[0] != null && link[2] != null,
  );
}

/** @param {any} group @returns {Slot[]} outputs that nothing inside takes, or that are said to be shown */
function outputsOf(group) {
  const taken = new Set(inner(group).map(([member, slot]) => `${member}/${slot}`));
  const external = new Set(
    (group.external ?? []).map((/** @type {any[]} */ [member, slot]) => `${member}/${slot}`),
  );
  return group.nodes.flatMap((/** @type {GraphNode} */ node, /** @type {number} */ member) =>
    (node.outputs ?? []).flatMap((output, slot) => {
      const key = `${member}/${slot}`;
      const shown = group.config?.[member]?.output?.[slot]?.visible ?? (!taken.has(key) || external.has(key));
      return shown
        ? [{ name: String(output.label ?? output.name ?? ""), type: output.type, member, slot }]
        : [];
    }),
  );
}

/** @param {string} type @param {any} group @param {Slot[]} slots @param {Slot[]} outputs @returns {Scope} */
function fill(type, group, slots, outputs) {
  const scope = new Scope(type);
  const ends = [
    ...inner(group).map(([origin, from, target, to]) => [origin, from, target, to]),
    ...slots.map(({ member, slot }, index) => [INPUT_PORTS, index, member, slot]),
    ...outputs.map(({ member, slot }, index) => [member, slot, OUTPUT_PORTS, index]),
  ];
  /** @type {Map<string, number>} */ const feeding = new Map();
  ends.forEach(([origin_id, origin_slot, target_id, target_slot], index) => {
    const link = { id: index + 1, origin_id, origin_slot, target_id, target_slot, type: "*" };
    scope.put({ scope: type, kind: "links", id: link.id, value: link });
    feeding.set(`${target_id}/${target_slot}`, link.id);
  });
  group.nodes.forEach((/** @type {GraphNode} */ node, /** @type {number} */ member) => {
    const inputs = (node.inputs ?? []).map((input, slot) => ({
      ...input,
      link: feeding.get(`${member}/${slot}`) ?? null,
    }));
    scope.put({ scope: type, kind: "nodes", id: member, value: { ...node, id: member, inputs } });
  });
  return scope;
}
