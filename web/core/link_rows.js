/** @import { GraphNode, Id, Link } from "../types.js" */
/** Files in which several rows of `links` have one id: each row counts for the input that names it. */
import { INPUT_PORTS, OUTPUT_PORTS } from "./types.js";

/**
 * @param {GraphNode[]} nodes
 * @param {Link[]} links in the file's order
 * @returns {{ nodes: GraphNode[], links: Link[] }} the same where all ids differ; else further rows have
 *   others
 */
export function distinctLinks(nodes, links) {
  /** @type {Map<Id, Link[]>} */ const rows = new Map();
  for (const link of links) rows.set(link.id, [...(rows.get(link.id) ?? []), link]);
  if (rows.size === links.length) return { nodes, links };
  const places = new Map(nodes.map((node) => [node.id, node]));
  let last = Math.max(0, ...links.map(({ id }) => Number(id) || 0));
  /** @type {Link[]} */ const kept = [];
  for (const all of rows.values()) {
    const named = namedRows(all, places);
    for (const [index, link] of (named.length ? named : all.slice(-1)).entries()) {
      if (!index) {
        kept.push(link);
        continue;
      }
      last += 1;
      kept.push({ ...link, id: last });
      renameInput(places, link, last);
      const shared = named[0].origin_id === link.origin_id && named[0].origin_slot === link.origin_slot;
      renameOutput(places, link, last, shared);
    }
  }
  return { nodes: nodes.map((node) => places.get(node.id) ?? node), links: kept };
}

/**
 * @param {Link[]} rows of one id
 * @param {Map<Id, GraphNode>} places
 * @returns {Link[]} those that an input names, or that lead out of a subgraph; of two to one input the last
 */
function namedRows(rows, places) {
  /** @type {Map<string, Link>} */ const found = new Map();
  for (const link of rows) {
    const slot = inputOf(places, link);
    if (slot >= 0) found.set(`${link.target_id}/${slot}`, link);
    else if (link.target_id === OUTPUT_PORTS)
      found.set(`${link.origin_id}/${link.origin_slot}/${link.target_slot}`, link);
  }
  return [...found.values()];
}

/**
 * @param {Map<Id, GraphNode>} places
 * @param {Link} link
 * @returns {number} the input that names it; −1: none
 */
function inputOf(places, { id, target_id, target_slot }) {
  const inputs = places.get(target_id)?.inputs ?? [];
  if (inputs[target_slot]?.link === id) return target_slot;
  return inputs.findIndex((input) => input.link === id);
}

/** @param {Map<Id, GraphNode>} places @param {Link} link @param {number} id */
function renameInput(places, link, id) {
  const node = places.get(link.target_id);
  const slot = inputOf(places, link);
  if (!node || slot < 0) return;
  const inputs = (node.inputs ?? []).map((input, index) => (index === slot ? { ...input, link: id } : input));
  places.set(node.id, { ...node, inputs });
}

/**
 * @param {Map<Id, GraphNode>} places
 * @param {Link} link
 * @param {number} id
 * @param {boolean} shared whether the row that keeps the old id begins at the same output
 */
function renameOutput(places, link, id, shared) {
  const node = link.origin_id === INPUT_PORTS ? undefined : places.get(link.origin_id);
  if (!node) return;
  const outputs = (node.outputs ?? []).map((output, index) => {
    if (index !== link.origin_slot) return output;
    const others = (output.links ?? []).filter((/** @type {any} */ one) => shared || one !== link.id);
    return { ...output, links: [...others, id] };
  });
  places.set(node.id, { ...node, outputs });
}
