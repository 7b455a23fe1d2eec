/**
 * Values that no spec declares travel under their names, or are told of: a table that the server is held to
 * as well.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Catalogue } from "../../../web/core/catalogue.js";
import { toPrompt, unsendable } from "../../../web/core/prompt.js";
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
