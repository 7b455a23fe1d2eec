/**
 * Text kept inside files: pictures, videos, sounds, vector drawings, models and latents that carry their
 * workflow.
 */
import { readMatroska, readMp4 } from "./metadata_video.js";
import { readFlac, readId3, readOgg } from "./metadata_sound.js";
import { readExif, findExif } from "./exif.js";
import { printExact } from "./exact.js";
import { parseJson } from "./text.js";
import { decode, inflate, sizeOf, tag, viewOf } from "./bytes.js";

/** @typedef {Record<string, string>} Texts by keyword: `workflow`, `prompt`, `parameters` … */
/**
 * @typedef {{ fits: (bytes: Uint8Array) => boolean, read: (bytes: Uint8Array) => Texts | Promise<Texts> }}
 *   Format
 */

/** @type {Format[]} */
const FORMATS = [
  { fits: (bytes) => sizeOf(bytes, 0) === 0x89504e47, read: readPng },
  { fits: (bytes) => tag(bytes, 0) === "RIFF" && tag(bytes, 8) === "WEBP", read: readWebp },
  { fits: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8, read: readJpeg },
  {
    fits: (bytes) => tag(bytes, 4) === "ftyp" && /^(avif|avis|mif1|heic)$/.test(tag(bytes, 8)),
    read: findExif,
  },
  { fits: (bytes) => tag(bytes, 4) === "ftyp", read: readMp4 },
  { fits: (bytes) => sizeOf(bytes, 0) === 0x1a45dfa3, read: readMatroska },
  { fits: (bytes) => tag(bytes, 0) === "fLaC", read: readFlac },
  { fits: (bytes) => tag(bytes, 0) === "OggS", read: readOgg },
  { fits: (bytes) => tag(bytes, 0).startsWith("ID3"), read: readId3 },
  { fits: (bytes) => tag(bytes, 0) === "glTF", read: readGlb },
  { fits: (bytes) => bytes[8] === 0x7b && headerLength(bytes) > 1, read: readSafetensors },
  {
    fits: (bytes) => /^\s*(?:\uFEFF)?\s*<(?:\?xml|svg|!--|!DOCTYPE)/i.test(decode(bytes.subarray(0, 200))),
    read: readSvg,
  },
];

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Texts>} nothing when the file is of no known kind, or damaged
 */
export async function readMetadata(bytes) {
  if (bytes.length < 12) return {};
  const format = FORMATS.find(({ fits }) => fits(bytes));
  try {
    return format ? unpacked(await format.read(bytes)) : {};
  } catch (error) {
    if (error instanceof RangeError && error.message.includes("64 MB")) throw error;
    return {};
  }
}

/**
 * How much of a file must be read: a model's header, else all of it.
 * @param {Uint8Array} start at least its first nine bytes @returns {number}
 */
export function wantedBytes(start) {
  if (start.length < 9) return Infinity;
  const length = headerLength(start);
  return start[8] === 0x7b && length > 1 ? 8 + length : Infinity;
}

/** Some programs put everything into one comment, as an object. @param {Texts} texts @returns {Texts} */
function unpacked(texts) {
  /** @type {Texts} */ const found = Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key.toLowerCase(), text]),
  );
  if (found.workflow || found.prompt || !found.comment) return found;
  return { ...found, ...membersOf(found.comment) };
}

/** @param {string} text JSON of an object @returns {Texts} its workflow and prompt as texts */
function membersOf(text) {
  /** @type {Texts} */ const found = {};
  try {
    const all = parseJson(text);
    for (const key of ["workflow", "prompt"]) {
      if (typeof all?.[key] === "string") found[key] = all[key];
      else if (all?.[key] && typeof all[key] === "object") found[key] = printExact(all[key]);
    }
  } catch {
    /* a comment of another kind */
  }
  return found;
}

