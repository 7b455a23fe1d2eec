/** @import { GraphNode, Id, Layout } from "../types.js" */
/** @import { NodeView } from "../core/catalogue.js" */
/** @import { Theme } from "./theme.js" */
/** @import { Lettering } from "./lettering.js" */
/** @import { WidgetDrawing } from "./widget_painter.js" */
/** One node in full, and in the middle distance. */
import { typeName } from "../core/types.js";
import { socketPath } from "./theme.js";
import { label, MARGIN, paintWidget } from "./widget_painter.js";

/**
 * What painting needs to know besides the node.
 * @typedef {object} Brush
 * @property {CanvasRenderingContext2D} ctx
 * @property {Theme} theme
 * @property {Lettering} lettering
 * @property {string} bold
 * @property {string} small
 * @property {Map<string, WidgetDrawing>} widgetDrawings
 * @property {NodeFacts} facts
 * @property {boolean} lowered fewer details, for a view from farther away
 */

/**
 * What is known about a node beyond the document: asked while painting, decided elsewhere.
 * @typedef {object} NodeFacts
 * @property {(id: Id) => { inputs: Set<string>, message: string } | undefined} error
 * @property {(id: Id) => (CanvasImageSource & { width: number, height: number })[]} pictures
 * @property {(id: Id) => string | undefined} text shown below the widgets
 * @property {(id: Id) => string | undefined} badge right in the title
 * @property {(id: Id) => string | undefined} heat colour of the title
 */

const RADIUS = 8;

/**
 * @param {Brush} brush
 * @param {GraphNode} node
 * @param {NodeView} view
 * @param {Layout} layout drawn at the origin of the node's body
 */
export function paintNode(brush, node, view, layout) {
  const { ctx } = brush;
  const faded = node.mode === 2 || node.mode === 4;
  ctx.globalAlpha = node.mode === 2 ? 0.38 : node.mode === 4 ? 0.62 : 1;
  paintFrame(brush, node, view, layout);
  if (layout.title) paintTitle(brush, node, view, layout);
  if (!layout.collapsed) {
    paintLabels(brush, view, layout);
    const wrong = brush.facts.error(node.id)?.inputs;
    view.widgets.forEach((widget, index) =>
      paintWidget(
        brush,
        widget,
        layout.widgets[index].y,
        layout.widgets[index].height,
        layout.width,
        Boolean(wrong?.has(widget.name)),
      ),
    );
    paintContent(brush, node, view, layout);
  }
  paintSockets(brush, node, view, layout);
  if (faded) ctx.globalAlpha = 1;
}

/** @param {Brush} brush @param {GraphNode} node @param {NodeView} view */
function colorsOf({ theme, facts }, node, view) {
  const bypass = node.mode === 4;
  return {
    body: bypass ? theme.colors.bypass : node.bgcolor ? theme.adapt(node.bgcolor) : theme.colors.node,
    title:
      facts.heat(node.id) ??
      (bypass ? theme.colors.bypass : node.color ? theme.adapt(node.color) : theme.colors.title),
    edge: view.spec ? theme.colors.edge : theme.colors.danger,
  };
}

/** @param {Brush} brush @param {GraphNode} node @param {NodeView} view @param {Layout} layout */
function paintFrame(brush, node, view, { width, height, title, collapsed }) {
  const { ctx } = brush;
  const colors = colorsOf(brush, node, view);
  ctx.beginPath();
  ctx.roundRect(0, -title, width, height + title, RADIUS);
  ctx.fillStyle = colors.body;
  ctx.fill();
  if (title) {
    ctx.beginPath();
    ctx.roundRect(0, -title, width, title, collapsed ? RADIUS : [RADIUS, RADIUS, 0, 0]);
    ctx.fillStyle = colors.title;
    ctx.fill();
  }
  ctx.beginPath();
  ctx.roundRect(0.5, -title + 0.5, width - 1, height + title - 1, RADIUS);
  ctx.lineWidth = 1;
  ctx.strokeStyle = colors.edge;
  if (!view.spec) ctx.setLineDash([6, 4]);
  ctx.stroke();
  if (!view.spec) ctx.setLineDash([]);
}

