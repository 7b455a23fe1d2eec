/** @import { Point, SocketType } from "../types.js" */
/** Colours and shapes: read from the page's custom properties, so canvas and panels share one palette. */
import { typeName } from "../core/types.js";

const NAMES = [
  "canvas",
  "dots",
  "node",
  "title",
  "edge",
  "text",
  "dim",
  "faint",
  "field",
  "field-edge",
  "accent",
  "accent-text",
  "danger",
  "warn",
  "good",
  "bypass",
  "shade",
];

/** Hues of the well-known types; others get one from their name. */
const HUES = /** @type {Record<string, [number, number]>} hue and chroma */ ({
  MODEL: [262, 62],
  CLIP: [48, 78],
  VAE: [352, 72],
  CONDITIONING: [28, 82],
  LATENT: [322, 62],
  IMAGE: [205, 76],
  MASK: [150, 46],
  CONTROL_NET: [165, 60],
  INT: [190, 32],
  FLOAT: [178, 32],
  STRING: [88, 36],
  BOOLEAN: [12, 36],
  COMBO: [222, 20],
  SIGMAS: [112, 46],
  NOISE: [238, 30],
  SAMPLER: [72, 54],
  GUIDER: [286, 48],
  CLIP_VISION: [60, 56],
  CLIP_VISION_OUTPUT: [38, 46],
  STYLE_MODEL: [132, 50],
  AUDIO: [340, 48],
  VIDEO: [218, 60],
  HOOKS: [12, 60],
  UPSCALE_MODEL: [196, 44],
});

const SHAPES = /** @type {Record<string, string>} */ ({
  MODEL: "square",
  CLIP: "diamond",
  VAE: "hexagon",
  CONDITIONING: "circle",
  LATENT: "triangle",
  IMAGE: "square-round",
  MASK: "half",
  "*": "circle",
  INT: "dot",
  FLOAT: "dot",
  STRING: "dot",
  BOOLEAN: "dot",
  COMBO: "dot",
  SIGMAS: "diamond",
  NOISE: "triangle",
  SAMPLER: "hexagon",
  GUIDER: "square",
  CONTROL_NET: "hexagon",
});
const OTHER_SHAPES = ["circle", "square", "diamond", "hexagon", "triangle", "square-round"];

export class Theme {
  /** @type {Record<string, string>} */ colors = {};
  dark = true;
  font = "system-ui, sans-serif";
  /** @type {Map<string, string>} */ #types = new Map();
  /** @type {Map<string, string>} */ #adapted = new Map();

  /** @param {Element} root */
  read(root) {
    const style = getComputedStyle(root);
    for (const name of NAMES) this.colors[name] = style.getPropertyValue(`--${name}`).trim();
    this.font = style.getPropertyValue("--font").trim() || this.font;
    this.dark = style.getPropertyValue("--scheme").trim() !== "light";
    this.#types.clear();
    this.#adapted.clear();
  }

  /** @param {SocketType} type @returns {string} */
  typeColor(type) {
    const name = typeName(type).split(",")[0];
    const known = this.#types.get(name);
    if (known) return known;
    const [hue, chroma] = HUES[name] ?? [hash(name) % 360, 44];
    const color =
      name === "*"
        ? this.colors.dim
        : `hsl(${hue} ${this.dark ? chroma : Math.min(90, chroma + 8)}% ${this.dark ? 68 : 42}%)`;
    this.#types.set(name, color);
    return color;
  }

  /** @param {SocketType} type @returns {string} */
  typeShape(type) {
    const name = typeName(type).split(",")[0];
    return SHAPES[name] ?? OTHER_SHAPES[hash(name) % OTHER_SHAPES.length];
  }

  /**
   * Colours in files are made for a dark canvas.
   * @param {string} color
   * @returns {string} as it should look on ours
   */
  adapt(color) {
    if (this.dark) return color;
    const adapted = this.#adapted.get(color) ?? `color-mix(in oklab, ${color} 30%, white)`;
    this.#adapted.set(color, adapted);
    return adapted;
  }
}

/** @param {string} text */
function hash(text) {
  let value = 7;
  for (const letter of text) value = (value * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return value;
}

/** @type {Record<string, Point[]>} corners of a shape of radius 1 */
const CORNERS = {
  square: [
    [-0.85, -0.85],
    [0.85, -0.85],
    [0.85, 0.85],
    [-0.85, 0.85],
  ],
  diamond: [
    [0, -1.15],
    [1.15, 0],
    [0, 1.15],
    [-1.15, 0],
  ],
  triangle: [
    [-0.8, -1.05],
    [1.1, 0],
    [-0.8, 1.05],
  ],
  hexagon: [
    [-0.55, -0.98],
    [0.55, -0.98],
    [1.12, 0],
    [0.55, 0.98],
    [-0.55, 0.98],
    [-1.12, 0],
  ],
};

/**
 * @param {CanvasRenderingContext2D} ctx adds a closed outline to the path
 * @param {string} shape
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
export function socketPath(ctx, shape, x, y, radius) {
  const corners = CORNERS[shape];
  if (corners) {
    corners.forEach(([cx, cy], index) =>
      index ? ctx.lineTo(x + cx * radius, y + cy * radius) : ctx.moveTo(x + cx * radius, y + cy * radius),
    );
    ctx.closePath();
  } else if (shape === "square-round")
    ctx.roundRect(x - radius * 0.9, y - radius * 0.9, radius * 1.8, radius * 1.8, radius * 0.45);
  else if (shape === "half") {
    ctx.moveTo(x - radius * 0.3, y - radius);
    ctx.arc(x - radius * 0.3, y, radius, -Math.PI / 2, Math.PI / 2);
    ctx.closePath();
  } else {
    const size = shape === "dot" ? radius * 0.78 : radius;
    ctx.moveTo(x + size, y);
    ctx.arc(x, y, size, 0, 2 * Math.PI);
  }
}
