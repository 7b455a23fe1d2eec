/** @import { GraphNode, InputView, Layout, OutputView, Point, WidgetView } from "../types.js" */
/** Where the parts of a node lie, in graph units from the top left of its body; the title stands above it. */

export const TITLE = 30;
export const ROW = 20;
export const WIDGET = 24;
export const TEXT_AREA = 68;
export const PAD = 10;
const COLLAPSED_WIDTH = 160;

/** @typedef {(text: string) => number} Measure the width of a label in graph units */

/**
 * @param {GraphNode["pos"] | undefined} pair
 * @returns {Point} points stand as a list or, in old files, as an object
 */
export function point(pair) {
  if (!pair) return [0, 0];
  const [x, y] = Array.isArray(pair) ? pair : [pair[0] ?? pair["0"], pair[1] ?? pair["1"]];
  return [Number(x) || 0, Number(y) || 0];
}

/**
 * @param {GraphNode} node @param {{ inputs: InputView[], outputs: OutputView[], widgets: WidgetView[] }} view
 * @param {number} content height wanted below the widgets, for pictures @param {Measure} measure
 * @returns {Layout}
 */
export function layoutOf(node, view, content, measure) {
  if (node.flags?.collapsed) return collapsedLayout(node, view, measure);
  const rows = view.inputs.filter((input) => !input.widget);
  const columns = Math.max(rows.length, view.outputs.length);
  const reroute = node.type === "Reroute";
  const top = columns * ROW + (columns ? 6 : 4);
  const minimum = minimumSize(view, rows, top, content, measure);
  const size = point(node.size);
  const width = reroute ? Math.max(64, size[0]) : Math.max(size[0] || 0, minimum[0]);
  const height = reroute ? Math.max(26, size[1]) : Math.max(size[1] || 0, minimum[1]);
  const widgets = placeWidgets(view.widgets, top, height - content);
  const bottom = widgets.length ? widgets[widgets.length - 1].y + widgets[widgets.length - 1].height : top;
  return {
    width,
    height,
    title: reroute ? 0 : TITLE,
    collapsed: false,
    minimum,
    widgets,
    inputs: placeInputs(view, widgets, reroute ? height / 2 : undefined),
    outputs: view.outputs.map((_, index) => [width, reroute ? height / 2 : (index + 0.7) * ROW]),
    content: { y: bottom, height: Math.max(0, height - bottom) },
  };
}

/**
 * @param {{ inputs: InputView[], widgets: WidgetView[] }} view
 * @param {{ y: number, height: number }[]} widgets
 * @param {number} [fixed]
 * @returns {Point[]}
 */
function placeInputs(view, widgets, fixed) {
  let row = 0;
  return view.inputs.map((input) => {
    if (fixed !== undefined) return [0, fixed];
    if (!input.widget) return [0, (row++ + 0.7) * ROW];
    const at = view.widgets.findIndex((widget) => widget.name === input.widget || widget.name === input.name);
    return at < 0 ? [0, (row++ + 0.7) * ROW] : [0, widgets[at].y + (WIDGET - 4) / 2];
  });
}

/** @param {WidgetView} widget @returns {boolean} */
export function isTextArea(widget) {
  return widget.kind === "string" && Boolean(widget.options.multiline);
}

/**
 * @param {WidgetView[]} widgets
 * @param {number} top
 * @param {number} bottom
 * @returns {{ y: number, height: number }[]} text areas share what room is left
 */
function placeWidgets(widgets, top, bottom) {
  const areas = widgets.filter(isTextArea).length;
  const fixed = widgets.reduce((sum, widget) => sum + (isTextArea(widget) ? TEXT_AREA : WIDGET), 0);
  const spare = areas ? Math.max(0, bottom - top - fixed - 6) / areas : 0;
  let y = top;
  return widgets.map((widget) => {
    const height = isTextArea(widget) ? TEXT_AREA + spare : WIDGET;
    y += height;
    return { y: y - height, height: height - 4 };
  });
}

/**
 * @param {{ inputs: InputView[], outputs: OutputView[], widgets: WidgetView[] }} view
 * @param {InputView[]} rows
 * @param {number} top
 * @param {number} content
 * @param {Measure} measure
 * @returns {Point}
 */
function minimumSize(view, rows, top, content, measure) {
  const left = rows.reduce((widest, input) => Math.max(widest, measure(input.label)), 0);
  const right = view.outputs.reduce((widest, output) => Math.max(widest, measure(output.label)), 0);
  const sockets = left + right + (left && right ? 70 : 50);
  const fields = view.widgets.length ? 200 : 0;
  const height =
    top +
    view.widgets.reduce((sum, widget) => sum + (isTextArea(widget) ? TEXT_AREA : WIDGET), 0) +
    (view.widgets.length ? 6 : 0);
  return [Math.max(120, sockets, fields), Math.max(26, height) + content];
}

/**
 * @param {GraphNode} node
 * @param {{ inputs: InputView[], outputs: OutputView[] }} view
 * @param {Measure} measure
 * @returns {Layout} only the title; all links meet at its ends
 */
function collapsedLayout(node, view, measure) {
  const width = Math.min(240, Math.max(COLLAPSED_WIDTH / 2, measure(String(node.title ?? node.type)) + 46));
  return {
    width,
    height: 0,
    title: TITLE,
    collapsed: true,
    minimum: [width, 0],
    widgets: [],
    content: { y: 0, height: 0 },
    inputs: view.inputs.map(() => [0, -TITLE / 2]),
    outputs: view.outputs.map(() => [width, -TITLE / 2]),
  };
}

/**
 * @param {GraphNode} node
 * @param {Layout} layout
 * @returns {import("../types.js").Box} the node with its title, in graph units
 */
export function nodeBox(node, layout) {
  const [x, y] = point(node.pos);
  return [x, y - layout.title, layout.width, layout.height + layout.title];
}
