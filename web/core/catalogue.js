/** @import { Definition, GraphNode, Id } from "../types.js" */
/** @import { InputSpec, InputView, OutputView, Spec, WidgetView } from "../types.js" */
/** @import { Scope, Workflow } from "./document.js" */
/** @import { Library } from "./specs.js" */
/**
 * What a node looks like to the rest of the editor: its spec, inputs, outputs and widgets, joined from the
 * file's own words and the server's specs. Answers are remembered by the node object.
 */
import { expanded } from "./dynamic.js";
import { groupInterior, groupOf } from "./group_nodes.js";
import { controlRule, proxyPairs, valueIn, valuePlaces } from "./values.js";
import { controlPlaces } from "./specs.js";
import { INPUT_PORTS, typeName } from "./types.js";

/** @typedef {import("./group_nodes.js").Interior} Interior */
/**
 * @typedef {{ spec: Spec | undefined, inputs: InputView[], outputs: OutputView[], widgets: WidgetView[] }}
 *   NodeView
 */

export class Catalogue {
  /** @type {WeakMap<GraphNode, { revision: number, view: NodeView }>} */ #views = new WeakMap();
  /**
   * @type {WeakMap<object, Map<number, Interior>>} group nodes of old, by the file's words about the group
   */
  #groups = new WeakMap();

  /** @param {Workflow} workflow @param {Library} library */
  constructor(workflow, library) {
    this.workflow = workflow;
    this.library = library;
  }

  /** @param {GraphNode} node @returns {boolean} whether the node is an instance of a subgraph */
  isInstance(node) {
    return this.workflow.definitions.has(node.type);
  }

  /** @param {GraphNode} node @returns {boolean} whether the node is a group node of old */
  isGroup(node) {
    return !this.isInstance(node) && groupOf(this.workflow, node.type) !== undefined;
  }

  /**
   * @param {GraphNode} node
   * @returns {Interior | undefined} what is inside a subgraph's instance or a group node of old
   */
  interior(node) {
    const definition = this.workflow.definitions.get(node.type);
    if (definition) return { definition, scope: this.workflow.scope(definition.id), inputs: [] };
    const group = groupOf(this.workflow, node.type);
    if (!group) return undefined;
    const known = this.#groups.get(group) ?? new Map();
    const count = Array.isArray(node.widgets_values) ? node.widgets_values.length : -1;
    const interior = known.get(count) ?? groupInterior(node.type, group, this.library, count);
    known.set(count, interior);
    this.#groups.set(group, known);
    return interior;
  }

  /** @param {GraphNode} node @param {string} scope where the node is @returns {NodeView} */
  view(node, scope) {
    const known = this.#views.get(node);
    const shifting = node.type === "PrimitiveNode" || this.isInstance(node);
    if (known && (!shifting || known.revision === this.workflow.revision)) return known.view;
    const spec = this.spec(node, scope);
    const inputs = inputViews(node, spec);
    const view = {
      spec,
      inputs,
      outputs: outputViews(node, spec),
      widgets: this.#widgets(node, spec, inputs),
    };
    this.#views.set(node, { revision: this.workflow.revision, view });
    return view;
  }

  /** Forgets everything, after the specs changed. @param {Library} library */
  replace(library) {
    this.library = library;
    this.#views = new WeakMap();
    this.#groups = new WeakMap();
  }

  /**
   * @param {GraphNode} node
   * @param {string} scope
   * @returns {Spec | undefined} nothing when the node's type is missing
   */
  spec(node, scope) {
    const definition = this.workflow.definitions.get(node.type);
    if (definition) return this.#instanceSpec(node, definition);
    const spec = this.library.get(node.type) ?? this.#groupSpec(node);
    if (!spec) return undefined;
    return node.type === "PrimitiveNode"
      ? this.#primitiveSpec(node, spec, scope)
      : withOwnWidgets(expanded(spec, node), node);
  }

