/** @import { Editor } from "../interaction/editor.js" */
/**
 * The parts of the page that the keyboard goes between: F6 forward, Shift+F6 back, Escape out of each to the
 * canvas and out of the canvas to the bar. Tab goes through everything in its order, the canvas included.
 */

const REACHABLE = "button, input, select, textarea, a[href], video, audio, [tabindex]";

export class Regions {
  /** @type {WeakMap<HTMLElement, HTMLElement>} where the focus last was in each part */ #last =
    new WeakMap();

  /** @param {HTMLElement[]} parts in their order; each can take the focus itself @param {Editor} editor */
  constructor(parts, editor) {
    this.parts = parts;
    this.editor = editor;
    this.canvas = editor.host;
    for (const part of parts) {
      part.addEventListener("focusin", (event) =>
        this.#last.set(part, /** @type {HTMLElement} */ (event.target)),
      );
    }
  }

  /** @returns {HTMLElement | undefined} the part that has the focus; nothing when the page itself has it */
  get here() {
    return this.parts.find((part) => part.contains(document.activeElement));
  }

  /** @param {1 | -1} step to the next part that can take the focus */
  go(step) {
    const { parts } = this;
    const at = parts.indexOf(this.here ?? this.canvas);
    for (let count = 1; count < parts.length; count += 1) {
      const part = parts[(at + step * count + parts.length * count) % parts.length];
      const place = this.#placeIn(part);
      if (place) return place.focus({ preventScroll: true });
    }
    return undefined;
  }

  /** @param {HTMLElement} part @returns {HTMLElement | undefined} where it was left, else where it begins */
  #placeIn(part) {
    if (!part.checkVisibility()) return undefined;
    if (part === this.canvas) return part;
    const last = this.#last.get(part);
    if (last && last !== part && part.contains(last) && isReachable(last)) return last;
    return /** @type {HTMLElement[]} */ ([...part.querySelectorAll(REACHABLE)]).find(isReachable);
  }

  /**
   * One step out: of a panel or the bar to the canvas, of what is selected, of the subgraph, of the canvas.
   */
  leave() {
    const { editor, canvas, here } = this;
    const marked = editor.selected.size + editor.selectedGroups.size + editor.selectedReroutes.size > 0;
    if (here && document.activeElement !== canvas) canvas.focus({ preventScroll: true });
    else if (marked) editor.clearSelection();
    else if (editor.tab.path.length) editor.enter(editor.tab.path.slice(0, -1));
    else this.parts[0].focus({ preventScroll: true });
  }
}

/** @param {HTMLElement} element */
function isReachable(element) {
  return element.tabIndex >= 0 && !(/** @type {any} */ (element).disabled) && element.checkVisibility();
}
