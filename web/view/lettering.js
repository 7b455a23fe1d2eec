/** Text on the canvas: widths, shortened labels and wrapped lines, each worked out once. */

const MOST = 20000;

export class Lettering {
  /** @type {Map<string, number>} */ #widths = new Map();
  /** @type {Map<string, string>} */ #fitted = new Map();
  /** @type {Map<string, string[]>} */ #wrapped = new Map();

  /** @param {CanvasRenderingContext2D} ctx one kept for measuring */
  constructor(ctx) {
    this.ctx = ctx;
    this.font = "";
  }

  /** @param {string} font @param {string} text @returns {number} */
  width(font, text) {
    const key = `${font}\n${text}`;
    const known = this.#widths.get(key);
    if (known !== undefined) return known;
    if (this.font !== font) this.ctx.font = this.font = font;
    const width = this.ctx.measureText(text).width;
    bounded(this.#widths).set(key, width);
    return width;
  }

  /**
   * @param {string} font
   * @param {string} text
   * @param {number} room
   * @returns {string} with an ellipsis if it does not fit
   */
  fit(font, text, room) {
    if (text.length > 400) text = text.slice(0, 400);
    if (text.length * 3 < room && this.width(font, text) <= room) return text;
    const key = `${font}\n${Math.round(room)}\n${text}`;
    const known = this.#fitted.get(key);
    if (known !== undefined) return known;
    let [low, high] = [0, text.length];
    if (this.width(font, text) <= room) low = high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.width(font, `${text.slice(0, middle)}…`) <= room) low = middle;
      else high = middle - 1;
    }
    const fitted = low === text.length ? text : low ? `${text.slice(0, low).trimEnd()}…` : "";
    bounded(this.#fitted).set(key, fitted);
    return fitted;
  }

  /**
   * @param {string} font
   * @param {string} text
   * @param {number} room
   * @param {number} most lines wanted
   * @returns {string[]}
   */
  wrap(font, text, room, most) {
    const key = `${font}\n${Math.round(room)}\n${most}\n${text}`;
    const known = this.#wrapped.get(key);
    if (known) return known;
    /** @type {string[]} */ const lines = [];
    for (const paragraph of text.slice(0, 4000).split("\n")) {
      if (lines.length >= most) break;
      this.#wrapParagraph(font, paragraph, room, most, lines);
    }
    bounded(this.#wrapped).set(key, lines);
    return lines;
  }

  /**
   * @param {string} font
   * @param {string} paragraph
   * @param {number} room
   * @param {number} most
   * @param {string[]} lines
   */
  #wrapParagraph(font, paragraph, room, most, lines) {
    let line = "";
    for (const word of paragraph.split(/(?<=\s)/)) {
      if (line && this.width(font, (line + word).trimEnd()) > room) {
        lines.push(line);
        if (lines.length >= most) return;
        line = "";
      }
      line += word;
      while (this.width(font, line.trimEnd()) > room && line.length > 1) {
        let cut = line.length - 1;
        while (cut > 1 && this.width(font, line.slice(0, cut)) > room) cut -= 1;
        lines.push(line.slice(0, cut));
        if (lines.length >= most) return;
        line = line.slice(cut);
      }
    }
    lines.push(line);
  }
}

/** @template V @param {Map<string, V>} map @returns {Map<string, V>} emptied when it has grown too large */
function bounded(map) {
  if (map.size > MOST) map.clear();
  return map;
}
