/** @import { Box, Id, Point } from "../types.js" */
/** @import { Editor } from "./editor.js" */
/** @import { Hit } from "./hit.js" */
/** From pointer events to gestures: one runs at a time, each in its own class. */
import { addReroute, toggleCollapsed } from "../core/edits.js";
import { copy, paste } from "../core/clipboard.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "../core/types.js";
import { glowLink, outlineNodes, progressBar } from "../view/live.js";
import { DragGesture } from "./gestures/drag.js";
import { NodeLinkGesture, PullGesture } from "./gestures/pull.js";
import {
  BoxGesture,
  GroupResizeGesture,
  PanGesture,
  PinchGesture,
  positionOf,
  ResizeGesture,
  ZoomGesture,
} from "./gestures/small.js";
import { cursorFor, hit, isGround, nodeOf } from "./hit.js";

/**
 * What pointing needs from above: fields, menus and palettes.
 * @typedef {object} Reactions
 * @property {(found: import("./hit.js").WidgetHit, at: Point) => any} widget starts editing; may return a
 *   gesture
 * @property {(found: Hit, at: Point, screen: Point) => void} menu
 * @property {(at: Point, screen: Point) => void} palette
 * @property {(fixed: import("./gestures/pull.js").Fixed, at: Point) => void} linkDropped
 * @property {(pairs: import("../core/edits.js").Pair[], at: Point) => void} choosePair
 * @property {(id: Id) => void} rename
 * @property {(id: Id) => void} renameGroup
 * @property {() => void} openGroup opens the selected group node of old
 * @property {(id: Id, at: Point) => void} openPicture
 */

const LONG_PRESS = 500;
const STILL = 4; // pixels a click may wander

