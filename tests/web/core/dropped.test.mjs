/** The content of a dropped file decides what it is; one lenient reader takes all JSON that others wrote. */
import assert from "node:assert/strict";
import test from "node:test";
import { promptFromText } from "../../../web/core/a1111.js";
import { readDropped } from "../../../web/core/dropped.js";
import { readMetadata } from "../../../web/core/metadata.js";
import { isPrompt, isWorkflow } from "../../../web/core/workflow.js";
import { parseJson } from "../../../web/core/text.js";

const WORKFLOW = {
  nodes: [{ id: 1, type: "EmptyImage", widgets_values: [24, 40, 1, 255] }],
  links: [],
  version: 0.4,
};
const PROMPT = '{"1": {"class_type": "EmptyImage", "inputs": {"width": 24}, "is_changed": [NaN]}}';
const BOTH = `{"prompt": ${PROMPT}, "workflow": ${JSON.stringify(WORKFLOW)}}`;
const GENERATION = "a fox\nNegative prompt: text\nSteps: 12, Sampler: Euler, Seed: 78, Size: 512x512";

const file = (...parts) =>
  new Blob(parts.map((part) => (part instanceof Buffer ? new Uint8Array(part) : part)));
const sized = (length) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
};
const box = (type, ...content) => {
  const data = Buffer.concat(content);
  return Buffer.concat([sized(data.length + 8), Buffer.from(type, "latin1"), data]);
};
const zeros = Buffer.alloc(8);
const mp4 = (comment) =>
  Buffer.concat([
    box("ftyp", Buffer.from("isom\0\0\0\0isom")),
    box(
      "moov",
      box(
        "udta",
        box("meta", zeros.subarray(4), box("ilst", box("\xa9cmt", box("data", zeros, Buffer.from(comment))))),
      ),
    ),
  ]);
const element = (id, ...content) => {
  const data = Buffer.concat(content);
  return Buffer.concat([
    Buffer.from(id, "hex"),
    Buffer.from([0x08]),
    Buffer.alloc(0),
    sized(data.length),
    data,
  ]);
};
const matroska = (comment) =>
  Buffer.concat([
    element("1a45dfa3", Buffer.alloc(4)),
    element(
      "18538067",
      element(
        "1254c367",
        element(
          "7373",
          element("67c8", element("45a3", Buffer.from("COMMENT")), element("4487", Buffer.from(comment))),
        ),
      ),
    ),
  ]);
const flac = (key, text) => {
  const comment = Buffer.from(`${key}=${text}`);
  const little = (number) => sized(number).reverse();
  const data = Buffer.concat([little(0), little(1), little(comment.length), comment]);
  return Buffer.concat([Buffer.from("fLaC"), Buffer.from([0x84]), sized(data.length).subarray(1), data]);
};
const jpeg = (comment) => {
  const text = Buffer.from(comment);
  const length = Buffer.from([(text.length + 2) >> 8, (text.length + 2) & 255]);
  return Buffer.concat([
    Buffer.from([0xff, 0xd8, 0xff, 0xfe]),
    length,
    text,
    Buffer.from([0xff, 0xda, 0, 2, 0, 0]),
  ]);
};
const png = (key, text) =>
  Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    box2("tEXt", Buffer.from(`${key}\0${text}`)),
    box2("IEND", Buffer.alloc(0)),
  ]);
function box2(type, data) {
  return Buffer.concat([sized(data.length), Buffer.from(type), data, Buffer.alloc(4)]);
}
const safetensors = (header) => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(64)]);
};

test("a comment that is an object with NaN opens, in every container", async () => {
  for (const [kind, bytes] of Object.entries({
    mp4: mp4(BOTH),
    matroska: matroska(BOTH),
    flac: flac("Comment", BOTH),
    jpeg: jpeg(BOTH),
    png: png("Comment", BOTH),
    zeros: mp4(`${BOTH}\0`),
  })) {
    const held = await readDropped(file(bytes));
    assert.ok(isWorkflow(held?.json), kind);
    assert.deepEqual(held.json.nodes, WORKFLOW.nodes, kind);
  }
  const nested = JSON.stringify({ prompt: PROMPT, workflow: JSON.stringify(WORKFLOW) });
  assert.ok(isWorkflow((await readDropped(file(mp4(nested)))).json));
});

test("a prompt with NaN opens where there is no workflow, or a broken one", async () => {
  for (const bytes of [png("prompt", PROMPT), flac("prompt", PROMPT), mp4(`{"prompt": ${PROMPT}}`)])
    assert.ok(isPrompt((await readDropped(file(bytes)))?.json));
  const both = mp4(JSON.stringify({ prompt: PROMPT, workflow: "{broken" }));
  assert.ok(isPrompt((await readDropped(file(both)))?.json));
});

test("text is read as text, whatever the file is called", async () => {
  const json = JSON.stringify(WORKFLOW, null, 1);
  const wide = Buffer.from(`\ufeff${json}`, "utf16le");
  for (const content of [json, `\n  ${json}\n`, `\ufeff${json}`, wide, Buffer.from(wide).swap16()])
    assert.ok(isWorkflow((await readDropped(file(content)))?.json));
  assert.ok(isPrompt((await readDropped(file(PROMPT))).json));
  await assert.rejects(readDropped(file('{"nodes": [')), SyntaxError);
});

test("what another tool wrote is found in a picture, in a comment, and as text alone", async () => {
  for (const content of [png("parameters", GENERATION), jpeg(GENERATION), mp4(GENERATION), GENERATION])
    assert.equal((await readDropped(file(content)))?.generation, GENERATION);
});

