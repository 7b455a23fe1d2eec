/**
 * Values that no spec declares travel under their names, or are told of: a table that the server is held to
 * as well.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Catalogue } from "../../../web/core/catalogue.js";
import { toPrompt, unsendable } from "../../../web/core/prompt.js";
import { readPrompt } from "../../../web/core/prompt_import.js";
import { Library } from "../../../web/core/specs.js";
import { readWorkflow } from "../../../web/core/workflow.js";

const CASES = JSON.parse(readFileSync(new URL("../data/undeclared.json", import.meta.url), "utf8"));
const wrapped = (value) => (Array.isArray(value) ? { __value__: value } : value);

for (const { name, spec, node, named, unnamed } of CASES)
  test(`undeclared values: ${name}`, () => {
    const file = {
      nodes: [{ id: 1, type: "Dynamic", pos: [0, 0], mode: 0, ...node }],
      links: [],
      version: 0.4,
    };
    const catalogue = new Catalogue(readWorkflow(file), new Library({ Dynamic: spec }));
    const { steps, ...sent } = toPrompt(catalogue)[1].inputs;
    assert.equal(steps, 3);
    assert.deepEqual(
      sent,
      Object.fromEntries(Object.entries(named).map(([key, value]) => [key, wrapped(value)])),
    );
    assert.deepEqual(
      unsendable(catalogue).flatMap(({ values }) => values),
      unnamed,
    );
  });

test("values of a prompt stay, for sockets, for inputs that grow and for those that no spec declares", () => {
  const grows = { template: { input: { required: { value: ["*", {}] } }, names: ["a", "b", "c"], min: 1 } };
  const library = new Library({
    Convert: { input: { required: { value: ["INT,FLOAT", {}] } }, output: ["INT"] },
    Format: { input: { required: { values: ["COMFY_AUTOGROW_V3", grows] } }, output: ["STRING"] },
    Loader: { input: { optional: { model: ["MODEL"] } }, output: [], python_module: "custom_nodes.Pack" },
  });
  const prompt = {
    1: { class_type: "Convert", inputs: { value: "100" } },
    2: { class_type: "Format", inputs: { "values.a": ["1", 0], "values.b": 2.5 } },
    3: { class_type: "Loader", inputs: { lora_1: { on: true, lora: "a", strength: 1 } } },
  };
  const again = toPrompt(new Catalogue(readPrompt(prompt, library), library));
  for (const [id, { inputs }] of Object.entries(prompt)) assert.deepEqual(again[id].inputs, inputs);
});
