/**
 * EXIF: a small directory of fields, in pictures of several kinds; ours and other tools' texts are among
 * them.
 */
import { decode, decodeWide, tag, viewOf } from "./bytes.js";

const TEXT = 2;
const SUB_DIRECTORY = 0x8769;
const USER_COMMENT = 0x9286;
const MOST_FIELDS = 2000;

/**
 * @param {Uint8Array} bytes
 * @returns {Record<string, string>} texts of the form `keyword:text`, and the comment as `parameters`
 */
export function readExif(bytes) {
  const block = tag(bytes, 0) === "Exif" ? bytes.subarray(6) : bytes;
  /** @type {Record<string, string>} */ const texts = {};
  if (block.length < 8) return texts;
  const view = viewOf(block);
  const little = view.getUint16(0) === 0x4949;
  const open = [view.getUint32(4, little)];
  /** @type {Set<number>} */ const seen = new Set();
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    if (seen.has(directory) || directory + 2 > block.length) continue;
    seen.add(directory);
    const count = Math.min(view.getUint16(directory, little), MOST_FIELDS);
    for (let index = 0; index < count; index += 1) {
      const at = directory + 2 + index * 12;
      if (at + 12 > block.length) break;
      const field = view.getUint16(at, little);
      if (field === SUB_DIRECTORY) open.push(view.getUint32(at + 8, little));
      else readField(block, at, little, texts);
    }
  }
  return texts;
}

/**
 * @param {Uint8Array} block
 * @param {number} at of the field
 * @param {boolean} little
 * @param {Record<string, string>} texts
 */
function readField(block, at, little, texts) {
  const view = viewOf(block);
  const length = view.getUint32(at + 4, little);
  const offset = length > 4 ? view.getUint32(at + 8, little) : at + 8;
  const data = block.subarray(offset, offset + length);
  if (view.getUint16(at, little) === USER_COMMENT) texts.parameters ??= readComment(data, little);
  else if (view.getUint16(at + 2, little) === TEXT) {
    const text = decode(data).replace(/\0+$/, "");
    const colon = text.indexOf(":");
    if (colon > 0) texts[text.slice(0, colon).trim().toLowerCase()] = text.slice(colon + 1);
  }
}

/**
 * Eight letters name the coding; wide letters are the highest byte first, but some write the file's order.
 * @param {Uint8Array} data
 * @param {boolean} little
 */
function readComment(data, little) {
  const coding = decode(data.subarray(0, 8)).replace(/\0/g, "").trim();
  const text = data.subarray(8);
  if (coding !== "UNICODE")
    return decode(coding === "ASCII" || coding === "" ? text : data).replace(/\0+$/, "");
  if (text[0] === 0xff && text[1] === 0xfe) return decodeWide(text.subarray(2), true);
  const zeros = [0, 0];
  for (let at = 0; at < Math.min(text.length, 400); at += 1) if (text[at] === 0) zeros[at % 2] += 1;
  const low = zeros[0] === zeros[1] ? little : zeros[1] > zeros[0];
  return decodeWide(text, low).replace(/^\uFEFF|\0+$/g, "");
}

/**
 * In files whose boxes we do not follow (AVIF): the block begins like one.
 * @param {Uint8Array} bytes
 * @returns {Record<string, string>}
 */
export function findExif(bytes) {
  for (let at = 0; at + 8 < bytes.length; at += 1) {
    const starts =
      (bytes[at] === 0x49 && tag(bytes, at) === "II*\0") ||
      (bytes[at] === 0x4d && tag(bytes, at) === "MM\0*");
    const texts = starts ? readExif(bytes.subarray(at)) : {};
    if (Object.keys(texts).length) return texts;
  }
  return {};
}
