/** @import { Box, GraphNode, Id, Point } from "../types.js" */
/** @import { Brush } from "./node_painter.js" */
/** @import { Scene } from "./scene.js" */
/**
 * The graph at rest: groups, links, nodes within one part of it, with as much detail as the scale can show.
 */
import { point } from "../core/layout.js";
import { grow, overlap } from "../core/spatial.js";
import { trace } from "./curves.js";
import { label } from "./widget_painter.js";
import { paintNode, paintNodeMiddle, paintSocket } from "./node_painter.js";

export const DETAIL = Object.freeze({ full: 0.5, middle: 0.2 });
const LINK_WIDTH = 2.5;

/**
 * @param {Brush} brush its context already shows graph units
 * @param {Scene} scene
 * @param {Box} area
 * @param {number} scale
 * @param {{ hiddenNodes: Set<Id>, hiddenLinks: Set<number>, simple: boolean }} options `simple`: coarser than
 *   the scale asks for
 */
export function paintWorld(brush, scene, area, scale, { hiddenNodes, hiddenLinks, simple }) {
  paintGroups(brush, scene, area, scale);
  paintLinks(brush, scene, area, scale, hiddenLinks);
  paintPorts(brush, scene, area);
  const ids = scene.nodes.query(area);
  if (scale < DETAIL.middle || simple) return paintNodesFar(brush, scene, ids, hiddenNodes);
  for (const id of ordered(scene, ids)) {
    if (!hiddenNodes.has(id)) paintOne(brush, scene, id, scale);
  }
}

/**
 * @param {Scene} scene
 * @param {Set<Id>} ids
 * @returns {Iterable<Id>} in file order when few enough to overlap visibly
 */
function ordered(scene, ids) {
  if (ids.size > 1500) return ids;
  const ranks = scene.scope.ranks;
  return [...ids].sort((a, b) => (ranks.get(`nodes/${a}`) ?? 0) - (ranks.get(`nodes/${b}`) ?? 0));
}

/** @param {Brush} brush @param {Scene} scene @param {Id} id @param {number} scale @param {Point} [shift] */
export function paintOne(brush, scene, id, scale, [dx, dy] = [0, 0]) {
  const node = scene.node(id);
  const [x, y] = point(node.pos);
  const { ctx } = brush;
  ctx.translate(x + dx, y + dy);
  if (scale >= DETAIL.full) paintNode(brush, node, scene.view(id), scene.layout(id));
  else paintNodeMiddle(brush, node, scene.view(id), scene.layout(id), scale);
  ctx.translate(-x - dx, -y - dy);
}

/**
 * Rectangles by colour, one fill each.
 * @param {Brush} brush
 * @param {Scene} scene
 * @param {Set<Id>} ids
 * @param {Set<Id>} hidden
 */
function paintNodesFar({ ctx, theme, facts }, scene, ids, hidden) {
  /** @type {Map<string, number[]>} */ const batches = new Map();
  /** @param {string} color @param {number} x @param {number} y @param {number} w @param {number} h */
  const add = (color, x, y, w, h) => {
    const batch = batches.get(color);
    if (batch) batch.push(x, y, w, h);
    else batches.set(color, [x, y, w, h]);
  };
  /** @type {number[]} */ const titles = [];
  /** @type {string[]} */ const titleColors = [];
  for (const id of ids) {
    if (hidden.has(id)) continue;
    const [x, y, w, h] = /** @type {Box} */ (scene.nodes.box(id));
    const node = scene.node(id);
    add(farColor(node, theme, scene), x, y, w, h);
    titles.push(x, y, w, Math.min(30, h));
    titleColors.push(facts.heat(id) ?? (node.color ? theme.adapt(node.color) : theme.colors.edge));
  }
  fill(ctx, batches);
  batches.clear();
  titleColors.forEach((color, index) =>
    add(color, titles[index * 4], titles[index * 4 + 1], titles[index * 4 + 2], titles[index * 4 + 3]),
  );
  fill(ctx, batches);
}

/** @param {CanvasRenderingContext2D} ctx @param {Map<string, number[]>} batches */
function fill(ctx, batches) {
  for (const [color, boxes] of batches) {
    ctx.fillStyle = color;
    for (let at = 0; at < boxes.length; at += 4)
      ctx.fillRect(boxes[at], boxes[at + 1], boxes[at + 2], boxes[at + 3]);
  }
}

/** @param {GraphNode} node @param {import("./theme.js").Theme} theme @param {Scene} scene */
function farColor(node, theme, scene) {
  if (node.mode === 2) return theme.colors.field;
  if (node.mode === 4) return theme.colors.bypass;
  if (node.bgcolor) return theme.adapt(node.bgcolor);
  return scene.catalogue.view(node, scene.scopeId).spec
    ? theme.dark
      ? theme.colors.title
      : theme.colors.node
    : theme.colors.danger;
}

/**
 * One stroke a colour.
 * @param {Brush} brush
 * @param {Scene} scene
 * @param {Box} area
 * @param {number} scale
 * @param {Set<number>} hidden
 */
