/** @import { Box, Change, Group, GraphNode, Id, Point } from "../types.js" */
/** @import { Catalogue } from "../core/catalogue.js" */
/** @import { Workflow } from "../core/document.js" */
/** @import { History } from "../core/history.js" */
/** @import { Library } from "../core/specs.js" */
/** @import { Results } from "../client/results.js" */
/**
 * The editor's state: the open document, where in it we are, what is selected. It announces what changed and
 * draws through the renderer; gestures, commands and panels act on it alone.
 */
import { ROOT } from "../core/document.js";
import { contains, grow, union } from "../core/spatial.js";
import { INPUT_PORTS } from "../core/types.js";
import { Renderer } from "../view/renderer.js";
import { Scene } from "../view/scene.js";
import { Theme } from "../view/theme.js";

/**
 * One open document.
 * @typedef {{ key: string, name: string, workflow: Workflow, catalogue: Catalogue, history: History, results:
 *   Results, path: Id[], camera: { x: number, y: number, scale: number } | undefined, file?: string,
 *   revision?: string, dirty: boolean }} Tab
 */

/**
 * @typedef {"change" | "select" | "tab" | "scope" | "results" | "library" | "theme" | "camera" | "files"}
 *   Topic
 */

const LEGIBLE = 0.62;
const SMALL = 640; // a telephone's width, as in the style sheet

export class Editor extends EventTarget {
  theme = new Theme();
  /** @type {Set<Id>} */ selected = new Set();
  /** @type {Set<Id>} */ selectedGroups = new Set();
  /** @type {Set<Id>} */ selectedReroutes = new Set();
  /** @type {Id | undefined} the node keyboard commands start from */ focus;
  snap = false;
  heat = false;
  /** @type {Tab} */ tab;

  /** @param {HTMLElement} host @param {Library} library @param {Tab} tab */
  constructor(host, library, tab) {
    super();
    this.host = host;
    this.library = library;
    this.theme.read(document.documentElement);
    this.tab = tab;
    const facts = {
      error: (/** @type {Id} */ id) => this.tab.results.error(this.runId(id)),
      pictures: (/** @type {Id} */ id) =>
        this.tab.results.pictures(this.runId(id), this.scene.node(id), this.drawnPixels(id)),
      text: (/** @type {Id} */ id) => this.tab.results.text(this.runId(id)),
      badge: (/** @type {Id} */ id) => this.tab.results.badge(this.runId(id)),
      heat: (/** @type {Id} */ id) =>
        this.heat ? this.tab.results.heat(this.runId(id), this.theme.dark) : undefined,
    };
    this.scene = new Scene(
      tab.catalogue,
      (text) => this.renderer?.measure(text) ?? text.length * 7,
      (id) => this.contentHeight(id),
    );
    this.renderer = new Renderer(host, this.scene, this.theme, facts);
    this.renderer.resized = () => this.tell("camera");
    this.show(tab);
  }

  get workflow() {
    return this.tab.workflow;
  }
  get catalogue() {
    return this.tab.catalogue;
  }
  get camera() {
    return this.renderer.camera;
  }
  get scopeId() {
    return this.scene.scopeId;
  }
  get where() {
    return { catalogue: this.catalogue, scope: this.scopeId };
  }