  /** @param {GraphNode} node @param {Definition} definition @returns {Spec} */
  #instanceSpec(node, definition) {
    const scope = this.workflow.scope(definition.id);
    const inputs = (definition.inputs ?? []).map((port, index) => {
      const target = this.promoted(scope, index);
      const plain = { name: port.name, type: port.type, widget: null, options: {}, optional: true };
      return target
        ? {
            ...plain,
            ...target.spec,
            name: port.name,
            type: port.type,
            target: { id: String(target.node.id), name: target.name },
          }
        : plain;
    });
    const outputs = (definition.outputs ?? []).map((port) => ({
      name: port.name,
      type: port.type,
      isList: false,
    }));
    return {
      type: definition.id,
      title: String(node.title ?? definition.name ?? "Subgraph"),
      category: "subgraphs",
      description: String(definition.description ?? ""),
      inputs,
      outputs,
      outputNode: false,
      deprecated: false,
      experimental: false,
      aliases: [],
      module: "subgraph",
      definition,
    };
  }

  /** @param {GraphNode} node @returns {Spec | undefined} what a group node of old shows of its members */
  #groupSpec(node) {
    const interior = this.interior(node);
    if (!interior) return undefined;
    const { definition, inputs } = interior;
    return {
      type: node.type,
      title: String(node.title ?? definition.name),
      category: "groups",
      description: "",
      inputs,
      outputs: definition.outputs.map(({ name, type }) => ({ name, type, isList: false })),
      outputNode: false,
      deprecated: false,
      experimental: false,
      aliases: [],
      module: "group",
    };
  }

  /**
   * The widget inside a subgraph that its input number `slot` feeds, if it feeds one.
   * @param {Scope} scope @param {number} slot
   * @returns {{ node: GraphNode, name: string, spec: InputSpec } | undefined}
   */
  promoted(scope, slot) {
    for (const link of scope.linksFrom(INPUT_PORTS)) {
      const node = link.origin_slot === slot ? scope.nodes.get(link.target_id) : undefined;
      if (!node) continue;
      const input = this.view(node, scope.id).inputs.find((view) => view.index === link.target_slot);
      if (!input?.widget) continue;
      if (input.spec?.widget) return { node, name: input.widget, spec: input.spec };
      if (!input.spec) return { node, name: input.widget, spec: unknownWidget(input) };
    }
    return undefined;
  }

  /**
   * @param {GraphNode} node
   * @param {Spec} spec
   * @param {string} scopeId
   * @returns {Spec} the primitive with the widget of what it feeds
   */
  #primitiveSpec(node, spec, scopeId) {
    const target = this.primitiveTarget(node, scopeId);
    const values = Array.isArray(node.widgets_values) ? node.widgets_values : [];
    const input = target ?? (values.length ? guess(values[0]) : undefined);
    if (!input) return spec;
    const controlled = ["int", "float", "combo"].includes(input.widget ?? "");
    const options = { ...input.options, control_after_generate: controlled };
    const kind = input.widget === "float" && controlled ? "float" : input.widget;
    const value = { ...input, name: "value", widget: kind, options, optional: true };
    return {
      ...spec,
      inputs: [value],
      outputs: [{ name: spec.outputs[0].name, type: input.type, isList: false }],
    };
  }

  /**
   * @param {GraphNode} node a primitive
   * @param {string} scopeId
   * @returns {InputSpec | undefined} the first widget input it feeds, through reroutes
   */
  primitiveTarget(node, scopeId) {
    const scope = this.workflow.scope(scopeId);
    const open = scope.linksFrom(node.id);
    for (let steps = 0; open.length && steps < 1000; steps += 1) {
      const link = /** @type {import("../types.js").Link} */ (open.shift());
      const target = scope.nodes.get(link.target_id);
      if (!target) continue;
      if (target.type === "Reroute") open.push(...scope.linksFrom(target.id));
      else {
        const input = inputViews(target, this.spec(target, scopeId)).find(
          (view) => view.index === link.target_slot,
        );
        if (input?.spec?.widget) return input.spec;
      }
    }
    return undefined;
  }

  /**
   * @param {GraphNode} node
   * @param {Spec | undefined} spec
   * @param {InputView[]} inputs
   * @returns {WidgetView[]}
   */
  #widgets(node, spec, inputs) {
    if (!spec) return [];
    const places = valuePlaces(node, spec);
    const own = spec.inputs
      .filter((input) => input.widget && input.widget !== "button")
      .map((input) => {
        const view = inputs.find((candidate) => candidate.spec?.name === input.name);
        const within = spec.definition && this.#within(spec.definition, input.name);
        const filed = places.has(`${input.name}/control`);
        const controlled = controlPlaces(input) > 0 && (!spec.definition || filed);
        return {
          name: input.name,
          label: view?.label ?? input.name,
          kind: String(input.widget),
          options: input.options,
          choices: input.choices,
          value: mended(node, input, valueIn(node, input, places, within?.value)),
          linked: view?.link != null,
          spec: input,
          control: controlled
            ? controlRule(
                valueIn(node, { ...input, name: "control_after_generate" }, places, "fixed", input.name),
              )
            : within?.control,
          ...(controlled || !within ? {} : { ruleIn: within.place }),
        };
      });
    return spec.definition ? [...own, ...this.#proxies(node, spec.definition, places)] : own;
  }

  /**
   * @param {Definition} definition
   * @param {string} name of an input
   * @returns {{ value: any, control?: string, place: import("../types.js").WidgetPlace } | undefined} of the
   *   widget inside that it feeds
   */
  #within(definition, name) {
    const scope = this.workflow.scope(definition.id);
    const slot = definition.inputs.findIndex((port) => port.name === name);
    const target = this.promoted(scope, slot);
    if (!target) return undefined;
    const widget = this.view(target.node, scope.id).widgets.find((one) => one.name === target.name);
    const place = widget?.ruleIn ?? { scope: scope.id, id: target.node.id, name: target.name };
    return {
      value: widget ? widget.value : filedValue(target.node, target.name),
      control: widget?.control,
      place,
    };
  }

  /**
   * Widgets promoted by name (`proxyWidgets`): the value is the instance's where it keeps one, else that of
   * the node inside.
   * @param {GraphNode} node
   * @param {Definition} definition
   * @param {import("./values.js").Places} places
   * @returns {WidgetView[]}
   */
  #proxies(node, definition, places) {
    const spec = this.#instanceSpec(node, definition);
    const scope = this.workflow.scope(definition.id);
    return proxyPairs(node).flatMap((pair) => {
      const inner =
        pair.id === "-1" || isOwn(spec, pair)
          ? undefined
          : (scope.nodes.get(pair.id) ?? scope.nodes.get(Number(pair.id)));
      const widget = inner && promotedWidget(this.view(inner, scope.id).widgets, pair);
      if (!inner || !widget) return [];
      const name = `${pair.id}: ${pair.name}`;
      const place = places.get(name) ?? -1;
      const kept = Array.isArray(node.widgets_values) ? node.widgets_values[place] : undefined;
      const proxy = widget.proxy ?? { scope: scope.id, id: /** @type {Id} */ (inner.id), name: widget.name };
      const own = kept != null;
      const rule = Array.isArray(node.widgets_values)
        ? node.widgets_values[places.get(`${name}/control`) ?? -1]
        : null;
      return [
        {
          ...widget,
          ...(rule == null
            ? { ruleIn: widget.ruleIn ?? proxy }
            : { control: controlRule(rule), ruleIn: undefined }),
          name,
          label: widget.label,
          value: own ? kept : widget.value,
          proxy,
          own,
          route: { id: String(inner.id), name: widget.name },
        },
      ];
    });
  }
}

