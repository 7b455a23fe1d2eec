/** @import { Box, GraphNode, Point } from "../types.js" */
/** @import { Draft } from "./draft.js" */
/** Room for something larger: what lies to the right of it and below it is pushed on, and keeps its order. */
import { point } from "./layout.js";

const GAP = 40;

/**
 * @param {Draft} draft what is there but the thing itself
 * @param {Box} old where the thing was
 * @param {Box} wanted where something larger comes, from the same corner
 * @param {(node: GraphNode) => Box} boxOf
 */
export function makeRoom(draft, old, wanted, boxOf) {
  const scope = draft.workflow.scope(draft.scope);
  const nodes = [...scope.nodes.keys()].flatMap((id) => draft.node(id) ?? []);
  const groups = [...scope.groups.values()];
  const around = groups.filter(({ bounding }) => holds(bounding, middle(old)));
  const beside = groups.filter((group) => !around.includes(group)).map(({ bounding }) => bounding);
  const push = pushOf([...nodes.map(boxOf), ...beside], old, wanted);
  if (!push[0] && !push[1]) return;
  const moved = (/** @type {Point} */ [x, y], /** @type {Box} */ box) => {
    const [right, below] = sidesOf(box, old);
    return /** @type {Point} */ ([x + (right ? push[0] : 0), y + (below ? push[1] : 0)]);
  };
  for (const node of nodes) draft.patch(node.id, { pos: moved(point(node.pos), boxOf(node)) });
  for (const group of groups) {
    const [x, y, w, h] = group.bounding;
    const bounding = around.includes(group)
      ? [
          x,
          y,
          Math.max(w + push[0], wanted[0] + wanted[2] + GAP / 2 - x),
          Math.max(h + push[1], wanted[1] + wanted[3] + GAP / 2 - y),
        ]
      : [...moved([x, y], group.bounding), w, h];
    draft.put("groups", group.id, { ...group, bounding });
  }
  for (const id of scope.reroutes.keys()) {
    const reroute = draft.get("reroutes", id);
    if (!reroute) continue;
    const [x, y] = point(reroute.pos);
    draft.put("reroutes", id, { ...reroute, pos: moved([x, y], [x, y, 0, 0]) });
  }
}

/**
 * @param {Box[]} boxes
 * @param {Box} old
 * @param {Box} wanted
 * @returns {Point} how far to the right, and down
 */
function pushOf(boxes, old, wanted) {
  const right = boxes.filter((box) => sidesOf(box, old)[0] && overlap(box[1], box[3], wanted[1], wanted[3]));
  const dx = Math.max(0, wanted[0] + wanted[2] + GAP - Math.min(...right.map(([x]) => x)));
  const below = boxes.filter(
    (box) =>
      sidesOf(box, old)[1] && overlap(box[0] + (sidesOf(box, old)[0] ? dx : 0), box[2], wanted[0], wanted[2]),
  );
  return [dx, Math.max(0, wanted[1] + wanted[3] + GAP - Math.min(...below.map(([, y]) => y)))];
}

/**
 * @param {Box} box
 * @param {Box} old
 * @returns {[boolean, boolean]} whether it lies to the right, and below; what lies on it is to the right
 */
function sidesOf(box, old) {
  const [x, y, w, h] = box;
  const [ox, oy, ow, oh] = old;
  const onIt = overlap(x, w, ox, ow) && overlap(y, h, oy, oh);
  return [x >= ox + ow - 1 || (onIt && x > ox), y >= oy + oh - 1];
}

/** @param {number} a @param {number} length @param {number} b @param {number} other */
function overlap(a, length, b, other) {
  return a < b + other && b < a + length;
}

/** @param {Box} box @returns {Point} */
function middle([x, y, w, h]) {
  return [x + w / 2, y + h / 2];
}

/** @param {number[]} box @param {Point} at */
function holds([x, y, w, h], [px, py]) {
  return px >= x && px <= x + w && py >= y && py <= y + h;
}
