/** @import { Id, Point, WidgetView } from "../types.js" */
/** @import { Editor } from "./editor.js" */
/** Editing widgets: a real field stands over the painted one for as long as it has the focus. */
import { setFields, setGroup, setValue } from "../core/edits.js";
import { plus, whole } from "../core/exact.js";
import { isTextArea, point } from "../core/layout.js";
import { calculate, weighted } from "../core/text.js";
import { h } from "../panels/dom.js";
import { rounded, TurnGesture } from "./gestures/small.js";

const EDGE = 4; // pixels a field keeps from the edge of the canvas
const LEAST = 22; // pixels of a field that have to be seen for it to be cut
const TABBABLE = ["int", "float", "string", "combo"];

export class Fields {
  /**
   * @type {{ element: HTMLInputElement | HTMLTextAreaElement, finish: (keep: boolean) => void, place: () =>
   *   void } | undefined}
   */
  open;
  /**
   * @type {Map<string, (editor: Editor, id: Id, widget: WidgetView, at: Point) => any>} editing of widget
   *   kinds that extensions added
   */
  custom = new Map();

  /** @type {(id: Id, name: string) => any} the value of the last run */ lastUsed = () => undefined;
  /** @type {(id: Id, widget: WidgetView) => any} takes a picture or a sound for a widget */ capture = () =>
    undefined;

  /**
   * @param {Editor} editor
   * @param {() => Promise<import("./lists.js").Lists>} lists loaded when first needed
   * @param {(id: Id, name: string) => void} upload asks for a file and sets the widget to it
   */
  constructor(editor, lists, upload) {
    this.editor = editor;
    this.lists = lists;
    this.upload = upload;
    editor.on("camera", () => this.open?.place());
    editor.on("scope", () => this.close());
    editor.on("tab", () => this.close());
  }

  /** @param {Id} id @param {string} name @returns {WidgetView | undefined} */
  widget(id, name) {
    return this.editor.scene.view(id).widgets.find((one) => one.name === name);
  }

  /** @param {Id} id @param {string} name @param {any} value */
  set(id, name, value) {
    this.editor.do(setValue(this.editor.where, id, name, value));
  }

  /**
   * What a press on a widget does.
   * @param {import("./hit.js").WidgetHit} found
   * @param {Point} at
   * @returns {any} a gesture, if one starts
   */
  press({ id, name, side }, at) {
    const widget = this.widget(id, name);
    if (!widget) return undefined;
    const own = this.custom.get(widget.kind);
    if (own) return own(this.editor, id, widget, at);
    if (side === "control")
      return clickOnly(() => this.lists().then(({ choices }) => choices.editControl(id, widget)));
    if (widget.kind === "int" || widget.kind === "float") {
      if (side !== "middle") return clickOnly(() => this.step(id, name, side === "left" ? -1 : 1));
      return new TurnGesture(this.editor, id, widget, at, () => this.edit(id, name));
    }
    if (widget.kind === "combo" && side !== "middle")
      return clickOnly(() => this.step(id, name, side === "left" ? -1 : 1));
    return clickOnly(() => this.edit(id, name));
  }

  /** @param {Id} id @param {string} name @param {number} by in steps */
  step(id, name, by) {
    const widget = this.widget(id, name);
    if (!widget) return;
    if (widget.kind === "combo") {
      const choices = widget.choices ?? [];
      const next = choices[Math.max(0, Math.min(choices.length - 1, choices.indexOf(widget.value) + by))];
      if (next !== undefined) this.set(id, name, next);
    } else if (widget.kind === "boolean") this.set(id, name, !widget.value);
    else
      this.set(
        id,
        name,
        rounded(
          plus(
            typeof widget.value === "bigint" ? widget.value : Number(widget.value) || 0,
            by * (Number(widget.options.step) || (widget.kind === "int" ? 1 : 0.1)),
          ),
          widget,
        ),
      );
  }

