/** Texts inside sounds: FLAC and Ogg (Vorbis comments), MP3 (ID3). */
import { decode, decodeWide, sizeOf, tag, viewOf } from "./bytes.js";

const VORBIS_COMMENT = 4;

/** @param {Uint8Array} bytes @returns {Record<string, string>} */
export function readFlac(bytes) {
  for (let at = 4; at + 4 <= bytes.length; ) {
    const head = sizeOf(bytes, at);
    const [last, kind, length] = [head >>> 31, (head >>> 24) & 0x7f, head & 0xffffff];
    if (kind === VORBIS_COMMENT) return readComments(bytes.subarray(at + 4, at + 4 + length));
    if (last) break;
    at += 4 + length;
  }
  return {};
}

/**
 * @param {Uint8Array} data a count of texts of the form `KEY=text`, after the writer's name
 * @returns {Record<string, string>}
 */
function readComments(data) {
  /** @type {Record<string, string>} */ const texts = {};
  const view = viewOf(data);
  let at = 4 + view.getUint32(0, true);
  const count = view.getUint32(at, true);
  at += 4;
  for (let index = 0; index < count && at + 4 <= data.length; index += 1) {
    const length = view.getUint32(at, true);
    const text = decode(data.subarray(at + 4, at + 4 + length));
    const equals = text.indexOf("=");
    if (equals > 0) texts[text.slice(0, equals).toLowerCase()] = text.slice(equals + 1);
    at += 4 + length;
  }
  return texts;
}

/**
 * The comments are the second packet; packets are cut into pages, a piece shorter than 255 ends one.
 * @param {Uint8Array} bytes
 * @returns {Record<string, string>}
 */
export function readOgg(bytes) {
  /** @type {Uint8Array[]} */ const pieces = [];
  let packet = 0;
  for (let at = 0; at + 27 <= bytes.length && tag(bytes, at) === "OggS"; ) {
    const sizes = bytes.subarray(at + 27, at + 27 + bytes[at + 26]);
    at += 27 + sizes.length;
    for (const size of sizes) {
      if (packet === 1) pieces.push(bytes.subarray(at, at + size));
      at += size;
      if (size < 255) packet += 1;
      if (packet > 1) return readComments(joined(pieces).subarray(tag(pieces[0], 0) === "Opus" ? 8 : 7));
    }
  }
  return {};
}

/** @param {Uint8Array[]} pieces */
function joined(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Record<string, string>} texts that the file names itself (`TXXX`), and its comment
 */
export function readId3(bytes) {
  /** @type {Record<string, string>} */ const texts = {};
  const wide = bytes[3] >= 4;
  const end = Math.min(bytes.length, 10 + sevenths(bytes, 6));
  for (let at = 10; at + 10 <= end && bytes[at]; ) {
    const length = wide ? sevenths(bytes, at + 4) : sizeOf(bytes, at + 4);
    const data = bytes.subarray(at + 10, Math.min(end, at + 10 + length));
    const type = tag(bytes, at);
    if (type === "TXXX") readPair(data, 1, texts);
    else if (type === "COMM") texts.comment ??= textsOf(data, 4)[1] ?? "";
    at += 10 + length;
  }
  return texts;
}

/** @param {Uint8Array} data @param {number} from @param {Record<string, string>} texts */
function readPair(data, from, texts) {
  const [name, text] = textsOf(data, from);
  if (name && text !== undefined) texts[name.toLowerCase()] = text;
}

/** @param {Uint8Array} bytes @param {number} at @returns {number} four bytes of seven bits */
function sevenths(bytes, at) {
  return (bytes[at] << 21) | (bytes[at + 1] << 14) | (bytes[at + 2] << 7) | bytes[at + 3];
}

/** @param {Uint8Array} data the first byte names the coding @param {number} from @returns {string[]} */
function textsOf(data, from) {
  const rest = data.subarray(from);
  if (data[0] === 0 || data[0] === 3) return decode(rest).split("\0");
  const little = data[0] === 1 && rest[0] === 0xff;
  return decodeWide(rest, little)
    .replace(/\uFEFF|\uFFFE/g, "")
    .split("\0");
}