/**
 * @param {WidgetView[]} widgets
 * @param {{ name: string, source?: string }} pair
 * @returns {WidgetView | undefined} `source` names the node further in
 */
function promotedWidget(widgets, { name, source }) {
  return (
    widgets.find((one) => one.name === name && (source === undefined || !one.proxy)) ??
    widgets.find(
      (one) =>
        one.route?.name === name &&
        (source === undefined || one.route.id === source || String(one.proxy?.id) === source),
    )
  );
}

/**
 * @param {Spec} spec of an instance
 * @param {{ id: string, name: string }} pair
 * @returns {boolean} whether it names the widget that an input of the instance feeds
 */
function isOwn(spec, { id, name }) {
  return spec.inputs.some((input) => input.target?.id === id && input.target.name === name);
}

/**
 * A type of a pack may have a widget of the pack's own kind: the file knows.
 * @param {Spec} spec
 * @param {GraphNode} node
 * @returns {Spec}
 */
function withOwnWidgets(spec, node) {
  const own = (/** @type {InputSpec} */ input) =>
    !input.widget &&
    !input.options.forceInput &&
    (typeName(input.type) !== "*" || input.name.includes(".")) && // one that grew may be given a value too
    node.inputs?.some((filed) => filed.name === input.name && filed.widget && filed.type === input.type);
  if (spec.virtual || spec.module === "group" || !spec.inputs.some(own)) return spec;
  return {
    ...spec,
    inputs: spec.inputs.map((input) => (own(input) ? { ...input, widget: `custom:${input.type}` } : input)),
  };
}

