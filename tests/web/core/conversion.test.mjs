/**
 * Workflow files and the prompts for them, in a table that the server's own conversion is held to as well.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Catalogue } from "../../../web/core/catalogue.js";
import { toPrompt } from "../../../web/core/prompt.js";
import { Library } from "../../../web/core/specs.js";
import { readWorkflow, writeWorkflow } from "../../../web/core/workflow.js";
import { objectInfo } from "./fixtures.mjs";

const CASES = JSON.parse(readFileSync(new URL("../data/conversions.json", import.meta.url), "utf8"));

for (const { name, workflow, inputs, titles = {}, types = {}, info = {}, mends = false } of CASES) {
  test(name, () => {
    const before = JSON.stringify(workflow);
    const document = readWorkflow(workflow);
    const prompt = toPrompt(new Catalogue(document, new Library({ ...objectInfo, ...info })), {
      random: () => 0,
      now: new Date(2024, 4, 6, 7, 8, 9),
    });
    assert.deepEqual(
      Object.fromEntries(Object.entries(prompt).map(([id, entry]) => [id, entry.inputs])),
      inputs,
    );
    for (const [id, title] of Object.entries(titles)) assert.equal(prompt[id]._meta.title, title);
    for (const [id, type] of Object.entries(types)) assert.equal(prompt[id].class_type, type);
    if (!mends) assert.deepEqual(JSON.parse(JSON.stringify(writeWorkflow(document))), JSON.parse(before));
  });
}
