/** @import { Change, Id, Link, Point, Port } from "../types.js" */
/** @import { Where } from "./edits.js" */
/** Making a subgraph of chosen nodes, and unpacking one. */
import { outputViews } from "./catalogue.js";
import { Draft } from "./draft.js";
import { layoutOf, nodeBox, point } from "./layout.js";
import { makeRoom } from "./room.js";
import { union } from "./spatial.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "./types.js";

const LETTER = 7; // how wide one is, about

/** @typedef {{ port: Port, links: Link[] }} Boundary one port and the links that cross there */

/**
 * @param {Where} where
 * @param {Id[]} ids
 * @param {string} [name]
 * @param {Id[]} [groups] that go in with their nodes
 * @returns {Change & { id: Id, definition: string }}
 */
export function makeSubgraph(where, ids, name = "New subgraph", groups = []) {
  const { catalogue, scope: scopeId } = where;
  const scope = catalogue.workflow.scope(scopeId);
  const draft = new Draft(catalogue, scopeId);
  const inside = new Set(ids);
  const definition = crypto.randomUUID();
  const incoming = boundaries(
    ids.flatMap((id) => scope.linksTo(id)).filter((link) => !inside.has(link.origin_id)),
    (link) => `${link.origin_id}/${link.origin_slot}`,
    (link) => ({
      name: scope.nodes.get(link.target_id)?.inputs?.[link.target_slot]?.name ?? "input",
      type: link.type,
    }),
  );
  const outgoing = boundaries(
    ids.flatMap((id) => scope.linksFrom(id)).filter((link) => !inside.has(link.target_id)),
    (link) => `${link.origin_id}/${link.origin_slot}`,
    (link) => {
      const node = /** @type {import("../types.js").GraphNode} */ (scope.nodes.get(link.origin_id));
      const view = outputViews(node, catalogue.spec(node, scopeId))[link.origin_slot];
      return { name: view?.label ?? "output", type: view?.type ?? link.type };
    },
  );
  const box = around(ids.map((id) => point(scope.nodes.get(id)?.pos)));
  putContents(draft, definition, name, ids, incoming, outgoing, box);
  for (const id of groups) {
    draft.put("groups", id, scope.groups.get(id), definition);
    draft.put("groups", id, undefined);
  }
  const instance = draft.addNode(definition, [box[0], box[1]], {
    title: name,
    size: [240, 0],
    properties: {},
    inputs: incoming.map(({ port, links }) => ({
      name: port.name,
      type: port.type,
      ...promotion(scope, links[0], port.name),
      link: null,
    })),
    outputs: outgoing.map(({ port }) => ({ name: port.name, type: port.type, links: null })),
  });
  for (const [index, { links }] of incoming.entries())
    draft.connect(links[0].origin_id, links[0].origin_slot, instance.id, incoming[index].port.name);
  for (const [index, { links }] of outgoing.entries()) {
    for (const link of links)
      draft.connect(
        instance.id,
        index,
        link.target_id,
        draft.node(link.target_id)?.inputs?.[link.target_slot]?.name ?? link.target_slot,
      );
  }
  return { label: "Make subgraph", puts: draft.puts, id: instance.id, definition };
}

/**
 * @param {Link[]} links @param {(link: Link) => string} keyOf links of one key share a port
 * @param {(link: Link) => { name: string, type: any }} describe @returns {Boundary[]}
 */
function boundaries(links, keyOf, describe) {
  /** @type {Map<string, Boundary>} */ const found = new Map();
  const names = new Set();
  for (const link of links) {
    const known = found.get(keyOf(link));
    if (known) known.links.push(link);
    else {
      const { name, type } = describe(link);
      let unique = name;
      for (let count = 1; names.has(unique); count += 1) unique = `${name}_${count}`;
      names.add(unique);
      found.set(keyOf(link), {
        port: { id: crypto.randomUUID(), name: unique, type, linkIds: [] },
        links: [link],
      });
    }
  }
  return [...found.values()];
}

/**
 * @param {import("./document.js").Scope} scope
 * @param {Link} link
 * @param {string} name
 * @returns {{ widget?: { name: string } }} an input that feeds a widget shows it on the instance
 */
function promotion(scope, link, name) {
  return scope.nodes.get(link.target_id)?.inputs?.[link.target_slot]?.widget ? { widget: { name } } : {};
}

/** @param {Point[]} points @returns {[number, number, number, number]} */
function around(points) {
  const [left, top] = [Math.min(...points.map(([x]) => x)), Math.min(...points.map(([, y]) => y))];
  return [
    left,
    top,
    Math.max(...points.map(([x]) => x)) - left + 260,
    Math.max(...points.map(([, y]) => y)) - top + 200,
  ];
}

/**
 * Moves the nodes into a new definition; links inside keep their ends, links across end at ports.
 * @param {Draft} draft
 * @param {string} id
 * @param {string} name
 * @param {Id[]} nodes
 * @param {Boundary[]} incoming
 * @param {Boundary[]} outgoing
 * @param {number[]} box
 */
