/** Workflows as files have them, and the prompts the reference's editor would send for them. */
import assert from "node:assert/strict";
import test from "node:test";
import { Library } from "../../../web/core/specs.js";
import { Catalogue } from "../../../web/core/catalogue.js";
import { missingTypes, toPrompt } from "../../../web/core/prompt.js";
import { readPrompt } from "../../../web/core/prompt_import.js";
import { starterWorkflow } from "../../../web/core/starter.js";
import { isPrompt, isWorkflow, readWorkflow, writeWorkflow } from "../../../web/core/workflow.js";
import { library, measure, open } from "./fixtures.mjs";

const promptOf = (json) =>
  toPrompt(open(readWorkflow(json)).catalogue, { random: () => 0, now: new Date(2024, 4, 6, 7, 8, 9) });
const node = (id, type, inputs = [], outputs = [], more = {}) => ({
  id,
  type,
  pos: [0, 0],
  size: [200, 100],
  flags: {},
  order: 0,
  mode: 0,
  inputs: inputs.map(([name, kind, link, widget]) => ({
    name,
    type: kind,
    link,
    ...(widget ? { widget: { name } } : {}),
  })),
  outputs: outputs.map(([name, kind, ...links]) => ({ name, type: kind, links, slot_index: 0 })),
  properties: {},
  ...more,
});
const file = (nodes, links, more = {}) => ({
  last_node_id: 99,
  last_link_id: 99,
  nodes,
  links,
  groups: [],
  config: {},
  extra: {},
  version: 0.4,
  ...more,
});

const sampler = (more = {}) =>
  node(
    3,
    "KSampler",
    [
      ["model", "MODEL", null],
      ["positive", "CONDITIONING", null],
      ["negative", "CONDITIONING", null],
      ["latent_image", "LATENT", 1],
    ],
    [["LATENT", "LATENT", 2]],
    { widgets_values: [42, "randomize", 25, 7.5, "euler", "normal", 1], ...more },
  );
const latent = (more = {}) =>
  node(1, "EmptyLatentImage", [], [["LATENT", "LATENT", 1]], { widgets_values: [512, 768, 2], ...more });
const preview = () =>
  node(4, "SaveLatent", [["samples", "LATENT", 2]], [], { widgets_values: ["latents/x"] });
const chain = (a, b) =>
  file(
    [a, b, preview()],
    [
      [1, 1, 0, 3, 0, "LATENT"],
      [2, 3, 0, 4, 0, "LATENT"],
    ],
  );

test("values by position, with the control value skipped; link slots follow the nodes' own word", () => {
  const { inputs, class_type, _meta } = promptOf(chain(latent(), sampler()))[3];
  assert.deepEqual(inputs, {
    seed: 42,
    steps: 25,
    cfg: 7.5,
    sampler_name: "euler",
    scheduler: "normal",
    denoise: 1,
    latent_image: ["1", 0],
  });
  assert.equal(class_type, "KSampler");
  assert.deepEqual(_meta, { title: "KSampler" });
});

test("values by name, in an object or beside the list", () => {
  const byObject = promptOf(
    chain(
      latent(),
      sampler({
        widgets_values: {
          seed: 1,
          steps: 2,
          cfg: 3,
          sampler_name: "heun",
          scheduler: "karras",
          denoise: 0.5,
        },
      }),
    ),
  )[3].inputs;
  assert.deepEqual([byObject.seed, byObject.steps, byObject.sampler_name], [1, 2, "heun"]);
  const named = promptOf(
    chain(latent(), sampler({ widgets_values: [1, "fixed", 2], widgets_values_named: { seed: 9, cfg: 4 } })),
  )[3].inputs;
  assert.deepEqual([named.seed, named.steps, named.cfg, named.denoise], [9, 2, 4, 1]);
});

test("values that older files lack are the defaults", () => {
  const inputs = promptOf(chain(latent(), sampler({ widgets_values: [5, "fixed"] })))[3].inputs;
  assert.deepEqual([inputs.seed, inputs.steps, inputs.cfg, inputs.sampler_name], [5, 20, 8, "euler"]);
});

