/**
 * Nodes whose inputs depend on themselves: choices that bring inputs, inputs that grow, widgets that stand
 * for others.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { addNode, connectNodes, setValue } from "../../../web/core/edits.js";
import { Draft } from "../../../web/core/draft.js";
import { History } from "../../../web/core/history.js";
import { toPrompt } from "../../../web/core/prompt.js";
import { readPrompt } from "../../../web/core/prompt_import.js";
import { emptyWorkflow, readWorkflow, writeWorkflow } from "../../../web/core/workflow.js";
import { library, measure, open } from "./fixtures.mjs";

function begin(...types) {
  const where = open(emptyWorkflow("w"));
  const history = new History(where.workflow, () => 0);
  const ids = types.map((type) => {
    const made = addNode(where, type, [0, 0]);
    history.do(made);
    return made.id;
  });
  const link = (from, to, input) => {
    const draft = new Draft(where.catalogue, "");
    draft.connect(from, 0, to, input);
    history.do({ label: "Connect", puts: draft.puts });
  };
  const set = (id, name, value) => history.do(setValue(where, id, name, value));
  const node = (id) => where.workflow.root.nodes.get(id);
  const names = (id) => where.catalogue.view(node(id), "").inputs.map((input) => input.name);
  return { where, history, ids, link, set, node, names, prompt: () => toPrompt(where.catalogue) };
}

test("a choice brings its inputs; those of the one before go with their links, and come back by undo", () => {
  const {
    where,
    history,
    ids: [id, source],
    link,
    set,
    node,
    names,
    prompt,
  } = begin("Choosing", "LoadImage");
  assert.deepEqual(node(id).widgets_values, ["plain", 9]);
  assert.deepEqual(names(id), ["after", "mode", "last"]);
  set(id, "last", 3);
  link(source, id, "after");
  set(id, "mode", "sized");
  assert.deepEqual(node(id).widgets_values, ["sized", 5, 0, "fixed", 3]);
  set(id, "mode.width", 64);
  link(source, id, "mode.picture");
  assert.deepEqual(prompt()[id].inputs, {
    mode: "sized",
    "mode.width": 64,
    "mode.seed": 0,
    "mode.picture": [String(source), 0],
    last: 3,
    after: [String(source), 0],
  });
  const before = JSON.stringify(writeWorkflow(where.workflow));
  set(id, "mode", "deep");
  assert.deepEqual(node(id).widgets_values, ["deep", "p", 0, 3]);
  assert.deepEqual(prompt()[id].inputs, {
    mode: "deep",
    "mode.kind": "p",
    "mode.kind.width": 0,
    last: 3,
    after: [String(source), 0],
  });
  assert.equal(names(id).includes("mode.picture"), false);
  assert.equal(where.workflow.root.links.size, 1);
  const [left] = where.workflow.root.links.values();
  assert.equal(node(id).inputs[left.target_slot].name, "after");
  set(id, "mode.kind", "q");
  assert.deepEqual(node(id).widgets_values, ["deep", "q", 3]);
  history.undo();
  history.undo();
  assert.equal(JSON.stringify(writeWorkflow(where.workflow)), before);
});

test("a prompt whose choices bring inputs is opened, in whatever order they come", () => {
  const prompt = {
    1: {
      class_type: "Choosing",
      inputs: { "mode.kind.width": 2.5, "mode.kind": "p", last: 4, mode: "deep", after: ["2", 0] },
      _meta: { title: "Choosing" },
    },
    2: {
      class_type: "Growing",
      inputs: { last: 5, "images.image0": ["3", 0], "images.image1": ["3", 0] },
      _meta: { title: "Growing" },
    },
    3: {
      class_type: "EmptyImage",
      inputs: { width: 8, height: 8, batch_size: 1, color: 0 },
      _meta: { title: "EmptyImage" },
    },
  };
  assert.deepEqual(toPrompt(open(readPrompt(prompt, library, measure)).catalogue), prompt);
});

test("values by name keep their form when a choice changes", () => {
  const {
    ids: [id],
    node,
    where,
  } = begin("Choosing");
  where.workflow.apply([
    { scope: "", kind: "nodes", id, value: { ...node(id), widgets_values: { mode: "plain", last: 2 } } },
  ]);
  where.workflow.apply(setValue(where, id, "mode", "sized").puts);
  assert.deepEqual(node(id).widgets_values, { mode: "sized", last: 2 });
});

test("connecting the last of a row of inputs adds one, up to the most there may be", () => {
  const {
    ids: [id, source],
    link,
    names,
    prompt,
  } = begin("Growing", "LoadImage");
  const row = () => names(id).filter((name) => name.startsWith("images."));
  assert.deepEqual(row(), ["images.image0"]);
  link(source, id, "images.image0");
  assert.deepEqual(row(), ["images.image0", "images.image1"]);
  link(source, id, "images.image1");
  link(source, id, "images.image2");
  assert.deepEqual(row(), ["images.image0", "images.image1", "images.image2"]);
  assert.deepEqual(Object.keys(prompt()[id].inputs), [
    "last",
    "images.image0",
    "images.image1",
    "images.image2",
  ]);
});

test("node to node finds an input that has just grown", () => {
  const {
    where,
    history,
    ids: [id, source],
    prompt,
  } = begin("Growing", "LoadImage");
  history.do(connectNodes(where, source, id));
  assert.deepEqual(prompt()[id].inputs["images.image0"], [String(source), 0]);
});

test("a promoted widget is edited where its value is kept: on the instance, or inside", () => {
  const part = (more) => ({
    id: "s",
    name: "Part",
    inputs: [],
    outputs: [],
    inputNode: { id: -10, bounding: [0, 0, 1, 1] },
    outputNode: { id: -20, bounding: [0, 0, 1, 1] },
    nodes: [
      { id: 3, type: "EmptyLatentImage", pos: [0, 0], inputs: [], outputs: [], widgets_values: [64, 64, 1] },
    ],
    links: [],
    groups: [],
    ...more,
  });
  const json = {
    version: 0.4,
    nodes: [5, 6].map((id) => ({
      id,
      type: "s",
      pos: [0, 0],
      inputs: [],
      outputs: [],
      properties: {
        proxyWidgets: [
          ["3", "width"],
          ["3", "height"],
        ],
      },
      widgets_values: id === 5 ? [128, null] : [],
    })),
    links: [],
    definitions: { subgraphs: [part()] },
  };
  const where = open(readWorkflow(json));
  const widths = () => {
    const prompt = toPrompt(where.catalogue);
    return [prompt["5:3"].inputs.width, prompt["6:3"].inputs.width, prompt["5:3"].inputs.height];
  };
  assert.deepEqual(widths(), [128, 64, 64]);
  where.workflow.apply(setValue(where, 5, "3: width", 256).puts);
  assert.deepEqual(widths(), [256, 64, 64]);
  where.workflow.apply(setValue(where, 6, "3: width", 32).puts);
  assert.deepEqual(widths(), [256, 32, 64]);
  where.workflow.apply(setValue(where, 5, "3: height", 16).puts);
  assert.deepEqual(widths(), [256, 32, 16]);
  assert.deepEqual(where.workflow.scope("s").nodes.get(3).widgets_values, [32, 16, 1]);
});

test("a group node of old shows the widgets of its members, which can be edited", () => {
  const member = (title) => ({
    type: "EmptyLatentImage",
    title,
    inputs: [],
    outputs: [{ name: "LATENT", type: "LATENT" }],
    widgets_values: [64, 64, 1],
  });
  const where = open(
    readWorkflow({
      version: 0.4,
      nodes: [
        {
          id: 5,
          type: "workflow>two",
          pos: [0, 0],
          inputs: [],
          outputs: [],
          widgets_values: [1, 2, 3, 4, 5, 6],
        },
      ],
      links: [],
      extra: { groupNodes: { two: { nodes: [member("A"), member("B")], links: [], external: [] } } },
    }),
  );
  const widgets = () =>
    where.catalogue
      .view(where.workflow.root.nodes.get(5), "")
      .widgets.map(({ name, value }) => [name, value]);
  assert.deepEqual(widgets(), [
    ["width", 1],
    ["height", 2],
    ["batch_size", 3],
    ["B width", 4],
    ["B height", 5],
    ["B batch_size", 6],
  ]);
  where.workflow.apply(setValue(where, 5, "B height", 50).puts);
  const prompt = toPrompt(where.catalogue);
  assert.deepEqual(
    [prompt["5:0"].inputs, prompt["5:1"].inputs],
    [
      { width: 1, height: 2, batch_size: 3 },
      { width: 4, height: 50, batch_size: 6 },
    ],
  );
});
