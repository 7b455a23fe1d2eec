/** @import { Box, Point } from "../types.js" */
/** The course of a link: functions from numbers to numbers. */

/**
 * @typedef {{ points: Point[], curves: Float64Array, box: Box, shape: string }} Course eight numbers a piece:
 *   start, two controls, end
 */

/**
 * @param {Point[]} points from output over reroutes to input
 * @param {string} [shape] `spline`, `linear` or `straight`
 * @returns {Course}
 */
export function course(points, shape = "spline") {
  const curves = new Float64Array((points.length - 1) * 8);
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let index = 0; index + 1 < points.length; index += 1) {
    const [ax, ay] = points[index];
    const [bx, by] = points[index + 1];
    const reach =
      shape === "spline"
        ? Math.min(160, Math.max(24, Math.hypot(bx - ax, by - ay) * 0.36))
        : shape === "linear"
          ? 15
          : 0;
    const first = index === 0 || shape !== "spline" ? reach : reach * 0.6;
    const last = index + 2 === points.length || shape !== "spline" ? reach : reach * 0.6;
    curves.set([ax, ay, ax + first, ay, bx - last, by, bx, by], index * 8);
    left = Math.min(left, ax, bx - last);
    right = Math.max(right, bx, ax + first);
    top = Math.min(top, ay, by);
    bottom = Math.max(bottom, ay, by);
  }
  return { points, curves, box: [left - 6, top - 6, right - left + 12, bottom - top + 12], shape };
}

/**
 * @param {CanvasRenderingContext2D | Path2D} path
 * @param {Course} line
 * @param {boolean} coarse straight pieces will do
 */
export function trace(path, { curves, shape }, coarse) {
  path.moveTo(curves[0], curves[1]);
  for (let at = 0; at < curves.length; at += 8) {
    if (coarse) path.lineTo(curves[at + 6], curves[at + 7]);
    else if (shape === "spline")
      path.bezierCurveTo(
        curves[at + 2],
        curves[at + 3],
        curves[at + 4],
        curves[at + 5],
        curves[at + 6],
        curves[at + 7],
      );
    else {
      path.lineTo(curves[at + 2], curves[at + 3]);
      path.lineTo(curves[at + 4], curves[at + 5]);
      path.lineTo(curves[at + 6], curves[at + 7]);
    }
  }
}

/** @param {Course} line @param {number} at 0 … 1 of the middle piece @returns {Point} */
export function pointOn({ curves }, at = 0.5) {
  const base = Math.floor(curves.length / 8 / 2) * 8;
  return bezier(curves, base, at);
}

/** @param {Float64Array} curves @param {number} base @param {number} t @returns {Point} */
function bezier(curves, base, t) {
  const u = 1 - t;
  const [a, b, c, d] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return [
    a * curves[base] + b * curves[base + 2] + c * curves[base + 4] + d * curves[base + 6],
    a * curves[base + 1] + b * curves[base + 3] + c * curves[base + 5] + d * curves[base + 7],
  ];
}

/**
 * @param {Course} line
 * @param {Point} point
 * @returns {{ distance: number, piece: number }} how near the line runs, and on which piece
 */
export function distanceTo({ curves }, [x, y]) {
  let best = { distance: Infinity, piece: 0 };
  for (let base = 0; base < curves.length; base += 8) {
    let last = bezier(curves, base, 0);
    for (let step = 1; step <= 24; step += 1) {
      const next = bezier(curves, base, step / 24);
      const distance = toSegment(x, y, last, next);
      if (distance < best.distance) best = { distance, piece: base / 8 };
      last = next;
    }
  }
  return best;
}

/** @param {number} x @param {number} y @param {Point} a @param {Point} b */
function toSegment(x, y, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const t = length ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}
