/** @import { Box, Id, Link, Point } from "../../types.js" */
/** @import { Editor } from "../editor.js" */
/** Dragging nodes, groups and bends: they float on the upper canvas and land as one change. */
import { move, pullOut, splice, splicePair } from "../../core/edits.js";
import { point } from "../../core/layout.js";
import { contains, grow } from "../../core/spatial.js";
import { draggedLinks, draggedNodes, glowLink, outlineNodes } from "../../view/live.js";

const SHAKES = 4; // turns of direction that pull a node out of its chain
const SHAKE_WITHIN = 700; // milliseconds

export class DragGesture {
  /** @type {Set<Id>} */ nodes;
  /** @type {Set<number>} */ links = new Set();
  /** @type {Map<Id, Box>} */ groups = new Map();
  /** @type {Set<number>} */ bends;
  /** @type {Point} */ by = [0, 0];
  /** @type {Link | undefined} */ target;
  /** @type {{ x: number, turns: number[], direction: number }} */ #shake = { x: 0, turns: [], direction: 0 };

  /**
   * @param {Editor} editor
   * @param {Point} start in the graph
   * @param {Iterable<Id>} nodes
   * @param {Iterable<Id>} groups
   * @param {Iterable<Id>} bends
   */
  constructor(editor, start, nodes, groups, bends) {
    this.editor = editor;
    this.start = start;
    const pinned = (/** @type {Id} */ id) => Boolean(editor.scene.node(id)?.flags?.pinned);
    this.nodes = new Set([...nodes].filter((id) => !pinned(id)));
    this.bends = new Set([...bends].map(Number));
    for (const id of groups) this.#takeGroup(id);
    const { scope } = editor.scene;
    for (const id of this.nodes)
      for (const link of [...scope.linksTo(id), ...scope.linksFrom(id)]) this.links.add(link.id);
    for (const id of this.bends)
      for (const link of scope.reroutes.get(id)?.linkIds ?? []) this.links.add(link);
    if (this.nodes.size > 1) this.#takeInnerBends();
    editor.renderer.hidden = { hiddenNodes: this.nodes, hiddenLinks: this.links, simple: false };
    this.#refreshBelow();
  }

