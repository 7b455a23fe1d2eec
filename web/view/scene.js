/** @import { Applied, Box, GraphNode, Group, Id, Layout, Link, Point } from "../types.js" */
/** @import { Catalogue } from "../core/catalogue.js" */
/** @import { Course } from "./curves.js" */
/**
 * What lies where in the graph that is open: layouts, link courses and the indexes over them, kept in step
 * with the document.
 */
import { ROOT } from "../core/document.js";
import { layoutOf, nodeBox, point } from "../core/layout.js";
import { grow, overlap, SpatialIndex } from "../core/spatial.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "../core/types.js";
import { isLive } from "../core/workflow.js";
import { course } from "./curves.js";

/** @typedef {{ type: any, course: Course, link: Link }} Line */

export class Scene {
  /** @type {SpatialIndex<Id>} */ nodes = new SpatialIndex();
  /** @type {SpatialIndex<number>} */ lines = new SpatialIndex();
  /** @type {Map<Id, Layout>} */ #layouts = new Map();
  /** @type {Map<number, Line>} */ #lines = new Map();
  scopeId = ROOT;
  linkShape = "spline";

  /**
   * @param {Catalogue} catalogue @param {(text: string) => number} measure
   * @param {(id: Id) => number} contentHeight room a node wants below its widgets, for pictures
   */
  constructor(catalogue, measure, contentHeight) {
    this.catalogue = catalogue;
    this.measure = measure;
    this.contentHeight = contentHeight;
  }

  get scope() {
    return this.catalogue.workflow.scope(this.scopeId);
  }

  /** @param {Catalogue} catalogue @param {string} scopeId */
  open(catalogue, scopeId) {
    this.catalogue = catalogue;
    this.scopeId = scopeId;
    this.rebuild();
  }

  /** Works everything out anew. */
  rebuild() {
    this.nodes.clear();
    this.lines.clear();
    this.#layouts.clear();
    this.#lines.clear();
    for (const node of this.scope.nodes.values())
      this.nodes.set(node.id, nodeBox(node, this.layout(node.id)));
    for (const link of this.scope.links.values()) this.#placeLink(link.id);
  }

  /** @param {Id} id @returns {GraphNode} */
  node(id) {
    return /** @type {GraphNode} */ (this.scope.nodes.get(id));
  }

  /** @param {Id} id */
  view(id) {
    return this.catalogue.view(this.node(id), this.scopeId);
  }

  /** @param {Id} id @returns {Layout} */
  layout(id) {
    const known = this.#layouts.get(id);
    if (known) return known;
    const node = this.node(id);
    const layout = layoutOf(
      node,
      this.catalogue.view(node, this.scopeId),
      this.contentHeight(id),
      this.measure,
    );
    this.#layouts.set(id, layout);
    return layout;
  }

  /** @param {Id} id @returns {Box} */
  box(id) {
    return this.nodes.box(id) ?? nodeBox(this.node(id), this.layout(id));
  }

  /** @param {number} id @returns {Line | undefined} */
  line(id) {
    return this.#lines.get(id);
  }

  /** @param {Iterable<number>} ids @returns {Box[]} where these links run */
  boxesOf(ids) {
    /** @type {Box[]} */ const boxes = [];
    for (const id of ids) {
      const box = this.lines.box(id);
      if (box) boxes.push(box);
    }
    return boxes;
  }

  /** @param {Applied[]} applied @returns {Box[]} parts of the graph that look different now */
  update(applied) {
    if (applied.some(({ kind }) => kind === "definitions")) return this.#updateAll();
    /** @type {Box[]} */ const damage = [];
    /** @type {Set<number>} */ const links = new Set();
    for (const { scope, kind, id, before, value } of applied) {
      if (scope !== this.scopeId) continue;
      if (kind === "nodes") this.#updateNode(id, damage, links);
      else if (kind === "links") links.add(Number(id));
      else if (kind === "groups")
        for (const group of [before, value]) if (group) damage.push(grow(group.bounding, 4));
      if (kind === "reroutes")
        for (const reroute of [before, value])
          reroute?.linkIds.forEach((/** @type {number} */ link) => links.add(link));
    }
    for (const id of links) this.#updateLink(id, damage);
    return damage;
  }

