/** @import { Box, Id, Link, Point } from "../types.js" */
/** @import { Brush } from "./node_painter.js" */
/** @import { Scene } from "./scene.js" */
/** What moves or stands out: drawn on the upper canvas, each painter saying whether it drew. */
import { grow, overlap } from "../core/spatial.js";
import { course, trace } from "./curves.js";
import { paintOne } from "./world.js";
import { paintSocket } from "./node_painter.js";

/**
 * @param {Brush} brush
 * @param {Scene} scene
 * @param {Iterable<Id>} ids
 * @param {string} color
 * @param {number} scale
 * @param {Box} seen
 * @param {(id: Id) => Point} [shift]
 * @param {number} [away] how far from the node
 * @returns {boolean}
 */
export function outlineNodes({ ctx }, scene, ids, color, scale, seen, shift, away = 3) {
  let drew = false;
  const width = Math.max(2, 1.6 / scale);
  const least = 9 / scale; // can be found from afar
  ctx.beginPath();
  for (const id of ids) {
    const box = scene.nodes.box(id);
    if (!box || !overlap(grow(box, least), seen)) continue;
    const [dx, dy] = shift?.(id) ?? [0, 0];
    const [x, y, w, h] = grow(box, away);
    const [growX, growY] = [Math.max(0, least - w) / 2, Math.max(0, least - h) / 2];
    ctx.roundRect(x + dx - growX, y + dy - growY, w + 2 * growX, h + 2 * growY, 10);
    drew = true;
  }
  if (!drew) return false;
  ctx.lineWidth = width;
  ctx.strokeStyle = color;
  ctx.stroke();
  return true;
}

/**
 * @param {Brush} brush
 * @param {Scene} scene
 * @param {Id} id
 * @param {number} share 0 … 1
 * @param {number} scale
 */
export function progressBar({ ctx, theme }, scene, id, share, scale) {
  const box = scene.nodes.box(id);
  if (!box) return;
  const height = Math.max(4, 3 / scale);
  ctx.fillStyle = theme.colors.shade;
  ctx.beginPath();
  ctx.roundRect(box[0], box[1] - height - 5, box[2], height, height / 2);
  ctx.fill();
  ctx.fillStyle = theme.colors.good;
  ctx.beginPath();
  ctx.roundRect(box[0], box[1] - height - 5, Math.max(height, box[2] * share), height, height / 2);
  ctx.fill();
}

/**
 * Links of dragged nodes, in their colours.
 * @param {Brush} brush
 * @param {Scene} scene
 * @param {Iterable<number>} links
 * @param {(id: Id) => Point} shift
 * @param {(id: number) => Point} bend
 * @param {number} scale
 */
export function draggedLinks({ ctx, theme }, scene, links, shift, bend, scale) {
  const coarse = scale < 0.2;
  ctx.lineWidth = coarse ? Math.max(1, 0.7 / scale) : 2.5;
  for (const id of links) {
    const link = scene.scope.links.get(id);
    const points = link && scene.route(link, shift, bend);
    if (!link || !points) continue;
    ctx.beginPath();
    trace(ctx, course(points, scene.linkShape), coarse);
    ctx.strokeStyle = theme.typeColor(link.type);
    ctx.stroke();
  }
}

/**
 * @param {Brush} brush
 * @param {Scene} scene
 * @param {Iterable<Id>} ids
 * @param {(id: Id) => Point} shift
 * @param {number} scale
 * @param {Box} seen
 */
export function draggedNodes(brush, scene, ids, shift, scale, seen) {
  for (const id of ids) {
    const box = scene.nodes.box(id);
    if (!box) continue;
    const by = shift(id);
    if (!overlap([box[0] + by[0], box[1] + by[1], box[2], box[3]], seen)) continue;
    if (scale >= 0.2) paintOne(brush, scene, id, scale, by);
    else {
      brush.ctx.fillStyle = brush.theme.colors.title;
      brush.ctx.fillRect(box[0] + by[0], box[1] + by[1], box[2], box[3]);
    }
  }
}

/**
 * @param {Brush} brush
 * @param {Point} from
 * @param {Point} to
 * @param {any} type
 * @param {boolean} fromOutput
 * @param {number} scale
 */
export function pulledLink(brush, from, to, type, fromOutput, scale) {
  const { ctx, theme } = brush;
  ctx.beginPath();
  trace(ctx, course(fromOutput ? [from, to] : [to, from]), false);
  ctx.lineWidth = Math.max(3, 2 / scale);
  ctx.strokeStyle = theme.typeColor(type);
  ctx.stroke();
  paintSocket(brush, type, to[0], to[1], Math.max(5, 4 / scale), false);
}

/** @param {Brush} brush @param {Box} box @param {number} scale */
export function rubberBand({ ctx, theme }, [x, y, w, h], scale) {
  ctx.globalAlpha = 0.12;
  ctx.fillStyle = theme.colors.accent;
  ctx.fillRect(x, y, w, h);
  ctx.globalAlpha = 1;
  ctx.lineWidth = 1 / scale;
  ctx.strokeStyle = theme.colors.accent;
  ctx.strokeRect(x, y, w, h);
}

/**
 * @param {Brush} brush
 * @param {Scene} scene
 * @param {Link} link
 * @param {string} color
 * @param {number} width
 */
export function glowLink({ ctx }, scene, link, color, width) {
  const line = scene.line(link.id);
  if (!line) return;
  ctx.beginPath();
  trace(ctx, line.course, false);
  ctx.lineWidth = width;
  ctx.strokeStyle = color;
  ctx.stroke();
}
