/** @import { Editor, Tab } from "../interaction/editor.js" */
/** @import { Id, WidgetView } from "../types.js" */
/** @import { Server } from "../client/server.js" */
/**
 * Taking a picture or a sound for a node, in a small window beside the graph: the graph stays usable, as a
 * run may want a new picture.
 */
import { fileOf } from "../client/results.js";
import { setValue } from "../core/edits.js";
import { MODE } from "../core/types.js";
import { chooseFiles } from "../interaction/app_commands.js";
import { button, h, iconButton, refill } from "./dom.js";

/**
 * A camera or a microphone in the window.
 * @typedef {object} Taker
 * @property {string} title
 * @property {string} accept kinds of files that serve instead
 * @property {HTMLElement[]} body
 * @property {HTMLButtonElement} button takes; the focus rests on it
 * @property {() => void} begin called on the page
 * @property {() => void} end closes the device
 * @property {() => void} refresh called when the document changed
 * @property {() => Promise<void>} [beforeRun] throws when the run must not be sent
 */

/**
 * @typedef {{ layer: HTMLElement, editor: Editor, server: Server, runs: import("../client/runs.js").Runs,
 *   toast: (title: string, options: any) => void }} Parts
 */

const DEEPEST = 100; // subgraphs within subgraphs

/** One window at a time. It goes with its node. */
export class Captures {
  /** @type {CaptureWindow | undefined} */ #open;

  /** @param {Parts} parts */
  constructor(parts) {
    this.parts = parts;
    const { editor, runs } = parts;
    editor.on("change", () => this.#open?.refresh());
    editor.on("tab", () => this.#open?.refresh());
    runs.prepare = (tab) => this.#prepare(tab);
  }

  /** @param {Id} id @param {WidgetView} widget */
  async open(id, { name, kind }) {
    const place = new Place(this.parts.editor, id, name);
    const make =
      kind === "webcam"
        ? await import("./webcam.js").then(
            ({ Webcam }) =>
              (/** @type {CaptureWindow} */ window) =>
                new Webcam(window),
          )
        : await import("./recorder.js").then(
            ({ Recorder }) =>
              (/** @type {CaptureWindow} */ window) =>
                new Recorder(window),
          );
    this.#open?.close();
    this.#open = new CaptureWindow(this.parts, place, make);
  }

  /** @param {Tab} tab about to be sent @returns {Promise<boolean>} whether it may be */
  async #prepare(tab) {
    const open = this.#open;
    if (!open?.shown || open.place.tab !== tab || !open.place.works) return true;
    try {
      await open.taker.beforeRun?.();
      return true;
    } catch (error) {
      open.fail(error);
      this.parts.toast("The run was not sent", {
        kind: "bad",
        key: "capture",
        text: String(/** @type {Error} */ (error).message),
      });
      return false;
    }
  }
}

/** The widget that is filled, whatever is shown meanwhile. */
class Place {
  /** @param {Editor} editor @param {Id} id @param {string} name */
  constructor(editor, id, name) {
    this.tab = editor.tab;
    this.where = editor.where;
    this.id = id;
    this.name = name;
  }

  /** @param {string} scope @param {Id} id @param {string} name */
  #find(scope, id, name) {
    const { catalogue } = this.where;
    const { nodes } = catalogue.workflow.scope(scope);
    const node = nodes.get(id) ?? nodes.get(Number(id));
    const widgets = node ? catalogue.view(node, scope).widgets : [];
    return { node, widgets, widget: widgets.find((one) => one.name === name) };
  }