  /** @returns {Box[]} */
  #updateAll() {
    this.rebuild();
    return [[-1e9, -1e9, 2e9, 2e9]];
  }

  /** @param {Id} id @param {Box[]} damage @param {Set<number>} links */
  #updateNode(id, damage, links) {
    const before = this.nodes.box(id);
    if (before) damage.push(grow(before, 12));
    this.#layouts.delete(id);
    for (const link of [...this.scope.linksTo(id), ...this.scope.linksFrom(id)]) links.add(link.id);
    if (!this.scope.nodes.has(id)) {
      this.nodes.delete(id);
      return;
    }
    const box = nodeBox(this.node(id), this.layout(id));
    this.nodes.set(id, box);
    damage.push(grow(box, 12));
  }

  /** A node's pictures came or went. @param {Id} id @returns {Box[]} */
  refresh(id) {
    if (!this.scope.nodes.has(id)) return [];
    /** @type {Box[]} */ const damage = [];
    /** @type {Set<number>} */ const links = new Set();
    this.#updateNode(id, damage, links);
    for (const link of links) this.#updateLink(link, damage);
    return damage;
  }

  /** @param {number} id @param {Box[]} damage */
  #updateLink(id, damage) {
    const before = this.lines.box(id);
    if (before) damage.push(before);
    this.#placeLink(id);
    const after = this.lines.box(id);
    if (after) damage.push(after);
  }

  /** @param {number} id */
  #placeLink(id) {
    this.lines.delete(id);
    this.#lines.delete(id);
    const link = this.scope.links.get(id);
    const points = link && isLive(this.scope, link) ? this.route(link) : undefined;
    if (!link || !points) return;
    const line = { type: link.type, course: course(points, this.linkShape), link };
    this.#lines.set(id, line);
    this.lines.set(id, line.course.box);
  }

  /**
   * @param {Link} link
   * @param {(id: Id) => Point} [shift] how far a node is being dragged
   * @param {(id: number) => Point} [bend] the same for reroutes
   * @returns {Point[] | undefined}
   */
  route(link, shift = still, bend = still) {
    const start = this.outputPoint(link.origin_id, link.origin_slot, shift);
    const end = this.inputPoint(link.target_id, link.target_slot, shift);
    if (!start || !end) return undefined;
    /** @type {Point[]} */ const bends = [];
    for (let id = link.parentId; id !== undefined && bends.length < 500; ) {
      const reroute = this.scope.reroutes.get(id);
      if (!reroute) break;
      const [dx, dy] = bend(id);
      bends.push([reroute.pos[0] + dx, reroute.pos[1] + dy]);
      id = reroute.parentId;
    }
    return [start, ...bends.reverse(), end];
  }

  /** @param {Id} id @param {number} slot @param {(id: Id) => Point} [shift] @returns {Point | undefined} */
  outputPoint(id, slot, shift = still) {
    if (id === INPUT_PORTS) return this.portPoint("inputs", slot);
    if (!this.scope.nodes.has(id)) return undefined;
    const [x, y] = point(this.node(id).pos);
    const [dx, dy] = shift(id);
    const at = this.layout(id).outputs[slot];
    return at && [x + at[0] + dx, y + at[1] + dy];
  }

  /**
   * @param {Id} id
   * @param {number} slot number in the file
   * @param {(id: Id) => Point} [shift]
   * @returns {Point | undefined}
   */
  inputPoint(id, slot, shift = still) {
    if (id === OUTPUT_PORTS) return this.portPoint("outputs", slot);
    if (!this.scope.nodes.has(id)) return undefined;
    const [x, y] = point(this.node(id).pos);
    const [dx, dy] = shift(id);
    const at = this.layout(id).inputs[this.view(id).inputs.findIndex((input) => input.index === slot)];
    return at && [x + at[0] + dx, y + at[1] + dy];
  }

  /**
   * The box that holds a subgraph's own inputs or outputs.
   * @param {"inputs" | "outputs"} side
   * @returns {Box | undefined}
   */
  portBox(side) {
    const definition = this.catalogue.workflow.definitions.get(this.scopeId);
    if (!definition) return undefined;
    const [x, y] = (side === "inputs" ? definition.inputNode : definition.outputNode)?.bounding ?? [
      0, 0, 0, 0,
    ];
    const ports = definition[side] ?? [];
    const widest = ports.reduce((most, port) => Math.max(most, this.measure(port.label ?? port.name)), 0);
    return [x, y, Math.max(110, widest + 40), 34 + Math.max(1, ports.length + 1) * 22];
  }

  /** @param {"inputs" | "outputs"} side @param {number} slot @returns {Point | undefined} */
  portPoint(side, slot) {
    const box = this.portBox(side);
    return box && [side === "inputs" ? box[0] + box[2] - 12 : box[0] + 12, box[1] + 42 + slot * 22];
  }

  /** @returns {Box | undefined} the box around all nodes and groups */
  bounds() {
    /** @type {Box[]} */ const boxes = [...this.scope.groups.values()].map((group) => group.bounding);
    for (const side of /** @type {const} */ (["inputs", "outputs"])) {
      const ports = this.portBox(side);
      if (ports) boxes.push(ports);
    }
    const nodes = this.nodes.bounds();
    if (nodes) boxes.push(nodes);
    if (!boxes.length) return undefined;
    const left = Math.min(...boxes.map((box) => box[0]));
    const top = Math.min(...boxes.map((box) => box[1]));
    return [
      left,
      top,
      Math.max(...boxes.map((box) => box[0] + box[2])) - left,
      Math.max(...boxes.map((box) => box[1] + box[3])) - top,
    ];
  }

  /** @param {Box} area @returns {{ id: Id, group: Group }[]} outermost first */
  groupsIn(area) {
    const found = [];
    for (const [id, group] of this.scope.groups) if (overlap(group.bounding, area)) found.push({ id, group });
    return found.sort(
      (a, b) => b.group.bounding[2] * b.group.bounding[3] - a.group.bounding[2] * a.group.bounding[3],
    );
  }
}

/** @returns {Point} */
function still() {
  return [0, 0];
}
