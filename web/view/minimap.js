/** @import { Box, Id } from "../types.js" */
/** @import { Renderer } from "./renderer.js" */
/**
 * The whole graph in little: redrawn only after edits, and at most a few times a second; the frame of the
 * view moves alone.
 */
import { grow } from "../core/spatial.js";

const WAIT = 250;

export class Minimap {
  #timer = 0;
  /** @type {Box} */ #area = [0, 0, 1, 1];

  /**
   * @param {HTMLElement} host
   * @param {Renderer} renderer
   * @param {() => Iterable<Id>} wrong nodes with errors
   */
  constructor(host, renderer, wrong, width = 184, height = 120) {
    this.renderer = renderer;
    this.wrong = wrong;
    this.element = document.createElement("canvas");
    this.element.className = "minimap";
    this.element.setAttribute("aria-hidden", "true");
    this.ratio = renderer.ratio;
    Object.assign(this.element, { width: width * this.ratio, height: height * this.ratio });
    Object.assign(this.element.style, { width: `${width}px`, height: `${height}px` });
    this.picture = document.createElement("canvas");
    Object.assign(this.picture, { width: this.element.width, height: this.element.height });
    this.element.addEventListener("pointerdown", (event) => this.#go(event));
    this.element.addEventListener("pointermove", (event) => {
      if (event.buttons) this.#go(event);
    });
    host.prepend(this.element);
    this.refresh();
  }

  /** @param {PointerEvent} event */
  #go(event) {
    this.element.setPointerCapture(event.pointerId);
    const scale = this.#scale();
    const { camera, width, height } = this.renderer;
    camera.x = (event.offsetX * this.ratio) / scale + this.#area[0] - width / 2 / camera.scale;
    camera.y = (event.offsetY * this.ratio) / scale + this.#area[1] - height / 2 / camera.scale;
    this.renderer.request();
    this.frame();
    this.element.dispatchEvent(new CustomEvent("moved"));
  }

  #scale() {
    return Math.min(this.element.width / this.#area[2], this.element.height / this.#area[3]);
  }

  /** The graph changed. */
  refresh() {
    if (this.#timer || this.element.hidden) return;
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      this.#paint();
      this.frame();
    }, WAIT);
  }

  #paint() {
    const { scene, theme } = this.renderer;
    this.element.style.visibility = scene.scope.nodes.size ? "" : "hidden";
    const bounds = grow(scene.bounds() ?? [0, 0, 800, 500], 100);
    const aspect = this.element.width / this.element.height;
    const wide = Math.max(bounds[2], bounds[3] * aspect);
    this.#area = [
      bounds[0] - (wide - bounds[2]) / 2,
      bounds[1] - (wide / aspect - bounds[3]) / 2,
      wide,
      wide / aspect,
    ];
    const ctx = /** @type {CanvasRenderingContext2D} */ (this.picture.getContext("2d"));
    const scale = this.#scale();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, this.picture.width, this.picture.height);
    ctx.setTransform(scale, 0, 0, scale, -this.#area[0] * scale, -this.#area[1] * scale);
    ctx.globalAlpha = 0.35;
    for (const group of scene.scope.groups.values()) {
      ctx.fillStyle = group.color ?? theme.colors.edge;
      ctx.fillRect(...group.bounding);
    }
    ctx.globalAlpha = 1;
    const wrong = new Set(this.wrong());
    for (const node of scene.scope.nodes.values()) {
      const box = /** @type {Box} */ (scene.nodes.box(node.id));
      ctx.fillStyle = wrong.has(node.id)
        ? theme.colors.danger
        : node.mode === 4
          ? theme.colors.bypass
          : node.color
            ? theme.adapt(node.color)
            : theme.colors.faint;
      ctx.fillRect(box[0], box[1], Math.max(box[2], 2 / scale), Math.max(box[3], 2 / scale));
    }
  }

  /** Draws the picture with the frame of what is seen. */
  frame() {
    if (this.element.hidden) return;
    const ctx = /** @type {CanvasRenderingContext2D} */ (this.element.getContext("2d"));
    const scale = this.#scale();
    const [x, y, w, h] = this.renderer.seen;
    ctx.clearRect(0, 0, this.element.width, this.element.height);
    ctx.drawImage(this.picture, 0, 0);
    ctx.strokeStyle = this.renderer.theme.colors.accent;
    ctx.lineWidth = 1.5 * this.ratio;
    ctx.strokeRect((x - this.#area[0]) * scale, (y - this.#area[1]) * scale, w * scale, h * scale);
  }
}