test("a widget that was converted to an input takes its value from the link", () => {
  const int = node(7, "PrimitiveInt", [], [["INT", "INT", 9]], { widgets_values: [77, "fixed"] });
  const with_seed = sampler({
    inputs: [...sampler().inputs, { name: "seed", type: "INT", link: 9, widget: { name: "seed" } }],
  });
  const prompt = promptOf(
    file(
      [latent(), with_seed, preview(), int],
      [
        [1, 1, 0, 3, 3, "LATENT"],
        [2, 3, 0, 4, 0, "LATENT"],
        [9, 7, 0, 3, 4, "INT"],
      ],
    ),
  );
  assert.deepEqual(prompt[3].inputs.seed, ["7", 0]);
  assert.equal(prompt[3].inputs.steps, 25);
});

test("a primitive is written into the widgets it feeds, through reroutes too", () => {
  const primitive = node(8, "PrimitiveNode", [], [["INT", "INT", 9]], { widgets_values: [123, "increment"] });
  const reroute = node(10, "Reroute", [["", "*", 9]], [["", "INT", 11]]);
  const with_seed = sampler({
    inputs: [...sampler().inputs, { name: "seed", type: "INT", link: 11, widget: { name: "seed" } }],
  });
  const prompt = promptOf(
    file(
      [latent(), with_seed, preview(), primitive, reroute],
      [
        [1, 1, 0, 3, 3, "LATENT"],
        [2, 3, 0, 4, 0, "LATENT"],
        [9, 8, 0, 10, 0, "INT"],
        [11, 10, 0, 3, 4, "INT"],
      ],
    ),
  );
  assert.equal(prompt[3].inputs.seed, 123);
  assert.deepEqual(Object.keys(prompt).sort(), ["1", "3", "4"]);
});

test("old reroutes are looked through, several in a row, and notes are left out", () => {
  const reroutes = [
    node(20, "Reroute", [["", "*", 1]], [["", "LATENT", 21]]),
    node(21, "Reroute", [["", "*", 21]], [["", "LATENT", 22]]),
  ];
  const direct = sampler({
    inputs: sampler().inputs.map((input) => (input.name === "latent_image" ? { ...input, link: 22 } : input)),
  });
  const prompt = promptOf(
    file(
      [latent(), direct, preview(), ...reroutes, node(30, "Note", [], [], { widgets_values: ["hello"] })],
      [
        [1, 1, 0, 20, 0, "LATENT"],
        [21, 20, 0, 21, 0, "LATENT"],
        [22, 21, 0, 3, 3, "LATENT"],
        [2, 3, 0, 4, 0, "LATENT"],
      ],
    ),
  );
  assert.deepEqual(prompt[3].inputs.latent_image, ["1", 0]);
  assert.equal(prompt[30], undefined);
});

test("a bypassed node hands on the input of its output's type; a muted one goes with its links", () => {
  const bypassed = promptOf(chain(latent(), sampler({ mode: 4 })));
  assert.deepEqual(bypassed[4].inputs, { filename_prefix: "latents/x", samples: ["1", 0] });
  const muted = promptOf(chain(latent(), sampler({ mode: 2 })));
  assert.deepEqual(muted[4].inputs, { filename_prefix: "latents/x" });
  assert.equal(muted[3], undefined);
  const nothing = promptOf(chain(latent({ mode: 4 }), sampler()));
  assert.equal("latent_image" in nothing[3].inputs, false);
});

test("dynamic prompts lose comments and pick a choice; file names take dates and other nodes' values", () => {
  const text = node(1, "CLIPTextEncode", [], [["C", "CONDITIONING"]], {
    widgets_values: ["a {red|blue} \\{x\\} // no\n/* not\nthis */b"],
    properties: { "Node name for S&R": "Words" },
  });
  const save = node(2, "SaveLatent", [], [], {
    widgets_values: ["%date:yyyy-MM-dd_hh%/%Words.text%/%nobody.x%"],
  });
  const prompt = promptOf(file([text, save], []));
  assert.equal(prompt[1].inputs.text, "a red {x} \nb");
  assert.equal(
    prompt[2].inputs.filename_prefix,
    "2024-05-06_07/a {red_blue} _{x_} __ no___ not_this __b/%nobody.x%",
  );
});

test("list values are wrapped; the picture widget's upload button is not sent", () => {
  const pictures = node(1, "LoadImageSetFromFolderNode", [], [["IMAGE", "IMAGE"]], {
    widgets_values: [["a", "b"]],
  });
  const input = library.get("LoadImageSetFromFolderNode").inputs.find((one) => one.widget);
  const prompt = promptOf(
    file(
      [pictures, node(2, "LoadImage", [], [["IMAGE", "IMAGE"]], { widgets_values: ["x.png", "image"] })],
      [],
    ),
  );
  assert.deepEqual(prompt[1].inputs[input.name], { __value__: ["a", "b"] });
  assert.deepEqual(prompt[2].inputs, { image: "x.png" });
});

