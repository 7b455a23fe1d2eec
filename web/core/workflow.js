/** @import { Definition, GraphNode, Link } from "../types.js" */
/** Reading and writing ComfyUI workflow JSON (0.4 and 1.0). What is not understood is kept where it was. */
import { ROOT, Scope, Workflow } from "./document.js";
import { distinctLinks } from "./link_rows.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "./types.js";

/** @param {any} json @returns {boolean} whether this is the editor's format */
export function isWorkflow(json) {
  return (
    Boolean(json) &&
    typeof json === "object" &&
    Array.isArray(json.nodes) &&
    json.nodes.every((/** @type {any} */ node) => node && typeof node === "object" && "type" in node)
  );
}

/** @param {any} json @returns {boolean} whether this is the API format */
export function isPrompt(json) {
  const entries = json && typeof json === "object" && !Array.isArray(json) ? Object.values(json) : [];
  return (
    entries.length > 0 &&
    entries.every((entry) => entry && typeof entry === "object" && typeof entry.class_type === "string")
  );
}

/** @returns {Workflow} an empty one, as we write it */
export function emptyWorkflow(id = crypto.randomUUID()) {
  return readWorkflow({
    id,
    revision: 0,
    last_node_id: 0,
    last_link_id: 0,
    nodes: [],
    links: [],
    groups: [],
    config: {},
    extra: { nodeloom: { control: "before" } },
    version: 0.4,
  });
}

/** @param {any} json @returns {Workflow} */
export function readWorkflow(json) {
  const workflow = new Workflow();
  const { definitions, ...fields } = json;
  for (const [key, value] of Object.entries(json)) workflow.head.set(key, CONTENT.has(key) ? null : value);
  readScope(workflow.root, fields);
  for (const subgraph of definitions?.subgraphs ?? []) {
    if (!subgraph?.id || !Array.isArray(subgraph.nodes)) continue;
    workflow.definitions.set(subgraph.id, shell(subgraph));
    readScope(workflow.scope(subgraph.id), subgraph);
  }
  refuseRings(workflow);
  return workflow;
}

/** A subgraph that contains itself has no end. @param {Workflow} workflow */
function refuseRings(workflow) {
  /** @type {Set<string>} */ const safe = new Set();
  const inner = new Map(
    [...workflow.definitions.keys()].map((id) => [
      id,
      [...workflow.scope(id).nodes.values()]
        .map((node) => node.type)
        .filter((type) => workflow.definitions.has(type)),
    ]),
  );
  for (let round = workflow.definitions.size; round >= 0; round -= 1) {
    const found = [...workflow.definitions.keys()].filter(
      (id) => !safe.has(id) && inner.get(id)?.every((type) => safe.has(type)),
    );
    if (!found.length) break;
    for (const id of found) safe.add(id);
  }
  const ring = [...workflow.definitions].find(([id]) => !safe.has(id));
  if (ring)
    throw new TypeError(
      `The subgraph “${ring[1].name ?? ring[0]}” contains itself; take that node out of it.`,
    );
}

const CONTENT = new Set(["nodes", "links", "groups", "reroutes", "floatingLinks"]);

/** @param {any} subgraph @returns {Definition} its fields, with holes where the contents go */
function shell(subgraph) {
  return /** @type {Definition} */ (
    Object.fromEntries(Object.entries(subgraph).map(([key, value]) => [key, CONTENT.has(key) ? null : value]))
  );
}

/** @param {Scope} scope @param {any} json */
function readScope(scope, json) {
  for (const node of json.nodes) {
    let id = node.id;
    while (id == null || scope.nodes.has(id))
      id = Math.max(0, ...[...scope.nodes.keys()].map((key) => Number(key) || 0)) + 1;
    scope.put({ scope: scope.id, kind: "nodes", id, value: id === node.id ? node : { ...node, id } });
  }
  const extensions = new Map(
    (json.extra?.linkExtensions ?? []).map((/** @type {any} */ one) => [one.id, one.parentId]),
  );
  const rows = listOf(json.links).flatMap((raw) => readLink(raw, extensions) ?? []);
  const distinct = distinctLinks([...scope.nodes.values()], rows);
  for (const node of distinct.nodes)
    if (node !== scope.nodes.get(node.id))
      scope.put({ scope: scope.id, kind: "nodes", id: node.id, value: node });
  for (const link of distinct.links)
    scope.put({ scope: scope.id, kind: "links", id: link.id, value: repaired(link, scope) });
  listOf(json.groups).forEach((group, index) =>
    scope.put({ scope: scope.id, kind: "groups", id: group.id ?? `group ${index}`, value: group }),
  );
  for (const reroute of listOf(json.reroutes ?? json.extra?.reroutes))
    scope.put({ scope: scope.id, kind: "reroutes", id: reroute.id, value: reroute });
  for (const link of listOf(json.floatingLinks))
    scope.put({ scope: scope.id, kind: "floating", id: link.id, value: link });
}

/** @param {any} value @returns {any[]} */
function listOf(value) {
  if (Array.isArray(value)) return value.filter(Boolean);
  return value && typeof value === "object" ? Object.values(value) : [];
}

