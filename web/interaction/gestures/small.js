/** @import { Box, Id, Point } from "../../types.js" */
/** @import { Editor } from "../editor.js" */
/** The short gestures: panning, pinching, the selection box, resizing, and turning a number. */
import { clamped, plus } from "../../core/exact.js";
import { setFields, setGroup, setValue } from "../../core/edits.js";
import { point } from "../../core/layout.js";
import { overlap } from "../../core/spatial.js";
import { outlineNodes, rubberBand } from "../../view/live.js";

const MOST_ZOOM = 2.5;

export class PanGesture {
  /** @param {Editor} editor @param {Point} screen */
  constructor(editor, screen) {
    this.editor = editor;
    this.last = screen;
  }

  /** @param {Point} _ @param {{ screen: Point }} how */
  move(_, { screen }) {
    this.editor.camera.pan(screen[0] - this.last[0], screen[1] - this.last[1]);
    this.last = screen;
    this.editor.moved();
  }

  end() {}
  cancel() {}
}

/** Two fingers: the graph stays under both. */
export class PinchGesture {
  /** @param {Editor} editor @param {Map<number, Point>} fingers on screen, by pointer */
  constructor(editor, fingers) {
    this.editor = editor;
    this.fingers = fingers;
    const { middle, distance } = this.#measure();
    this.middle = middle;
    this.distance = distance;
  }

  #measure() {
    const [a, b] = [...this.fingers.values()];
    return {
      middle: /** @type {Point} */ ([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]),
      distance: Math.max(20, Math.hypot(a[0] - b[0], a[1] - b[1])),
    };
  }

  move() {
    if (this.fingers.size < 2) return;
    const { middle, distance } = this.#measure();
    const { camera } = this.editor;
    camera.pan(middle[0] - this.middle[0], middle[1] - this.middle[1]);
    camera.zoomTo((camera.scale * distance) / this.distance, middle);
    Object.assign(this, { middle, distance });
    this.editor.moved();
  }

  end() {}
  cancel() {}
}

export class BoxGesture {
  /** @param {Editor} editor @param {Point} start @param {boolean} add keeps what is selected */
  constructor(editor, start, add) {
    this.editor = editor;
    this.start = start;
    this.at = start;
    this.before = add ? new Set(editor.selected) : new Set();
  }

  /** @returns {Box} */
  get box() {
    return [
      Math.min(this.start[0], this.at[0]),
      Math.min(this.start[1], this.at[1]),
      Math.abs(this.at[0] - this.start[0]),
      Math.abs(this.at[1] - this.start[1]),
    ];
  }

  /** @param {Point} at */
  move(at) {
    this.at = at;
    this.editor.renderer.stir();
  }

  /** @param {import("../../view/node_painter.js").Brush} brush @param {Box} seen */
  paint(brush, seen) {
    outlineNodes(
      brush,
      this.editor.scene,
      this.editor.scene.nodes.query(this.box),
      brush.theme.colors.accent,
      this.editor.camera.scale,
      seen,
    );
    rubberBand(brush, this.box, this.editor.camera.scale);
    return true;
  }

  end() {
    const { scene } = this.editor;
    const groups = [...scene.scope.groups]
      .filter(([, group]) => inside(this.box, group.bounding))
      .map(([id]) => id);
    const bends = [...scene.scope.reroutes.values()]
      .filter(({ pos }) => overlap([pos[0], pos[1], 0, 0], this.box))
      .map(({ id }) => id);
    this.editor.select([...this.before, ...scene.nodes.query(this.box)], groups, bends);
  }

  cancel() {
    this.editor.renderer.stir();
  }
}

/** A box that is to fill the view. */
export class ZoomGesture extends BoxGesture {
  /** @param {Editor} editor @param {Point} start */
  constructor(editor, start) {
    super(editor, start, false);
  }

  /** @param {import("../../view/node_painter.js").Brush} brush */
  paint(brush) {
    rubberBand(brush, this.box, this.editor.camera.scale);
    return true;
  }

  end() {
    const { camera, renderer } = this.editor;
    const [, , w, h] = this.box;
    if (Math.min(w, h) * camera.scale < 8) return;
    camera.fit(this.box, renderer.width, renderer.height, 0, MOST_ZOOM);
    this.editor.moved();
  }
}