/**
 * Early files of samplers say `sample_euler`.
 * @param {GraphNode} node
 * @param {InputSpec} input
 * @param {any} value
 */
function mended(node, input, value) {
  const early =
    input.name === "sampler_name" &&
    (node.type === "KSampler" || node.type === "KSamplerAdvanced") &&
    typeof value === "string";
  return early && value.startsWith("sample_") ? value.slice("sample_".length) : value;
}

/**
 * Without a spec, the inputs that the file calls widgets tell what its values are.
 * @param {GraphNode} node
 * @param {string} name
 * @returns {any}
 */
function filedValue(node, name) {
  const values = node.widgets_values;
  if (!Array.isArray(values)) return values?.[name];
  return values[
    (node.inputs ?? []).filter((input) => input.widget).findIndex((input) => input.widget?.name === name)
  ];
}

/**
 * @param {InputView} input of a type that no spec describes, which the file calls a widget
 * @returns {InputSpec}
 */
function unknownWidget({ name, type }) {
  const widget =
    { INT: "int", FLOAT: "float", BOOLEAN: "boolean", COMBO: "combo" }[typeName(type)] ?? "string";
  return {
    name,
    type,
    widget,
    options: { control_after_generate: false },
    optional: true,
    ...(widget === "combo" ? { choices: [] } : {}),
  };
}

/** @param {any} value @returns {InputSpec} what a lone primitive's value seems to be */
function guess(value) {
  const [type, widget] =
    typeof value === "number"
      ? ["FLOAT", "float"]
      : typeof value === "boolean"
        ? ["BOOLEAN", "boolean"]
        : ["STRING", "string"];
  return { name: "value", type, widget, options: {}, optional: true };
}

/**
 * Inputs in the order the reference keeps: sockets, then widgets, then what the spec does not know.
 * @param {GraphNode} node @param {Spec | undefined} spec @returns {InputView[]}
 */
export function inputViews(node, spec) {
  const filed = node.inputs ?? [];
  const known = spec?.inputs ?? [];
  const byName = new Map(filed.map((input, index) => [input.name, index]));
  if (spec?.virtual) return filed.map((input, index) => filedInput(input, index, known[index]));
  const declared = [
    ...known.filter((input) => !input.widget),
    ...known.filter((input) => input.widget && !input.options.socketless),
  ];
  const names = new Set(declared.map((input) => input.name));
  const views = declared.map((input) => {
    const index = byName.get(input.name);
    return index === undefined
      ? declaredInput(input)
      : {
          ...filedInput(filed[index], index, input),
          type: input.type,
          widget: input.widget ? input.name : null,
        };
  });
  const extra = filed.flatMap((input, index) =>
    names.has(input.name)
      ? []
      : [
          filedInput(
            input,
            index,
            known.find((one) => one.name === input.name),
          ),
        ],
  );
  return [...views, ...extra];
}

/**
 * @param {import("../types.js").NodeInput} input
 * @param {number} index
 * @param {InputSpec | undefined} spec
 * @returns {InputView}
 */
function filedInput(input, index, spec) {
  return {
    index,
    name: input.name,
    label: String(input.label || input.localized_name || input.name || ""),
    type: input.type,
    link: input.link ?? null,
    widget: input.widget?.name ?? null,
    optional: spec?.optional ?? input.shape === 7,
    shape: input.shape,
    spec,
  };
}

/** @param {InputSpec} spec @returns {InputView} an input the file does not list */
function declaredInput(spec) {
  return {
    index: -1,
    name: spec.name,
    label: spec.name,
    type: spec.type,
    link: null,
    widget: spec.widget ? spec.name : null,
    optional: spec.optional,
    spec,
  };
}

/** @param {GraphNode} node @param {Spec | undefined} spec @returns {OutputView[]} */
export function outputViews(node, spec) {
  const filed = node.outputs ?? [];
  const count = Math.max(filed.length, spec?.outputs.length ?? 0);
  return Array.from({ length: count }, (_, index) => {
    const known = spec?.outputs[index];
    const own = filed[index];
    const name = known?.name ?? own?.name ?? "";
    const type =
      (spec?.virtual && node.type !== "PrimitiveNode") || known?.follows
        ? (own?.type ?? known?.type)
        : (known?.type ?? own?.type);
    return {
      index,
      name,
      label: String(own?.label || own?.localized_name || name || typeName(type)),
      type,
      isList: known?.isList ?? false,
      shape: own?.shape,
    };
  });
}
