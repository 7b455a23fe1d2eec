/** What the core tests share: the recorded specs and a small seeded generator. */
import { readFileSync } from "node:fs";
import { Catalogue } from "../../../web/core/catalogue.js";
import { Library } from "../../../web/core/specs.js";

export const objectInfo = JSON.parse(
  readFileSync(new URL("../data/object_info.json", import.meta.url), "utf8"),
);
objectInfo.CheckpointLoaderSimple.input.required.ckpt_name[0] = ["nodeloom-emoji-128.safetensors"];
const plain = { output: ["IMAGE"], output_name: ["IMAGE"] };
/** A choice that brings inputs, and inputs that grow: no type of the recorded server has them. */
objectInfo.Choosing = {
  ...plain,
  input: {
    required: {
      mode: [
        "COMFY_DYNAMICCOMBO_V3",
        {
          options: [
            { key: "plain", inputs: {} },
            {
              key: "sized",
              inputs: {
                required: {
                  width: ["INT", { default: 5 }],
                  seed: ["INT", { control_after_generate: true }],
                  picture: ["IMAGE", {}],
                },
              },
            },
            {
              key: "deep",
              inputs: {
                required: {
                  kind: [
                    "COMFY_DYNAMICCOMBO_V3",
                    {
                      options: [
                        { key: "p", inputs: { required: { width: ["FLOAT", {}], mask: ["MASK", {}] } } },
                        { key: "q", inputs: {} },
                      ],
                    },
                  ],
                },
              },
            },
          ],
        },
      ],
      after: ["IMAGE", {}],
      last: ["INT", { default: 9 }],
    },
  },
};
objectInfo.Growing = {
  ...plain,
  input: {
    required: {
      images: [
        "COMFY_AUTOGROW_V3",
        { template: { input: { required: { image: ["IMAGE", {}] } }, prefix: "image", min: 1, max: 3 } },
      ],
      last: ["INT", { default: 9 }],
    },
  },
};
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

export function open(workflow) {
  return { workflow, catalogue: new Catalogue(workflow, library), scope: "" };
}
