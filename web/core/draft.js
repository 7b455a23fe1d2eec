/** @import { GraphNode, Id, Kind, Link, Point, Put, Reroute, Spec } from "../types.js" */
/** @import { Catalogue } from "./catalogue.js" */
/**
 * A change being written: reads see what was put before, nothing reaches the document until the puts are
 * applied.
 */
import { inputViews, outputViews } from "./catalogue.js";
import { chooseBranch } from "./dynamic.js";
import { point } from "./layout.js";
import { INPUT_PORTS, OUTPUT_PORTS, typeName } from "./types.js";
import { defaultValues, withValue } from "./values.js";

export class Draft {
  /** @type {Map<string, Put>} */ #puts = new Map();

  /** @param {Catalogue} catalogue @param {string} scope */
  constructor(catalogue, scope) {
    this.catalogue = catalogue;
    this.workflow = catalogue.workflow;
    this.scope = scope;
  }

  get puts() {
    return [...this.#puts.values()];
  }

  /** @param {Kind} kind @param {Id} id @param {any} value @param {string} [scope] */
  put(kind, id, value, scope = this.scope) {
    const key = `${scope}/${kind}/${typeof id}:${id}`;
    this.#puts.set(key, { scope, kind, id, value });
  }

  /** @param {Kind} kind @param {Id} id @param {string} [scope] @returns {any} */
  get(kind, id, scope = this.scope) {
    const put = this.#puts.get(`${scope}/${kind}/${typeof id}:${id}`);
    if (put) return put.value;
    if (kind === "definitions") return this.workflow.definitions.get(/** @type {string} */ (id));
    if (kind === "head") return this.workflow.head.get(/** @type {string} */ (id));
    return this.workflow.scope(scope)[kind].get(id);
  }

  /** @param {Id} id @returns {GraphNode | undefined} */
  node(id) {
    return this.get("nodes", id);
  }

  /** @param {Id} id @param {Partial<GraphNode>} fields a field given as `undefined` is taken out */
  patch(id, fields) {
    const node = this.node(id);
    if (!node) return;
    const next = { ...node, ...fields };
    for (const [name, value] of Object.entries(fields)) if (value === undefined) delete next[name];
    this.put("nodes", id, next);
  }

  /** @param {(link: Link) => boolean} which @param {Iterable<Link>} base @returns {Link[]} */
  #links(which, base) {
    /** @type {Map<Id, Link>} */ const found = new Map();
    for (const link of base) found.set(link.id, link);
    for (const { scope, kind, id, value } of this.#puts.values()) {
      if (kind !== "links" || scope !== this.scope) continue;
      found.delete(id);
      if (value && which(value)) found.set(id, value);
    }
    return [...found.values()];
  }

  /** @param {Id} id @returns {Link[]} */
  linksFrom(id) {
    return this.#links((link) => link.origin_id === id, this.workflow.scope(this.scope).linksFrom(id));
  }

  /** @param {Id} id @returns {Link[]} */
  linksTo(id) {
    return this.#links((link) => link.target_id === id, this.workflow.scope(this.scope).linksTo(id));
  }

  /** @param {GraphNode} node @returns {Spec | undefined} */
  spec(node) {
    return this.catalogue.spec(node, this.scope);
  }

  /**
   * @param {string} type @param {Point} pos @param {Partial<GraphNode>} [fields]
   * @returns {GraphNode}
   */
  addNode(type, pos, fields = {}) {
    const id = this.workflow.issue(this.scope, "nodes");
    const spec = this.catalogue.spec({ id, type, pos }, this.scope);
    const node = { ...freshNode(id, type, pos, spec), ...fields, id };
    this.put("nodes", id, node);
    return node;
  }