/** @param {Box} outer @param {Box} inner */
function inside([x, y, w, h], [ix, iy, iw, ih]) {
  return ix >= x && iy >= y && ix + iw <= x + w && iy + ih <= y + h;
}

export class ResizeGesture {
  /** @param {Editor} editor @param {Id} id @param {Point} start */
  constructor(editor, id, start) {
    this.editor = editor;
    this.id = id;
    this.start = start;
    const { width, height } = editor.scene.layout(id);
    this.from = [width, height];
    editor.tab.history.seal();
  }

  /** @param {Point} at */
  move(at) {
    const { minimum } = this.editor.scene.layout(this.id);
    const extra = this.editor.contentHeight(this.id);
    const width = Math.max(minimum[0], this.from[0] + at[0] - this.start[0]);
    const height = Math.max(minimum[1] - extra, this.from[1] + at[1] - this.start[1]);
    const size = /** @type {Point} */ ([Math.round(width), Math.round(height)]);
    this.editor.do(setFields(this.editor.where, [this.id], { size }, "Resize", `resize ${this.id}`));
  }

  end() {
    this.editor.tab.history.seal();
  }
  cancel() {
    this.end();
  }
}

export class GroupResizeGesture {
  /** @param {Editor} editor @param {Id} id */
  constructor(editor, id) {
    this.editor = editor;
    this.id = id;
    editor.tab.history.seal();
  }

  /** @param {Point} at */
  move(at) {
    const group = this.editor.scene.scope.groups.get(this.id);
    if (!group) return;
    const [x, y] = group.bounding;
    const bounding = /** @type {Box} */ ([
      x,
      y,
      Math.max(120, Math.round(at[0] - x)),
      Math.max(60, Math.round(at[1] - y)),
    ]);
    this.editor.do({
      ...setGroup(this.editor.where, this.id, { bounding }, "Resize group"),
      merge: `group ${this.id}`,
    });
  }

  end() {
    this.editor.tab.history.seal();
  }
  cancel() {
    this.end();
  }
}

/** A sideways drag on a number turns it; without a drag it is a click. */
export class TurnGesture {
  moved = false;

  /**
   * @param {Editor} editor
   * @param {Id} id
   * @param {import("../../types.js").WidgetView} widget
   * @param {Point} start
   * @param {() => void} clicked
   */
  constructor(editor, id, widget, start, clicked) {
    this.editor = editor;
    this.id = id;
    this.widget = widget;
    this.start = start;
    this.clicked = clicked;
    this.from = typeof widget.value === "bigint" ? widget.value : Number(widget.value) || 0;
    editor.tab.history.seal();
  }

  /** @param {Point} at @param {{ shift: boolean }} how */
  move(at, { shift }) {
    const distance = (at[0] - this.start[0]) * this.editor.camera.scale;
    if (!this.moved && Math.abs(distance) < 4) return;
    this.moved = true;
    const { options, kind } = this.widget;
    const step = Number(options.step) || (kind === "int" ? 1 : 0.1);
    const range = (options.max ?? Infinity) - (options.min ?? -Infinity);
    const turns = range <= 1 ? ((distance / 180) * range) / step : distance / 8;
    const value = rounded(plus(this.from, Math.round(turns * (shift ? 0.1 : 1)) * step), this.widget);
    this.editor.do(setValue(this.editor.where, this.id, this.widget.name, value));
  }

  end() {
    this.editor.tab.history.seal();
    if (!this.moved) this.clicked();
  }

  cancel() {
    this.editor.tab.history.seal();
  }
}

/**
 * @param {number | bigint} value
 * @param {import("../../types.js").WidgetView} widget
 * @returns {number | bigint} within the widget's bounds and steps
 */
export function rounded(value, { kind, options }) {
  if (typeof value === "bigint")
    return kind === "int"
      ? clamped(value, options.min, options.max)
      : rounded(Number(value), /** @type {any} */ ({ kind, options }));
  const low = options.min ?? -Infinity;
  const high = options.max ?? Infinity;
  const bounded = Math.min(high, Math.max(low, value));
  if (kind === "int") return Math.round(bounded);
  const unit = Number(options.round) || 0.001;
  return Number((Math.round(bounded / unit) * unit).toFixed(6));
}

/** @param {Editor} editor @param {Id} id @returns {Point} */
export function positionOf(editor, id) {
  return point(editor.scene.node(id).pos);
}
