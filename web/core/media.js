/**
 * What a file shows or plays, by its first bytes; where those say nothing, by what the browser takes it for.
 */
import { tag } from "./bytes.js";

/** @typedef {"image" | "video" | "audio"} Medium */

export const HEAD = 16; // bytes that tell

/**
 * Nodes that load a file of each sort, and the option by which their widget says so.
 * @type {Record<Medium, { type: string, option: string, word: string }>}
 */
export const LOADERS = Object.freeze({
  image: { type: "LoadImage", option: "image_upload", word: "picture" },
  video: { type: "LoadVideo", option: "video_upload", word: "film" },
  audio: { type: "LoadAudio", option: "audio_upload", word: "sound" },
});

/** @type {[number, string, Medium][]} where letters stand that only such a file has */
const MARKS = [
  [1, "PNG\r", "image"],
  [0, "GIF8", "image"],
  [0, "\xff\xd8\xff", "image"],
  [0, "II*\0", "image"],
  [0, "MM\0*", "image"],
  [0, "fLaC", "audio"],
  [0, "ID3", "audio"],
  [8, "WEBP", "image"],
  [8, "WAVE", "audio"],
  [8, "AVI ", "video"],
  [8, "M4A ", "audio"],
  [8, "avif", "image"],
  [8, "heic", "image"],
];

/**
 * @param {Uint8Array} head the first bytes
 * @param {string} type as the browser says
 * @returns {Medium | undefined}
 */
export function mediumOf(head, type) {
  const said = /** @type {Medium | undefined} */ (/^(image|video|audio)\//.exec(type)?.[1]);
  const letters = String.fromCharCode(...head);
  const mark = MARKS.find(([at, text]) => letters.startsWith(text, at));
  if (mark) return mark[2];
  // boxes, Matroska and Ogg hold films and sounds alike
  if (head.length >= HEAD && (tag(head, 4) === "ftyp" || letters.startsWith("\x1aE\xdf\xa3")))
    return said === "audio" ? said : "video";
  if (letters.startsWith("OggS")) return said === "video" ? said : "audio";
  return said;
}
