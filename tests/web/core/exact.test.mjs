/** Whole numbers beyond 2^53 stay what they are: through files, edits, prompts and the clipboard. */
import assert from "node:assert/strict";
import test from "node:test";
import { promptFromText } from "../../../web/core/a1111.js";
import { copy, parseClip, paste } from "../../../web/core/clipboard.js";
import { setValue } from "../../../web/core/edits.js";
import { clamped, parseExact, plain, plus, printExact, rounded, whole } from "../../../web/core/exact.js";
import { toPrompt } from "../../../web/core/prompt.js";
import { readPrompt } from "../../../web/core/prompt_import.js";
import { starterWorkflow } from "../../../web/core/starter.js";
import { parseJson } from "../../../web/core/text.js";
import { nextNumber } from "../../../web/core/values.js";
import { readWorkflow, writeWorkflow } from "../../../web/core/workflow.js";
import { library, measure, open, seeded } from "./fixtures.mjs";

/** A whole number of up to 70 bits, either sign. */
function large(random) {
  let digits = 0n;
  const bits = 1 + Math.floor(random() * 70);
  for (let bit = 0; bit < bits; bit += 1) digits = digits * 2n + (random() < 0.5 ? 1n : 0n);
  return random() < 0.2 ? -digits : digits;
}

/** The text of the starter's file with that seed and so many steps. */
function fileWith(seed, steps = 20) {
  const file = writeWorkflow(starterWorkflow(library));
  const sampler = file.nodes.find((node) => node.type === "KSampler");
  sampler.widgets_values = ["SEED", "fixed", steps, ...sampler.widgets_values.slice(3)];
  return JSON.stringify({ ...file, id: "file" }).replace('"SEED"', String(seed));
}

test("any whole number goes through load, edit, undo, save, prompt and clipboard as it is", () => {
  for (let round = 0; round < 300; round += 1) {
    const random = seeded(round);
    const seed = large(random);
    const text = fileWith(seed);
    const where = open(readWorkflow(parseJson(text)));
    assert.equal(printExact(writeWorkflow(where.workflow)), text);
    const view = () =>
      where.catalogue
        .view(where.workflow.root.nodes.get(5), "")
        .widgets.find((widget) => widget.name === "seed");
    assert.equal(String(view().value), String(seed));
    assert.ok(printExact(toPrompt(where.catalogue)).includes(`"seed":${seed},`));
    where.workflow.apply(setValue(where, 5, "steps", 7).puts);
    const other = large(random);
    const undo = where.workflow.apply(setValue(where, 5, "seed", plain(other)).puts);
    assert.equal(printExact(writeWorkflow(where.workflow)), fileWith(other, 7));
    const prompt = printExact(toPrompt(where.catalogue));
    const again = open(readPrompt(parseJson(prompt), library, measure));
    assert.equal(printExact(toPrompt(again.catalogue)["5"].inputs.seed), String(other));
    const clip = parseClip(printExact(copy(where, [5])));
    const made = paste(where, clip, [0, 0]);
    where.workflow.apply(made.puts);
    assert.equal(String(where.workflow.root.nodes.get(made.ids[0]).widgets_values[0]), String(other));
    where.workflow.apply(undo);
    assert.equal(String(view().value), String(seed));
  }
});

