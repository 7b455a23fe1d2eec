/** @import { Change, Definition, GraphNode, Id, Link, Port, Put, WidgetView } from "../types.js" */
/** @import { Interior } from "./group_nodes.js" */
/** @import { Scope } from "./document.js" */
/** @import { Where } from "./edits.js" */
/** A group node of old becomes a subgraph: it can be opened, and sends the very prompt it sent before. */
import { outputViews } from "./catalogue.js";
import { Draft } from "./draft.js";
import { groupOf } from "./group_nodes.js";
import { point } from "./layout.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "./types.js";
import { withValue } from "./values.js";

const STEP = 320; // between members that were filed without places

/** @param {Where} where @param {Id} id @returns {Change | undefined} nothing when the node is no group */
export function groupToSubgraph(where, id) {
  const { catalogue, scope } = where;
  const node = catalogue.workflow.scope(scope).nodes.get(id);
  const interior = node && !catalogue.isInstance(node) ? catalogue.interior(node) : undefined;
  if (!node || !interior) return undefined;
  const type = crypto.randomUUID();
  const { widgets } = catalogue.view(node, scope);
  const draft = new Draft(catalogue, scope);
  const members = interior.scope
    .ordered("nodes")
    .map((member) => placed(withOwnValues(where, member, widgets)));
  draft.put("definitions", type, definitionOf(type, interior, members), "");
  for (const put of contents(type, where, interior.scope, members))
    draft.put(put.kind, put.id, put.value, type);
  const { widgets_values: _, ...rest } = node;
  const shown = widgets.filter(
    (widget) => widget.spec?.inner && widget.kind !== "button" && isShown(where, node, widget),
  );
  draft.put("nodes", id, {
    ...rest,
    type,
    title: node.title ?? interior.definition.name,
    properties: {
      ...node.properties,
      proxyWidgets: shown.map(({ spec }) => [String(spec?.inner?.member), spec?.inner?.name]),
    },
  });
  return { label: "Make a subgraph of the group", puts: draft.puts };
}

/**
 * @param {Where} where
 * @param {GraphNode} node
 * @param {WidgetView} widget
 * @returns {boolean} whether the group shows it outside
 */
function isShown({ catalogue }, node, { spec }) {
  const inner = spec?.inner;
  return (
    !inner ||
    groupOf(catalogue.workflow, node.type)?.config?.[inner.member]?.input?.[inner.name]?.visible !== false
  );
}

/**
 * What the group node holds for a member moves into the member.
 * @param {Where} where
 * @param {GraphNode} member
 * @param {WidgetView[]} widgets of the group node
 * @returns {GraphNode}
 */
function withOwnValues({ catalogue }, member, widgets) {
  return widgets
    .filter(({ spec }) => spec?.inner?.member === member.id)
    .reduce((node, { spec, value, control }) => {
      const name = String(spec?.inner?.name);
      if (node.type === "PrimitiveNode")
        return {
          ...node,
          widgets_values: [
            value,
            ...(Array.isArray(node.widgets_values) ? node.widgets_values.slice(1) : []),
          ],
        };
      const own = catalogue.library.get(node.type);
      if (!own || value === undefined) return node;
      const valued = withValue(node, own, name, value);
      return control ? withValue(valued, own, `${name}/control`, control) : valued;
    }, member);
}

/** @param {GraphNode} member @returns {GraphNode} at a place of its own */
function placed(member) {
  return member.pos ? member : { ...member, pos: [Number(member.id) * STEP, 0] };
}

/** @param {string} type @param {Interior} interior @param {GraphNode[]} members @returns {Definition} */
function definitionOf(type, { definition, scope }, members) {
  const spots = members.map((member) => ({ at: point(member.pos), size: point(member.size ?? [240, 100]) }));
  const left = Math.min(...spots.map(({ at }) => at[0]));
  const top = Math.min(...spots.map(({ at }) => at[1]));
  const right = Math.max(...spots.map(({ at, size }) => at[0] + size[0]));
  const ports = (
    /** @type {Port[]} */ list,
    /** @type {Link[]} */ links,
    /** @type {"origin_slot" | "target_slot"} */ field,
  ) =>
    list.map((port, slot) => ({
      ...port,
      id: crypto.randomUUID(),
      linkIds: links.filter((link) => link[field] === slot).map((link) => link.id),
    }));
  return /** @type {any} */ ({
    id: type,
    version: 1,
    state: {
      lastGroupId: 0,
      lastNodeId: Math.max(...members.map((member) => Number(member.id))),
      lastLinkId: scope.links.size,
      lastRerouteId: 0,
    },
    revision: 0,
    config: {},
    name: definition.name,
    inputNode: { id: INPUT_PORTS, bounding: [left - 240, top, 120, 60 + definition.inputs.length * 22] },
    outputNode: { id: OUTPUT_PORTS, bounding: [right + 120, top, 120, 60 + definition.outputs.length * 22] },
    inputs: ports(definition.inputs, scope.linksFrom(INPUT_PORTS), "origin_slot"),
    outputs: ports(definition.outputs, scope.linksTo(OUTPUT_PORTS), "target_slot"),
    widgets: [],
    nodes: null,
    groups: null,
    links: null,
    extra: {},
  });
}

/**
 * Members and links, each knowing of the other.
 * @param {string} type
 * @param {Where} where
 * @param {Scope} inside
 * @param {GraphNode[]} members
 * @returns {Put[]}
 */
function contents(type, { catalogue }, inside, members) {
  const links = inside
    .ordered("links")
    .map((/** @type {Link} */ link) => ({ ...link, type: linkType(link) }));
  /** @param {Link} link */
  function linkType(link) {
    const origin = inside.nodes.get(link.origin_id);
    const target = inside.nodes.get(link.target_id);
    const given = origin && outputViews(origin, catalogue.library.get(origin.type))[link.origin_slot]?.type;
    return given ?? target?.inputs?.[link.target_slot]?.type ?? "*";
  }
  const nodes = members.map((member) => ({
    ...member,
    outputs: (member.outputs ?? []).map((output, slot) => ({
      ...output,
      links: links
        .filter((link) => link.origin_id === member.id && link.origin_slot === slot)
        .map((link) => link.id),
    })),
  }));
  return [
    ...nodes.map((value) => ({ scope: type, kind: /** @type {const} */ ("nodes"), id: value.id, value })),
    ...links.map((value) => ({ scope: type, kind: /** @type {const} */ ("links"), id: value.id, value })),
  ];
}
