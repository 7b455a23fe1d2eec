/** Elements as expressions, and texts for the clipboard. Text is always text, never markup. */

/** @typedef {Node | string | number | null | undefined | false} Leaf */
/** @typedef {Leaf | (Leaf | (Leaf | Leaf[])[])[]} Child */

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] attributes; `on` holds listeners, `class` and `style` as usual
 * @param {Child[]} children
 * @returns {any}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { on = {}, style, ...rest } = properties;
  for (const [name, value] of Object.entries(rest)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  if (style) Object.assign(element.style, style);
  for (const [name, listener] of Object.entries(on))
    element.addEventListener(name, /** @type {EventListener} */ (listener));
  append(element, children);
  return element;
}

/** @param {Element} element @param {Child[]} children */
function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

/** @param {Element} element @param {Child[]} children */
export function refill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

const PATHS = /** @type {Record<string, string>} 16 × 16 line drawings */ ({
  weave: "M3.5 5c3.5 0 2 6 9 6M3.5 11c3.5 0 2-6 9-6M3.5 8h9",
  run: "M4 2.5v11l9-5.5z",
  stop: "M4 4h8v8H4z",
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5l3 3",
  queue: "M3 4h10M3 8h10M3 12h6",
  folder: "M2 4.5h4l1.5 1.5H14v6.5H2z",
  template: "M2.5 2.5h5v5h-5zM9 2.5h4.5v5H9zM2.5 9h11v4.5h-11z",
  settings: "M2.5 5h7M12.5 5h1M2.5 11h1M6.5 11h7M11 3.5v3M5 9.5v3",
  undo: "M6 3L2.5 6.5 6 10M3 6.5h6a4 4 0 0 1 0 7.5H7",
  redo: "M10 3l3.5 3.5L10 10M13 6.5H7a4 4 0 0 0 0 7.5h2",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  down: "M4 6l4 4 4-4",
  next: "M6 3l5 5-5 5",
  back: "M10 3L5 8l5 5",
  alert: "M8 2l6.5 11.5h-13zM8 6.5v3M8 11.5v.5",
  map: "M2 3.5l4-1.5 4 1.5 4-1.5v10.5l-4 1.5-4-1.5-4 1.5zM6 2v10.5M10 3.5V14",
  save: "M3 2.5h8l2.5 2.5v8.5h-11zM5 2.5v4h5v-4M5 13.5v-4h6v4",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 9h6l.5-9",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  open: "M9 2.5h4.5V7M13.5 2.5L7.5 8.5M11.5 9v4.5h-9v-9H7",
  brush: "M13.5 2.5c-4 1-7 4-8 7l1.5 1.5c3-1 6-4 7-8zM5 10c-1.500 0-2 1.500-2.500 3.500 2 0 4-.5 4-2z",
  front: "M8 13V3M4 7l4-4 4 4",
  star: "M8 2l1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.4 4.3 13.5l.8-4.2L2 6.4l4.2-.5z",
  clock: "M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11M8 5v3.200l2 1.300",
});

/** @param {string} name @returns {SVGElement} */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name] ?? "");
  svg.append(path);
  return svg;
}

/**
 * @param {string} label
 * @param {string} picture
 * @param {(event: MouseEvent) => void} act
 * @param {Record<string, any>} [properties]
 * @returns {HTMLButtonElement}
 */
export function iconButton(label, picture, act, properties = {}) {
  return h(
    "button",
    {
      type: "button",
      class: "icon-button",
      "aria-label": label,
      title: label,
      on: { click: act },
      ...properties,
    },
    icon(picture),
  );
}

/**
 * @param {string} text
 * @param {(event: MouseEvent) => void} act
 * @param {Record<string, any>} [properties]
 * @returns {HTMLButtonElement}
 */
export function button(text, act, properties = {}) {
  return h("button", { type: "button", class: "button", on: { click: act }, ...properties }, text);
}

/** @param {HTMLElement} element moved so that it stays on the page @param {number} x @param {number} y */
export function placeAt(element, x, y) {
  const { offsetWidth: width, offsetHeight: height } = element;
  element.style.left = `${Math.max(6, Math.min(x, innerWidth - width - 6))}px`;
  element.style.top = `${Math.max(6, Math.min(y, innerHeight - height - 6))}px`;
}

/**
 * At once, so that a paste that follows finds it; where the browser does not let us, when it gets to it.
 * @param {string} text
 */
export async function copyText(text) {
  let written = false;
  const fill = (/** @type {ClipboardEvent} */ event) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    written = Boolean(event.clipboardData);
  };
  document.addEventListener("copy", fill, { capture: true });
  document.execCommand("copy");
  document.removeEventListener("copy", fill, { capture: true });
  if (!written) await navigator.clipboard.writeText(text);
}
