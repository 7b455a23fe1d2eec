/** Edits undo exactly: random sequences over every kind of edit. */
import assert from "node:assert/strict";
import test from "node:test";
import { copy, parseClip, paste } from "../../../web/core/clipboard.js";
import {
  addLinked,
  addNode,
  bestPair,
  connect,
  connectNodes,
  disconnect,
  nodePairs,
  remove,
  setValue,
  splice,
} from "../../../web/core/edits.js";
import { History } from "../../../web/core/history.js";
import { toPrompt } from "../../../web/core/prompt.js";
import { movePort, removePort, renamePort } from "../../../web/core/ports.js";
import { starterWorkflow, TEMPLATES } from "../../../web/core/starter.js";
import { makeSubgraph, unpackSubgraph } from "../../../web/core/subgraphs.js";
import { readWorkflow, writeWorkflow } from "../../../web/core/workflow.js";
import { library, open, seeded } from "./fixtures.mjs";
import { randomChange } from "./random_edits.mjs";

test("any sequence of edits, all undone, is the start; all redone, the end", () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = seeded(seed);
    const where = open(starterWorkflow(library));
    const history = new History(where.workflow, () => 0);
    const start = JSON.stringify(writeWorkflow(where.workflow));
    for (let step = 0; step < 25; step += 1) {
      const change = randomChange(where, random);
      if (change) history.do(change);
      if (random() < 0.1) history.undo();
    }
    const end = JSON.stringify(writeWorkflow(where.workflow));
    const depth = history.done.length;
    assert.ok(depth > 0);
    while (history.undo());
    assert.equal(JSON.stringify(writeWorkflow(where.workflow)), start, `seed ${seed}`);
    for (let step = 0; step < depth; step += 1) history.redo();
    assert.equal(JSON.stringify(writeWorkflow(where.workflow)), end, `seed ${seed}`);
  }
});

test("after any sequence of edits both ends of each link agree, and the file reads back as itself", () => {
  for (let seed = 200; seed <= 280; seed += 1) {
    const random = seeded(seed);
    const where = open(starterWorkflow(library));
    const history = new History(where.workflow, () => 0);
    for (let step = 0; step < 30; step += 1) {
      const change = randomChange(where, random);
      if (change) history.do(change);
    }
    for (const [id, scope] of where.workflow.scopes) {
      if (id && !where.workflow.definitions.has(id)) continue;
      for (const link of scope.links.values()) {
        const origin = scope.nodes.get(link.origin_id);
        const target = scope.nodes.get(link.target_id);
        if (target) assert.equal(target.inputs[link.target_slot].link, link.id, `seed ${seed}`);
        if (origin) assert.ok(origin.outputs[link.origin_slot].links.includes(link.id), `seed ${seed}`);
      }
      for (const node of scope.nodes.values())
        for (const input of node.inputs ?? [])
          if (input.link != null) assert.ok(scope.links.has(input.link), `seed ${seed}`);
      for (const reroute of scope.reroutes.values())
        for (const link of reroute.linkIds) assert.ok(scope.links.has(link), `seed ${seed}`);
    }
    const file = JSON.parse(JSON.stringify(writeWorkflow(where.workflow)));
    const again = readWorkflow(file);
    assert.deepEqual(JSON.parse(JSON.stringify(writeWorkflow(again))), file);
    assert.deepEqual(
      toPrompt(open(again).catalogue, { random: () => 0 }),
      toPrompt(where.catalogue, { random: () => 0 }),
      `seed ${seed}`,
    );
  }
});

test("edits of one widget in a row are one entry; a pause makes two", () => {
  const where = open(starterWorkflow(library));
  let now = 0;
  const history = new History(where.workflow, () => now);
  for (const text of ["a", "ab", "abc"]) history.do(setValue(where, 2, "text", text));
  assert.equal(history.done.length, 1);
  now = 5000;
  history.do(setValue(where, 2, "text", "abcd"));
  assert.equal(history.done.length, 2);
  history.undo();
  history.undo();
  assert.equal(where.workflow.root.nodes.get(2).widgets_values[0], "an apple on a blue background");
  history.redo();
  assert.equal(where.workflow.root.nodes.get(2).widgets_values[0], "abc");
});

test("a subgraph made of nodes computes the same, and unpacked again too", () => {
  for (const ids of [
    [5, 6],
    [2, 3],
    [1, 2, 3, 4],
    [4, 5],
    [2, 5, 6],
  ]) {
    const where = open(starterWorkflow(library));
    const plain = Object.values(toPrompt(where.catalogue))
      .map((entry) => entry.class_type)
      .sort();
    const values = (prompt) =>
      JSON.stringify(
        Object.values(prompt)
          .map(({ class_type, inputs }) => [
            class_type,
            Object.entries(inputs)
              .filter(([, value]) => !Array.isArray(value))
              .sort(),
          ])
          .sort(),
      );
    const before = values(toPrompt(where.catalogue));
    const made = makeSubgraph(where, ids);
    where.workflow.apply(made.puts);
    const inside = toPrompt(where.catalogue);
    assert.deepEqual(
      Object.values(inside)
        .map((entry) => entry.class_type)
        .sort(),
      plain,
    );
    assert.equal(values(inside), before);
    assert.equal(
      Object.values(inside).flatMap(({ inputs }) => Object.values(inputs).filter(Array.isArray)).length,
      9,
      String(ids),
    );
    assert.ok(Object.keys(inside).some((id) => id.includes(":")));
    where.workflow.apply(unpackSubgraph(where, made.id).puts);
    assert.equal(values(toPrompt(where.catalogue)), before);
  }
});

