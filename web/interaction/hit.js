/** @import { Id, Link, Point } from "../types.js" */
/** @import { Editor } from "./editor.js" */
/** What lies under a point of the graph. */
import { isTextArea, point } from "../core/layout.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "../core/types.js";
import { distanceTo } from "../view/curves.js";

/**
 * @typedef {{ kind: "node", id: Id, part: "title" | "body" | "fold" | "corner" | "content" }} NodeHit
 * @typedef {{ kind: "widget", id: Id, index: number, name: string, side: "left" | "right" | "middle" |
 *   "control" }} WidgetHit
 * @typedef {{ kind: "input", id: Id, name: string, index: number }} InputHit
 * @typedef {{ kind: "output", id: Id, index: number }} OutputHit
 * @typedef {{ kind: "link", link: Link, piece: number }} LinkHit
 * @typedef {{ kind: "reroute", id: number }} RerouteHit
 * @typedef {{ kind: "group", id: Id, part: "title" | "corner" | "body" }} GroupHit
 * @typedef {{ kind: "ports", side: "inputs" | "outputs" }} PortsHit
 * @typedef {{ kind: "bare" }} Bare
 * @typedef {NodeHit | WidgetHit | InputHit | OutputHit | LinkHit | RerouteHit | GroupHit | PortsHit | Bare}
 *   Hit
 */

const NEAR = 12; // graph units at scale 1 around a socket

/**
 * @param {Editor} editor
 * @param {Point} at in the graph
 * @param {{ touch?: boolean }} [options]
 * @returns {Hit}
 */
export function hit(editor, at, { touch = false } = {}) {
  const reach = Math.max(NEAR, (touch ? 22 : 9) / editor.camera.scale);
  const near = editor.scene.nodes.query([at[0] - reach, at[1] - reach, 2 * reach, 2 * reach]);
  const ranks = editor.scene.scope.ranks;
  const height = (/** @type {Id} */ id) =>
    (editor.selected.has(id) ? 1e9 : 0) + (ranks.get(`nodes/${id}`) ?? 0);
  const ids = [...near].sort((a, b) => height(b) - height(a));
  const detailed = editor.camera.scale > 0.25;
  for (const id of ids) {
    const found = (detailed && socketAt(editor, id, at, reach)) || nodeAt(editor, id, at);
    if (found) return found;
  }
  return (
    portsAt(editor, at) ??
    rerouteAt(editor, at, reach) ??
    linkAt(editor, at) ??
    groupAt(editor, at) ?? { kind: "bare" }
  );
}

/**
 * @param {Editor} editor
 * @param {Id} id
 * @param {Point} at
 * @param {number} reach
 * @returns {InputHit | OutputHit | undefined}
 */
function socketAt(editor, id, [x, y], reach) {
  const [nx, ny] = point(editor.scene.node(id).pos);
  const layout = editor.scene.layout(id);
  const view = editor.scene.view(id);
  const half = layout.collapsed ? 10 : 10;
  for (const [index, [sx, sy]] of layout.outputs.entries())
    if (Math.abs(x - nx - sx) < reach && Math.abs(y - ny - sy) <= half) return { kind: "output", id, index };
  for (const [index, [sx, sy]] of layout.inputs.entries()) {
    if (Math.abs(y - ny - sy) > half) continue;
    const inner = view.inputs[index].widget ? 7 : reach;
    if (x - nx - sx < inner && x - nx - sx > -reach)
      return { kind: "input", id, index, name: view.inputs[index].name };
  }
  return undefined;
}

/** @param {Editor} editor @param {Id} id @param {Point} at @returns {NodeHit | WidgetHit | undefined} */
function nodeAt(editor, id, [x, y]) {
  const [nx, ny] = point(editor.scene.node(id).pos);
  const layout = editor.scene.layout(id);
  const [dx, dy] = [x - nx, y - ny];
  if (dx < 0 || dx > layout.width || dy < -layout.title || dy > layout.height) return undefined;
  if (dy < 0) return { kind: "node", id, part: dx < 24 ? "fold" : "title" };
  if (dx > layout.width - 14 && dy > layout.height - 14) return { kind: "node", id, part: "corner" };
  const index =
    editor.camera.scale > 0.3
      ? layout.widgets.findIndex((widget) => dy >= widget.y && dy <= widget.y + widget.height)
      : -1;
  const widget = editor.scene.view(id).widgets[index];
  if (widget && !widget.linked && dx > 8 && dx < layout.width - 8)
    return { kind: "widget", id, index, name: widget.name, side: sideOf(widget, dx, layout.width) };
  return {
    kind: "node",
    id,
    part:
      dy > layout.content.y && editor.tab.results.has(editor.runId(id), editor.scene.node(id))
        ? "content"
        : "body",
  };
}