  /**
   * @param {Id} id
   * @param {number} index
   * @returns {boolean} whether the slot number is the node's own or was added now
   */
  #hasInput(id, index) {
    return index >= 0 && Boolean(this.node(id)?.inputs?.[index]);
  }

  /**
   * @param {Id} id
   * @param {string} name
   * @returns {number} the slot number of an input, listed in the node if it was not
   */
  inputSlot(id, name) {
    const node = /** @type {GraphNode} */ (this.node(id));
    const view = inputViews(node, this.spec(node)).find((input) => input.name === name);
    if (!view) return -1;
    if (this.#hasInput(id, view.index)) return view.index;
    const input = {
      name,
      type: view.type,
      ...(view.widget ? { widget: { name: view.widget } } : {}),
      link: null,
    };
    this.put("nodes", id, { ...node, inputs: [...(node.inputs ?? []), input] });
    return node.inputs?.length ?? 0;
  }

  /**
   * Joins an output to an input, in place of what the input had.
   * @param {Id} originId
   * @param {number} originSlot
   * @param {Id} targetId
   * @param {string | number} target the input's name, or its number for ports
   * @param {number} [parentId] the reroute the link comes through
   * @returns {Link | undefined}
   */
  connect(originId, originSlot, targetId, target, parentId) {
    const slot = typeof target === "number" ? target : this.inputSlot(targetId, target);
    if (slot < 0 || originId === targetId) return undefined;
    for (const link of this.linksTo(targetId)) if (link.target_slot === slot) this.disconnect(link);
    const id = this.workflow.issue(this.scope, "links");
    const type = this.#originType(originId, originSlot) ?? "*";
    /** @type {Link} */
    const link = {
      id,
      origin_id: originId,
      origin_slot: originSlot,
      target_id: targetId,
      target_slot: slot,
      type,
      ...(parentId === undefined ? {} : { parentId }),
    };
    this.put("links", id, link);
    this.#attach(link);
    return link;
  }

  /** @param {Id} id @param {number} slot */
  #originType(id, slot) {
    if (id === INPUT_PORTS) return this.get("definitions", this.scope)?.inputs?.[slot]?.type;
    const node = this.node(id);
    return node && outputViews(node, this.spec(node))[slot]?.type;
  }

  /** Both ends and the reroutes learn of the link. @param {Link} link */
  #attach(link) {
    const origin = this.node(link.origin_id);
    if (origin) {
      const outputs = [...(origin.outputs ?? [])];
      const views = outputViews(origin, this.spec(origin));
      for (let index = outputs.length; index <= link.origin_slot; index += 1)
        outputs.push({ name: views[index]?.name ?? "", type: views[index]?.type ?? "*", links: null });
      const output = outputs[link.origin_slot];
      outputs[link.origin_slot] = { ...output, links: [...(output.links ?? []), link.id] };
      this.put("nodes", origin.id, { ...origin, outputs });
    } else this.#portLinks(link.origin_id, link.origin_slot, (ids) => [...ids, link.id]);
    const target = this.node(link.target_id);
    if (target?.inputs)
      this.put("nodes", target.id, {
        ...target,
        inputs: target.inputs.map((input, index) =>
          index === link.target_slot ? { ...input, link: link.id } : input,
        ),
      });
    else this.#portLinks(link.target_id, link.target_slot, (ids) => [...ids, link.id]);
    for (const reroute of this.chain(link))
      this.put("reroutes", reroute.id, { ...reroute, linkIds: [...reroute.linkIds, link.id] });
    this.#adapt(link);
  }

  /** Reroutes and primitives take the type of what they are joined to. @param {Link} link */
  #adapt(link) {
    const target = this.node(link.target_id);
    if (target?.type === "Reroute") {
      const outputs = (target.outputs ?? []).map((output) => ({ ...output, type: link.type }));
      this.put("nodes", target.id, { ...target, outputs });
    }
    const origin = this.node(link.origin_id);
    if (origin?.type !== "PrimitiveNode" || !target) return;
    const input = inputViews(target, this.spec(target)).find((view) => view.index === link.target_slot);
    const values = origin.widgets_values;
    if (!input?.spec?.widget || (Array.isArray(values) && values.length)) return;
    const current = this.catalogue
      .view(target, this.scope)
      .widgets.find((widget) => widget.name === input.widget);
    const controlled = ["int", "float"].includes(input.spec.widget);
    const outputs = [
      {
        ...origin.outputs?.[0],
        name: typeName(input.type),
        type: input.type,
        widget: { name: input.widget },
        links: origin.outputs?.[0]?.links ?? [link.id],
      },
    ];
    this.put("nodes", origin.id, {
      ...origin,
      outputs,
      widgets_values: [current?.value ?? null, ...(controlled ? ["fixed"] : [])],
    });
  }

  /** @param {Id} end @param {number} slot @param {(ids: number[]) => number[]} next */
  #portLinks(end, slot, next) {
    const definition = this.get("definitions", this.scope);
    const field = end === INPUT_PORTS ? "inputs" : end === OUTPUT_PORTS ? "outputs" : undefined;
    if (!definition || !field) return;
    const ports = definition[field].map((/** @type {any} */ port, /** @type {number} */ index) =>
      index === slot ? { ...port, linkIds: next(port.linkIds ?? []) } : port,
    );
    this.put("definitions", this.scope, { ...definition, [field]: ports }, this.scope);
  }

  /**
   * @param {Link} link
   * @returns {Reroute[]} the reroutes a link runs through, from its target back to its origin
   */
  chain(link) {
    const found = [];
    for (let id = link.parentId; id !== undefined && found.length < 1000; ) {
      const reroute = this.get("reroutes", id);
      if (!reroute) break;
      found.push(reroute);
      id = reroute.parentId;
    }
    return found;
  }

  /** @param {Link} link */
  disconnect(link) {
    this.put("links", link.id, undefined);
    const origin = this.node(link.origin_id);
    const without = (/** @type {number[] | null | undefined} */ ids) =>
      (ids ?? []).filter((id) => id !== link.id);
    if (origin?.outputs)
      this.put("nodes", origin.id, {
        ...origin,
        outputs: origin.outputs.map((output, index) =>
          index === link.origin_slot ? { ...output, links: without(output.links) } : output,
        ),
      });
    else this.#portLinks(link.origin_id, link.origin_slot, without);
    const target = this.node(link.target_id);
    if (target?.inputs)
      this.put("nodes", target.id, {
        ...target,
        inputs: target.inputs.map((input) => (input.link === link.id ? { ...input, link: null } : input)),
      });
    else this.#portLinks(link.target_id, link.target_slot, without);
    for (const reroute of this.chain(link)) {
      const linkIds = without(reroute.linkIds);
      this.put("reroutes", reroute.id, linkIds.length ? { ...reroute, linkIds } : undefined);
    }
  }

  /** @param {Id} id @param {string} name @param {any} value @param {string} [scope] */
  setValue(id, name, value, scope = this.scope) {
    const node = this.get("nodes", id, scope);
    const spec = node && this.catalogue.spec(node, scope);
    if (!spec) return;
    if (
      scope === this.scope &&
      spec.inputs.some(
        (/** @type {import("../types.js").InputSpec} */ input) => input.name === name && input.branches,
      )
    )
      chooseBranch(this, id, name, value);
    else this.put("nodes", id, withValue(node, spec, name, value), scope);
  }
}