test("ports of a subgraph are renamed, moved and removed; instances and their values follow", () => {
  const where = open(starterWorkflow(library));
  const made = makeSubgraph(where, [5]);
  where.workflow.apply(made.puts);
  const within = { ...where, scope: made.definition };
  const start = JSON.stringify(writeWorkflow(where.workflow));
  const links = () => toPrompt(where.catalogue)[`${made.id}:5`].inputs;
  const before = links();
  const history = new History(where.workflow);
  history.do(renamePort(within, "inputs", 1, "good"));
  assert.equal(renamePort(within, "inputs", 0, "good"), undefined);
  assert.ok(where.workflow.root.nodes.get(made.id).inputs.some((input) => input.name === "good"));
  assert.deepEqual(links(), before);
  history.do(movePort(within, "inputs", 0, 1));
  assert.equal(movePort(within, "inputs", 0, -1), undefined);
  assert.deepEqual(links(), before);
  history.do(removePort(within, "inputs", 0));
  const { positive, ...others } = before;
  assert.deepEqual(positive, ["2", 0]);
  assert.deepEqual(links(), others);
  history.do(removePort(within, "outputs", 0));
  assert.equal("samples" in toPrompt(where.catalogue)[6].inputs, false);
  while (history.undo());
  assert.equal(JSON.stringify(writeWorkflow(where.workflow)), start);
});

test("what is copied can be pasted into another document", () => {
  const from = open(starterWorkflow(library));
  const clip = parseClip(JSON.stringify(copy(from, [5, 6])));
  const to = open(TEMPLATES[1].build(library));
  const made = paste(to, clip, [0, 0]);
  to.workflow.apply(made.puts);
  const [sampler, decode] = made.ids.map((id) => to.workflow.root.nodes.get(id));
  assert.equal(sampler.type, "KSampler");
  assert.deepEqual(sampler.widgets_values, from.workflow.root.nodes.get(5).widgets_values);
  assert.equal(to.workflow.root.links.get(decode.inputs[0].link).origin_id, sampler.id);
  assert.equal(parseClip('{"nodes": []}'), undefined);
  assert.equal(parseClip("hello"), undefined);
});

test("pairs of sockets come best first, without what is joined; backwards where nothing goes forth", () => {
  const where = open(starterWorkflow(library));
  const named = (from, to) =>
    nodePairs(where, from, to).map(
      (pair) => `${pair.from}.${pair.output.name} ${pair.to}.${pair.input.name}`,
    );
  assert.deepEqual(named(2, 5), ["2.CONDITIONING 5.negative"]);
  where.workflow.apply(disconnect(where, where.workflow.root.linksTo(5)).puts);
  assert.deepEqual(named(2, 5), ["2.CONDITIONING 5.positive", "2.CONDITIONING 5.negative"]);
  where.workflow.apply(connect(where, 2, 0, 5, "positive").puts);
  assert.deepEqual(named(3, 5), ["3.CONDITIONING 5.negative", "3.CONDITIONING 5.positive"]);
  assert.deepEqual(named(1, 5), ["1.MODEL 5.model"]);
  assert.deepEqual(named(5, 1), ["1.MODEL 5.model"]);
  assert.deepEqual(named(7, 1), []);
  const control = addNode(where, "ControlNetApplyAdvanced", [0, 0]);
  where.workflow.apply(control.puts);
  assert.deepEqual(
    named(control.id, 5)
      .map((pair) => pair.replace(`${control.id}.`, ""))
      .slice(0, 2),
    ["negative 5.negative", "positive 5.negative"],
  );
});

test("deleting a node in a chain can join what it stood between", () => {
  const where = open(starterWorkflow(library));
  where.workflow.apply(addLinked(where, "LatentUpscale", [0, 0], { node: 4, output: 0 }).puts);
  const upscale = [...where.workflow.root.nodes.values()].find((node) => node.type === "LatentUpscale");
  where.workflow.apply(connectNodes(where, upscale.id, 5).puts);
  assert.equal(bestPair(where, upscale.id, 5).input.name, "latent_image");
  where.workflow.apply(remove(where, [upscale.id], [], [], true).puts);
  assert.deepEqual(toPrompt(where.catalogue)[5].inputs.latent_image, ["4", 0]);
});

test("a node dropped on a link stands in it, as one change", () => {
  const where = open(starterWorkflow(library));
  const history = new History(where.workflow);
  const added = addNode(where, "LatentUpscale", [0, 0]);
  history.do(added);
  const link = where.workflow.root.linksFrom(4)[0];
  history.do(splice(where, link, added.id, [9, 9]));
  assert.deepEqual(toPrompt(where.catalogue)[5].inputs.latent_image, [String(added.id), 0]);
  assert.deepEqual(toPrompt(where.catalogue)[added.id].inputs.samples, ["4", 0]);
  history.undo();
  assert.deepEqual(toPrompt(where.catalogue)[5].inputs.latent_image, ["4", 0]);
});

test("every bundled template makes a prompt whose required inputs are all there", () => {
  for (const template of TEMPLATES) {
    const prompt = toPrompt(open(template.build(library)).catalogue);
    assert.ok(Object.values(prompt).some(({ class_type }) => class_type === "SaveImage"));
    for (const { class_type, inputs } of Object.values(prompt)) {
      for (const input of library.get(class_type).inputs)
        if (!input.optional) assert.ok(input.name in inputs, `${template.name}: ${class_type}.${input.name}`);
    }
  }
});