test("what holds neither is nothing", async () => {
  for (const content of [
    "",
    "hello",
    png("Title", "x"),
    Buffer.alloc(100),
    jpeg("made by hand"),
    "x,y\n1,2\n",
  ])
    assert.equal(await readDropped(file(content)), undefined);
});

test("of a model only its header is read, whose text may hold NaN", async () => {
  const header = JSON.stringify({ __metadata__: { workflow: JSON.stringify(WORKFLOW) } });
  const read = [];
  const bytes = file(safetensors(header));
  const slice = (from, to) => {
    read.push(to);
    return bytes.slice(from, to);
  };
  const watched = { size: 4e9, slice };
  assert.ok(isWorkflow((await readDropped(watched))?.json));
  assert.ok(Math.max(...read) <= 4096);
  const odd = safetensors(`{"__metadata__": {"prompt": ${JSON.stringify(PROMPT)}}, "x": NaN}`);
  assert.ok(isPrompt((await readDropped(file(odd)))?.json));
});

test("the lenient reader keeps texts and large numbers as they are", () => {
  const read = parseJson('{"a": [NaN, Infinity, -Infinity], "b": "NaN -Infinity", "c": 1e3}\0\0 ');
  assert.deepEqual(read, { a: [null, null, null], b: "NaN -Infinity", c: 1000 });
  assert.throws(() => parseJson("{"), SyntaxError);
});

test("keywords of any script are read from a picture", async () => {
  const international = (latin, own, text) =>
    Buffer.concat([
      png("a", "b").subarray(0, 8),
      box2("iTXt", Buffer.from(`${latin}\0\0\0\0${own}\0${text}`)),
      box2("IEND", Buffer.alloc(0)),
    ]);
  const read = (...chunk) => readMetadata(new Uint8Array(international(...chunk)));
  assert.deepEqual(await read("??????", "помощь", "зелёный"), { помощь: "зелёный" });
  assert.deepEqual(await read("workflow", "", "{}"), { workflow: "{}" });
  assert.deepEqual(await read("prompt", "Eingabe", "{}"), { prompt: "{}" });
});

const ofType = (prompt, type) =>
  Object.values(prompt)
    .filter((entry) => entry.class_type === type)
    .map(({ inputs }) => inputs);
const passes = (rest) =>
  promptFromText(
    `a kite\nNegative prompt: text\nSteps: 20, Sampler: Euler, CFG scale: 6, Seed: 7, Size: 512x768, ${rest}`,
  );

test("the first pass begins from noise, however the second is told", () => {
  for (const [rest, strengths] of [
    ["Denoising strength: 0.4, Hires resize: 768x1152, Hires steps: 8, Hires upscaler: Latent", [1, 0.4]],
    ["Denoising strength: 0.4, Hires upscale: 2", [1, 0.4]],
    ["Hires upscale: 2", [1, 0.7]],
    ["Denoising strength: 0.4", [1]],
    ["Model: x", [1]],
  ])
    assert.deepEqual(
      ofType(passes(rest), "KSampler").map(({ denoise }) => denoise),
      strengths,
      rest,
    );
});

test("the second pass has its own size, steps and sampler", () => {
  const size = (rest) => {
    const [{ width, height, crop }] = ofType(passes(`${rest}, Hires upscaler: Latent`), "LatentUpscale");
    return [width, height, crop];
  };
  assert.deepEqual(size("Hires resize: 768x1152"), [768, 1152, "disabled"]);
  assert.deepEqual(size("Hires resize: 0x1152"), [768, 1152, "disabled"]);
  assert.deepEqual(size("Hires resize: 768x0"), [768, 1152, "disabled"]);
  assert.deepEqual(size("Hires resize: 768x768"), [768, 768, "center"]);
  assert.deepEqual(size("Hires upscale: 1.5"), [768, 1152, "disabled"]);
  const [first, second] = ofType(
    passes(
      "Hires upscale: 2, Hires steps: 8, Hires sampler: DPM++ 2M, Hires schedule type: Karras, " +
        "Hires CFG scale: 3",
    ),
    "KSampler",
  );
  assert.deepEqual([first.steps, first.sampler_name, first.scheduler, first.cfg], [20, "euler", "normal", 6]);
  assert.deepEqual(
    [second.steps, second.sampler_name, second.scheduler, second.cfg],
    [8, "dpmpp_2m", "karras", 3],
  );
  assert.equal(second.seed, first.seed);
});

test("bare names of embeddings are told apart from words, as that tool spells them", () => {
  const embeddings = ["fieldglow", "sub/Bad-Hands-5.pt", "bad-hands", "with space"];
  const texts = (text) =>
    ofType(
      promptFromText(`${text}\nNegative prompt: ${text}\nSteps: 5`, { embeddings }),
      "CLIPTextEncode",
    ).map((inputs) => inputs.text);
  for (const [text, wanted] of [
    ["a fox, fieldglow", "a fox, embedding:fieldglow"],
    ["(FieldGlow:1.2), x", "(embedding:fieldglow:1.2), x"],
    ["bad-hands-5, bad-hands", "embedding:sub/Bad-Hands-5, embedding:bad-hands"],
    ["fieldglows, my_fieldglow, embedding:fieldglow", "fieldglows, my_fieldglow, embedding:fieldglow"],
    ["with space", "with space"],
    ["<lora:fieldglow:1> a", "a"],
  ])
    assert.deepEqual(texts(text), [wanted, wanted]);
  assert.equal(ofType(promptFromText("fieldglow\nSteps: 5"), "CLIPTextEncode")[0].text, "fieldglow");
});