function putContents(draft, id, name, nodes, incoming, outgoing, box) {
  const outer = draft.workflow.scope(draft.scope);
  const originals = nodes.map((node) => draft.node(node));
  const within = nodes
    .flatMap((node) => outer.linksTo(node))
    .filter((link) => nodes.includes(link.origin_id));
  for (const node of nodes) {
    for (const link of [...draft.linksTo(node), ...draft.linksFrom(node)]) draft.disconnect(link);
    draft.put("nodes", node, undefined);
  }
  draft.put(
    "definitions",
    id,
    {
      id,
      version: 1,
      state: { lastGroupId: 0, lastNodeId: 0, lastLinkId: 0, lastRerouteId: 0 },
      revision: 0,
      config: {},
      name,
      inputNode: { id: INPUT_PORTS, bounding: [box[0] - 220, box[1], 120, 60 + incoming.length * 20] },
      outputNode: {
        id: OUTPUT_PORTS,
        bounding: [box[0] + box[2] + 100, box[1], 120, 60 + outgoing.length * 20],
      },
      inputs: incoming.map(({ port }) => port),
      outputs: outgoing.map(({ port }) => port),
      widgets: [],
      nodes: null,
      groups: null,
      links: null,
      extra: {},
    },
    "",
  );
  const inner = new Draft(draft.catalogue, id);
  for (const node of originals) {
    if (!node) continue;
    const bare = {
      ...node,
      inputs: node.inputs?.map((input) => ({ ...input, link: null })),
      outputs: node.outputs?.map((output) => ({ ...output, links: null })),
    };
    inner.put("nodes", node.id, bare);
  }
  inner.put("definitions", id, draft.get("definitions", id, ""), id);
  const nameOf = (/** @type {Link} */ link) =>
    originals.find((node) => node?.id === link.target_id)?.inputs?.[link.target_slot]?.name ?? "";
  for (const link of within) inner.connect(link.origin_id, link.origin_slot, link.target_id, nameOf(link));
  incoming.forEach(({ links }, slot) =>
    links.forEach((link) => inner.connect(INPUT_PORTS, slot, link.target_id, nameOf(link))),
  );
  outgoing.forEach(({ links }, slot) =>
    inner.connect(links[0].origin_id, links[0].origin_slot, OUTPUT_PORTS, slot),
  );
  for (const put of inner.puts)
    draft.put(put.kind, put.id, put.value, put.kind === "definitions" ? "" : put.scope);
}

/**
 * Puts a copy of the contents in place of an instance; what lies around makes room.
 * @param {Where} where
 * @param {Id} id
 * @param {import("./layout.js").Measure} [measure] of texts
 * @returns {Change & { ids: Id[] }}
 */
export function unpackSubgraph(where, id, measure = (text) => text.length * LETTER) {
  const draft = new Draft(where.catalogue, where.scope);
  const { workflow } = where.catalogue;
  const instance = /** @type {import("../types.js").GraphNode} */ (draft.node(id));
  const inner = workflow.scope(instance.type);
  const view = where.catalogue.view(instance, where.scope);
  const boxIn = (/** @type {string} */ scope) => (/** @type {import("../types.js").GraphNode} */ node) =>
    nodeBox(node, layoutOf(node, where.catalogue.view(node, scope), 0, measure));
  const old = boxIn(where.scope)(instance);
  const held = [...inner.nodes.values()]
    .map(boxIn(instance.type))
    .concat([...inner.groups.values()].map(({ bounding }) => bounding));
  const contents = union(held) ?? old;
  const [dx, dy] = [old[0] - contents[0], old[1] - contents[1]];
  const outerTo = draft.linksTo(id);
  const outerFrom = draft.linksFrom(id);
  for (const link of [...outerTo, ...outerFrom]) draft.disconnect(link);
  draft.put("nodes", id, undefined);
  makeRoom(draft, old, [old[0], old[1], contents[2], contents[3]], boxIn(where.scope));
  for (const group of inner.ordered("groups")) {
    const [gx, gy, w, h] = group.bounding;
    const fresh = workflow.issue(where.scope, "groups");
    draft.put("groups", fresh, { ...group, id: fresh, bounding: [gx + dx, gy + dy, w, h] });
  }
  /** @type {Map<Id, Id>} */ const ids = new Map();
  for (const node of inner.ordered("nodes")) {
    const fresh = workflow.issue(where.scope, "nodes");
    const [nx, ny] = point(node.pos);
    ids.set(node.id, fresh);
    draft.put("nodes", fresh, {
      ...node,
      id: fresh,
      pos: [nx + dx, ny + dy],
      inputs: node.inputs?.map((/** @type {any} */ input) => ({ ...input, link: null })),
      outputs: node.outputs?.map((/** @type {any} */ output) => ({ ...output, links: null })),
    });
  }
  const outerInput = (/** @type {number} */ slot) => {
    const index = view.inputs[slot]?.index;
    return outerTo.find((link) => link.target_slot === index);
  };
  for (const link of inner.links.values()) {
    const origin = link.origin_id === INPUT_PORTS ? outerInput(link.origin_slot) : undefined;
    const from = origin ? origin.origin_id : ids.get(link.origin_id);
    const slot = origin ? origin.origin_slot : link.origin_slot;
    if (from === undefined) continue;
    const name = inner.nodes.get(link.target_id)?.inputs?.[link.target_slot]?.name ?? "";
    if (link.target_id !== OUTPUT_PORTS)
      draft.connect(from, slot, /** @type {Id} */ (ids.get(link.target_id)), name);
    else
      for (const outer of outerFrom.filter((one) => one.origin_slot === link.target_slot))
        draft.connect(
          from,
          slot,
          outer.target_id,
          draft.node(outer.target_id)?.inputs?.[outer.target_slot]?.name ?? outer.target_slot,
        );
  }
  for (const widget of view.widgets) {
    const slot = view.inputs.findIndex((input) => input.name === widget.name);
    const target = slot >= 0 && !widget.linked ? where.catalogue.promoted(inner, slot) : undefined;
    if (target) draft.setValue(/** @type {Id} */ (ids.get(target.node.id)), target.name, widget.value);
  }
  return { label: "Unpack subgraph", puts: draft.puts, ids: [...ids.values()] };
}
