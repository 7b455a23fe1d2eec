/** @import { Change, Definition, Group, GraphNode, Id, Link, Point } from "../types.js" */
/** @import { Where } from "./edits.js" */
/** Copy and paste: a piece of a graph as plain JSON, so that it crosses tabs and windows. */
import { Draft } from "./draft.js";
import { parseExact } from "./exact.js";
import { point } from "./layout.js";

/**
 * @typedef {{ nodeloom: "clip", nodes: GraphNode[], links: Link[], groups: Group[], definitions: any[] }}
 *   Clip
 */

/** @param {Where} where @param {Iterable<Id>} ids @param {Iterable<Id>} [groups] @returns {Clip} */
export function copy({ catalogue, scope: scopeId }, ids, groups = []) {
  const { workflow } = catalogue;
  const scope = workflow.scope(scopeId);
  const chosen = new Set(ids);
  const nodes = [...chosen].flatMap((id) => scope.nodes.get(id) ?? []);
  const links = nodes
    .flatMap((node) => scope.linksTo(node.id))
    .map(({ parentId: _, ...link }) => /** @type {Link} */ (link));
  const used = [...new Set(nodes.map((node) => node.type))].flatMap((type) => definitionTree(workflow, type));
  return {
    nodeloom: "clip",
    nodes,
    links,
    groups: [...groups].flatMap((id) => scope.groups.get(id) ?? []),
    definitions: [...new Map(used.map((one) => [one.id, one])).values()],
  };
}

/**
 * @param {import("./document.js").Workflow} workflow
 * @param {string} type
 * @returns {any[]} the definition and those inside it, with contents
 */
function definitionTree(workflow, type, depth = 0) {
  const definition = workflow.definitions.get(type);
  if (!definition || depth > 64) return [];
  const scope = workflow.scope(type);
  const own = {
    ...definition,
    nodes: scope.ordered("nodes"),
    links: scope.ordered("links"),
    groups: scope.ordered("groups"),
    reroutes: scope.ordered("reroutes"),
  };
  return [own, ...own.nodes.flatMap((node) => definitionTree(workflow, node.type, depth + 1))];
}

/** @param {string} text @returns {Clip | undefined} */
export function parseClip(text) {
  if (!text.startsWith("{")) return undefined;
  try {
    const clip = parseExact(text);
    return clip?.nodeloom === "clip" && Array.isArray(clip.nodes) ? clip : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Where} where
 * @param {Clip} clip
 * @param {Point} at where the top left goes
 * @param {boolean} [keepLinks] also links from nodes that were not copied
 * @returns {Change & { ids: Id[] }}
 */
export function paste(where, clip, at, keepLinks = false) {
  const draft = new Draft(where.catalogue, where.scope);
  const corners = [
    ...clip.nodes.map((node) => point(node.pos)),
    ...clip.groups.map(({ bounding }) => /** @type {Point} */ ([bounding[0], bounding[1]])),
  ];
  const left = Math.min(...corners.map(([x]) => x));
  const top = Math.min(...corners.map(([, y]) => y));
  const shift = ([x, y] = [0, 0]) => /** @type {Point} */ ([at[0] + x - left, at[1] + y - top]);
  for (const definition of clip.definitions) putDefinition(draft, definition);
  /** @type {Map<Id, Id>} */ const ids = new Map();
  for (const node of clip.nodes) ids.set(node.id, pasteNode(draft, node, shift(point(node.pos))));
  for (const link of clip.links) {
    const target = ids.get(link.target_id);
    const origin =
      ids.get(link.origin_id) ?? (keepLinks && draft.node(link.origin_id) ? link.origin_id : undefined);
    const name = clip.nodes.find((node) => node.id === link.target_id)?.inputs?.[link.target_slot]?.name;
    if (target !== undefined && origin !== undefined && name !== undefined)
      draft.connect(origin, link.origin_slot, target, name);
  }
  for (const group of clip.groups) {
    const id = draft.workflow.issue(where.scope, "groups");
    const [x, y] = shift([group.bounding[0], group.bounding[1]]);
    draft.put("groups", id, { ...group, id, bounding: [x, y, group.bounding[2], group.bounding[3]] });
  }
  return { label: `Paste ${clip.nodes.length} nodes`, puts: draft.puts, ids: [...ids.values()] };
}

/** @param {Draft} draft @param {GraphNode} node @param {Point} pos @returns {Id} */
function pasteNode(draft, node, pos) {
  const id = draft.workflow.issue(draft.scope, "nodes");
  const bare = {
    ...node,
    id,
    pos,
    inputs: (node.inputs ?? []).map((input) => ({ ...input, link: null })),
    outputs: (node.outputs ?? []).map((output) => ({ ...output, links: null })),
  };
  draft.put("nodes", id, bare);
  return id;
}

/**
 * @param {Draft} draft
 * @param {any} definition one with its contents; kept as it is when the document has it
 */
export function putDefinition(draft, definition) {
  if (draft.get("definitions", definition.id)) return;
  const { nodes, links, groups = [], reroutes = [], ...fields } = definition;
  draft.put(
    "definitions",
    definition.id,
    /** @type {Definition} */ ({ ...fields, nodes: null, links: null, groups: null }),
    "",
  );
  for (const node of nodes) draft.put("nodes", node.id, node, definition.id);
  for (const link of links) draft.put("links", link.id, link, definition.id);
  groups.forEach((/** @type {any} */ group, /** @type {number} */ index) =>
    draft.put("groups", group.id ?? `group ${index}`, group, definition.id),
  );
  for (const reroute of reroutes) draft.put("reroutes", reroute.id, reroute, definition.id);
}