  /** @param {Id} id @param {string} name */
  edit(id, name) {
    const widget = this.widget(id, name);
    if (!widget || widget.linked) return;
    if (widget.kind === "boolean") this.set(id, name, !widget.value);
    else if (widget.kind === "combo") this.lists().then(({ choices }) => choices.edit(id, widget));
    else if (widget.kind === "int" || widget.kind === "float") this.#editNumber(id, widget);
    else if (widget.kind === "webcam" || widget.kind === "recording") this.capture(id, widget);
    else this.#editText(id, widget);
  }

  /**
   * The field after or before one, as Tab goes; beyond the last the canvas has the focus again.
   * @param {Id} id
   * @param {string | undefined} name widget, or the title
   * @param {1 | -1} step
   */
  next(id, name, step) {
    const fields = [undefined, ...this.#tabbable(id)];
    const next = fields[fields.indexOf(name) + step];
    if (next !== undefined) this.edit(id, next);
  }

  /** @param {Id} id @returns {string[]} widgets with something to type or to choose */
  #tabbable(id) {
    const layout = this.editor.scene.layout(id);
    if (layout.collapsed) return [];
    return this.editor.scene
      .view(id)
      .widgets.filter(
        (widget) => !widget.linked && TABBABLE.includes(widget.kind) && !this.custom.has(widget.kind),
      )
      .map(({ name }) => name);
  }

