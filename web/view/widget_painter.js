/** @import { WidgetView } from "../types.js" */
/** @import { Brush } from "./node_painter.js" */
/** Widgets as painted fields; a real field is laid over one only while it is edited. */
import { printExact } from "../core/exact.js";
import { isTextArea } from "../core/layout.js";

export const MARGIN = 12;

/**
 * Kinds that extensions registered draw themselves.
 * @typedef {(ctx: CanvasRenderingContext2D, widget: WidgetView, box: { x: number, y: number, width: number,
 *   height: number }, brush: Brush) => void} WidgetDrawing
 */

/**
 * @param {Brush} brush
 * @param {WidgetView} widget
 * @param {number} y
 * @param {number} height
 * @param {number} width of the node
 * @param {boolean} wrong
 */
export function paintWidget(brush, widget, y, height, width, wrong) {
  const { ctx, theme } = brush;
  const x = MARGIN;
  const room = width - 2 * MARGIN;
  const custom = brush.widgetDrawings.get(widget.kind);
  ctx.globalAlpha *= widget.linked ? 0.45 : 1;
  if (custom) custom(ctx, widget, { x, y, width: room, height }, brush);
  else {
    field(brush, x, y, room, height, wrong);
    if (isTextArea(widget)) paintText(brush, widget, x, y, room, height);
    else if (widget.kind === "webcam" || widget.kind === "recording")
      paintCapture(brush, widget, x, y, room, height);
    else if (widget.kind === "boolean") paintSwitch(brush, widget, x, y, room, height);
    else paintValue(brush, widget, x, y, room, height);
  }
  if (widget.linked) ctx.globalAlpha /= 0.45;
  if (wrong) label(brush, "!", x + room - 8, y + height / 2, theme.colors.danger, "right", brush.bold);
}

/**
 * @param {Brush} brush
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @param {boolean} wrong
 */
function field({ ctx, theme }, x, y, width, height, wrong) {
  ctx.beginPath();
  ctx.roundRect(x, y, width, height, 6);
  ctx.fillStyle = theme.colors.field;
  ctx.fill();
  ctx.lineWidth = wrong ? 1.5 : 1;
  ctx.strokeStyle = wrong ? theme.colors.danger : theme.colors["field-edge"];
  ctx.stroke();
}

/**
 * @param {Brush} brush
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {string} color
 * @param {CanvasTextAlign} align
 * @param {string} font
 */
export function label({ ctx }, text, x, y, color, align, font) {
  ctx.font = font;
  ctx.fillStyle = color;
  ctx.textAlign = align;
  ctx.textBaseline = "middle";
  ctx.fillText(text, x, y + 0.5);
}

/**
 * @param {Brush} brush
 * @param {WidgetView} widget
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function paintValue(brush, widget, x, y, width, height) {
  const { ctx, theme, lettering, small } = brush;
  const middle = y + height / 2;
  const numeric = widget.kind === "int" || widget.kind === "float";
  const share = sliderShare(widget);
  if (share !== undefined) {
    ctx.fillStyle = theme.colors.shade;
    ctx.beginPath();
    ctx.roundRect(x + 1, y + 1, Math.max(4, (width - 2) * share), height - 2, 5);
    ctx.fill();
  }
  const arrows = numeric || widget.kind === "combo" ? 16 : 8;
  const extra = widget.control ? 18 : 0;
  const name = lettering.fit(small, widget.label, width * 0.52);
  const nameWidth = lettering.width(small, name);
  label(brush, name, x + arrows, middle, theme.colors.dim, "left", small);
  const text = lettering.fit(
    small,
    valueText(widget),
    Math.max(20, width - nameWidth - arrows * 2 - 12 - extra),
  );
  label(brush, text, x + width - arrows - extra, middle, theme.colors.text, "right", small);
  if (numeric || widget.kind === "combo") paintArrows(brush, x, width - extra, middle);
  if (widget.control) paintControl(brush, widget.control, x + width - 16, middle);
}

/** @param {Brush} brush @param {number} x @param {number} width @param {number} middle */
function paintArrows({ ctx, theme }, x, width, middle) {
  ctx.fillStyle = theme.colors.faint;
  ctx.beginPath();
  ctx.moveTo(x + 10, middle - 4);
  ctx.lineTo(x + 5, middle);
  ctx.lineTo(x + 10, middle + 4);
  ctx.moveTo(x + width - 10, middle - 4);
  ctx.lineTo(x + width - 5, middle);
  ctx.lineTo(x + width - 10, middle + 4);
  ctx.fill();
}

const CONTROL_SIGNS = /** @type {Record<string, string>} */ ({
  fixed: "•",
  increment: "+",
  decrement: "−",
  randomize: "⟳",
  "increment-wrap": "↻",
});