const inner = (fields = {}) => ({
  id: "d3a1",
  version: 1,
  state: { lastNodeId: 2, lastLinkId: 4 },
  revision: 0,
  config: {},
  name: "Sampled",
  inputNode: { id: -10, bounding: [0, 0, 100, 100] },
  outputNode: { id: -20, bounding: [900, 0, 100, 100] },
  inputs: [
    { id: "p1", name: "latent_image", type: "LATENT", linkIds: [1] },
    { id: "p2", name: "steps", type: "INT", linkIds: [2] },
  ],
  outputs: [{ id: "p3", name: "LATENT", type: "LATENT", linkIds: [3] }],
  widgets: [],
  nodes: [
    node(
      3,
      "KSampler",
      [
        ["latent_image", "LATENT", 1],
        ["steps", "INT", 2, true],
      ],
      [["LATENT", "LATENT", 3]],
      { widgets_values: [42, "fixed", 25, 7.5, "euler", "normal", 1] },
    ),
  ],
  groups: [],
  links: [
    { id: 1, origin_id: -10, origin_slot: 0, target_id: 3, target_slot: 0, type: "LATENT" },
    { id: 2, origin_id: -10, origin_slot: 1, target_id: 3, target_slot: 1, type: "INT" },
    { id: 3, origin_id: 3, origin_slot: 0, target_id: -20, target_slot: 0, type: "LATENT" },
  ],
  extra: { kept: true },
  ...fields,
});
const instance = (more = {}) =>
  node(
    5,
    "d3a1",
    [
      ["latent_image", "LATENT", 1],
      ["steps", "INT", null, true],
    ],
    [["LATENT", "LATENT", 2]],
    { widgets_values: [11], ...more },
  );
const nested = (more = {}, fields = {}) =>
  file(
    [latent(), instance(more), preview()],
    [
      [1, 1, 0, 5, 0, "LATENT"],
      [2, 5, 0, 4, 0, "LATENT"],
    ],
    { definitions: { subgraphs: [inner(fields)] } },
  );

test("subgraphs are flattened; a promoted widget's value is the instance's", () => {
  const prompt = promptOf(nested());
  assert.deepEqual(Object.keys(prompt).sort(), ["1", "4", "5:3"]);
  assert.deepEqual(prompt["5:3"].inputs.latent_image, ["1", 0]);
  assert.equal(prompt["5:3"].inputs.steps, 11);
  assert.deepEqual(prompt[4].inputs.samples, ["5:3", 0]);
});

test("an instance without values shows those inside; a bypassed or muted one is seen through", () => {
  assert.equal(promptOf(nested({ widgets_values: undefined }))["5:3"].inputs.steps, 25);
  assert.deepEqual(promptOf(nested({ mode: 4 }))[4].inputs.samples, ["1", 0]);
  assert.deepEqual(promptOf(nested({ mode: 2 }))[4].inputs, { filename_prefix: "latents/x" });
});

test("widgets promoted by name are shown on the instance and live inside", () => {
  const where = open(
    readWorkflow(
      nested({
        properties: {
          proxyWidgets: [
            ["3", "cfg"],
            ["9", "gone"],
          ],
        },
      }),
    ),
  );
  const widgets = where.catalogue.view(where.workflow.root.nodes.get(5), "").widgets;
  assert.deepEqual(
    widgets.map(({ label, value }) => [label, value]),
    [
      ["steps", 11],
      ["cfg", 7.5],
    ],
  );
  assert.deepEqual(widgets[1].proxy, { scope: "d3a1", id: 3, name: "cfg" });
});

test("two instances of one definition, one inside another", () => {
  const outer = inner({
    id: "outer",
    name: "Outer",
    nodes: [instance({ id: 7 })],
    links: [
      { id: 1, origin_id: -10, origin_slot: 0, target_id: 7, target_slot: 0, type: "LATENT" },
      { id: 2, origin_id: 7, origin_slot: 0, target_id: -20, target_slot: 0, type: "LATENT" },
    ],
    inputs: [{ id: "p1", name: "latent_image", type: "LATENT", linkIds: [1] }],
    outputs: [{ id: "p3", name: "LATENT", type: "LATENT", linkIds: [2] }],
  });
  outer.nodes[0].outputs[0].links = [2];
  const json = nested({ type: "outer", inputs: [{ name: "latent_image", type: "LATENT", link: 1 }] });
  json.definitions.subgraphs.push(outer);
  const prompt = promptOf(json);
  assert.deepEqual(prompt["5:7:3"].inputs.latent_image, ["1", 0]);
  assert.deepEqual(prompt[4].inputs.samples, ["5:7:3", 0]);
});

