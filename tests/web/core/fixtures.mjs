/** What the core tests share: the recorded specs and a small seeded generator. */
import { readFileSync } from "node:fs";
import { Catalogue } from "../../../web/core/catalogue.js";
import { Library } from "../../../web/core/specs.js";

export const objectInfo = JSON.parse(readFileSync(new URL("../data/object_info.json", import.meta.url), "utf8"));
objectInfo.CheckpointLoaderSimple.input.required.ckpt_name[0] = ["nodeloom-emoji-128.safetensors"];
export const library = new Library(objectInfo);
export const measure = (text) => text.length * 7;

/** Uniform in [0, 1), repeatable. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function open(workflow) { return { workflow, catalogue: new Catalogue(workflow, library), scope: "" }; }