test("only values are exact; ids, links, places, texts and fractions are read as ever", () => {
  const text =
    '{"id": 12345678901234567890, "pos": [99999999999999999999, 1], "name": "12345678901234567890", ' +
    '"ratio": 0.12345678901234567890, "e": 1e30, "inputs": [{"link": 12345678901234567890}], ' +
    '"widgets_values": ["say \\"12345678901234567890\\"", 12345678901234567890, 1.5e20, ' +
    '[18446744073709551615], {"deep": -9007199254740993}, 9007199254740991, 9007199254740992]}';
  const json = parseExact(text);
  assert.deepEqual(
    [json.id, json.pos[0], json.name, json.ratio, json.e, json.inputs[0].link],
    [
      Number("12345678901234567890"),
      1e20,
      "12345678901234567890",
      0.12345678901234568,
      1e30,
      Number("12345678901234567890"),
    ],
  );
  assert.deepEqual(json.widgets_values, [
    'say "12345678901234567890"',
    12345678901234567890n,
    1.5e20,
    [18446744073709551615n],
    { deep: -9007199254740993n },
    9007199254740991,
    9007199254740992n,
  ]);
  const prompt = parseExact(
    '{"1": {"inputs": {"seed": 18446744073709551615, "from": ["2", 12345678901234567890], ' +
      '"list": {"__value__": [12345678901234567890, 1]}}}}',
  );
  assert.deepEqual(prompt["1"].inputs, {
    seed: 18446744073709551615n,
    from: ["2", Number("12345678901234567890")],
    list: { __value__: [12345678901234567890n, 1] },
  });
  assert.deepEqual(parseJson('{"widgets_values": [NaN, 18446744073709551615]}'), {
    widgets_values: [null, 18446744073709551615n],
  });
  assert.throws(() => parseExact("{12345678901234567890"), SyntaxError);
  assert.equal(
    printExact({ a: 1, b: [2n ** 70n, undefined], c: undefined, d: "x" }, 1),
    '{\n "a": 1,\n "b": [\n  1180591620717411303424,\n  null\n ],\n "d": "x"\n}',
  );
  const ring = {};
  ring.self = ring;
  assert.throws(() => printExact(ring), TypeError);
});

test("large numbers are typed, stepped and clamped exactly", () => {
  assert.deepEqual(
    [whole("18446744073709551615"), whole(" +42 "), whole("-9007199254740993"), whole("1.5"), whole("")],
    [18446744073709551615n, 42, -9007199254740993n, undefined, undefined],
  );
  assert.deepEqual(
    [plus(9007199254740991, 2), plus(9007199254740993n, -2), plus(1.5, 1), plus(2, 3), plus(2n ** 60n, 0.5)],
    [9007199254740993n, 9007199254740991, 2.5, 5, 2 ** 60],
  );
  assert.deepEqual(
    [clamped(2n ** 65n, 0, 18446744073709551615), clamped(-5n, 0, 10), clamped(7n, 0, 5), clamped(2n ** 60n)],
    [18446744073709551615n, 0, 5, 2n ** 60n],
  );
  const seed = { min: 0, max: 18446744073709551615 };
  assert.equal(nextNumber(9007199254740993n, "increment", seed), 9007199254740994n);
  assert.equal(nextNumber(9007199254740993n, "decrement", seed), 9007199254740992n);
  assert.equal(nextNumber(18446744073709551615n, "increment", seed), 0);
  assert.equal(nextNumber(18446744073709551615n, "fixed", seed), 18446744073709551615n);
  assert.equal(
    nextNumber(18446744073709551615n, "randomize", seed, () => 0),
    0,
  );
});

test("another tool's large seed is taken as it is written", () => {
  const prompt = promptFromText(
    "a cat\nNegative prompt: dog\n" +
      "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 12345678901234567890, Size: 512x512",
    {},
  );
  assert.equal(
    Object.values(prompt).find(({ class_type }) => class_type === "KSampler").inputs.seed,
    12345678901234567890n,
  );
});

test("scripts get numbers, rounded as they would read them, and what needs no rounding as it is", () => {
  const text =
    '{"1":{"inputs":{"seed":18446744073709551615,"steps":20,"model":["2",0]},"class_type":"KSampler"},' +
    '"2":{"inputs":{"name":"a"}}}';
  const exact = parseExact(text);
  const given = rounded(exact);
  assert.deepEqual(given, JSON.parse(text));
  assert.equal(exact["1"].inputs.seed, 18446744073709551615n);
  assert.equal(given["2"], exact["2"]);
  assert.equal(rounded(exact["2"]), exact["2"]);
  assert.deepEqual(rounded([1n, [2n], null, undefined, NaN]), [1, [2], null, undefined, NaN]);
});
