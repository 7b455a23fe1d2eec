/** @import { GraphNode } from "../types.js" */
/** @import { Images } from "../view/images.js" */
/** What runs left on the nodes of one document: pictures, texts, errors, times. Undo never touches them. */

/**
 * A file of the server, as results name it.
 * @typedef {{ filename: string, subfolder?: string, type?: string }} FileRef
 */
/** @typedef {{ seconds: number, cached: boolean, memory?: number }} Timing */
/**
 * @typedef {{ inputs: Set<string>, message: string, trace?: string, kind?: string, advice?: string }}
 *   NodeError
 */

const PICTURES_HEIGHT = 220;
const TEXT_HEIGHT = 80;
/** What of a node's `ui` are pictures; those that are compared come one side after the other. */
const SHOWN = ["images", "gifs", "a_images", "b_images"];
const ANIMATED = /\.(png|jpe?g|webp|gif|avif|bmp|tiff?)$/i;

/**
 * @param {string} value of a widget, such as `folder/name.png [output]`
 * @param {string} [otherwise] where it lies when the value does not say
 * @returns {FileRef}
 */
export function fileOf(value, otherwise = "input") {
  const [, path, , type] = /** @type {RegExpMatchArray} */ (
    value.match(/^(.*?)( \[(input|output|temp)\])?$/s)
  );
  const slash = path.lastIndexOf("/");
  return {
    filename: path.slice(slash + 1),
    subfolder: slash < 0 ? "" : path.slice(0, slash),
    type: type ?? otherwise,
  };
}

/** @param {any} name @returns {boolean} whether a file of this name can be shown */
export function isPicture(name) {
  return typeof name === "string" && ANIMATED.test(name.replace(/ \[(input|output|temp)\]$/, ""));
}

export class Results {
  /** @type {Map<string, any>} a node's `ui` by its id in the prompt */ outputs = new Map();
  /** @type {Map<string, NodeError>} */ errors = new Map();
  /** @type {Map<string, number>} how far running nodes are, 0 … 1 */ running = new Map();
  /** @type {Map<string, ImageBitmap>} pictures while sampling */ previews = new Map();
  /** @type {Map<string, Timing>} */ timings = new Map();
  /** @type {Map<string, string>} what the next run would do: `cached`, `will run` … */ forecast = new Map();
  /** @type {Map<string, string>} why a node would run */ reasons = new Map();
  /** @type {string | undefined} the job whose values can be looked at */ job;
  /** @type {(node: GraphNode) => FileRef | undefined} the file a loader node points at */ source = () =>
    undefined;

  /** @param {Images} images @param {(file: FileRef) => string} url */
  constructor(images, url) {
    this.images = images;
    this.url = url;
  }

  /** @param {string} runId */
  error(runId) {
    return this.errors.get(runId);
  }

  /** @param {string} runId @param {GraphNode | undefined} node @returns {FileRef[]} */
  files(runId, node) {
    const output = this.outputs.get(runId);
    const listed = SHOWN.flatMap((kind) => output?.[kind] ?? []).filter(
      (file) => file && typeof file.filename === "string" && ANIMATED.test(file.filename),
    );
    if (listed.length) return listed;
    const source = node && this.source(node);
    return source ? [source] : [];
  }

  /**
   * @param {string} runId
   * @param {GraphNode | undefined} node
   * @param {number} pixels
   * @returns {ImageBitmap[]}
   */
  pictures(runId, node, pixels) {
    const preview = this.previews.get(runId);
    if (preview) return [preview];
    const files = this.files(runId, node);
    const wide = pixels / Math.ceil(Math.sqrt(files.length || 1));
    return files.flatMap((file) => this.images.get(this.url(file), wide) ?? []);
  }

  /** @param {string} runId @param {GraphNode | undefined} node */
  has(runId, node) {
    return this.files(runId, node).length > 0;
  }

  /** @param {string} runId @returns {string | undefined} */
  text(runId) {
    const text = this.outputs.get(runId)?.text;
    return text === undefined ? undefined : Array.isArray(text) ? text.join("") : String(text);
  }

  /**
   * @param {string} runId
   * @param {GraphNode | undefined} node
   * @returns {number} room wanted below the widgets
   */
  contentHeight(runId, node) {
    if (this.previews.has(runId) || this.has(runId, node)) return PICTURES_HEIGHT;
    return this.text(runId) ? TEXT_HEIGHT : 0;
  }

  /** @param {string} runId @returns {string | undefined} */
  badge(runId) {
    const forecast = this.forecast.get(runId);
    if (forecast) return forecast;
    const timing = this.timings.get(runId);
    if (!timing || this.running.has(runId)) return undefined;
    if (timing.cached) return "cached";
    return timing.seconds >= 0.05
      ? `${timing.seconds < 10 ? timing.seconds.toFixed(1) : Math.round(timing.seconds)} s`
      : undefined;
  }

  /**
   * @param {string} runId
   * @param {boolean} [dark]
   * @returns {string | undefined} the title's colour, from cool to hot by its share of the slowest
   */
  heat(runId, dark = true) {
    const timing = this.timings.get(runId);
    if (!timing) return undefined;
    if (timing.cached) return dark ? "hsl(210 30% 30%)" : "hsl(210 40% 86%)";
    const most = Math.max(0.001, ...[...this.timings.values()].map(({ seconds }) => seconds));
    return `hsl(${Math.round(130 - 130 * Math.sqrt(timing.seconds / most))} ${dark ? "55% 28%" : "70% 80%"})`;
  }

  /** A new run begins. @returns {string[]} ids that look different now */
  begin() {
    const changed = [
      ...this.errors.keys(),
      ...this.running.keys(),
      ...this.timings.keys(),
      ...this.forecast.keys(),
    ];
    for (const map of [this.errors, this.running, this.previews, this.timings, this.forecast, this.reasons])
      map.clear();
    return changed;
  }
}