  /** @param {Topic} topic @param {any} [detail] */
  tell(topic, detail) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  /** @param {Topic} topic @param {(detail: any) => void} listener @returns {() => void} ends it */
  on(topic, listener) {
    const listen = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail);
    this.addEventListener(topic, listen);
    return () => this.removeEventListener(topic, listen);
  }

  /** @param {Id} id @returns {string} the node's id in the prompt, as results name it */
  runId(id) {
    return this.tab.path.length ? [...this.tab.path, id].join(":") : String(id);
  }

  /** @param {Id} id @returns {number} how many device pixels wide the node is drawn */
  drawnPixels(id) {
    return this.scene.layout(id).width * this.camera.scale * this.renderer.ratio;
  }

  /** @param {Id} id @returns {number} */
  contentHeight(id) {
    return this.tab.results.contentHeight(this.runId(id), this.scene.node(id));
  }

  /** @param {Tab} tab shows another document */
  show(tab) {
    if (this.tab !== tab) this.tab.camera = { x: this.camera.x, y: this.camera.y, scale: this.camera.scale };
    this.#unlisten?.();
    this.tab = tab;
    const listener = (/** @type {import("../types.js").Applied[]} */ applied) => this.#applied(applied);
    const historied = () => {
      tab.dirty = true;
    };
    tab.workflow.listeners.add(listener);
    tab.history.listeners.add(historied);
    this.#unlisten = () => {
      tab.workflow.listeners.delete(listener);
      tab.history.listeners.delete(historied);
    };
    this.clearSelection();
    this.#openScope();
    if (tab.camera) {
      Object.assign(this.camera, tab.camera);
      this.moved();
    } else this.#begin();
    this.renderer.redraw();
    this.tell("tab");
  }

  /** @type {(() => void) | undefined} */ #unlisten;

  #openScope() {
    let scope = ROOT;
    for (const id of this.tab.path) scope = this.workflow.scope(scope).nodes.get(id)?.type ?? ROOT;
    this.scene.open(this.catalogue, scope);
  }

  /** @param {Id[]} path instances to go through, from the root */
  enter(path) {
    this.tab.path = path;
    this.clearSelection();
    this.#openScope();
    this.#begin();
    this.renderer.redraw();
    this.tell("scope");
  }

  /** @param {import("../types.js").Applied[]} applied */
  #applied(applied) {
    for (const { kind, id, value } of applied) {
      if (value !== undefined) continue;
      if (kind === "nodes") this.selected.delete(id);
      if (kind === "groups") this.selectedGroups.delete(id);
      if (kind === "reroutes") this.selectedReroutes.delete(id);
    }
    if (this.scopeId !== ROOT && !this.workflow.definitions.has(this.scopeId)) return this.enter([]);
    const damage = this.scene.update(applied);
    this.renderer.damage(damage);
    this.tell("change", applied);
  }

  /** @param {Change | undefined} change */
  do(change) {
    if (change) this.tab.history.do(change);
  }

  /** @param {Iterable<Id>} ids @param {Iterable<Id>} [groups] @param {Iterable<Id>} [reroutes] */
  select(ids, groups = [], reroutes = []) {
    this.selected = new Set(ids);
    this.selectedGroups = new Set(groups);
    this.selectedReroutes = new Set(reroutes);
    const last = [...this.selected].at(-1);
    if (last !== undefined) this.focus = last;
    this.renderer.stir();
    this.tell("select");
  }

  clearSelection() {
    this.select([]);
  }

  /** @param {Id} id */
  toggle(id) {
    const next = new Set(this.selected);
    if (!next.delete(id)) next.add(id);
    this.select(next, this.selectedGroups, this.selectedReroutes);
  }

  /** @returns {GraphNode[]} */
  get selectedNodes() {
    return [...this.selected].flatMap((id) => this.scene.scope.nodes.get(id) ?? []);
  }

  /** @param {Iterable<Id>} [ids] shows these, or everything */
  fit(ids) {
    const chosen = ids ? union([...ids].map((id) => this.scene.box(id))) : this.scene.bounds();
    if (chosen && this.renderer.width)
      this.camera.fit(
        chosen,
        this.renderer.width,
        this.renderer.height,
        Math.min(70, this.renderer.width * 0.04 + 8),
        ids ? 1.2 : 1,
      );
    this.moved();
  }

  /**
   * A graph that is opened: the whole; but on a small screen its beginning at a legible size says more, the
   * left, and of what is too high the top.
   */
  #begin() {
    this.fit();
    const bounds = this.scene.bounds();
    if (!bounds || this.renderer.width >= SMALL || this.camera.scale >= LEGIBLE) return;
    const [x, y, , h] = bounds;
    this.camera.scale = LEGIBLE;
    this.camera.x = x - 16 / LEGIBLE;
    this.camera.y = Math.min(y - 16 / LEGIBLE, y + h / 2 - this.renderer.height / 2 / LEGIBLE);
    this.moved();
  }

  /** The camera moved. */
  moved() {
    this.renderer.request();
    this.tell("camera");
  }

  /** @param {Id} id brings a node into view and selects it */
  reveal(id) {
    this.select([id]);
    const box = this.scene.box(id);
    const [x, y, w, h] = this.renderer.seen;
    if (!contains([x, y, w, h], box) || this.camera.scale < 0.3) {
      this.camera.scale = Math.max(this.camera.scale, 0.6);
      this.camera.x = box[0] + box[2] / 2 - this.renderer.width / 2 / this.camera.scale;
      this.camera.y = box[1] + box[3] / 2 - this.renderer.height / 2 / this.camera.scale;
    }
    this.moved();
  }

  /** @param {Id} groupId @returns {Id[]} nodes whose middle lies in the group */
  nodesInGroup(groupId) {
    const group = /** @type {Group} */ (this.scene.scope.groups.get(groupId));
    const [gx, gy, gw, gh] = group.bounding;
    return [...this.scene.nodes.query(group.bounding)].filter((id) => {
      const [x, y, w, h] = /** @type {Box} */ (this.scene.nodes.box(id));
      return x + w / 2 >= gx && x + w / 2 <= gx + gw && y + h / 2 >= gy && y + h / 2 <= gy + gh;
    });
  }

  /** A node's results changed. @param {string} runId */
  refresh(runId) {
    const prefix = this.tab.path.join(":");
    const own = prefix
      ? runId.startsWith(`${prefix}:`)
        ? runId.slice(prefix.length + 1)
        : undefined
      : runId;
    if (own === undefined) return;
    const first = own.split(":")[0];
    const id = this.scene.scope.nodes.has(first) ? first : Number(first);
    if (this.scene.scope.nodes.has(id))
      this.renderer.damage(this.scene.refresh(id).map((box) => grow(box, 6)));
  }

  /** Every node's results changed. */
  refreshAll() {
    this.scene.rebuild();
    this.renderer.redraw();
    this.tell("results");
  }

  /** @param {Library} library new specs, for every open document */
  replaceLibrary(library) {
    this.library = library;
    this.catalogue.replace(library);
    this.refreshAll();
    this.tell("library");
  }

  /** @returns {Point} the middle of what is seen */
  get middle() {
    return this.camera.toGraph([this.renderer.width / 2, this.renderer.height / 2]);
  }

  /** @param {Point} at @returns {Point} */
  snapped([x, y]) {
    return this.snap ? [Math.round(x / 12) * 12, Math.round(y / 12) * 12] : [Math.round(x), Math.round(y)];
  }
}

/**
 * @param {Editor} editor
 * @param {Id} id
 * @param {number} slot
 * @returns {any} the type of an output, of a node or of the subgraph's own inputs
 */
export function outputType(editor, id, slot) {
  if (id === INPUT_PORTS) return editor.workflow.definitions.get(editor.scopeId)?.inputs[slot]?.type ?? "*";
  return editor.scene.view(id).outputs[slot]?.type;
}
