/** @import { Editor } from "../interaction/editor.js" */
/** A small picture of a whole graph: frames and links, for lists of workflows. */
import { Catalogue } from "../core/catalogue.js";
import { layoutOf, point } from "../core/layout.js";
import { h } from "./dom.js";

/** @param {import("../core/document.js").Workflow} workflow @param {Editor} editor */
export function graphPicture(workflow, editor) {
  const canvas = /** @type {HTMLCanvasElement} */ (
    h("canvas", { width: 400, height: 225, "aria-hidden": "true" })
  );
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { theme } = editor;
  const catalogue = new Catalogue(workflow, editor.library);
  const boxes = [...workflow.root.nodes.values()].map((node) => {
    const layout = layoutOf(node, catalogue.view(node, ""), 0, editor.scene.measure);
    return {
      node,
      layout,
      x: point(node.pos)[0],
      y: point(node.pos)[1] - 30,
      w: layout.width,
      h: layout.height + 30,
    };
  });
  if (!boxes.length) return canvas;
  const left = Math.min(...boxes.map(({ x }) => x));
  const top = Math.min(...boxes.map(({ y }) => y));
  const wide = Math.max(...boxes.map(({ x, w }) => x + w)) - left;
  const high = Math.max(...boxes.map(({ y, h: height }) => y + height)) - top;
  const scale = Math.min(360 / wide, 185 / high);
  ctx.setTransform(scale, 0, 0, scale, 200 - (left + wide / 2) * scale, 112 - (top + high / 2) * scale);
  ctx.lineWidth = 1.6 / scale;
  for (const link of workflow.root.links.values()) {
    const from = boxes.find(({ node }) => node.id === link.origin_id);
    const to = boxes.find(({ node }) => node.id === link.target_id);
    if (!from || !to) continue;
    const [ax, ay] = [from.x + from.w, from.y + 44 + link.origin_slot * 20];
    const [bx, by] = [to.x, to.y + 44 + link.target_slot * 20];
    ctx.strokeStyle = theme.typeColor(link.type);
    ctx.beginPath();
    ctx.moveTo(ax, ay);
    ctx.bezierCurveTo(ax + 60, ay, bx - 60, by, bx, by);
    ctx.stroke();
  }
  for (const { x, y, w, h: height } of boxes) {
    ctx.fillStyle = theme.colors.node;
    ctx.strokeStyle = theme.colors.edge;
    ctx.beginPath();
    ctx.roundRect(x, y, w, height, 14);
    ctx.fill();
    ctx.stroke();
    ctx.fillStyle = theme.colors.title;
    ctx.beginPath();
    ctx.roundRect(x, y, w, 34, [14, 14, 0, 0]);
    ctx.fill();
  }
  return canvas;
}