function paintLinks({ ctx, theme }, scene, area, scale, hidden) {
  if (scene.linkShape === "hidden") return;
  /** @type {Map<string, import("./curves.js").Course[]>} */ const batches = new Map();
  for (const id of scene.lines.query(area)) {
    if (hidden.has(id)) continue;
    const line = /** @type {import("./scene.js").Line} */ (scene.line(id));
    const color = theme.typeColor(line.type);
    const batch = batches.get(color);
    if (batch) batch.push(line.course);
    else batches.set(color, [line.course]);
  }
  const coarse = scale < DETAIL.middle;
  const width = coarse ? Math.max(1, 0.7 / scale) : LINK_WIDTH;
  if (!coarse && scale > 0.35) outline(ctx, batches, width + 2.5, theme.colors.canvas);
  ctx.lineWidth = width;
  for (const [color, courses] of batches) {
    ctx.beginPath();
    for (const course of courses) trace(ctx, course, coarse);
    ctx.strokeStyle = color;
    ctx.stroke();
  }
  if (scale > 0.3) paintBends(ctx, theme, scene, area);
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Map<string, import("./curves.js").Course[]>} batches
 * @param {number} width
 * @param {string} color
 */
function outline(ctx, batches, width, color) {
  ctx.beginPath();
  for (const courses of batches.values()) for (const course of courses) trace(ctx, course, false);
  ctx.lineWidth = width;
  ctx.strokeStyle = color;
  ctx.stroke();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {import("./theme.js").Theme} theme
 * @param {Scene} scene
 * @param {Box} area
 */
function paintBends(ctx, theme, scene, area) {
  const wide = grow(area, 8);
  for (const reroute of scene.scope.reroutes.values()) {
    if (!overlap([reroute.pos[0], reroute.pos[1], 0, 0], wide)) continue;
    ctx.beginPath();
    ctx.arc(reroute.pos[0], reroute.pos[1], 5.5, 0, 7);
    ctx.fillStyle = theme.typeColor(scene.scope.links.get(reroute.linkIds[0])?.type);
    ctx.fill();
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = theme.colors.canvas;
    ctx.stroke();
  }
}

/** @param {Brush} brush @param {Scene} scene @param {Box} area @param {number} scale */
function paintGroups(brush, scene, area, scale) {
  const { ctx, theme, lettering } = brush;
  for (const { group } of scene.groupsIn(area)) {
    const [x, y, w, h] = group.bounding;
    const color = group.color ?? "#3f789e";
    ctx.globalAlpha = theme.dark ? 0.16 : 0.14;
    ctx.fillStyle = color;
    ctx.beginPath();
    ctx.roundRect(x, y, w, h, scale < DETAIL.middle ? 0 : 10);
    ctx.fill();
    ctx.globalAlpha = 0.55;
    ctx.strokeStyle = color;
    ctx.lineWidth = Math.max(1, 1 / scale);
    ctx.stroke();
    ctx.globalAlpha = 1;
    const size = Math.min(64, Math.max(Number(group.font_size) || 24, 9 / scale));
    if (size * scale < 6) continue;
    const font = `600 ${size}px ${theme.font}`;
    label(
      brush,
      lettering.fit(font, String(group.title ?? ""), w - 20),
      x + 12,
      y + size * 0.85,
      theme.colors.dim,
      "left",
      font,
    );
  }
}

/** A subgraph's own inputs and outputs. @param {Brush} brush @param {Scene} scene @param {Box} area */
function paintPorts(brush, scene, area) {
  const definition = scene.catalogue.workflow.definitions.get(scene.scopeId);
  if (!definition) return;
  const { ctx, theme, small, bold } = brush;
  for (const side of /** @type {const} */ (["inputs", "outputs"])) {
    const box = scene.portBox(side);
    if (!box || !overlap(box, area)) continue;
    ctx.beginPath();
    ctx.roundRect(box[0], box[1], box[2], box[3], 10);
    ctx.fillStyle = theme.colors.node;
    ctx.fill();
    ctx.lineWidth = 1;
    ctx.strokeStyle = theme.colors.edge;
    ctx.stroke();
    label(
      brush,
      side === "inputs" ? "Inputs" : "Outputs",
      box[0] + box[2] / 2,
      box[1] + 17,
      theme.colors.dim,
      "center",
      bold,
    );
    [...(definition[side] ?? []), undefined].forEach((port, index) => {
      const [x, y] = /** @type {Point} */ (scene.portPoint(side, index));
      const align = side === "inputs" ? "right" : "left";
      const offset = side === "inputs" ? -12 : 12;
      paintSocket(brush, port?.type ?? "*", x, y, port ? 5 : 4, !port);
      label(
        brush,
        port ? (port.label ?? port.name) : "new",
        x + offset,
        y,
        port ? theme.colors.text : theme.colors.faint,
        align,
        small,
      );
    });
  }
}