  /** @param {Id} id @param {WidgetView} widget */
  #editNumber(id, widget) {
    const field = h("input", {
      type: "text",
      inputmode: "decimal",
      class: "field number",
      value: String(widget.value ?? ""),
      "aria-label": widget.label,
    });
    this.#mount(field, id, widget.name, (keep) => {
      const value = keep ? (whole(field.value) ?? calculate(field.value)) : undefined;
      if (value !== undefined) this.set(id, widget.name, rounded(value, widget));
    });
    field.select();
  }

  /** @param {Id} id @param {WidgetView} widget */
  #editText(id, widget) {
    const area = isTextArea(widget);
    const field = h(area ? "textarea" : "input", {
      class: "field",
      "aria-label": widget.label,
      spellcheck: "false",
      ...(area ? {} : { type: "text" }),
    });
    field.value = String(widget.value ?? "");
    const before = field.value;
    const keep = () => this.set(id, widget.name, field.value);
    field.addEventListener("input", (/** @type {InputEvent} */ event) => !event.isComposing && keep());
    field.addEventListener("compositionend", keep);
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (!area || !event.ctrlKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
      event.preventDefault();
      const next = weighted(
        field.value,
        field.selectionStart,
        field.selectionEnd,
        event.key === "ArrowUp" ? 0.05 : -0.05,
      );
      field.value = next.text;
      field.setSelectionRange(next.start, next.end);
      this.set(id, widget.name, field.value);
    });
    this.editor.tab.history.seal();
    this.#mount(field, id, widget.name, (kept) => {
      const now = () => String(this.widget(id, widget.name)?.value ?? "");
      if (field.value !== now()) keep();
      this.editor.tab.history.seal(); // giving up is a step of its own: undo brings back what was typed
      if (!kept && now() !== before) this.set(id, widget.name, before);
      this.editor.tab.history.seal();
    });
    if (!area) field.select();
  }

  /** @param {Id} id */
  rename(id) {
    const node = this.editor.scene.node(id);
    const spec = this.editor.scene.view(id).spec;
    const field = h("input", {
      type: "text",
      class: "field",
      value: String(node.title ?? spec?.title ?? node.type),
      "aria-label": "Title",
    });
    this.#mount(field, id, undefined, (keep) => {
      const title = field.value.trim();
      if (keep && title && title !== node.title)
        this.editor.do(setFields(this.editor.where, [id], { title }, "Rename"));
    });
    field.select();
  }

  /** @param {Id} id */
  renameGroup(id) {
    const group = this.editor.scene.scope.groups.get(id);
    if (!group) return;
    const field = h("input", {
      type: "text",
      class: "field",
      value: group.title ?? "",
      "aria-label": "Group title",
    });
    this.#mountAt(
      field,
      () => [group.bounding[0] + 6, group.bounding[1] + 4, Math.min(300, group.bounding[2] - 12), 34],
      (keep) => {
        if (keep && field.value !== group.title)
          this.editor.do(setGroup(this.editor.where, id, { title: field.value }, "Rename group"));
      },
    );
    field.select();
  }

  /**
   * @param {Id} id
   * @param {string | undefined} name widget, or the title
   * @returns {[number, number, number, number]} in the graph
   */
  #box(id, name) {
    const [x, y] = point(this.editor.scene.node(id).pos);
    const layout = this.editor.scene.layout(id);
    if (name === undefined)
      return [x + 20, y - layout.title + 3, Math.max(120, layout.width - 30), layout.title - 6];
    const index = this.editor.scene.view(id).widgets.findIndex((one) => one.name === name);
    const place = layout.widgets[index] ?? { y: 0, height: 20 };
    return [x + 12, y + place.y, layout.width - 24, place.height];
  }

  /** @param {Id} id @param {string} name @returns {[number, number]} below the widget, on the page */
  pagePlace(id, name) {
    const [x, y, , height] = this.#box(id, name);
    const [sx, sy] = this.editor.camera.toScreen([x, y + height + 2]);
    const host = this.editor.host.getBoundingClientRect();
    return [host.left + sx, host.top + sy];
  }

  /**
   * @param {any} field
   * @param {Id} id
   * @param {string | undefined} name
   * @param {(keep: boolean) => void} done
   */
  #mount(field, id, name, done) {
    this.#mountAt(
      field,
      () => this.#box(id, name),
      done,
      (step) => this.next(id, name, step),
    );
  }

  /**
   * @param {any} field
   * @param {() => number[]} boxOf
   * @param {(keep: boolean) => void} done
   * @param {(step: 1 | -1) => void} [next] goes on from here by Tab
   */
  #mountAt(field, boxOf, done, next = () => {}) {
    this.close();
    const place = () => {
      const [x, y, width, height] = boxOf();
      const { camera, host } = this.editor;
      const [left, top] = camera.toScreen([x, y]);
      const [from, long] = within(left, Math.max(width * camera.scale, 90), host.clientWidth);
      const [above, high] = within(top, Math.max(height * camera.scale, 22), host.clientHeight);
      Object.assign(field.style, {
        left: `${from}px`,
        top: `${above}px`,
        width: `${long}px`,
        height: `${high}px`,
        fontSize: `${Math.max(12 * camera.scale, 12)}px`,
      });
    };
    let finished = false;
    const finish = (/** @type {boolean} */ keep) => {
      if (finished) return;
      finished = true;
      this.open = undefined;
      const held = document.activeElement === field;
      done(keep);
      field.remove();
      if (held) this.editor.host.focus({ preventScroll: true });
    };
    field.addEventListener("blur", () => finish(true));
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const chord = event.ctrlKey || event.metaKey;
      if (event.key === "Enter" && chord) return finish(true); // and runs
      if (event.key === "F6") return undefined;
      event.stopPropagation();
      const ends = event.key === "Escape" || (event.key === "Enter" && field.tagName === "INPUT");
      if (!ends && event.key !== "Tab") return undefined;
      event.preventDefault(); // the rest of the press must not reach what has the focus next
      finish(event.key !== "Escape");
      return event.key === "Tab" ? next(event.shiftKey ? -1 : 1) : undefined;
    });
    this.open = { element: field, finish, place };
    this.editor.host.append(field);
    place();
    field.focus({ preventScroll: true }); // the canvas stays where it is, on telephones too
  }

  close() {
    this.open?.finish(true);
  }
}

/** @param {() => void} act */
function clickOnly(act) {
  return { move() {}, end: act, cancel() {} };
}

/**
 * The part of a stretch that is on the screen, so that what is typed can be seen; one that is not there at
 * all stays where it is.
 * @param {number} from
 * @param {number} length
 * @param {number} room
 * @returns {[number, number]} where it begins, and how long it is
 */
function within(from, length, room) {
  const start = Math.max(from, EDGE);
  const end = Math.min(from + length, room - EDGE);
  return end - start < Math.min(length, LEAST) ? [from, length] : [start, end - start];
}
