/** Texts inside videos: MP4 and MOV (boxes), WebM and Matroska (EBML). */
import { decode, sizeOf, tag, viewOf } from "./bytes.js";

const MOST_BOXES = 100000;
const INSIDE = new Set(["moov", "udta", "ilst"]);

/** @typedef {{ type: string, data: Uint8Array }} Box */

/** @param {Uint8Array} bytes @returns {Box[]} */
function boxes(bytes) {
  /** @type {Box[]} */ const found = [];
  for (let at = 0; at + 8 <= bytes.length && found.length < MOST_BOXES; ) {
    let size = sizeOf(bytes, at);
    let head = 8;
    if (size === 1 && at + 16 <= bytes.length) {
      size = Number(viewOf(bytes).getBigUint64(at + 8));
      head = 16;
    } else if (size === 0) size = bytes.length - at;
    if (size < head) break;
    found.push({ type: tag(bytes, at + 4), data: bytes.subarray(at + head, at + size) });
    at += size;
  }
  return found;
}

/**
 * Names stand in `keys`, or are the boxes' own types (`©cmt`).
 * @param {Uint8Array} bytes
 * @returns {Record<string, string>}
 */
export function readMp4(bytes) {
  /** @type {Record<string, string>} */ const texts = {};
  /** @type {string[]} */ let keys = [];
  const open = boxes(bytes);
  for (let at = 0; at < open.length && at < MOST_BOXES; at += 1) {
    const { type, data } = open[at];
    if (type === "meta") open.push(...boxes(tag(data, 4) === "hdlr" ? data : data.subarray(4)));
    else if (type === "keys") keys = readKeys(data);
    else if (type === "ilst") readItems(data, keys, texts);
    else if (INSIDE.has(type)) open.push(...boxes(data));
  }
  return texts;
}

/** @param {Uint8Array} data @returns {string[]} numbered from 1 */
function readKeys(data) {
  return [
    "",
    ...boxes(data.subarray(8)).map(({ data: name }) => decode(name).replace(/^com\.apple\.quicktime\./, "")),
  ];
}

/** @param {Uint8Array} data @param {string[]} keys @param {Record<string, string>} texts */
function readItems(data, keys, texts) {
  for (const item of boxes(data)) {
    const value = boxes(item.data).find(({ type }) => type === "data");
    const name =
      item.type === "\xa9cmt" ? "comment" : keys[item.type.charCodeAt(2) * 256 + item.type.charCodeAt(3)];
    if (name && value) texts[name] = decode(value.data.subarray(8));
  }
}

const SEGMENT = 0x18538067;
const TAGS = 0x1254c367;
const TAG = 0x7373;
const SIMPLE_TAG = 0x67c8;
const TAG_NAME = 0x45a3;
const TAG_STRING = 0x4487;

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {boolean} marked whether the length mark counts as part of the number
 * @returns {{ value: number, length: number }}
 */
function variable(bytes, at, marked) {
  const first = bytes[at] ?? 0;
  const length = first ? Math.clz32(first) - 23 : 9;
  let value = marked ? first : first & (0xff >> length);
  let unknown = value === 0xff >> length;
  for (let index = 1; index < length; index += 1) {
    value = value * 256 + (bytes[at + index] ?? 0);
    unknown &&= bytes[at + index] === 0xff;
  }
  return { value: !marked && unknown ? Infinity : value, length };
}

/** @param {Uint8Array} bytes @returns {{ id: number, data: Uint8Array }[]} */
function elements(bytes) {
  /** @type {{ id: number, data: Uint8Array }[]} */ const found = [];
  for (let at = 0; at + 2 <= bytes.length && found.length < MOST_BOXES; ) {
    const id = variable(bytes, at, true);
    const size = variable(bytes, at + id.length, false);
    const start = at + id.length + size.length;
    if (id.length > 8 || size.length > 8) break;
    const end = Math.min(bytes.length, start + size.value);
    found.push({ id: id.value, data: bytes.subarray(start, end) });
    at = end;
  }
  return found;
}

/** @param {Uint8Array} bytes @returns {Record<string, string>} */
export function readMatroska(bytes) {
  /** @type {Record<string, string>} */ const texts = {};
  const open = elements(bytes);
  for (let at = 0; at < open.length && at < MOST_BOXES; at += 1) {
    const { id, data } = open[at];
    if (id === SEGMENT || id === TAGS || id === TAG) open.push(...elements(data));
    else if (id === SIMPLE_TAG) {
      const parts = elements(data);
      const name = parts.find((part) => part.id === TAG_NAME);
      const text = parts.find((part) => part.id === TAG_STRING);
      if (name && text) texts[decode(name.data).toLowerCase()] = decode(text.data).replace(/\0+$/, "");
    }
  }
  return texts;
}