export class Pointing {
  /** @type {any} */ gesture;
  /** @type {Map<number, Point>} */ fingers = new Map();
  /** @type {Hit} */ hover = { kind: "bare" };
  /** @type {Point} last place of the pointer, in the graph */ at = [0, 0];
  navigation = "drag pans";
  zooming = false; // the next drag draws the box to zoom to
  #press = {
    screen: /** @type {Point} */ ([0, 0]),
    at: /** @type {Point} */ ([0, 0]),
    found: /** @type {Hit} */ ({ kind: "bare" }),
    moved: false,
    button: 0,
  };
  #held = 0;
  #lastClick = { time: 0, screen: /** @type {Point} */ ([0, 0]) };
  #space = false;
  #wheel = { zoom: 0, at: /** @type {Point} */ ([0, 0]), x: 0, y: 0 };

  /** @param {Editor} editor @param {Reactions} reactions */
  constructor(editor, reactions) {
    this.editor = editor;
    this.reactions = reactions;
    const { host } = editor;
    host.addEventListener("pointerdown", (event) => this.#down(event));
    host.addEventListener("pointermove", (event) => this.#move(event));
    host.addEventListener("pointerup", (event) => this.#up(event));
    host.addEventListener("pointercancel", (event) => this.#cancel(event));
    host.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    host.addEventListener("contextmenu", (event) => event.preventDefault());
    addEventListener("keydown", (event) => {
      if (event.code === "Space") this.#space = true;
    });
    addEventListener("keyup", (event) => {
      if (event.code === "Space") this.#space = false;
    });
    editor.renderer.live.push((brush, seen) => this.#paint(brush, seen));
    editor.renderer.beforeFrame.add(() => this.#applyWheel());
  }

  /** @param {PointerEvent | WheelEvent} event @returns {Point} */
  #screen(event) {
    return this.editor.renderer.local([event.clientX, event.clientY]);
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    const screen = this.#screen(event);
    this.editor.host.focus({ preventScroll: true });
    this.editor.host.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, screen);
    if (this.fingers.size === 2) return this.#startPinch();
    const at = this.editor.camera.toGraph(screen);
    const found = hit(this.editor, at, { touch: event.pointerType === "touch" });
    this.#press = { screen, at, found, moved: false, button: event.button };
    if (event.pointerType === "touch") this.#held = window.setTimeout(() => this.#longPress(), LONG_PRESS);
    if (event.button === 1 || (event.button === 0 && this.#space))
      this.gesture = new PanGesture(this.editor, screen);
    else if (event.button === 0)
      this.gesture = this.#zoomBox(found, at, event) ?? this.#begin(found, at, event);
  }

  /** @param {Hit} found @param {Point} at @param {PointerEvent} event */
  #zoomBox(found, at, event) {
    const held = (event.ctrlKey || event.metaKey) && event.shiftKey && isGround(found);
    if (!this.zooming && !held) return undefined;
    this.#armZoom(false);
    return new ZoomGesture(this.editor, at);
  }

  /** The next drag draws a box to zoom to; asked again, it does not. */
  armZoom() {
    this.#armZoom(!this.zooming);
  }

  /** @param {boolean} on */
  #armZoom(on) {
    this.zooming = on;
    this.editor.host.style.cursor = on ? "zoom-in" : "";
  }

  #startPinch() {
    clearTimeout(this.#held);
    this.gesture?.cancel();
    this.gesture = new PinchGesture(this.editor, this.fingers);
  }

  #longPress() {
    if (this.#press.moved) return;
    this.gesture?.cancel();
    this.gesture = undefined;
    this.#menu();
  }

  /**
   * What starts at the press; dragging nodes starts only with the first move.
   * @param {Hit} found
   * @param {Point} at
   * @param {PointerEvent} event
   */
  #begin(found, at, event) {
    const { editor } = this;
    const add = event.ctrlKey || event.metaKey || event.shiftKey;
    if (found.kind === "output") return this.#beginOutput(found, event.shiftKey);
    if (found.kind === "input") return this.#beginInput(found);
    if (found.kind === "widget") {
      if (!editor.selected.has(found.id) && !add) editor.select([found.id]);
      return this.reactions.widget(found, at);
    }
    if (found.kind === "node" && found.part === "corner") return new ResizeGesture(editor, found.id, at);
    if (found.kind === "group" && found.part === "corner") return new GroupResizeGesture(editor, found.id);
    if (found.kind === "node" && !editor.selected.has(found.id) && !add) editor.select([found.id]);
    if (found.kind === "reroute" && !editor.selectedReroutes.has(found.id)) editor.select([], [], [found.id]);
    const ground = isGround(found);
    if (found.kind === "group" && !ground && !editor.selectedGroups.has(found.id))
      editor.select(add ? editor.selected : [], [found.id]);
    if (!ground && found.kind !== "link" && found.kind !== "ports") return undefined;
    if (found.kind === "link") return event.altKey ? this.#bend(found, at) : undefined;
    const boxes = add || this.navigation === "drag selects";
    return boxes && event.pointerType !== "touch"
      ? new BoxGesture(editor, at, add)
      : new PanGesture(editor, this.#screen(event));
  }

  /** @param {import("./hit.js").LinkHit} found @param {Point} at */
  #bend(found, at) {
    const chain = [found.link.parentId];
    for (let id = chain[0]; id !== undefined; chain.push(id))
      id = this.editor.scene.scope.reroutes.get(/** @type {number} */ (id))?.parentId;
    const pieces = chain.filter((id) => id !== undefined);
    const after = pieces[pieces.length - found.piece];
    this.editor.do(addReroute(this.editor.where, found.link, this.editor.snapped(at), after));
    return undefined;
  }

  /** @param {import("./hit.js").OutputHit} found @param {boolean} all takes every link of the output along */
  #beginOutput(found, all) {
    const links = all
      ? this.editor.scene.scope.linksFrom(found.id).filter((link) => link.origin_slot === found.index)
      : [];
    if (!links.length)
      return new PullGesture(
        this.editor,
        { side: "output", id: found.id, slot: found.index },
        [],
        this.reactions.linkDropped,
      );
    const name =
      this.editor.scene.scope.nodes.get(links[0].target_id)?.inputs?.[links[0].target_slot]?.name ?? "";
    const slot =
      links[0].target_id === OUTPUT_PORTS
        ? links[0].target_slot
        : this.editor.scene.view(links[0].target_id).inputs.findIndex((one) => one.name === name);
    return new PullGesture(
      this.editor,
      { side: "input", id: links[0].target_id, name, slot },
      links,
      this.reactions.linkDropped,
    );
  }

  /** @param {import("./hit.js").InputHit} found */
  #beginInput(found) {
    const { scope } = this.editor.scene;
    const own =
      found.id === OUTPUT_PORTS
        ? scope.linksTo(OUTPUT_PORTS).find((link) => link.target_slot === found.index)
        : scope.links.get(/** @type {number} */ (this.editor.scene.view(found.id).inputs[found.index]?.link));
    if (!own)
      return new PullGesture(
        this.editor,
        { side: "input", id: found.id, name: found.name, slot: found.index },
        [],
        this.reactions.linkDropped,
      );
    if (own.origin_id !== INPUT_PORTS && !scope.nodes.has(own.origin_id)) return undefined;
    return new PullGesture(
      this.editor,
      { side: "output", id: own.origin_id, slot: own.origin_slot },
      [own],
      this.reactions.linkDropped,
    );
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const screen = this.#screen(event);
    this.at = this.editor.camera.toGraph(screen);
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, screen);
    if (!event.buttons) return this.#hover(event);
    const { moved } = this.#press;
    this.#press.moved ||=
      Math.hypot(screen[0] - this.#press.screen[0], screen[1] - this.#press.screen[1]) > STILL;
    if (this.#press.moved) clearTimeout(this.#held);
    if (!moved && this.#press.moved && !this.gesture && event.buttons === 1)
      this.gesture = this.#beginDrag(event);
    if (this.gesture && (this.#press.moved || this.gesture instanceof PinchGesture))
      this.gesture.move(this.at, { screen, shift: event.shiftKey, time: event.timeStamp });
  }

  /** @param {PointerEvent} event */
  #beginDrag(event) {
    const { editor } = this;
    const { found, at } = this.#press;
    if (found.kind === "node") {
      if (event.altKey && event.shiftKey)
        return new NodeLinkGesture(
          editor,
          found.id,
          at,
          this.reactions.choosePair,
          this.reactions.linkDropped,
        );
      if (event.altKey) this.#clone();
      if (!editor.selected.has(found.id) && !event.altKey)
        editor.select([...editor.selected, found.id], editor.selectedGroups, editor.selectedReroutes);
    } else if (found.kind !== "group" && found.kind !== "reroute") return undefined;
    return new DragGesture(editor, at, editor.selected, editor.selectedGroups, editor.selectedReroutes);
  }

  #clone() {
    const { editor } = this;
    const clip = copy(editor.where, editor.selected);
    const corner = [...editor.selected].map((id) => positionOf(editor, id));
    const made = paste(
      editor.where,
      clip,
      [Math.min(...corner.map(([x]) => x)), Math.min(...corner.map(([, y]) => y))],
      true,
    );
    editor.do(made);
    editor.select(made.ids);
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    const found = hit(this.editor, this.at);
    this.editor.host.style.cursor = this.zooming ? "zoom-in" : cursorFor(found);
    const same =
      found.kind === this.hover.kind &&
      JSON.stringify({ ...found, link: 0 }) === JSON.stringify({ ...this.hover, link: 0 });
    if (same && (found.kind !== "link" || this.hover.kind !== "link" || found.link === this.hover.link))
      return;
    this.hover = found;
    this.editor.renderer.stir();
    this.editor.host.dispatchEvent(
      new CustomEvent("hover", { detail: { found, x: event.clientX, y: event.clientY } }),
    );
  }

  /** @param {PointerEvent} event */
  #up(event) {
    clearTimeout(this.#held);
    const pinched = this.gesture instanceof PinchGesture;
    this.fingers.delete(event.pointerId);
    const { gesture } = this;
    this.gesture = undefined;
    if (gesture && !pinched) gesture.end();
    if (!this.#press.moved && !pinched) this.#click(event);
    this.editor.renderer.stir();
  }

  /** @param {PointerEvent} event */
  #click(event) {
    const { found, screen, button } = this.#press;
    this.#press.moved = true;
    if (button === 2) return this.#menu();
    if (button !== 0) return;
    const twice =
      event.timeStamp - this.#lastClick.time < 350 &&
      Math.hypot(screen[0] - this.#lastClick.screen[0], screen[1] - this.#lastClick.screen[1]) < 8;
    this.#lastClick = { time: twice ? 0 : event.timeStamp, screen };
    if (twice) this.#doubleClick(found);
    else this.#singleClick(found, event);
  }

  /** @param {Hit} found @param {PointerEvent} event */
  #singleClick(found, event) {
    const { editor } = this;
    const add = event.ctrlKey || event.metaKey || event.shiftKey;
    if (isGround(found) && !add) return editor.clearSelection();
    if (found.kind !== "node") return undefined;
    if (found.part === "fold") return editor.do(toggleCollapsed(editor.where, [found.id]));
    if (add) return editor.toggle(found.id);
    if (found.part === "content") return this.reactions.openPicture(found.id, this.#press.at);
    return editor.select([found.id]);
  }

  /** @param {Hit} found */
  #doubleClick(found) {
    const { at, screen } = this.#press;
    if (isGround(found)) return this.reactions.palette(at, screen);
    if (found.kind === "group" && found.part === "title") return this.reactions.renameGroup(found.id);
    if (found.kind !== "node") return undefined;
    if (this.editor.catalogue.isInstance(this.editor.scene.node(found.id)))
      return this.editor.enter([...this.editor.tab.path, found.id]);
    if (this.editor.catalogue.isGroup(this.editor.scene.node(found.id))) return this.reactions.openGroup();
    return found.part === "title" ? this.reactions.rename(found.id) : undefined;
  }

  /** A menu acts on what lies under the pointer, and on the selection only if that belongs to it. */
  #menu() {
    const { found, at, screen } = this.#press;
    const { editor } = this;
    const node = nodeOf(found);
    if (node !== undefined && !editor.selected.has(node))
      editor.select(editor.scene.scope.nodes.has(node) ? [node] : []);
    else if (found.kind === "group" && !editor.selectedGroups.has(found.id)) editor.select([], [found.id]);
    else if (found.kind === "reroute" && !editor.selectedReroutes.has(found.id))
      editor.select([], [], [found.id]);
    else if (found.kind === "bare") editor.clearSelection();
    this.reactions.menu(found, at, screen);
  }

  /** The menu of what is selected, or of the canvas: for the keyboard. */
  openMenu() {
    const { editor } = this;
    const [id] = editor.selected;
    const [group] = editor.selectedGroups;
    /** @type {Hit} */
    const found =
      id !== undefined
        ? { kind: "node", id, part: "title" }
        : group !== undefined
          ? { kind: "group", id: group, part: "title" }
          : { kind: "bare" };
    const box =
      id !== undefined ? editor.scene.box(id) : editor.scene.scope.groups.get(group ?? "")?.bounding;
    const at = /** @type {Point} */ (box ? [box[0] + 20, box[1] + 20] : editor.middle);
    this.#press = { screen: editor.camera.toScreen(at), at, found, moved: true, button: 2 };
    this.#menu();
  }

  /** @param {PointerEvent} event */
  #cancel(event) {
    clearTimeout(this.#held);
    this.fingers.delete(event.pointerId);
    this.gesture?.cancel();
    this.gesture = undefined;
  }

  /** Escape gives a gesture up. @returns {boolean} whether there was one */
  abort() {
    if (this.zooming) {
      this.#armZoom(false);
      return true;
    }
    if (!this.gesture) return false;
    this.gesture.cancel();
    this.gesture = undefined;
    this.#press.moved = true;
    this.editor.renderer.stir();
    return true;
  }

  /** Wheel events wait for the next frame, so that none queue up. @param {WheelEvent} event */
  #onWheel(event) {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const pans = this.navigation === "drag selects" && !event.ctrlKey && !event.metaKey;
    if (pans || event.shiftKey) {
      this.#wheel.x += (event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX) * unit;
      this.#wheel.y += event.shiftKey && !event.deltaX ? 0 : event.deltaY * unit;
    } else this.#wheel.zoom += Math.max(-240, Math.min(240, event.deltaY * unit)) * (event.ctrlKey ? 4 : 1);
    this.#wheel.at = this.#screen(event);
    this.editor.renderer.request();
  }

  #applyWheel() {
    const { zoom, x, y, at } = this.#wheel;
    if (!zoom && !x && !y) return;
    Object.assign(this.#wheel, { zoom: 0, x: 0, y: 0 });
    const { camera } = this.editor;
    if (x || y) camera.pan(-x, -y);
    if (zoom) camera.zoomTo(camera.scale * Math.exp(-zoom * 0.0014), at);
    this.editor.tell("camera");
  }

  /** @param {import("../view/node_painter.js").Brush} brush @param {Box} seen */
  #paint(brush, seen) {
    const { editor } = this;
    const { scale } = editor.camera;
    const { results } = editor.tab;
    let drew = false;
    const dragging = this.gesture instanceof DragGesture;
    if (this.hover.kind === "link" && !this.gesture) {
      glowLink(brush, editor.scene, this.hover.link, brush.theme.colors.accent, 4);
      drew = true;
    }
    const wrong = [...results.errors.keys()].flatMap((runId) => this.#here(runId));
    drew = outlineNodes(brush, editor.scene, wrong, brush.theme.colors.danger, scale, seen) || drew;
    if (!dragging) {
      const marked = editor.selected.size ? wrong.filter((id) => editor.selected.has(id)) : [];
      const plain = marked.length
        ? [...editor.selected].filter((id) => !marked.includes(id))
        : editor.selected;
      drew = outlineNodes(brush, editor.scene, plain, brush.theme.colors.accent, scale, seen) || drew;
      drew =
        outlineNodes(brush, editor.scene, marked, brush.theme.colors.accent, scale, seen, undefined, 7) ||
        drew;
    }
    for (const [runId, share] of results.running) {
      for (const id of this.#here(runId)) {
        outlineNodes(brush, editor.scene, [id], brush.theme.colors.good, scale, seen);
        progressBar(brush, editor.scene, id, share, scale);
        drew = true;
      }
    }
    drew = this.#paintMarks(brush, scale) || drew;
    return this.gesture?.paint?.(brush, seen) || drew;
  }

  /**
   * @param {import("../view/node_painter.js").Brush} brush
   * @param {number} scale selected groups and bends
   */
  #paintMarks({ ctx, theme }, scale) {
    const { scope } = this.editor.scene;
    ctx.strokeStyle = theme.colors.accent;
    ctx.lineWidth = Math.max(2, 1.6 / scale);
    for (const id of this.editor.selectedGroups) {
      const group = scope.groups.get(id);
      if (group && !(this.gesture instanceof DragGesture))
        ctx.strokeRect(group.bounding[0], group.bounding[1], group.bounding[2], group.bounding[3]);
    }
    for (const id of this.editor.selectedReroutes) {
      const reroute = scope.reroutes.get(id);
      if (!reroute) continue;
      ctx.beginPath();
      ctx.arc(reroute.pos[0], reroute.pos[1], 8, 0, 7);
      ctx.stroke();
    }
    return this.editor.selectedGroups.size + this.editor.selectedReroutes.size > 0;
  }

  /** @param {string} runId @returns {Id[]} the node of the open graph that stands for it */
  #here(runId) {
    const prefix = this.editor.tab.path.join(":");
    if (prefix && !runId.startsWith(`${prefix}:`)) return [];
    const first = (prefix ? runId.slice(prefix.length + 1) : runId).split(":")[0];
    const { nodes } = this.editor.scene.scope;
    if (nodes.has(first)) return [first];
    return nodes.has(Number(first)) ? [Number(first)] : [];
  }
}
