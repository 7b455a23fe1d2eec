/** @import { Definition, GraphNode, Id, InputSpec, InputView, OutputView, Spec, WidgetView } from "../types.js" */
/** @import { Scope, Workflow } from "./document.js" */
/** @import { Library } from "./specs.js" */
/**
 * What a node looks like to the rest of the editor: its spec, inputs, outputs and widgets, joined from the file's own
 * words and the server's specs. Answers are remembered by the node object.
 */
import { controlRule, valueOf, valuePlaces } from "./values.js";
import { controlPlaces } from "./specs.js";
import { INPUT_PORTS, typeName } from "./types.js";

/** @typedef {{ spec: Spec | undefined, inputs: InputView[], outputs: OutputView[], widgets: WidgetView[] }} NodeView */

export class Catalogue {
  /** @type {WeakMap<GraphNode, { revision: number, view: NodeView }>} */ #views = new WeakMap();

  /** @param {Workflow} workflow @param {Library} library */
  constructor(workflow, library) {
    this.workflow = workflow;
    this.library = library;
  }

  /** @param {GraphNode} node @returns {boolean} whether the node is an instance of a subgraph */
  isInstance(node) { return this.workflow.definitions.has(node.type); }

  /** @param {GraphNode} node @param {string} scope where the node is @returns {NodeView} */
  view(node, scope) {
    const known = this.#views.get(node);
    const shifting = node.type === "PrimitiveNode" || this.isInstance(node);
    if (known && (!shifting || known.revision === this.workflow.revision)) return known.view;
    const spec = this.spec(node, scope);
    const inputs = inputViews(node, spec);
    const view = { spec, inputs, outputs: outputViews(node, spec), widgets: this.#widgets(node, spec, inputs) };
    this.#views.set(node, { revision: this.workflow.revision, view });
    return view;
  }

  /** Forgets everything, after the specs changed. @param {Library} library */
  replace(library) {
    this.library = library;
    this.#views = new WeakMap();
  }

  /** @param {GraphNode} node @param {string} scope @returns {Spec | undefined} nothing when the node's type is missing */
  spec(node, scope) {
    const definition = this.workflow.definitions.get(node.type);
    if (definition) return this.#instanceSpec(node, definition);
    const spec = this.library.get(node.type);
    return spec && node.type === "PrimitiveNode" ? this.#primitiveSpec(node, spec, scope) : spec;
  }

  /** @param {GraphNode} node @param {Definition} definition @returns {Spec} */
  #instanceSpec(node, definition) {
    const scope = this.workflow.scope(definition.id);
    const inputs = (definition.inputs ?? []).map((port, index) => {
      const target = this.promoted(scope, index);
      const plain = { name: port.name, type: port.type, widget: null, options: {}, optional: true };
      return target ? { ...plain, ...target.spec, name: port.name, type: port.type } : plain;
    });
    const outputs = (definition.outputs ?? []).map((port) => ({ name: port.name, type: port.type, isList: false }));
    return {
      type: definition.id, title: String(node.title ?? definition.name ?? "Subgraph"), category: "subgraphs", description: String(definition.description ?? ""),
      inputs, outputs, outputNode: false, deprecated: false, experimental: false, aliases: [], module: "subgraph", definition,
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
      if (input?.widget && input.spec?.widget) return { node, name: input.widget, spec: input.spec };
    }
    return undefined;
  }

