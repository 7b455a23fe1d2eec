/** What a dropped file holds. Its content decides; its name and type say nothing. */
import { isGenerationText } from "./a1111.js";
import { decode, decodeWide } from "./bytes.js";
import { readMetadata, wantedBytes } from "./metadata.js";
import { parseJson } from "./text.js";
import { isWorkflow } from "./workflow.js";

const LARGEST_FILE = 1024 ** 3;
const LARGEST_TEXT = 1024 ** 2;
const START = 4096;

/** @typedef {{ arrayBuffer: () => Promise<ArrayBuffer> }} Piece */
/** @typedef {{ size: number, slice: (from: number, to: number) => Piece }} Bytes a `File`, or a `Blob` */
/** @typedef {{ json?: any, generation?: string }} Held a workflow or prompt, or another tool's text */

/**
 * @param {Bytes} file
 * @returns {Promise<Held | undefined>} nothing when it holds neither
 * @throws {SyntaxError} it is meant to be JSON, but is not
 */
export async function readDropped(file) {
  const start = await bytesOf(file, START);
  const wanted = Math.min(wantedBytes(start), file.size);
  if (wanted > LARGEST_FILE) return undefined;
  if (/^\s*[{[]/.test(textOf(start))) return { json: parseJson(textOf(await bytesOf(file))) };
  const texts = await readMetadata(await bytesOf(file, wanted));
  const json = jsonIn(texts);
  if (json) return { json };
  const plain = file.size <= LARGEST_TEXT && !start.includes(0) ? textOf(await bytesOf(file)) : "";
  const generation = [texts.parameters, texts.comment, plain].find((text) => text && isGenerationText(text));
  return generation ? { generation } : undefined;
}

/**
 * The workflow, else the prompt; one that is broken does not hide the other.
 * @param {import("./metadata.js").Texts} texts
 */
function jsonIn(texts) {
  const [workflow, prompt] = [texts.workflow, texts.prompt].map((text) => {
    try {
      return text ? parseJson(text) : undefined;
    } catch {
      return undefined;
    }
  });
  return isWorkflow(workflow) ? workflow : prompt;
}

/** @param {Bytes} file @param {number} [most] */
async function bytesOf(file, most = file.size) {
  return new Uint8Array(await file.slice(0, most).arrayBuffer());
}

/** UTF-8, or what a mark at the start says. @param {Uint8Array} bytes @returns {string} */
function textOf(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decodeWide(bytes, true);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return decodeWide(bytes, false);
  return decode(bytes);
}