const ROUND_TRIPS = {
  "0.4 with unknown fields everywhere": file(
    [
      {
        ...latent(),
        pos: { 0: 5, 1: 6 },
        size: { 0: 1, 1: 2 },
        strange: { a: [1] },
        properties: { cnr_id: "x", ver: "1", models: [{ url: "u" }] },
      },
      { ...sampler(), shape: 2, color: "#322" },
      preview(),
    ],
    [
      [1, 1, 0, 3, 3, "LATENT"],
      [2, 3, 0, 4, 0, "LATENT"],
    ],
    {
      extra: {
        ds: { scale: 1, offset: [0, 0] },
        other: 1,
        reroutes: [{ id: 1, pos: [5, 5], linkIds: [1] }],
        linkExtensions: [{ id: 1, parentId: 1 }],
      },
      models: [{ name: "m" }],
      something: null,
      floatingLinks: [
        { id: 8, origin_id: 1, origin_slot: 0, target_id: -1, target_slot: -1, type: "*", parentId: 1 },
      ],
    },
  ),
  "1.0 with objects": {
    version: 1,
    config: {},
    state: { lastGroupId: 1, lastNodeId: 4, lastLinkId: 2, lastRerouteId: 1 },
    groups: [{ id: 1, title: "g", bounding: [0, 0, 5, 5], unknown: 2 }],
    nodes: [latent(), { ...sampler(), inputs: sampler().inputs }, preview()],
    links: [
      { id: 1, origin_id: 1, origin_slot: 0, target_id: 3, target_slot: 3, type: "LATENT", parentId: 1 },
      { id: 2, origin_id: 3, origin_slot: 0, target_id: 4, target_slot: 0, type: "LATENT", extra: 1 },
    ],
    reroutes: [{ id: 1, pos: [1, 2], linkIds: [1], floating: { slotType: "input" } }],
    extra: {},
  },
  subgraphs: nested(),
  "groups without ids, group nodes, missing types": file(
    [
      node(1, "Not Installed", [["x", "FOO", null]], [["y", "BAR"]], { widgets_values: { a: 1 } }),
      node(2, "workflow>Old group", [], [], { widgets_values: [1, 2] }),
    ],
    [],
    {
      groups: [
        { title: "A", bounding: [0, 0, 1, 1], color: "#fff", font_size: 24, locked: false },
        { title: "B", bounding: [0, 0, 1, 1] },
      ],
      extra: { groupNodes: { "Old group": { nodes: [] } } },
    },
  ),
};

for (const [name, json] of Object.entries(ROUND_TRIPS)) {
  test(`read and written again: ${name}`, () => {
    assert.ok(isWorkflow(json));
    const before = JSON.stringify(json);
    assert.deepEqual(JSON.parse(JSON.stringify(writeWorkflow(readWorkflow(json)))), JSON.parse(before));
    assert.equal(JSON.stringify(json), before);
    assert.deepEqual(Object.keys(writeWorkflow(readWorkflow(json))), Object.keys(json));
  });
}

test("a subgraph that contains itself is refused by name", () => {
  const json = nested();
  json.definitions.subgraphs[0].nodes.push({ ...instance(), id: 77 });
  assert.throws(() => readWorkflow(json), /“Sampled” contains itself/);
});

test("missing types are named with how often they occur", () => {
  const where = open(readWorkflow(ROUND_TRIPS["groups without ids, group nodes, missing types"]));
  assert.deepEqual([...missingTypes(where.workflow, where.catalogue)], [["Not Installed", 1]]);
});

test("a prompt opened and sent again is the same prompt", () => {
  const prompt = toPrompt(open(starterWorkflow(library)).catalogue);
  assert.ok(isPrompt(prompt));
  assert.equal(isPrompt({ nodes: [] }), false);
  const again = readPrompt(prompt, library, measure);
  assert.deepEqual(toPrompt(open(again).catalogue), prompt);
  const places = [...again.root.nodes.values()].map((one) => one.pos.join());
  assert.equal(new Set(places).size, places.length);
});

