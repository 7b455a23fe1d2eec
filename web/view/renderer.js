/** @import { Box, Id, Point } from "../types.js" */
/** @import { Brush, NodeFacts } from "./node_painter.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Theme } from "./theme.js" */
/**
 * Two stacked canvases. The lower shows the graph at rest and is mended rather than redrawn: panning shifts
 * its pixels and paints the strip that came into view; an edit paints the boxes it touched. The upper holds
 * what is moving. Nothing runs while nothing changes.
 */
import { grow, overlap } from "../core/spatial.js";
import { Camera } from "./camera.js";
import { Lettering } from "./lettering.js";
import { paintWorld } from "./world.js";

const SLOW = 11; // milliseconds; a full drawing that takes longer is put off while zooming
const CHEAP = 1; // milliseconds; only drawing next to nothing costs less than shifting pixels
const SETTLE = 130; // milliseconds after the last zoom step

export class Renderer {
  camera = new Camera();
  /** @type {{ hiddenNodes: Set<Id>, hiddenLinks: Set<number>, simple: boolean }} */ hidden = {
    hiddenNodes: new Set(),
    hiddenLinks: new Set(),
    simple: false,
  };
  /** @type {((brush: Brush, seen: Box) => boolean)[]} painters of the upper canvas; true when they drew */
  live = [];
  /** @type {Set<() => void>} called before each frame */ beforeFrame = new Set();
  /** @type {Map<string, import("./widget_painter.js").WidgetDrawing>} */ widgetDrawings = new Map();
  #requested = false;
  #full = true;
  /** @type {Box[]} */ #damage = [];
  #drawn = { x: 0, y: 0, scale: 0 };
  #cost = 0;
  #least = 0; // of the last drawings: other work on the machine makes single ones look dear
  #liveDirty = true;
  #liveUsed = false;
  #settle = 0;
  /** @type {HTMLCanvasElement | undefined} */ #snapshot;
  #snapshotCamera = { x: 0, y: 0, scale: 1 };
  width = 0;
  height = 0;
  ratio = 1;

  /** @param {HTMLElement} host @param {Scene} scene @param {Theme} theme @param {NodeFacts} facts */
  constructor(host, scene, theme, facts) {
    this.scene = scene;
    this.theme = theme;
    this.facts = facts;
    this.world = canvas(host, false);
    this.upper = canvas(host, true);
    this.lettering = new Lettering(
      /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d")),
    );
    new ResizeObserver(() => this.resize(host)).observe(host);
    this.resize(host);
  }

  get small() {
    return `12px ${this.theme.font}`;
  }
  get bold() {
    return `600 13px ${this.theme.font}`;
  }

  /** @type {() => void} called when what is seen has another size */ resized = () => {};

  /** @param {string} text @returns {number} */
  measure = (text) => this.lettering.width(this.small, text);

  /** @returns {Box} */
  get seen() {
    return this.camera.seen(this.width, this.height);
  }

