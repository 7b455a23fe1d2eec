/** Rows of links that share an id: each counts for the input that names it. */
import assert from "node:assert/strict";
import test from "node:test";
import { toPrompt } from "../../../web/core/prompt.js";
import { readWorkflow, writeWorkflow } from "../../../web/core/workflow.js";
import { Catalogue } from "../../../web/core/catalogue.js";
import { library } from "./fixtures.mjs";

const image = (id, color, links = [1]) => ({
  id,
  type: "EmptyImage",
  inputs: [],
  outputs: [{ name: "IMAGE", type: "IMAGE", links }],
  widgets_values: [16, 8, 1, color],
});
const save = (id, name) => ({
  id,
  type: "SaveImage",
  inputs: [{ name: "images", type: "IMAGE", link: 1 }],
  outputs: [],
  widgets_values: [name],
});
const file = (links, nodes = [image(1, 1), image(3, 2), save(2, "red"), save(4, "blue")]) => ({
  nodes,
  links,
  groups: [],
  version: 0.4,
});
const prompt = (json) => toPrompt(new Catalogue(readWorkflow(json), library));

test("each row counts for the input that names it", () => {
  const json = file([
    [1, 1, 0, 2, 0, "IMAGE"],
    [1, 3, 0, 4, 0, "IMAGE"],
  ]);
  const before = JSON.stringify(json);
  const made = prompt(json);
  assert.deepEqual(made[2].inputs.images, ["1", 0]);
  assert.deepEqual(made[4].inputs.images, ["3", 0]);
  assert.equal(JSON.stringify(json), before);
  const written = writeWorkflow(readWorkflow(json));
  assert.equal(new Set(written.links.map(([id]) => id)).size, 2);
  assert.deepEqual(prompt(written), made);
  for (const [id, origin, , target] of written.links) {
    assert.deepEqual(written.nodes.find((node) => node.id === origin).outputs[0].links, [id]);
    assert.equal(written.nodes.find((node) => node.id === target).inputs[0].link, id);
  }
});

test("rows from one output, and to slots that have moved, count too", () => {
  const made = prompt(
    file([
      [1, 1, 0, 2, 7, "IMAGE"],
      [1, 1, 0, 4, 0, "IMAGE"],
    ]),
  );
  assert.deepEqual(
    [made[2].inputs.images, made[4].inputs.images],
    [
      ["1", 0],
      ["1", 0],
    ],
  );
  const written = writeWorkflow(
    readWorkflow(
      file([
        [1, 1, 0, 2, 0, "IMAGE"],
        [1, 1, 0, 4, 0, "IMAGE"],
      ]),
    ),
  );
  assert.deepEqual(
    written.nodes[0].outputs[0].links,
    written.links.map(([id]) => id),
  );
});

test("of rows to one input, and of those that none names, the last counts", () => {
  const rows = [
    [1, 1, 0, 2, 0, "IMAGE"],
    [1, 3, 0, 2, 0, "IMAGE"],
  ];
  assert.deepEqual(prompt(file(rows))[2].inputs.images, ["3", 0]);
  assert.equal(writeWorkflow(readWorkflow(file(rows))).links.length, 1);
  const twice = file([rows[0], rows[0]]);
  assert.deepEqual(writeWorkflow(readWorkflow(twice)).links, [rows[0]]);
});

test("links as objects and those inside subgraphs are told apart alike", () => {
  const inner = (id, origin_id, target_id, target_slot) => ({
    id,
    origin_id,
    origin_slot: 0,
    target_id,
    target_slot,
    type: "IMAGE",
  });
  const output = (name) => ({ id: name, name, type: "IMAGE", linkIds: [1] });
  const json = {
    nodes: [
      {
        id: 9,
        type: "both",
        inputs: [],
        outputs: [
          { name: "a", type: "IMAGE", links: [5] },
          { name: "b", type: "IMAGE", links: [6] },
        ],
      },
      { ...save(2, "red"), inputs: [{ name: "images", type: "IMAGE", link: 5 }] },
      { ...save(4, "blue"), inputs: [{ name: "images", type: "IMAGE", link: 6 }] },
    ],
    links: [inner(5, 9, 2, 0), { ...inner(6, 9, 4, 0), origin_slot: 1 }],
    version: 1,
    definitions: {
      subgraphs: [
        {
          id: "both",
          name: "Both",
          inputs: [],
          outputs: [output("a"), output("b")],
          nodes: [image(1, 1), image(3, 2)],
          links: [inner(1, 1, -20, 0), inner(1, 3, -20, 1)],
        },
      ],
    },
  };
  const made = prompt(json);
  assert.deepEqual(
    [made[2].inputs.images, made[4].inputs.images],
    [
      ["9:1", 0],
      ["9:3", 0],
    ],
  );
});