/**
 * @param {Id} id
 * @param {string} type
 * @param {Point} pos
 * @param {Spec | undefined} spec
 * @returns {GraphNode}
 */
export function freshNode(id, type, pos, spec) {
  const sockets = (spec?.inputs ?? []).filter((input) => !input.widget);
  const widgets = (spec?.inputs ?? []).filter((input) => input.widget && !spec?.virtual);
  const inputs = [
    ...sockets.map((input) => ({
      name: input.name,
      type: input.type,
      ...(input.optional && !spec?.virtual ? { shape: 7 } : {}),
      link: null,
    })),
    ...widgets.map((input) => ({
      name: input.name,
      type: input.type,
      widget: { name: input.name },
      link: null,
    })),
  ];
  const outputs = (spec?.outputs ?? []).map((output) => ({
    name: output.name,
    type: output.type,
    links: null,
  }));
  return {
    id,
    type,
    pos: point(pos),
    size:
      spec?.virtual && type === "Reroute"
        ? [75, 26]
        : [Math.max(210, type.includes("TextEncode") || type.includes("Note") ? 360 : 240), 0],
    flags: {},
    order: 0,
    mode: 0,
    inputs,
    outputs,
    properties: spec?.virtual ? {} : { "Node name for S&R": type },
    ...(spec?.inputs.some((input) => input.widget) ? { widgets_values: defaultValues(spec) } : {}),
  };
}