  /** A group brings what lies in it. @param {Id} id */
  #takeGroup(id) {
    const { scope } = this.editor.scene;
    const group = scope.groups.get(id);
    if (!group || group.flags?.pinned) return;
    this.groups.set(id, group.bounding);
    for (const node of this.editor.nodesInGroup(id))
      if (!this.editor.scene.node(node).flags?.pinned) this.nodes.add(node);
    for (const [other, inner] of scope.groups)
      if (other !== id && contains(group.bounding, inner.bounding)) this.groups.set(other, inner.bounding);
    for (const reroute of scope.reroutes.values())
      if (contains(group.bounding, [reroute.pos[0], reroute.pos[1], 0, 0])) this.bends.add(reroute.id);
  }

  /** Bends between two dragged nodes come along. */
  #takeInnerBends() {
    const { scope } = this.editor.scene;
    for (const reroute of scope.reroutes.values()) {
      const ends = reroute.linkIds.map((id) => scope.links.get(id));
      if (ends.every((link) => link && this.nodes.has(link.origin_id) && this.nodes.has(link.target_id)))
        this.bends.add(reroute.id);
    }
  }

  #refreshBelow() {
    const boxes = [...this.nodes].map((id) => grow(this.editor.scene.box(id), 14));
    const lines = this.editor.scene.boxesOf(this.links);
    this.editor.renderer.damage([...boxes, ...lines]);
  }

  /** @param {Point} at in the graph @param {{ shift: boolean, time: number }} how */
  move(at, { shift, time }) {
    this.by = [at[0] - this.start[0], at[1] - this.start[1]];
    this.#watchShake(at[0], time);
    this.target = this.nodes.size === 1 && !shift ? this.#linkBelow() : undefined;
    this.editor.renderer.stir();
  }

  /** @param {number} x @param {number} time */
  #watchShake(x, time) {
    const shake = this.#shake;
    const direction = Math.sign(x - shake.x);
    if (Math.abs(x - shake.x) < 8) return;
    if (shake.direction && direction !== shake.direction) shake.turns.push(time);
    Object.assign(shake, { x, direction });
    shake.turns = shake.turns.filter((turn) => time - turn < SHAKE_WITHIN);
    if (shake.turns.length < SHAKES || this.nodes.size !== 1 || !this.links.size) return;
    const [id] = this.nodes;
    const [px, py] = point(this.editor.scene.node(id).pos);
    this.editor.do(pullOut(this.editor.where, id, [px, py]));
    this.links = new Set();
    this.editor.renderer.hidden = { hiddenNodes: this.nodes, hiddenLinks: this.links, simple: false };
    shake.turns = [];
  }

  /** @returns {Link | undefined} a link the node could be spliced into */
  #linkBelow() {
    const [id] = this.nodes;
    if (this.editor.scene.scope.linksTo(id).length) return undefined;
    const [x, y, w, h] = this.editor.scene.box(id);
    const area = /** @type {Box} */ ([x + this.by[0] + w * 0.15, y + this.by[1], w * 0.7, h]);
    for (const candidate of this.editor.scene.lines.query(area)) {
      const line = this.editor.scene.line(candidate);
      if (line && crosses(line.course.curves, area) && splicePair(this.editor.where, line.link, id))
        return line.link;
    }
    return undefined;
  }

  /** @param {import("../../view/node_painter.js").Brush} brush @param {Box} seen */
  paint(brush, seen) {
    const { scene, camera } = this.editor;
    const still = /** @type {Point} */ ([0, 0]);
    const shift = (/** @type {Id} */ id) => (this.nodes.has(id) ? this.by : still);
    const bend = (/** @type {number} */ id) => (this.bends.has(id) ? this.by : still);
    const { ctx, theme } = brush;
    for (const [x, y, w, h] of this.groups.values()) {
      ctx.lineWidth = 2 / camera.scale;
      ctx.strokeStyle = theme.colors.accent;
      ctx.strokeRect(x + this.by[0], y + this.by[1], w, h);
    }
    draggedLinks(brush, scene, this.links, shift, bend, camera.scale);
    if (this.target) glowLink(brush, scene, this.target, theme.colors.accent, 6);
    draggedNodes(brush, scene, this.nodes, shift, camera.scale, seen);
    outlineNodes(
      brush,
      scene,
      this.nodes,
      theme.colors.accent,
      camera.scale,
      [seen[0] - this.by[0], seen[1] - this.by[1], seen[2], seen[3]],
      shift,
    );
    return true;
  }

  end() {
    const { editor } = this;
    editor.renderer.hidden = { hiddenNodes: new Set(), hiddenLinks: new Set(), simple: false };
    this.#refreshBelow();
    if (!this.by[0] && !this.by[1]) return;
    /** @type {Map<Id, Point>} */ const nodes = new Map();
    for (const id of this.nodes) {
      const [x, y] = point(editor.scene.node(id).pos);
      nodes.set(id, editor.snapped([x + this.by[0], y + this.by[1]]));
    }
    const bends = new Map(
      [...this.bends].map((id) => [
        id,
        this.#moved(/** @type {any} */ (editor.scene.scope.reroutes.get(id)).pos),
      ]),
    );
    const groups = new Map(
      [...this.groups].map(([id, [x, y, w, h]]) => [
        id,
        /** @type {Box} */ ([...editor.snapped([x + this.by[0], y + this.by[1]]), w, h]),
      ]),
    );
    const [only] = nodes;
    const change = this.target && splice(editor.where, this.target, only[0], only[1]);
    editor.do(change ?? move(editor.where, nodes, bends, groups));
  }

  /** @param {Point} pos @returns {Point} */
  #moved([x, y]) {
    return this.editor.snapped([x + this.by[0], y + this.by[1]]);
  }

  cancel() {
    this.by = [0, 0];
    this.end();
  }
}

/**
 * @param {Float64Array} curves
 * @param {Box} area
 * @returns {boolean} whether the middle of the line lies in the area
 */
function crosses(curves, [x, y, w, h]) {
  for (let base = 0; base < curves.length; base += 8) {
    for (let step = 2; step <= 14; step += 1) {
      const t = step / 16;
      const u = 1 - t;
      const at = (/** @type {number} */ axis) =>
        u * u * u * curves[base + axis] +
        3 * u * u * t * curves[base + 2 + axis] +
        3 * u * t * t * curves[base + 4 + axis] +
        t * t * t * curves[base + 6 + axis];
      if (at(0) > x && at(0) < x + w && at(1) > y && at(1) < y + h) return true;
    }
  }
  return false;
}
