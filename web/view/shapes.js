/** @import { Point } from "../types.js" */
/** Socket outlines: a type can be told by its shape as well as by its colour. */

/** @type {Record<string, Point[]>} corners of a shape of radius 1 */
const CORNERS = {
  square: [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]],
  diamond: [[0, -1.15], [1.15, 0], [0, 1.15], [-1.15, 0]],
  triangle: [[-0.8, -1.05], [1.1, 0], [-0.8, 1.05]],
  hexagon: [[-0.55, -0.98], [0.55, -0.98], [1.12, 0], [0.55, 0.98], [-0.55, 0.98], [-1.12, 0]],
};

/** @param {CanvasRenderingContext2D} ctx adds a closed outline to the path @param {string} shape @param {number} x @param {number} y @param {number} radius */
export function socketPath(ctx, shape, x, y, radius) {
  const corners = CORNERS[shape];
  if (corners) {
    corners.forEach(([cx, cy], index) => (index ? ctx.lineTo(x + cx * radius, y + cy * radius) : ctx.moveTo(x + cx * radius, y + cy * radius)));
    ctx.closePath();
  } else if (shape === "square-round") ctx.roundRect(x - radius * 0.9, y - radius * 0.9, radius * 1.8, radius * 1.8, radius * 0.45);
  else if (shape === "half") {
    ctx.moveTo(x - radius * 0.3, y - radius);
    ctx.arc(x - radius * 0.3, y, radius, -Math.PI / 2, Math.PI / 2);
    ctx.closePath();
  } else {
    const size = shape === "dot" ? radius * 0.78 : radius;
    ctx.moveTo(x + size, y);
    ctx.arc(x, y, size, 0, 2 * Math.PI);
  }
}
