/** Text rules: dynamic prompts, dates in file names, weights of selected words. */
import { parseExact } from "./exact.js";

/**
 * Takes comments out and picks one of each `{a|b|c}`; braces may nest, `\{` is a plain brace.
 * @param {string} text @param {() => number} random @returns {string}
 */
export function pickDynamic(text, random = Math.random) {
  return new Picker(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""), random).text();
}

/**
 * Reads the braces from left to right; an open one without its end counts as closed by the end of the text.
 */
class Picker {
  /** @param {string} source @param {() => number} random */
  constructor(source, random) {
    this.source = source;
    this.random = random;
    this.at = 0;
  }

  /** @returns {string} */
  text() {
    /** @type {string[][]} parts of each open brace: its finished choices, then the one being read */
    const open = [[""]];
    for (; this.at < this.source.length; this.at += 1) this.#read(open);
    while (open.length > 1) this.#close(open);
    return open[0][0];
  }

  /** @param {string[][]} open */
  #read(open) {
    const letter = this.source[this.at];
    const inner = open[open.length - 1];
    if (letter === "\\" && "{}|\\".includes(this.source[this.at + 1] ?? " ")) {
      this.at += 1;
      inner[inner.length - 1] += this.source[this.at] === "\\" ? "\\\\" : this.source[this.at];
    } else if (letter === "{") open.push([""]);
    else if (letter === "}" && open.length > 1) this.#close(open);
    else if (letter === "|" && open.length > 1) inner.push("");
    else inner[inner.length - 1] += letter;
  }

  /** @param {string[][]} open */
  #close(open) {
    const choices = /** @type {string[]} */ (open.pop());
    const inner = open[open.length - 1];
    inner[inner.length - 1] += choices[Math.floor(this.random() * choices.length)] ?? "";
  }
}

/** @param {string} pattern `d dd M MM h hh m mm s ss yy yyyy` @param {Date} date @returns {string} */
export function formatDate(pattern, date) {
  /** @type {Record<string, number>} */
  const parts = {
    d: date.getDate(),
    M: date.getMonth() + 1,
    h: date.getHours(),
    m: date.getMinutes(),
    s: date.getSeconds(),
  };
  return pattern.replace(/d{1,2}|M{1,2}|h{1,2}|m{1,2}|s{1,2}|yyyy|yy/g, (found) => {
    if (found === "yyyy") return String(date.getFullYear());
    if (found === "yy") return String(date.getFullYear()).slice(2);
    return String(parts[found[0]]).padStart(found.length, "0");
  });
}

/**
 * Raises or lowers the weight of the selected words, `(word:1.1)`.
 * @param {string} text @param {number} start @param {number} end @param {number} by
 * @returns {{ text: string, start: number, end: number }}
 */
export function weighted(text, start, end, by) {
  if (start === end) {
    while (start > 0 && !/[\s,.()]/.test(text[start - 1])) start -= 1;
    while (end < text.length && !/[\s,.()]/.test(text[end])) end += 1;
  }
  if (start === end) return { text, start, end };
  const around = /^\(([\s\S]*):(-?[\d.]+)\)$/;
  let inner = text.slice(start, end);
  const outer = text.slice(0, start).endsWith("(") && text.slice(end).match(/^:(-?[\d.]+)\)/);
  let weight = 1;
  if (outer) {
    weight = Number(outer[1]);
    start -= 1;
    end += outer[0].length;
  } else {
    const own = inner.match(around);
    if (own) [, inner] = own;
    if (own) weight = Number(own[2]);
  }
  weight = Math.round((weight + by) * 100) / 100;
  const piece = weight === 1 ? inner : `(${inner}:${weight})`;
  const shift = weight === 1 ? 0 : 1;
  return {
    text: text.slice(0, start) + piece + text.slice(end),
    start: start + shift,
    end: start + shift + inner.length,
  };
}

/**
 * A number typed into a field: plain, or a sum such as `512*1.5+8`.
 * @param {string} text @returns {number | undefined}
 */
export function calculate(text) {
  const tokens = text.replace(/,/g, ".").match(/\d*\.?\d+(?:e[+-]?\d+)?|[-+*/()]/gi);
  if (!tokens || tokens.join("") !== text.replace(/,/g, ".").replace(/\s+/g, "")) return undefined;
  let at = 0;
  /** @returns {number} */
  const atom = () => {
    const token = tokens[at++];
    if (token === "-") return -atom();
    if (token === "+") return atom();
    if (token !== "(") return Number(token);
    const value = sum();
    at += 1;
    return value;
  };
  const product = () => {
    let value = atom();
    while (tokens[at] === "*" || tokens[at] === "/")
      value = tokens[at++] === "*" ? value * atom() : value / atom();
    return value;
  };
  /** @returns {number} */
  const sum = () => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-")
      value = tokens[at++] === "+" ? value + product() : value - product();
    return value;
  };
  const value = sum();
  return at >= tokens.length && Number.isFinite(value) ? value : undefined;
}

/**
 * The one reader of JSON that others wrote.
 * @param {string} text JSON, in which Python may have written `NaN` and `Infinity`; zeros may end it
 * @returns {any} those become null; values stay exact
 */
export function parseJson(text) {
  const clean = text.replace(/^\uFEFF|[\0\s]+$/g, "");
  try {
    return parseExact(clean);
  } catch (error) {
    const mended = clean.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (found) =>
      found.startsWith('"') ? found : "null",
    );
    if (mended === clean) throw error;
    return parseExact(mended);
  }
}
