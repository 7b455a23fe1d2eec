/** @import { Box } from "../types.js" */
/** A uniform grid over boxes: what meets a rectangle, without walking everything. */

const CELL = 400;
const LARGE = 64; // a box over more cells than this stands in a list of its own

/** @template K */
export class SpatialIndex {
  /** @type {Map<number, Set<K>>} */ #cells = new Map();
  /** @type {Map<K, Box>} */ #boxes = new Map();
  /** @type {Set<K>} */ #large = new Set();

  get size() {
    return this.#boxes.size;
  }

  /** @param {K} key @returns {Box | undefined} */
  box(key) {
    return this.#boxes.get(key);
  }

  /** @param {K} key @param {Box} box adds the key or moves it */
  set(key, box) {
    this.delete(key);
    this.#boxes.set(key, box);
    if (cellCount(box) > LARGE) this.#large.add(key);
    else
      eachCell(box, (cell) => {
        const set = this.#cells.get(cell);
        if (set) set.add(key);
        else this.#cells.set(cell, new Set([key]));
      });
  }

  /** @param {K} key */
  delete(key) {
    const box = this.#boxes.get(key);
    if (!box) return;
    this.#boxes.delete(key);
    if (this.#large.delete(key)) return;
    eachCell(box, (cell) => {
      const set = this.#cells.get(cell);
      set?.delete(key);
      if (set && !set.size) this.#cells.delete(cell);
    });
  }

  clear() {
    this.#cells.clear();
    this.#boxes.clear();
    this.#large.clear();
  }

  /** @param {Box} area @returns {Set<K>} keys whose box meets the area */
  query(area) {
    /** @type {Set<K>} */ const found = new Set();
    if (cellCount(area) > this.#cells.size) {
      for (const [key, box] of this.#boxes) if (overlap(box, area)) found.add(key);
      return found;
    }
    eachCell(area, (cell) => {
      for (const key of this.#cells.get(cell) ?? [])
        if (!found.has(key) && overlap(/** @type {Box} */ (this.#boxes.get(key)), area)) found.add(key);
    });
    for (const key of this.#large)
      if (overlap(/** @type {Box} */ (this.#boxes.get(key)), area)) found.add(key);
    return found;
  }

  /** @returns {Box | undefined} the box around everything */
  bounds() {
    return union([...this.#boxes.values()]);
  }
}

/** @param {Box} a @param {Box} b */
export function overlap(a, b) {
  return a[0] <= b[0] + b[2] && b[0] <= a[0] + a[2] && a[1] <= b[1] + b[3] && b[1] <= a[1] + a[3];
}

/** @param {Box} outer @param {Box} inner */
export function contains(outer, inner) {
  return (
    inner[0] >= outer[0] &&
    inner[1] >= outer[1] &&
    inner[0] + inner[2] <= outer[0] + outer[2] &&
    inner[1] + inner[3] <= outer[1] + outer[3]
  );
}

/** @param {Box[]} boxes @returns {Box | undefined} */
export function union(boxes) {
  if (!boxes.length) return undefined;
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y, width, height] of boxes) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return [left, top, right - left, bottom - top];
}

/** @param {Box} box @param {number} by @returns {Box} */
export function grow(box, by) {
  return [box[0] - by, box[1] - by, box[2] + 2 * by, box[3] + 2 * by];
}

/** @param {Box} box */
function cellCount([x, y, width, height]) {
  return (
    (Math.floor((x + width) / CELL) - Math.floor(x / CELL) + 1) *
    (Math.floor((y + height) / CELL) - Math.floor(y / CELL) + 1)
  );
}

/** @param {Box} box @param {(cell: number) => void} visit */
function eachCell([x, y, width, height], visit) {
  const right = Math.floor((x + width) / CELL);
  const bottom = Math.floor((y + height) / CELL);
  for (let column = Math.floor(x / CELL); column <= right; column += 1) {
    for (let row = Math.floor(y / CELL); row <= bottom; row += 1) visit(column * 2097152 + row);
  }
}