/**
 * @param {import("../types.js").WidgetView} widget
 * @param {number} dx
 * @param {number} width
 * @returns {WidgetHit["side"]}
 */
function sideOf(widget, dx, width) {
  if (isTextArea(widget)) return "middle";
  const extra = widget.control ? 20 : 0;
  if (extra && dx > width - 34) return "control";
  if (dx < 30) return "left";
  return dx > width - 32 - extra ? "right" : "middle";
}

/** @param {Editor} editor @param {Point} at @returns {InputHit | OutputHit | PortsHit | undefined} */
function portsAt(editor, [x, y]) {
  for (const side of /** @type {const} */ (["inputs", "outputs"])) {
    const box = editor.scene.portBox(side);
    if (!box || x < box[0] - 10 || x > box[0] + box[2] + 10 || y < box[1] || y > box[1] + box[3]) continue;
    const count = editor.workflow.definitions.get(editor.scopeId)?.[side].length ?? 0;
    const index = Math.round((y - box[1] - 42) / 22);
    if (index < 0 || index > count) return { kind: "ports", side };
    return side === "inputs"
      ? { kind: "output", id: INPUT_PORTS, index }
      : { kind: "input", id: OUTPUT_PORTS, index, name: "" };
  }
  return undefined;
}

/** @param {Editor} editor @param {Point} at @param {number} reach @returns {RerouteHit | undefined} */
function rerouteAt(editor, [x, y], reach) {
  for (const reroute of editor.scene.scope.reroutes.values())
    if (Math.hypot(reroute.pos[0] - x, reroute.pos[1] - y) < reach)
      return { kind: "reroute", id: reroute.id };
  return undefined;
}

/**
 * @param {Editor} editor
 * @param {Point} at
 * @param {number} [most]
 * @returns {LinkHit | undefined} the nearest link within a few pixels
 */
export function linkAt(editor, at, most = 7) {
  const reach = most / Math.min(1, editor.camera.scale);
  /** @type {{ link: Link, distance: number, piece: number } | undefined} */ let best;
  for (const id of editor.scene.lines.query([at[0] - reach, at[1] - reach, 2 * reach, 2 * reach])) {
    const line = /** @type {import("../view/scene.js").Line} */ (editor.scene.line(id));
    const { distance, piece } = distanceTo(line.course, at);
    if (distance < reach && distance < (best?.distance ?? Infinity))
      best = { link: line.link, distance, piece };
  }
  return best && { kind: "link", link: best.link, piece: best.piece };
}

/** @param {Editor} editor @param {Point} at @returns {GroupHit | undefined} */
function groupAt(editor, [x, y]) {
  const groups = editor.scene.groupsIn([x, y, 0, 0]).reverse();
  for (const { id, group } of groups) {
    const [gx, gy, w, h] = group.bounding;
    if (x > gx + w - 18 && y > gy + h - 18) return { kind: "group", id, part: "corner" };
    if (y < gy + Math.max(30, (Number(group.font_size) || 24) * 1.5))
      return { kind: "group", id, part: "title" };
  }
  const [smallest] = groups.sort((one, other) => area(one.group) - area(other.group));
  return smallest && { kind: "group", id: smallest.id, part: "body" };
}

/** @param {import("../types.js").Group} group */
function area({ bounding: [, , width, height] }) {
  return width * height;
}

/**
 * @param {Hit} found
 * @returns {boolean} whether the pointer is on the ground: bare canvas, or what a group lies on
 */
export function isGround(found) {
  return found.kind === "bare" || (found.kind === "group" && found.part === "body");
}

/** @param {Hit} found @returns {Id | undefined} the node that this is, or belongs to */
export function nodeOf(found) {
  const { kind } = found;
  return kind === "node" || kind === "widget" || kind === "input" || kind === "output" ? found.id : undefined;
}

/** @param {Hit} found @returns {string} the cursor that tells what a press would do */
export function cursorFor(found) {
  if (found.kind === "input" || found.kind === "output") return "crosshair";
  if (found.kind === "widget") return found.side === "middle" ? "text" : "pointer";
  if (found.kind === "node")
    return found.part === "corner"
      ? "nwse-resize"
      : found.part === "fold" || found.part === "content"
        ? "pointer"
        : "grab";
  if (isGround(found)) return "default";
  if (found.kind === "group") return found.part === "corner" ? "nwse-resize" : "grab";
  return found.kind === "reroute" ? "grab" : found.kind === "link" ? "pointer" : "default";
}