  /**
   * The node, and if it is a subgraph that shows another one's widget, what it shows, down to the node that
   * takes.
   */
  get #way() {
    const way = [this.#find(this.where.scope, this.id, this.name)];
    for (
      let { node, widget } = way[0];
      node && way.length < DEEPEST;
      { node, widget } = way[way.length - 1]
    ) {
      const { proxy, spec } = widget ?? {};
      if (proxy) way.push(this.#find(proxy.scope, proxy.id, proxy.name));
      else if (spec?.target) way.push(this.#find(node.type, spec.target.id, spec.target.name));
      else break;
    }
    return way;
  }

  /** @returns {WidgetView | undefined} nothing once the node is gone */
  get widget() {
    return this.#find(this.where.scope, this.id, this.name).widget;
  }

  /** Whether the node takes part in a run. */
  get works() {
    return (
      this.widget?.linked === false &&
      this.#way.every(({ node }) => node && node.mode !== MODE.never && node.mode !== MODE.bypass)
    );
  }

  /** What another widget of the node that takes says. @param {string} name @returns {any} */
  setting(name) {
    const widget = this.#way[this.#way.length - 1].widgets.find((one) => one.name === name);
    return widget?.linked ? undefined : widget?.value;
  }

  /** @param {any} value */
  set(value) {
    if (this.widget) this.tab.history.do(setValue(this.where, this.id, this.name, value));
  }
}

/** The window around a taker: what it says, and where what it took goes. */
export class CaptureWindow {
  #back = /** @type {HTMLElement | null} */ (document.activeElement);
  #part = this.#back?.dataset.part;

  /** @param {Parts} parts @param {Place} place @param {(window: CaptureWindow) => Taker} make */
  constructor(parts, place, make) {
    this.parts = parts;
    this.place = place;
    this.said = h("p", { class: "capture-said", role: "status" });
    this.taker = make(this);
    const { title, body, accept } = this.taker;
    this.element = /** @type {HTMLElement} */ (
      h(
        "section",
        {
          class: "capture",
          role: "dialog",
          "aria-label": title,
          tabindex: "-1",
          on: { keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) },
        },
        h(
          "div",
          { class: "dialog-head" },
          h("h2", {}, title),
          iconButton("Close", "close", () => this.close()),
        ),
        h("div", { class: "capture-body" }, body, this.said),
        h(
          "div",
          { class: "dialog-foot" },
          button("Choose a file …", () => chooseFiles(([file]) => this.#use(file), accept)),
          this.taker.button,
        ),
      )
    );
    parts.layer.append(this.element);
    this.#stand();
    this.taker.refresh();
    this.taker.begin();
    this.taker.button.focus({ preventScroll: true });
  }

  get shown() {
    return this.element.isConnected;
  }

  /** On the side of the canvas that leaves the node free. */
  #stand() {
    const { editor } = this.parts;
    const stage = editor.host.getBoundingClientRect();
    const [x, , width] = editor.scene.box(this.place.id);
    const right = editor.camera.toScreen([x + width / 2, 0])[0] < stage.width / 2;
    this.element.style.top = `${stage.top + 12}px`;
    if (right) this.element.style.right = "12px";
    else this.element.style.left = `${stage.left + 12}px`;
  }

  /**
   * Plain keys are the window's own; shortcuts, such as Run, remain the page's.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    if (event.key === "F6") return;
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    if (event.key === "Escape") this.close();
  }

  refresh() {
    const { editor } = this.parts;
    if (editor.tab !== this.place.tab || !this.place.widget) this.close();
    else this.taker.refresh();
  }

  /** @param {string} text @param {boolean} [bad] */
  say(text, bad = false) {
    refill(this.said, text);
    this.said.classList.toggle("bad", bad);
  }

  /** @param {unknown} error */
  fail(error) {
    this.say(String(/** @type {Error} */ (error)?.message ?? error), true);
  }

  /**
   * Sends what was taken to the server, and names it in the widget.
   * @param {Blob} blob
   * @param {string} name
   * @param {{ subfolder?: string, type?: string, forRun?: boolean }} place `forRun`: one of many
   */
  async keep(blob, name, place) {
    const stored = await this.parts.server.upload(blob, name, place);
    const path = stored.subfolder ? `${stored.subfolder}/${stored.name}` : stored.name;
    const value = stored.type === "input" ? path : `${path} [${stored.type}]`;
    if (place.forRun) this.parts.runs.quietly(() => this.place.set(value));
    else {
      this.place.set(value);
      this.place.tab.history.seal();
    }
  }

  /** @param {File | undefined} file */
  async #use(file) {
    if (!file) return;
    try {
      await this.keep(file, file.name, {});
      this.say(`“${file.name}” is used.`);
    } catch (error) {
      this.fail(error);
    }
  }

  /** @returns {string | undefined} where what was taken before can be had */
  get address() {
    const value = this.place.widget?.value;
    return typeof value === "string" && value ? this.parts.server.view(fileOf(value)) : undefined;
  }

  close() {
    if (!this.shown) return;
    const held = this.element.contains(document.activeElement);
    this.element.remove();
    this.taker.end();
    if (!held) return;
    // the tree has drawn its rows anew
    const part = this.#part && document.querySelector(`[data-part="${CSS.escape(this.#part)}"]`);
    const back = /** @type {HTMLElement} */ (
      part || (this.#back?.isConnected && this.#back !== document.body ? this.#back : this.parts.editor.host)
    );
    back.focus({ preventScroll: true });
  }
}

/**
 * A list to choose a device from, hidden while there is but one.
 * @param {string} label
 * @param {() => void} changed
 */
export function deviceChoice(label, changed) {
  const element = /** @type {HTMLSelectElement} */ (
    h("select", { class: "control", "aria-label": label, hidden: true, on: { change: changed } })
  );
  return {
    element,
    get wish() {
      return element.value ? { deviceId: { exact: element.value } } : {};
    },
    /** @param {{ id: string, name: string, current: boolean }[]} devices */
    show(devices) {
      refill(
        element,
        devices.map(({ id, name, current }) => h("option", { value: id, selected: current }, name)),
      );
      element.hidden = devices.length < 2;
    },
  };
}

/**
 * A button that keeps the focus while it cannot be pressed.
 * @param {HTMLButtonElement} element
 * @param {boolean} busy
 */
export function setBusy(element, busy) {
  element.setAttribute("aria-disabled", String(busy));
}