/** @param {Brush} brush @param {GraphNode} node @param {NodeView} view @param {Layout} layout */
function paintTitle(brush, node, view, { width, title, collapsed }) {
  const { ctx, theme, lettering, bold, small } = brush;
  const middle = -title / 2;
  ctx.fillStyle = theme.colors.dim;
  ctx.beginPath();
  if (collapsed)
    trianglePath(ctx, 14, middle, [
      [-3, -4.5],
      [4, 0],
      [-3, 4.5],
    ]);
  else
    trianglePath(ctx, 14, middle, [
      [-4.5, -3],
      [4.5, -3],
      [0, 4],
    ]);
  ctx.fill();
  const badge = brush.facts.badge(node.id) ?? badgeOf(node, view);
  const badgeWidth = badge ? lettering.width(small, badge) + 14 : 0;
  if (badge) {
    ctx.fillStyle = theme.colors.shade;
    ctx.beginPath();
    ctx.roundRect(width - badgeWidth - 8, middle - 9, badgeWidth, 18, 9);
    ctx.fill();
    label(
      brush,
      badge,
      width - 8 - badgeWidth / 2,
      middle,
      view.spec ? theme.colors.dim : theme.colors.danger,
      "center",
      small,
    );
  }
  label(
    brush,
    lettering.fit(bold, titleOf(node, view), width - 42 - badgeWidth),
    26,
    middle,
    theme.colors.text,
    "left",
    bold,
  );
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number[][]} corners */
function trianglePath(ctx, x, y, corners) {
  corners.forEach(([dx, dy], index) => (index ? ctx.lineTo(x + dx, y + dy) : ctx.moveTo(x + dx, y + dy)));
}

/** @param {GraphNode} node @param {NodeView} view @returns {string | undefined} */
function badgeOf(node, view) {
  if (!view.spec) return "missing";
  if (node.mode === 2) return "muted";
  if (node.mode === 4) return "bypassed";
  if (node.flags?.pinned) return "pinned";
  if (view.spec.definition) return "subgraph";
  if (view.spec.deprecated) return "old";
  return view.spec.experimental ? "beta" : undefined;
}

/** @param {GraphNode} node @param {NodeView} view @returns {string} */
export function titleOf(node, view) {
  return String(node.title || view.spec?.title || node.type);
}

/** @param {Brush} brush @param {NodeView} view @param {Layout} layout */
function paintLabels(brush, view, layout) {
  const { theme, lettering, small } = brush;
  if (!layout.title) return;
  const half = layout.width * 0.62;
  view.inputs.forEach((input, index) => {
    if (!input.widget || !view.widgets.some((widget) => widget.name === input.name))
      label(
        brush,
        lettering.fit(small, input.label, half),
        14,
        layout.inputs[index][1],
        theme.colors.text,
        "left",
        small,
      );
  });
  view.outputs.forEach((output, index) =>
    label(
      brush,
      lettering.fit(small, output.label, half),
      layout.width - 14,
      layout.outputs[index][1],
      theme.colors.text,
      "right",
      small,
    ),
  );
}

/** @param {Brush} brush @param {GraphNode} node @param {NodeView} view @param {Layout} layout */
function paintSockets(brush, node, view, layout) {
  const wrong = brush.facts.error(node.id)?.inputs;
  view.inputs.forEach((input, index) => {
    if (layout.collapsed && index) return;
    const [x, y] = layout.inputs[index];
    if (input.widget && input.link == null && !layout.collapsed)
      paintSocket(brush, input.type, x, y, 2.6, false);
    else
      paintSocket(
        brush,
        input.type,
        x,
        y,
        5,
        input.optional && input.link == null,
        Boolean(wrong?.has(input.name)),
      );
  });
  view.outputs.forEach((output, index) => {
    if (!layout.collapsed || !index)
      paintSocket(brush, output.type, layout.outputs[index][0], layout.outputs[index][1], 5, false);
  });
}

/**
 * @param {Brush} brush
 * @param {any} type
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 * @param {boolean} hollow
 * @param {boolean} [wrong]
 */
export function paintSocket({ ctx, theme }, type, x, y, radius, hollow, wrong = false) {
  ctx.beginPath();
  socketPath(ctx, theme.typeShape(type), x, y, radius);
  ctx.fillStyle = hollow ? theme.colors.node : theme.typeColor(type);
  ctx.fill();
  ctx.lineWidth = wrong ? 2.5 : 1.25;
  ctx.strokeStyle = wrong ? theme.colors.danger : hollow ? theme.typeColor(type) : theme.colors.edge;
  ctx.stroke();
}

/** @param {Brush} brush @param {GraphNode} node @param {NodeView} view @param {Layout} layout */
function paintContent(brush, node, view, layout) {
  const text = brush.facts.text(node.id);
  const room = contentRoom(layout);
  if (!view.spec && !text) {
    const lines = brush.lettering.wrap(
      brush.small,
      "This node type is not installed. Its values and links are kept.",
      room.width,
      3,
    );
    lines.forEach((line, index) =>
      label(brush, line, room.x, room.y + 12 + index * 16, brush.theme.colors.dim, "left", brush.small),
    );
    return;
  }
  if (room.height < 24) return;
  if (text)
    brush.lettering
      .wrap(brush.small, text, room.width, Math.floor(room.height / 16))
      .forEach((line, index) =>
        label(
          brush,
          line.trimEnd(),
          room.x,
          room.y + 8 + index * 16,
          brush.theme.colors.text,
          "left",
          brush.small,
        ),
      );
  const pictures = brush.facts.pictures(node.id);
  if (pictures.length) paintPictures(brush, pictures, room);
  else if (!text && view.spec?.outputNode && room.height > 60) paintEmpty(brush, room);
}