  /** @param {HTMLElement} host */
  resize(host) {
    const ratio = Math.min(2, globalThis.devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = host;
    if (width === this.width && height === this.height && ratio === this.ratio) return;
    Object.assign(this, { width, height, ratio });
    for (const layer of [this.world, this.upper]) {
      layer.canvas.width = Math.round(width * ratio);
      layer.canvas.height = Math.round(height * ratio);
    }
    this.redraw();
    this.resized();
  }

  /** Everything looks different. */
  redraw() {
    this.#full = true;
    this.#liveDirty = true;
    this.request();
  }

  /** @param {Box[]} boxes parts of the graph that look different */
  damage(boxes) {
    if (boxes.length > 60) this.#full = true;
    else this.#damage.push(...boxes);
    this.#liveDirty = true;
    this.request();
  }

  /** The upper canvas looks different. */
  stir() {
    this.#liveDirty = true;
    this.request();
  }

  request() {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame(() => {
      this.#requested = false;
      this.frame();
    });
  }

  frame() {
    for (const prepare of this.beforeFrame) prepare();
    this.#snapCamera();
    const { x, y, scale } = this.camera;
    const moved = x !== this.#drawn.x || y !== this.#drawn.y || scale !== this.#drawn.scale;
    if (this.#full || scale !== this.#drawn.scale) this.#paintAll();
    else if (moved) this.#shift();
    this.#mend();
    if (moved || this.#liveDirty) this.#paintLive();
  }

  /** The world lies on whole device pixels, so that shifting it loses nothing. */
  #snapCamera() {
    const unit = this.camera.scale * this.ratio;
    this.camera.x = Math.round(this.camera.x * unit) / unit;
    this.camera.y = Math.round(this.camera.y * unit) / unit;
  }

  #paintAll() {
    const zooming = this.#drawn.scale !== 0 && this.camera.scale !== this.#drawn.scale && !this.#full;
    if (zooming && this.#cost > SLOW) return this.#paintScaled();
    const start = performance.now();
    this.#snapshot = undefined;
    this.#paintArea([0, 0, this.world.canvas.width, this.world.canvas.height]);
    this.#cost = performance.now() - start;
    this.#least = Math.min(this.#cost, this.#least * 1.25 + 0.5);
    this.#settled();
  }

  #settled() {
    this.#full = false;
    this.#damage.length = 0;
    const { x, y, scale } = this.camera;
    this.#drawn = { x, y, scale };
  }

  /** While the wheel turns: the last sharp picture, scaled, over the whole graph in little. */
  #paintScaled() {
    const { canvas: element } = this.world;
    if (!this.#snapshot) {
      this.#snapshot = document.createElement("canvas");
      this.#snapshot.width = element.width;
      this.#snapshot.height = element.height;
      this.#snapshot.getContext("2d")?.drawImage(element, 0, 0);
      this.#snapshotCamera = { ...this.#drawn };
    }
    const { x, y, scale } = this.camera;
    const from = this.#snapshotCamera;
    const factor = scale / from.scale;
    this.world.setTransform(1, 0, 0, 1, 0, 0);
    this.world.fillStyle = this.theme.colors.canvas;
    this.world.fillRect(0, 0, element.width, element.height);
    this.world.drawImage(
      this.#snapshot,
      (from.x - x) * scale * this.ratio,
      (from.y - y) * scale * this.ratio,
      element.width * factor,
      element.height * factor,
    );
    this.#settled();
    clearTimeout(this.#settle);
    this.#settle = window.setTimeout(() => {
      this.#cost = 0;
      this.redraw();
    }, SETTLE);
  }

  /** Moves the pixels and paints what came into view. */
  #shift() {
    const unit = this.camera.scale * this.ratio;
    const dx = Math.round((this.#drawn.x - this.camera.x) * unit);
    const dy = Math.round((this.#drawn.y - this.camera.y) * unit);
    const { width, height } = this.world.canvas;
    if (
      this.#snapshot ||
      this.#least < CHEAP ||
      Math.abs(dx) >= width * 0.6 ||
      Math.abs(dy) >= height * 0.6
    ) {
      this.#full = true;
      return this.#paintAll();
    }
    const damage = this.#damage.splice(0);
    this.world.setTransform(1, 0, 0, 1, 0, 0);
    this.world.globalCompositeOperation = "copy";
    this.world.drawImage(this.world.canvas, dx, dy);
    this.world.globalCompositeOperation = "source-over";
    if (dx) this.#paintArea([dx > 0 ? 0 : width + dx, 0, Math.abs(dx), height]);
    if (dy) this.#paintArea([0, dy > 0 ? 0 : height + dy, width, Math.abs(dy)]);
    this.#settled();
    this.#damage.push(...damage);
  }

  /** Paints what edits touched. */
  #mend() {
    const unit = this.camera.scale * this.ratio;
    const whole = /** @type {Box} */ ([0, 0, this.world.canvas.width, this.world.canvas.height]);
    for (const [x, y, w, h] of merged(this.#damage.splice(0), this.seen)) {
      const left = Math.max(0, Math.floor((x - this.camera.x) * unit) - 2);
      const top = Math.max(0, Math.floor((y - this.camera.y) * unit) - 2);
      const right = Math.min(whole[2], Math.ceil((x + w - this.camera.x) * unit) + 2);
      const bottom = Math.min(whole[3], Math.ceil((y + h - this.camera.y) * unit) + 2);
      if (right > left && bottom > top) this.#paintArea([left, top, right - left, bottom - top]);
    }
  }

  /** @param {Box} pixels part of the lower canvas, in device pixels */
  #paintArea([left, top, width, height]) {
    const ctx = this.world;
    const unit = this.camera.scale * this.ratio;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.fillStyle = this.theme.colors.canvas;
    ctx.fillRect(left, top, width, height);
    this.#dots(ctx, left, top, width, height, unit);
    ctx.setTransform(unit, 0, 0, unit, -this.camera.x * unit, -this.camera.y * unit);
    const area = grow(
      [left / unit + this.camera.x, top / unit + this.camera.y, width / unit, height / unit],
      12,
    );
    paintWorld(this.brush(ctx), this.scene, area, this.camera.scale, this.hidden);
    ctx.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} ctx
   * @param {number} left
   * @param {number} top
   * @param {number} width
   * @param {number} height
   * @param {number} unit
   */
  #dots(ctx, left, top, width, height, unit) {
    if (this.camera.scale < 0.45) return;
    const step = 24 * unit;
    const size = Math.max(1, Math.round(1.2 * this.ratio));
    const startX = Math.ceil((left + this.camera.x * unit) / step) * step - this.camera.x * unit;
    const startY = Math.ceil((top + this.camera.y * unit) / step) * step - this.camera.y * unit;
    ctx.fillStyle = this.theme.colors.dots;
    ctx.beginPath();
    for (let x = startX - step; x < left + width; x += step)
      for (let y = startY - step; y < top + height; y += step)
        ctx.rect(Math.round(x), Math.round(y), size, size);
    ctx.fill();
  }

  /** @param {CanvasRenderingContext2D} ctx @returns {Brush} */
  brush(ctx) {
    return {
      ctx,
      theme: this.theme,
      lettering: this.lettering,
      bold: this.bold,
      small: this.small,
      widgetDrawings: this.widgetDrawings,
      facts: this.facts,
      lowered: false,
    };
  }

  #paintLive() {
    const ctx = this.upper;
    const unit = this.camera.scale * this.ratio;
    this.#liveDirty = false;
    if (this.#liveUsed) {
      ctx.setTransform(1, 0, 0, 1, 0, 0);
      ctx.clearRect(0, 0, ctx.canvas.width, ctx.canvas.height);
    }
    ctx.setTransform(unit, 0, 0, unit, -this.camera.x * unit, -this.camera.y * unit);
    const brush = this.brush(ctx);
    this.#liveUsed = this.live.map((paint) => paint(brush, this.seen)).some(Boolean);
  }

  /** @param {Point} at relative to the page @returns {Point} relative to the canvas */
  local([x, y]) {
    const box = this.world.canvas.getBoundingClientRect();
    return [x - box.left, y - box.top];
  }
}

/** @param {HTMLElement} host @param {boolean} alpha */
function canvas(host, alpha) {
  const element = document.createElement("canvas");
  element.setAttribute("aria-hidden", "true");
  host.append(element);
  return /** @type {CanvasRenderingContext2D} */ (element.getContext("2d", { alpha }));
}

/** @param {Box[]} boxes @param {Box} seen @returns {Box[]} those in view; boxes that meet become one */
function merged(boxes, seen) {
  /** @type {Box[]} */ const found = [];
  for (let box of boxes) {
    if (!overlap(box, seen)) continue;
    for (let index = 0; index < found.length; index += 1) {
      if (!overlap(found[index], box)) continue;
      const other = found.splice(index, 1)[0];
      const left = Math.min(box[0], other[0]);
      const top = Math.min(box[1], other[1]);
      box = [
        left,
        top,
        Math.max(box[0] + box[2], other[0] + other[2]) - left,
        Math.max(box[1] + box[3], other[1] + other[3]) - top,
      ];
      index = -1;
    }
    found.push(box);
  }
  return found;
}