/** @param {any} raw @param {Map<number, number>} extensions @returns {Link | undefined} */
function readLink(raw, extensions) {
  if (!Array.isArray(raw))
    return raw.parentId === undefined && extensions.has(raw.id)
      ? { ...raw, parentId: extensions.get(raw.id) }
      : raw;
  const [id, origin_id, origin_slot, target_id, target_slot, type, ...rest] = raw;
  if (id == null) return undefined;
  const parentId = extensions.get(id);
  return {
    id,
    origin_id,
    origin_slot,
    target_id,
    target_slot,
    type,
    ...(parentId === undefined ? {} : { parentId }),
    ...(rest.length ? { rest } : {}),
  };
}

/**
 * Old files hold slot numbers from before an input was added; the node's own word counts.
 * @param {Link} link
 * @param {Scope} scope
 * @returns {Link}
 */
function repaired(link, scope) {
  const inputs = scope.nodes.get(link.target_id)?.inputs;
  if (!inputs || inputs[link.target_slot]?.link === link.id) return link;
  const slot = inputs.findIndex((input) => input.link === link.id);
  return slot < 0 ? link : { ...link, target_slot: slot };
}

/** @param {Workflow} workflow @returns {any} the file */
export function writeWorkflow(workflow) {
  const json = writeScope(
    workflow.root,
    Object.fromEntries(workflow.head),
    Number(workflow.head.get("version")) >= 1,
  );
  const touched = (/** @type {string} */ kind) => workflow.issued.has(`${kind}/`);
  if ("last_node_id" in json && touched("nodes"))
    json.last_node_id = Math.max(Number(json.last_node_id) || 0, highest(json.nodes));
  if ("last_link_id" in json && touched("links"))
    json.last_link_id = Math.max(Number(json.last_link_id) || 0, highest([...workflow.root.links.values()]));
  if (json.state && workflow.issued.size) json.state = writeState(json.state, workflow.root);
  if (!workflow.definitions.size) return json;
  const untouched = (json.definitions?.subgraphs ?? []).filter(
    (/** @type {any} */ one) => !one?.id || !Array.isArray(one.nodes),
  );
  const subgraphs = [...workflow.definitions].map(([id, definition]) => {
    const written = writeScope(workflow.scope(id), definition, true);
    return written.state && workflow.issued.size
      ? { ...written, state: writeState(written.state, workflow.scope(id)) }
      : written;
  });
  json.definitions = { ...json.definitions, subgraphs: [...subgraphs, ...untouched] };
  return json;
}

/** @param {{ id?: any }[]} things */
function highest(things) {
  return things.reduce((most, { id }) => Math.max(most, Number(id) || 0), 0);
}

/** @param {any} state @param {Scope} scope */
function writeState(state, scope) {
  const rise = (/** @type {string} */ field, /** @type {Iterable<any>} */ things) =>
    field in state ? { [field]: Math.max(Number(state[field]) || 0, highest([...things])) } : {};
  return {
    ...state,
    ...rise("lastNodeId", scope.nodes.values()),
    ...rise("lastLinkId", scope.links.values()),
    ...rise("lastGroupId", scope.groups.values()),
    ...rise("lastRerouteId", scope.reroutes.values()),
  };
}

/**
 * @param {Scope} scope
 * @param {any} shellOf fields with holes for the contents
 * @param {boolean} objects links as objects
 * @returns {any}
 */
function writeScope(scope, shellOf, objects) {
  const links = scope.ordered("links");
  const json = { ...shellOf, nodes: scope.ordered("nodes"), links: objects ? links : links.map(writeLink) };
  if ("groups" in shellOf || scope.groups.size) json.groups = scope.ordered("groups");
  if ("floatingLinks" in shellOf || scope.floating.size) json.floatingLinks = scope.ordered("floating");
  if ("reroutes" in shellOf || (objects && scope.reroutes.size)) json.reroutes = scope.ordered("reroutes");
  else if (scope.reroutes.size || shellOf.extra?.reroutes)
    json.extra = { ...shellOf.extra, reroutes: scope.ordered("reroutes") };
  if (!objects) {
    const extensions = links
      .filter((link) => link.parentId !== undefined)
      .map(({ id, parentId }) => ({ id, parentId }));
    if (extensions.length || shellOf.extra?.linkExtensions)
      json.extra = { ...json.extra, linkExtensions: extensions };
  }
  return json;
}

/** @param {any} link @returns {any[]} */
function writeLink({ id, origin_id, origin_slot, target_id, target_slot, type, rest = [] }) {
  return [id, origin_id, origin_slot, target_id, target_slot, type, ...rest];
}

/**
 * @param {Scope} scope
 * @param {Link} link
 * @returns {boolean} whether both ends are there and the target knows the link
 */
export function isLive(scope, link) {
  const target =
    link.target_id === OUTPUT_PORTS ||
    scope.nodes.get(link.target_id)?.inputs?.[link.target_slot]?.link === link.id;
  return Boolean(target && (link.origin_id === INPUT_PORTS || scope.nodes.has(link.origin_id)));
}

/**
 * @param {Workflow} workflow
 * @returns {Iterable<{ scope: Scope, node: GraphNode }>} the nodes of the root and of every subgraph
 */
export function* everyNode(workflow) {
  for (const [id, scope] of workflow.scopes) {
    if (id !== ROOT && !workflow.definitions.has(id)) continue;
    for (const node of scope.nodes.values()) yield { scope, node };
  }
}
