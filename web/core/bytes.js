/** Reading numbers, tags and texts out of bytes. */

const LARGEST_TEXT = 64 * 1024 * 1024;

/** @param {Uint8Array} bytes */
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {Uint8Array} bytes @param {number} at @returns {number} four bytes, the highest first */
export function sizeOf(bytes, at) {
  return viewOf(bytes).getUint32(at);
}

/** @param {Uint8Array} bytes @param {number} at @returns {string} four letters */
export function tag(bytes, at) {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/** @param {Uint8Array} bytes UTF-8, or Latin-1 where it is not */
export function decode(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}

/** @param {Uint8Array} bytes @param {boolean} little */
export function decodeWide(bytes, little) {
  return new TextDecoder(little ? "utf-16le" : "utf-16be").decode(bytes);
}

/** @param {Uint8Array} bytes */
export async function inflate(bytes) {
  const stream = new Blob([/** @type {any} */ (bytes)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate"));
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
