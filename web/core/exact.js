/**
 * JSON whose whole numbers stay exact. JavaScript's numbers round beyond 2^53 (a seed may have 64 bits), so
 * larger ones are BigInts; but only among the values of a workflow or a prompt, as ids, slots and places are
 * computed with.
 */

const LONG = /\d{16,}/g;
const LARGE = /"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\w.+-])-?\d{16,}(?![\d.eE])/g; // texts are read over

/** @param {string} text @returns {any} as `JSON.parse` gives it, with exact values */
export function parseExact(text) {
  const runs = [...text.matchAll(LONG)].filter(({ index }) => text[index - 1] !== ".");
  if (!runs.some(([digits]) => isLarge(digits))) return JSON.parse(text);
  const mark = crypto.randomUUID();
  return unmarked(
    JSON.parse(text.replace(LARGE, (found) => (isLarge(found) ? `"${mark}${found}"` : found))),
    mark,
    "",
  );
}

/** @param {string} text @returns {boolean} whether it is a whole number that rounds */
function isLarge(text) {
  return !text.startsWith('"') && !Number.isSafeInteger(Number(text));
}

/**
 * @typedef {"values" | "inputs" | ""} Within what a part of the JSON belongs to; in neither nothing is exact
 */

/**
 * @param {any} json
 * @param {string} mark
 * @param {Within} within
 * @returns {any} the same, with numbers where their marks stood
 */
function unmarked(json, mark, within) {
  if (typeof json === "string" && json.startsWith(mark))
    return within ? BigInt(json.slice(mark.length)) : Number(json.slice(mark.length));
  if (!json || typeof json !== "object") return json;
  for (const [key, value] of Object.entries(json)) {
    const next = unmarked(
      value,
      mark,
      within === "inputs" ? belowInput(value, mark) : within || belowKey(key, value),
    );
    if (next !== value) json[key] = next;
  }
  return json;
}

/**
 * @param {string} key
 * @param {any} value
 * @returns {Within} a node of a workflow lists its sockets as `inputs`, one of a prompt has its values there
 */
function belowKey(key, value) {
  if (key === "widgets_values" || key === "widgets_values_named") return "values";
  return key === "inputs" && !Array.isArray(value) ? "inputs" : "";
}

/** @param {any} value @param {string} mark @returns {Within} a link's slot is no value */
function belowInput(value, mark) {
  return Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === "string" &&
    !value[0].startsWith(mark)
    ? ""
    : "values";
}

/**
 * @param {any} json
 * @param {number} [space]
 * @returns {string} as `JSON.stringify` writes it, BigInts as the numbers they are
 */
export function printExact(json, space) {
  try {
    return JSON.stringify(json, null, space);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const mark = crypto.randomUUID();
    const text = JSON.stringify(
      json,
      (_, value) => (typeof value === "bigint" ? `${mark}${value}` : value),
      space,
    );
    return text.replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
  }
}

/**
 * @param {any} json
 * @returns {any} the same with numbers for BigInts, for scripts that know no others; what holds none is not
 *   copied
 */
export function rounded(json) {
  if (typeof json === "bigint") return Number(json);
  if (!json || typeof json !== "object") return json;
  let copy = json;
  for (const key of Object.keys(json)) {
    const value = rounded(json[key]);
    if (value === json[key]) continue;
    if (copy === json) copy = Array.isArray(json) ? [...json] : { ...json };
    copy[key] = value;
  }
  return copy;
}

/** @param {string} text @returns {number | bigint | undefined} nothing when it is no whole number */
export function whole(text) {
  return /^\s*[+-]?\d+\s*$/.test(text) ? plain(BigInt(text.trim().replace("+", ""))) : undefined;
}

/** @param {bigint} big @returns {number | bigint} a number where that is exact */
export function plain(big) {
  const number = Number(big);
  return Number.isSafeInteger(number) ? number : big;
}

/**
 * @param {number | bigint} a
 * @param {number | bigint} b
 * @returns {number | bigint} the sum, exact where both are whole
 */
export function plus(a, b) {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum) || !Number.isInteger(a) || !Number.isInteger(b)) return sum;
  }
  return isWhole(a) && isWhole(b) ? plain(BigInt(a) + BigInt(b)) : Number(a) + Number(b);
}

/** @param {number | bigint} value */
function isWhole(value) {
  return typeof value === "bigint" || Number.isInteger(value);
}

/**
 * @param {bigint} value
 * @param {number} [low]
 * @param {number} [high]
 * @returns {number | bigint} within bounds, of which one like 2^64 − 1 was read as 2^64
 */
export function clamped(value, low = -Infinity, high = Infinity) {
  if (value < low) return plain(BigInt(Math.ceil(low)));
  const top = Number.isFinite(high)
    ? BigInt(Math.floor(high)) - (Number.isSafeInteger(high) ? 0n : 1n)
    : value;
  return plain(value > top ? top : value);
}
