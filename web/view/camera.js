/** @import { Box, Point } from "../types.js" */
/** Which part of the graph is seen: screen = (graph − origin) × scale. */

export const SCALES = Object.freeze({ least: 0.04, most: 4 });
const TINIEST = 0.001; // to show all of a graph, the scale goes below what a hand may zoom to

export class Camera {
  x = 0;
  y = 0;
  scale = 1;

  /** @param {Point} at on screen @returns {Point} */
  toGraph([x, y]) {
    return [x / this.scale + this.x, y / this.scale + this.y];
  }

  /** @param {Point} at in the graph @returns {Point} */
  toScreen([x, y]) {
    return [(x - this.x) * this.scale, (y - this.y) * this.scale];
  }

  /**
   * @param {number} width
   * @param {number} height of the screen
   * @returns {Box} what is seen, in graph units
   */
  seen(width, height) {
    return [this.x, this.y, width / this.scale, height / this.scale];
  }

  /** @param {number} dx @param {number} dy on screen */
  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
  }

  /** The point under the pointer stays there. @param {number} scale @param {Point} at on screen */
  zoomTo(scale, at) {
    const fixed = this.toGraph(at);
    this.scale = Math.min(SCALES.most, Math.max(Math.min(SCALES.least, this.scale), scale));
    this.x = fixed[0] - at[0] / this.scale;
    this.y = fixed[1] - at[1] / this.scale;
  }

  /**
   * @param {Box} box
   * @param {number} width
   * @param {number} height
   * @param {number} [margin] on screen
   * @param {number} [most] largest scale
   */
  fit([x, y, w, h], width, height, margin = 60, most = 1) {
    const scale = Math.min(
      most,
      (width - 2 * margin) / Math.max(w, 1),
      (height - 2 * margin) / Math.max(h, 1),
    );
    this.scale = Math.min(SCALES.most, Math.max(TINIEST, scale));
    this.x = x + w / 2 - width / 2 / this.scale;
    this.y = y + h / 2 - height / 2 / this.scale;
  }
}