  /** @param {GraphNode} node @param {Spec} spec @param {string} scopeId @returns {Spec} the primitive with the widget of what it feeds */
  #primitiveSpec(node, spec, scopeId) {
    const target = this.primitiveTarget(node, scopeId);
    const values = Array.isArray(node.widgets_values) ? node.widgets_values : [];
    const input = target ?? (values.length ? guess(values[0]) : undefined);
    if (!input) return spec;
    const controlled = ["int", "float", "combo"].includes(input.widget ?? "");
    const options = { ...input.options, control_after_generate: controlled };
    const kind = input.widget === "float" && controlled ? "float" : input.widget;
    const value = { ...input, name: "value", widget: kind, options, optional: true };
    return { ...spec, inputs: [value], outputs: [{ name: spec.outputs[0].name, type: input.type, isList: false }] };
  }

  /** @param {GraphNode} node a primitive @param {string} scopeId @returns {InputSpec | undefined} the first widget input it feeds, through reroutes */
  primitiveTarget(node, scopeId) {
    const scope = this.workflow.scope(scopeId);
    const open = scope.linksFrom(node.id);
    for (let steps = 0; open.length && steps < 1000; steps += 1) {
      const link = /** @type {import("../types.js").Link} */ (open.shift());
      const target = scope.nodes.get(link.target_id);
      if (!target) continue;
      if (target.type === "Reroute") open.push(...scope.linksFrom(target.id));
      else {
        const input = inputViews(target, this.spec(target, scopeId)).find((view) => view.index === link.target_slot);
        if (input?.spec?.widget) return input.spec;
      }
    }
    return undefined;
  }

  /** @param {GraphNode} node @param {Spec | undefined} spec @param {InputView[]} inputs @returns {WidgetView[]} */
  #widgets(node, spec, inputs) {
    if (!spec) return [];
    const places = valuePlaces(node, spec);
    const own = spec.inputs.filter((input) => input.widget).map((input) => {
      const view = inputs.find((candidate) => candidate.spec?.name === input.name);
      const inner = spec.definition ? this.#innerValue(spec.definition, input.name) : undefined;
      return {
        name: input.name, label: view?.label ?? input.name, kind: String(input.widget), options: input.options, choices: input.choices,
        value: valueOf(node, input, places, inner), linked: view?.link != null, spec: input,
        control: controlPlaces(input) ? controlRule(valueOf(node, { ...input, name: "control_after_generate" }, places, "fixed", input.name)) : undefined,
      };
    });
    return spec.definition ? [...own, ...this.#proxies(node, spec.definition)] : own;
  }

  /** @param {Definition} definition @param {string} name @returns {any} the value the inner node of a promoted input has */
  #innerValue(definition, name) {
    const scope = this.workflow.scope(definition.id);
    const slot = definition.inputs.findIndex((port) => port.name === name);
    const target = this.promoted(scope, slot);
    return target && this.view(target.node, scope.id).widgets.find((widget) => widget.name === target.name)?.value;
  }

  /** @param {GraphNode} node @param {Definition} definition @returns {WidgetView[]} widgets promoted by name (`proxyWidgets`) */
  #proxies(node, definition) {
    const scope = this.workflow.scope(definition.id);
    const named = node.properties?.proxyWidgets;
    if (!Array.isArray(named)) return [];
    return named.flatMap(([id, name]) => {
      const inner = scope.nodes.get(id) ?? scope.nodes.get(Number(id));
      const widget = inner && this.view(inner, scope.id).widgets.find((candidate) => candidate.name === name);
      if (!inner || !widget) return [];
      const proxy = widget.proxy ?? { scope: scope.id, id: /** @type {Id} */ (inner.id), name };
      return [{ ...widget, name: `${id}: ${name}`, label: widget.label, proxy }];
    });
  }
}

/** @param {any} value @returns {InputSpec} what a lone primitive's value seems to be */
function guess(value) {
  const [type, widget] = typeof value === "number" ? ["FLOAT", "float"] : typeof value === "boolean" ? ["BOOLEAN", "boolean"] : ["STRING", "string"];
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
  const declared = [...known.filter((input) => !input.widget), ...known.filter((input) => input.widget && !input.options.socketless)];
  const names = new Set(declared.map((input) => input.name));
  const views = declared.map((input) => {
    const index = byName.get(input.name);
    return index === undefined ? declaredInput(input) : { ...filedInput(filed[index], index, input), type: input.type, widget: input.widget ? input.name : null };
  });
  const extra = filed.flatMap((input, index) => (names.has(input.name) ? [] : [filedInput(input, index, known.find((one) => one.name === input.name))]));
  return [...views, ...extra];
}

/** @param {import("../types.js").NodeInput} input @param {number} index @param {InputSpec | undefined} spec @returns {InputView} */
function filedInput(input, index, spec) {
  return {
    index, name: input.name, label: String(input.label || input.localized_name || input.name || ""), type: input.type, link: input.link ?? null,
    widget: input.widget?.name ?? null, optional: spec?.optional ?? input.shape === 7, shape: input.shape, spec,
  };
}

/** @param {InputSpec} spec @returns {InputView} an input the file does not list */
function declaredInput(spec) {
  return { index: -1, name: spec.name, label: spec.name, type: spec.type, link: null, widget: spec.widget ? spec.name : null, optional: spec.optional, spec };
}

/** @param {GraphNode} node @param {Spec | undefined} spec @returns {OutputView[]} */
export function outputViews(node, spec) {
  const filed = node.outputs ?? [];
  const count = Math.max(filed.length, spec?.outputs.length ?? 0);
  return Array.from({ length: count }, (_, index) => {
    const known = spec?.outputs[index];
    const own = filed[index];
    const name = known?.name ?? own?.name ?? "";
    const type = spec?.virtual && node.type !== "PrimitiveNode" ? own?.type ?? known?.type : known?.type ?? own?.type;
    return { index, name, label: String(own?.label || own?.localized_name || name || typeName(type)), type, isList: known?.isList ?? false, shape: own?.shape };
  });
}