/** @param {Brush} brush @param {string} rule @param {number} x @param {number} middle */
function paintControl(brush, rule, x, middle) {
  const { ctx, theme } = brush;
  ctx.fillStyle = theme.colors.shade;
  ctx.beginPath();
  ctx.roundRect(x - 3, middle - 8, 17, 16, 4);
  ctx.fill();
  label(
    brush,
    CONTROL_SIGNS[rule] ?? "•",
    x + 5.5,
    middle,
    rule === "fixed" ? theme.colors.dim : theme.colors.accent,
    "center",
    brush.bold,
  );
}

/**
 * @param {Brush} brush
 * @param {WidgetView} widget
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function paintSwitch(brush, widget, x, y, width, height) {
  const { ctx, theme, lettering, small } = brush;
  const on = Boolean(widget.value);
  const middle = y + height / 2;
  label(
    brush,
    lettering.fit(small, widget.label, width * 0.55),
    x + 8,
    middle,
    theme.colors.dim,
    "left",
    small,
  );
  const words = on ? (widget.options.label_on ?? "on") : (widget.options.label_off ?? "off");
  label(
    brush,
    lettering.fit(small, String(words), width * 0.3),
    x + width - 40,
    middle,
    theme.colors.text,
    "right",
    small,
  );
  ctx.fillStyle = on ? theme.colors.accent : theme.colors.faint;
  ctx.beginPath();
  ctx.roundRect(x + width - 32, middle - 6, 24, 12, 6);
  ctx.fill();
  ctx.fillStyle = theme.colors.field;
  ctx.beginPath();
  ctx.arc(x + width - (on ? 14 : 26), middle, 4, 0, 7);
  ctx.fill();
}

/**
 * A button, and the name of the file that it brought.
 * @param {Brush} brush
 * @param {WidgetView} widget
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function paintCapture(brush, widget, x, y, width, height) {
  const { ctx, theme, lettering, small } = brush;
  const middle = y + height / 2;
  ctx.fillStyle = theme.colors.danger;
  ctx.beginPath();
  ctx.arc(x + 12, middle, 4, 0, 7);
  ctx.fill();
  const act = lettering.fit(small, widget.kind === "webcam" ? "Camera …" : "Microphone …", width * 0.6);
  label(brush, act, x + 22, middle, theme.colors.text, "left", small);
  const name = valueText(widget)
    .replace(/^.*\//, "")
    .replace(/ \[\w+\]$/, "");
  label(
    brush,
    lettering.fit(small, name, Math.max(20, width - lettering.width(small, act) - 40)),
    x + width - 8,
    middle,
    theme.colors.dim,
    "right",
    small,
  );
}

const LINE = 16;

/**
 * @param {Brush} brush
 * @param {WidgetView} widget
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function paintText(brush, widget, x, y, width, height) {
  const { theme, lettering, small } = brush;
  const text = String(widget.value ?? "");
  const most = Math.max(1, Math.floor((height - 10) / LINE));
  const lines = lettering.wrap(
    small,
    text || String(widget.options.placeholder ?? widget.label),
    width - 18,
    most,
  );
  lines.slice(0, most).forEach((line, index) => {
    const last = index === most - 1 && lines.length >= most && !text.endsWith(line);
    label(
      brush,
      last ? `${line.trimEnd().slice(0, -1)}…` : line.trimEnd(),
      x + 9,
      y + 5 + LINE / 2 + index * LINE,
      text ? theme.colors.text : theme.colors.faint,
      "left",
      small,
    );
  });
}

/** @param {WidgetView} widget @returns {number | undefined} how full a slider is */
export function sliderShare({ kind, value, options }) {
  const { min, max, display } = options;
  if (
    (kind !== "int" && kind !== "float") ||
    typeof value !== "number" ||
    max === undefined ||
    min === undefined
  )
    return undefined;
  if (display !== "slider" && !(max - min <= 1)) return undefined;
  return Math.min(1, Math.max(0, (value - min) / (max - min || 1)));
}

/** @param {WidgetView} widget @returns {string} */
export function valueText({ kind, value, options }) {
  if (value === null || value === undefined) return "";
  if (kind === "float" && typeof value === "number") {
    const step = Number(options.round || options.step) || 0.01;
    const digits = Math.min(6, Math.max(2, Math.ceil(-Math.log10(step)) || 0));
    return Number.isInteger(value) ? value.toFixed(1) : String(Number(value.toFixed(Math.max(digits, 3))));
  }
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "object") return printExact(value);
  return String(value).replace(/\n/g, " ");
}