test("a prompt is laid out in columns, each node near what it needs and what needs it", () => {
  const image = (/** @type {number} */ width) => ({
    class_type: "EmptyImage",
    inputs: { width, height: 64, batch_size: 1, color: 0 },
  });
  const prompt = {
    1: image(64),
    2: { class_type: "ImageInvert", inputs: { image: ["1", 0] } },
    3: { class_type: "ImageInvert", inputs: { image: ["2", 0] } },
    4: image(32),
    5: { class_type: "ImageBatch", inputs: { image1: ["3", 0], image2: ["4", 0] } },
    6: { class_type: "PreviewImage", inputs: { images: ["5", 0] } },
    7: { class_type: "PreviewImage", inputs: { images: ["2", 0] } },
    8: { class_type: "PreviewImage", inputs: { images: ["2", 0] } },
  };
  const nodes = readPrompt(prompt, library, measure).root.nodes;
  const box = (/** @type {number} */ id) => {
    const {
      pos: [x, y],
      size: [w, h],
    } = nodes.get(id);
    return { x, y, right: x + w, bottom: y + h, middle: y + h / 2 };
  };
  for (const [id, { inputs }] of Object.entries(prompt))
    for (const value of Object.values(inputs))
      if (Array.isArray(value)) assert.ok(box(Number(value[0])).right < box(Number(id)).x);
  const all = Object.keys(prompt).map((id) => box(Number(id)));
  for (const one of all)
    for (const other of all)
      assert.ok(
        one === other ||
          one.right <= other.x ||
          other.right <= one.x ||
          one.bottom + 30 <= other.y ||
          other.bottom + 30 <= one.y,
      );
  assert.equal(box(4).x, box(3).x);
  assert.ok(Math.abs(box(2).middle - box(1).middle) <= 1);
  assert.ok(Math.abs((box(7).middle + box(8).middle + box(3).middle) / 3 - box(2).middle) < 60);
  assert.equal(Math.min(...all.map(({ y }) => y)), 80);
  assert.ok(nodes.get(6).size[1] >= 220);
});

test("values for sockets that forbid widgets own no place, in files that still hold them", () => {
  const info = {
    Forced: {
      input: { required: { a: ["INT", { forceInput: true }], b: ["INT", {}] } },
      output: [],
      output_name: [],
    },
  };
  const where = new Catalogue(
    readWorkflow(file([node(1, "Forced", [["a", "INT", null]], [], { widgets_values: [5, 6] })], [])),
    new Library(info),
  );
  assert.deepEqual(toPrompt(where)[1].inputs, { b: 6 });
  const newer = new Catalogue(
    readWorkflow(file([node(1, "Forced", [["a", "INT", null]], [], { widgets_values: [6] })], [])),
    new Library(info),
  );
  assert.deepEqual(toPrompt(newer)[1].inputs, { b: 6 });
});

test("a ring of links and a node of a thousand in a row do no harm", () => {
  const ring = file(
    [
      node(1, "Reroute", [["", "*", 2]], [["", "*", 1]]),
      node(2, "Reroute", [["", "*", 1]], [["", "*", 2, 3]]),
      node(4, "SaveLatent", [["samples", "LATENT", 3]]),
    ],
    [
      [1, 1, 0, 2, 0, "*"],
      [2, 2, 0, 1, 0, "*"],
      [3, 2, 0, 4, 0, "LATENT"],
    ],
  );
  assert.equal("samples" in promptOf(ring)[4].inputs, false);
  const nodes = Array.from({ length: 1000 }, (_, index) =>
    node(index + 1, "Reroute", [["", "*", index || null]], [["", "*", index + 1]]),
  );
  const links = nodes.slice(1).map((_, index) => [index + 1, index + 1, 0, index + 2, 0, "*"]);
  const long = file(
    [
      latent({ id: 5000, outputs: [{ name: "LATENT", type: "LATENT", links: [4000] }] }),
      ...nodes,
      node(6000, "SaveLatent", [["samples", "LATENT", 1000]]),
    ],
    [...links, [4000, 5000, 0, 1, 0, "*"], [1000, 1000, 0, 6000, 0, "*"]],
  );
  long.nodes[1].inputs[0].link = 4000;
  assert.deepEqual(promptOf(long)[6000].inputs.samples, ["5000", 0]);
});