/**
 * Where a result will stand.
 * @param {Brush} brush
 * @param {{ x: number, y: number, width: number, height: number }} room
 */
function paintEmpty(brush, room) {
  const { ctx, theme, small } = brush;
  ctx.beginPath();
  ctx.roundRect(room.x, room.y + 2, room.width, room.height - 2, 6);
  ctx.fillStyle = theme.colors.field;
  ctx.fill();
  label(
    brush,
    "Run to see the result here",
    room.x + room.width / 2,
    room.y + room.height / 2,
    theme.colors.faint,
    "center",
    small,
  );
}

/**
 * @param {{ width: number, height: number }} room
 * @param {number} count
 * @param {number} aspect
 * @returns {{ columns: number, rows: number }} the grid with the largest cells
 */
export function gridOf(room, count, aspect = 1) {
  let best = { columns: 1, rows: count, size: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const size = Math.min(room.width / columns / aspect, room.height / rows);
    if (size > best.size) best = { columns, rows, size };
  }
  return best;
}

/**
 * @param {Layout} layout
 * @returns {{ x: number, y: number, width: number, height: number }} where pictures and texts stand, from the
 *   top left of the body
 */
export function contentRoom({ width, content }) {
  return { x: MARGIN, y: content.y + 4, width: width - 2 * MARGIN, height: content.height - 12 };
}

/**
 * @param {Layout} layout
 * @param {{ width: number, height: number }[]} pictures
 * @param {number} dx
 * @param {number} dy from the top left of the body
 * @returns {number} which picture lies there
 */
export function pictureAt(layout, pictures, dx, dy) {
  if (pictures.length < 2) return 0;
  const room = contentRoom(layout);
  const { columns, rows } = gridOf(
    room,
    pictures.length,
    pictures[0].width / Math.max(1, pictures[0].height),
  );
  const [column, row] = [
    Math.floor(((dx - room.x) / room.width) * columns),
    Math.floor(((dy - room.y) / room.height) * rows),
  ];
  return Math.max(
    0,
    Math.min(pictures.length - 1, row * columns + Math.max(0, Math.min(columns - 1, column))),
  );
}

/**
 * @param {Brush} brush
 * @param {(CanvasImageSource & { width: number, height: number })[]} pictures
 * @param {{ x: number, y: number, width: number, height: number }} room
 */
function paintPictures({ ctx, theme }, pictures, room) {
  const { columns, rows } = gridOf(
    room,
    pictures.length,
    pictures[0].width / Math.max(1, pictures[0].height),
  );
  const [cellWidth, cellHeight] = [room.width / columns, room.height / rows];
  pictures.forEach((picture, index) => {
    const scale = Math.min((cellWidth - 2) / picture.width, (cellHeight - 2) / picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    const x = room.x + (index % columns) * cellWidth + (cellWidth - w) / 2;
    const y = room.y + Math.floor(index / columns) * cellHeight + (cellHeight - h) / 2;
    ctx.imageSmoothingEnabled = scale < 3;
    ctx.drawImage(picture, x, y, w, h);
    ctx.lineWidth = 1;
    ctx.strokeStyle = theme.colors.edge;
    ctx.strokeRect(x, y, w, h);
  });
}

/**
 * From the middle distance: frame, title, bars for widgets, pictures.
 * @param {Brush} brush
 * @param {GraphNode} node
 * @param {NodeView} view
 * @param {Layout} layout
 * @param {number} scale
 */
export function paintNodeMiddle(brush, node, view, layout, scale) {
  const { ctx, theme, lettering } = brush;
  const colors = colorsOf(brush, node, view);
  ctx.globalAlpha = node.mode === 2 ? 0.38 : node.mode === 4 ? 0.62 : 1;
  ctx.fillStyle = colors.body;
  ctx.fillRect(0, -layout.title, layout.width, layout.height + layout.title);
  ctx.fillStyle = colors.title;
  ctx.fillRect(0, -layout.title, layout.width, layout.title);
  if (layout.title && scale >= 0.26) {
    const size = Math.min(20, Math.max(13, 8.5 / scale));
    const font = `600 ${size.toFixed(1)}px ${theme.font}`;
    label(
      brush,
      lettering.fit(font, titleOf(node, view), layout.width - 16),
      10,
      -layout.title / 2,
      theme.colors.text,
      "left",
      font,
    );
  }
  ctx.fillStyle = theme.colors.field;
  for (const { y, height } of layout.widgets)
    ctx.fillRect(MARGIN, y + 2, layout.width - 2 * MARGIN, height - 4);
  const pictures = brush.facts.pictures(node.id);
  if (pictures.length && layout.content.height > 24) paintPictures(brush, pictures, contentRoom(layout));
  if (node.mode) ctx.globalAlpha = 1;
}

/** @param {any} type @returns {string} spoken and shown in hints */
export function typeLabel(type) {
  return typeName(type) === "*" ? "any type" : typeName(type);
}
