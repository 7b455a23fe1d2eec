/** Text kept inside pictures: PNG text chunks and the EXIF block of WebP files. */

/** @param {Uint8Array} bytes @returns {Promise<Record<string, string>>} by keyword: `workflow`, `prompt`, `parameters` … */
export async function readMetadata(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length > 8 && view.getUint32(0) === 0x89504e47) return readPng(bytes, view);
  if (bytes.length > 12 && view.getUint32(0) === 0x52494646 && view.getUint32(8) === 0x57454250) return readWebp(bytes, view);
  return {};
}

/** @param {Uint8Array} bytes @param {DataView} view */
async function readPng(bytes, view) {
  /** @type {Record<string, string>} */ const texts = {};
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === "IEND" || at + 8 + length > bytes.length) break;
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (type === "tEXt" || type === "iTXt" || type === "zTXt" || type === "comf") await readTextChunk(type, data, texts);
    at += 12 + length;
  }
  return texts;
}

/** @param {string} type @param {Uint8Array} data @param {Record<string, string>} texts */
async function readTextChunk(type, data, texts) {
  const end = data.indexOf(0);
  if (end < 0) return;
  const key = decode(data.subarray(0, end));
  if (type === "tEXt" || type === "comf") texts[key] = decode(data.subarray(end + 1));
  else if (type === "zTXt") texts[key] = decode(await inflate(data.subarray(end + 2)));
  else {
    const packed = data[end + 1] === 1;
    const language = data.indexOf(0, end + 3);
    const text = data.subarray(data.indexOf(0, language + 1) + 1);
    texts[key] = decode(packed ? await inflate(text) : text);
  }
}

const LARGEST_TEXT = 64 * 1024 * 1024;

/** @param {Uint8Array} bytes */
async function inflate(bytes) {
  const stream = new Blob([/** @type {any} */ (bytes)]).stream().pipeThrough(new DecompressionStream("deflate"));
  /** @type {Uint8Array[]} */ const parts = [];
  let size = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.length;
    if (size > LARGEST_TEXT) throw new RangeError("The text inside this picture is larger than 64 MB.");
    parts.push(part.value);
  }
  return new Uint8Array(await new Blob(/** @type {any} */ (parts)).arrayBuffer());
}

/** @param {Uint8Array} bytes UTF-8, or Latin-1 where it is not */
function decode(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}

/** @param {Uint8Array} bytes @param {DataView} view */
function readWebp(bytes, view) {
  /** @type {Record<string, string>} */ const texts = {};
  for (let at = 12; at + 8 <= bytes.length; ) {
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    const length = view.getUint32(at + 4, true);
    if (type === "EXIF") Object.assign(texts, readExif(bytes.subarray(at + 8, at + 8 + length)));
    at += 8 + length + (length % 2);
  }
  return texts;
}

/** @param {Uint8Array} bytes texts of the form `keyword:text` in the first directory */
function readExif(bytes) {
  /** @type {Record<string, string>} */ const texts = {};
  const start = decode(bytes.subarray(0, 4)) === "Exif" ? 6 : 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  if (view.byteLength < 8) return texts;
  const little = view.getUint16(0) === 0x4949;
  const directory = view.getUint32(4, little);
  const count = directory + 2 <= view.byteLength ? view.getUint16(directory, little) : 0;
  for (let index = 0; index < count; index += 1) {
    const at = directory + 2 + index * 12;
    if (at + 12 > view.byteLength || view.getUint16(at + 2, little) !== 2) continue;
    const length = view.getUint32(at + 4, little);
    const offset = length > 4 ? view.getUint32(at + 8, little) : at + 8;
    const text = decode(bytes.subarray(start + offset, start + offset + length)).replace(/\0+$/, "");
    const colon = text.indexOf(":");
    if (colon > 0) texts[text.slice(0, colon).toLowerCase()] = text.slice(colon + 1);
  }
  return texts;
}