/** @param {Uint8Array} bytes */
async function readPng(bytes) {
  /** @type {Texts} */ const texts = {};
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = sizeOf(bytes, at);
    const type = tag(bytes, at + 4);
    if (type === "IEND" || at + 8 + length > bytes.length) break;
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (type === "tEXt" || type === "iTXt" || type === "zTXt" || type === "comf")
      await readTextChunk(type, data, texts);
    else if (type === "eXIf") Object.assign(texts, { ...readExif(data), ...texts });
    at += 12 + length;
  }
  return texts;
}

/** @param {string} type @param {Uint8Array} data @param {Texts} texts */
async function readTextChunk(type, data, texts) {
  const end = data.indexOf(0);
  if (end < 0) return;
  const key = decode(data.subarray(0, end));
  if (type === "tEXt" || type === "comf") texts[key] = decode(data.subarray(end + 1));
  else if (type === "zTXt") texts[key] = decode(await inflate(data.subarray(end + 2)));
  else {
    const packed = data[end + 1] === 1;
    const language = data.indexOf(0, end + 3);
    const translated = data.indexOf(0, language + 1);
    const text = data.subarray(translated + 1);
    const own = decode(data.subarray(language + 1, translated));
    texts[latin(own) === key ? own : key] = decode(packed ? await inflate(text) : text);
  }
}

/** A keyword as its Latin stand-in is written. @param {string} key @returns {string} */
function latin(key) {
  const letters = [...key].map((letter) => (letter > "\u00ff" ? "?" : letter));
  return letters.join("").trim().slice(0, 79).trim() || "text";
}

/** @param {Uint8Array} bytes */
function readWebp(bytes) {
  /** @type {Texts} */ const texts = {};
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = viewOf(bytes).getUint32(at + 4, true);
    if (tag(bytes, at) === "EXIF") Object.assign(texts, readExif(bytes.subarray(at + 8, at + 8 + length)));
    at += 8 + length + (length % 2);
  }
  return texts;
}

/** @param {Uint8Array} bytes */
function readJpeg(bytes) {
  /** @type {Texts} */ const texts = {};
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker === 0xda || marker === 0xd9) break;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = viewOf(bytes).getUint16(at + 2);
    const data = bytes.subarray(at + 4, at + 2 + length);
    if (marker === 0xe1 && tag(data, 0) === "Exif") Object.assign(texts, readExif(data));
    else if (marker === 0xfe) texts.comment ??= decode(data);
    at += 2 + length;
  }
  return texts;
}

/** @param {Uint8Array} bytes @returns {number} of a safetensors header */
function headerLength(bytes) {
  const length = Number(viewOf(bytes).getBigUint64(0, true));
  return length <= 100 * 1024 * 1024 ? length : 0;
}

/** Models and latents. @param {Uint8Array} bytes @returns {Texts} */
function readSafetensors(bytes) {
  const { __metadata__: texts } = parseJson(decode(bytes.subarray(8, 8 + headerLength(bytes))));
  return Object.fromEntries(Object.entries(texts ?? {}).filter(([, text]) => typeof text === "string"));
}

/** @param {Uint8Array} bytes @returns {Texts} */
function readGlb(bytes) {
  const length = viewOf(bytes).getUint32(12, true);
  return membersOf(printExact(parseJson(decode(bytes.subarray(20, 20 + length))).asset?.extras ?? {}));
}

/** @param {Uint8Array} bytes @returns {Texts} */
function readSvg(bytes) {
  const inner = decode(bytes).match(/<metadata[^>]*>([\s\S]*?)<\/metadata>/i)?.[1] ?? "";
  const plain = inner.match(/<!\[CDATA\[([\s\S]*?)\]\]>/)?.[1];
  return membersOf(
    plain ??
      inner
        .replace(/&lt;/g, "<")
        .replace(/&gt;/g, ">")
        .replace(/&quot;/g, '"')
        .replace(/&apos;|&#39;/g, "'")
        .replace(/&amp;/g, "&"),
  );
}
