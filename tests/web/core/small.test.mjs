/** The small parts: texts, values, ranking, index, layout, pictures' metadata. */
import assert from "node:assert/strict";
import test from "node:test";
import { deflateSync } from "node:zlib";
import { isGenerationText, parseGenerationText, promptFromText } from "../../../web/core/a1111.js";
import { Catalogue, outputViews } from "../../../web/core/catalogue.js";
import { freshNode } from "../../../web/core/draft.js";
import { canFollow, FIRST_NODES, firstNode, socketTypes } from "../../../web/core/first_nodes.js";
import { ranked, score } from "../../../web/core/fuzzy.js";
import { layoutOf, nodeBox, point } from "../../../web/core/layout.js";
import { readMetadata } from "../../../web/core/metadata.js";
import { contains, grow, overlap, SpatialIndex, union } from "../../../web/core/spatial.js";
import { defaultValue, Library, readInput, readSpec } from "../../../web/core/specs.js";
import { calculate, formatDate, pickDynamic, weighted } from "../../../web/core/text.js";
import { connectable, typeName } from "../../../web/core/types.js";
import {
  controlRule,
  defaultValues,
  nextChoice,
  nextNumber,
  valueIn,
  valuePlaces,
  withValue,
} from "../../../web/core/values.js";
import { emptyWorkflow } from "../../../web/core/workflow.js";
import { firstRemote, RemoteChoices } from "../../../web/core/remote_choices.js";
import { library, measure, seeded } from "./fixtures.mjs";

test("which types may be joined", () => {
  for (const [output, input, may] of [
    ["A", "A", true],
    ["A", "B", false],
    ["*", "B", true],
    ["A", "*", true],
    ["A,B", "B", true],
    ["A", "B,a", true],
    [["x"], "COMBO", true],
    [0, "B", true],
    ["A", null, true],
  ])
    assert.equal(connectable(output, input), may, `${output} ${input}`);
  assert.deepEqual([typeName(["a"]), typeName(0), typeName("X")], ["COMBO", "*", "X"]);
});

test("the node offered first for a dropped link: the chosen one, else the usual one", () => {
  assert.equal(firstNode({}, "after", "MODEL"), "KSampler");
  assert.equal(firstNode({ "after MODEL": "LoraLoaderModelOnly" }, "after", "model"), "LoraLoaderModelOnly");
  assert.equal(firstNode({ "after MODEL": "" }, "after", "MODEL"), undefined);
  assert.equal(firstNode({}, "before", "UNHEARD,IMAGE"), "LoadImage");
  assert.equal(firstNode({}, "before", ["a", "b"]), "PrimitiveNode");
  assert.equal(firstNode({}, "after", "UNHEARD"), undefined);
  for (const [key, type] of Object.entries(FIRST_NODES)) {
    const [side, socket] = key.split(" ");
    assert.ok(canFollow(library.get(type), side, socket), key);
  }
  const types = socketTypes(library.all());
  assert.equal(types[0], "MODEL");
  for (const type of ["LATENT", "MASK", "INT", "HOOKS"])
    assert.equal(types.filter((one) => one === type).length, 1, type);
});

test("sums in number fields", () => {
  for (const [text, value] of [
    ["512", 512],
    ["2*(3+4)", 14],
    ["-1.5", -1.5],
    ["1,5", 1.5],
    ["1e3", 1000],
    ["8/2-1", 3],
    ["+3", 3],
    ["abc", undefined],
    ["1+", undefined],
    ["", undefined],
    ["1/0", undefined],
    ["2 3", undefined],
  ])
    assert.equal(calculate(text), value, text);
});

test("weights of selected words", () => {
  assert.deepEqual(weighted("a cat sits", 3, 3, 0.1), { text: "a (cat:1.1) sits", start: 3, end: 6 });
  assert.deepEqual(weighted("a (cat:1.1) sits", 3, 6, 0.1).text, "a (cat:1.2) sits");
  assert.deepEqual(weighted("a (cat:1.1) sits", 3, 6, -0.1).text, "a cat sits");
  assert.deepEqual(weighted("(cat:1.5)", 0, 9, 0.05).text, "(cat:1.55)");
  assert.deepEqual(weighted("a  b", 2, 2, 0.1), { text: "a  b", start: 2, end: 2 });
});

test("choices in braces nest and need not be closed", () => {
  const last = () => 0.999;
  assert.equal(pickDynamic("{a|{b|c}} \\| | }", last), "c | | }");
  assert.equal(pickDynamic("{a|b", last), "b");
  assert.equal(pickDynamic("\\\\ \\( {}", last), "\\\\ \\( ");
  assert.equal(formatDate("d M yy h:m:s", new Date(2024, 0, 2, 3, 4, 5)), "2 1 24 3:4:5");
});

test("what a control rule makes of a value", () => {
  assert.equal(nextNumber(5, "increment", { max: 5, min: 1 }), 1);
  assert.equal(nextNumber(4, "increment", { max: 5 }), 5);
  assert.equal(nextNumber(1, "decrement", { min: 1, max: 9 }), 9);
  assert.equal(nextNumber(3, "decrement", { min: 1 }), 2);
  assert.equal(nextNumber(3, "fixed"), 3);
  assert.equal(
    nextNumber(3, "randomize", { min: 2, max: 4 }, () => 0.99),
    4,
  );
  assert.ok(Number.isSafeInteger(nextNumber(3, "randomize", { min: 0, max: 18446744073709551615 })));
  const all = ["a", "b"];
  assert.deepEqual(
    [
      nextChoice("b", "increment", all),
      nextChoice("b", "increment-wrap", all),
      nextChoice("a", "decrement", all),
      nextChoice("a", "randomize", all, () => 0.9),
      nextChoice("a", "fixed", all),
      nextChoice("x", "increment", []),
    ],
    ["b", "a", "a", "b", "a", "x"],
  );
  assert.deepEqual([true, false, "increment", 3].map(controlRule), [
    "randomize",
    "fixed",
    "increment",
    "fixed",
  ]);
});

test("specs from object_info", () => {
  assert.deepEqual(readInput("a", ["INT", { forceInput: true }], false).widget, null);
  assert.deepEqual(readInput("a", ["FLOAT,INT", { widgetType: "FLOAT" }], false).widget, "float");
  assert.deepEqual(readInput("a", "IMAGE", true), {
    name: "a",
    type: "IMAGE",
    widget: null,
    options: {},
    optional: true,
  });
  assert.deepEqual(readInput("a", ["COMBO", { options: ["x"] }], false).choices, ["x"]);
  assert.equal(readInput("a", ["MINE"], false, new Set(["MINE"])).widget, "custom:MINE");
  const spec = readSpec("T", {
    input: { required: { b: ["INT"], a: ["INT"] } },
    input_order: { required: ["a", "gone"] },
    output: ["X", ["l"]],
    output_name: [null],
    output_is_list: [false, true],
    search_aliases: ["z"],
    deprecated: true,
    experimental: true,
    output_node: true,
    python_module: "m",
    description: "d",
  });
  assert.deepEqual(
    spec.inputs.map(({ name }) => name),
    ["a", "b"],
  );
  assert.deepEqual(spec.outputs, [
    { name: "X", type: "X", isList: false, tooltip: undefined },
    { name: "COMBO", type: "COMBO", isList: true, tooltip: undefined },
  ]);
  assert.deepEqual(
    [
      defaultValue(readInput("a", ["INT"])),
      defaultValue(readInput("a", ["BOOLEAN"])),
      defaultValue(readInput("a", ["STRING"])),
      defaultValue(readInput("a", [["p", "q"]])),
      defaultValue(readInput("a", [["p"], { multiselect: true }])),
      defaultValue(readInput("a", ["COLOR"])),
      defaultValue(readInput("a", ["FLOAT", { default: 2 }])),
    ],
    [0, false, "", "p", [], undefined, 2],
  );
  assert.equal(library.get("constructor"), undefined);
  assert.ok(library.all().length > 380);
});

test("an upload button has its place after the required values", () => {
  const own = new Library({
    N: {
      input: {
        required: { image: [["a.png"], { image_upload: true }], seed: ["INT", {}] },
        optional: { text: ["STRING", {}] },
      },
      output: [],
      output_name: [],
    },
  });
  const spec = own.get("N");
  assert.deepEqual(defaultValues(spec), ["a.png", 0, "randomize", "image", ""]);
  const node = freshNode(1, "N", [0, 0], spec);
  const text = spec.inputs.find((input) => input.name === "text");
  assert.equal(valueIn(withValue(node, spec, "text", "hi"), text, valuePlaces(node, spec)), "hi");
  assert.deepEqual(withValue({ ...node, widgets_values: undefined }, spec, "text", "hi").widgets_values, [
    "a.png",
    0,
    "randomize",
    "image",
    "hi",
  ]);
  assert.deepEqual(withValue({ ...node, widgets_values: ["b.png"] }, spec, "text", "hi").widgets_values, [
    "b.png",
    0,
    "randomize",
    "image",
    "hi",
  ]);
  assert.deepEqual(
    withValue(
      { ...node, widgets_values: { seed: 3 }, widgets_values_named: { text: "x" } },
      spec,
      "seed/control",
      "fixed",
    ).widgets_values,
    { seed: 3, control_after_generate: "fixed" },
  );
  assert.equal(withValue(node, spec, "nobody", 1), node);
  assert.deepEqual(
    defaultValues(
      new Library({
        M: { input: { required: { c: [["p"], { control_after_generate: true }] } }, output: [] },
      }).get("M"),
    ),
    ["p", "fixed", ""],
  );
});

test("choices that a route lists: asked for anew, or kept for a while; other hosts never", async () => {
  const asked = [];
  let time = 0;
  const remote = new RemoteChoices(
    async (path) => {
      asked.push(path);
      return path.startsWith("keyed") ? { items: [1, 2] } : path === "odd" ? {} : ["a", "b"];
    },
    () => time,
  );
  assert.deepEqual(
    [await remote.list({ route: "/list" }), await remote.list({ route: "/list" })],
    [
      ["a", "b"],
      ["a", "b"],
    ],
  );
  const keyed = { route: "/keyed?x=1", query_params: { q: "a b" }, response_key: "items", refresh: 100 };
  assert.deepEqual(await remote.list(keyed), [1, 2]);
  time = 99;
  await remote.list(keyed);
  time = 100;
  await remote.list(keyed);
  assert.deepEqual(asked, ["list", "list", "keyed?x=1&q=a%20b", "keyed?x=1&q=a%20b"]);
  await assert.rejects(remote.list({ route: "/odd" }), /lists no choices/);
  for (const route of ["https://a.b/c", "//a.b/c", "javascript:x"])
    await assert.rejects(remote.list({ route }), /another host/);
  assert.deepEqual(
    [
      firstRemote(keyed, [1, 2], undefined),
      firstRemote({ ...keyed, control_after_refresh: "last" }, [1, 2], ""),
      firstRemote(keyed, [1, 2], 7),
    ],
    [1, 2, 7],
  );
});

test("names are ranked as people mean them", () => {
  const first = (query) =>
    ranked(query, library.all(), (spec) => [
      [spec.title, 1],
      [spec.type, 0.97],
      [spec.category, 0.35],
    ])[0].type;
  assert.deepEqual(["ksampler", "vae dec", "save image", "load ckpt", "clip text", "eli"].map(first), [
    "KSampler",
    "VAEDecode",
    "SaveImage",
    "CheckpointLoaderSimple",
    "CLIPTextEncode",
    "EmptyLatentImage",
  ]);
  assert.equal(score("zzz", "KSampler"), 0);
  assert.equal(ranked("", [1, 2], () => []).length, 2);
});

test("the index finds what a plain walk finds", () => {
  const random = seeded(7);
  const index = new SpatialIndex();
  const boxes = new Map();
  for (let step = 0; step < 600; step += 1) {
    const key = Math.floor(random() * 200);
    const box = [
      random() * 6000 - 3000,
      random() * 6000 - 3000,
      random() * (step % 20 ? 300 : 9000),
      random() * 300,
    ];
    if (random() < 0.2) {
      index.delete(key);
      boxes.delete(key);
    } else {
      index.set(key, box);
      boxes.set(key, box);
    }
    const area = [random() * 4000 - 2000, random() * 4000 - 2000, random() * 1500, random() * 1500];
    assert.deepEqual(
      [...index.query(area)].sort(),
      [...boxes]
        .filter(([, one]) => overlap(one, area))
        .map(([one]) => one)
        .sort(),
    );
  }
  assert.equal(index.size, boxes.size);
  assert.deepEqual(index.query([-1e6, -1e6, 2e6, 2e6]).size, boxes.size);
  assert.ok(contains(grow(index.bounds(), 1), index.bounds()));
  assert.deepEqual(index.box([...boxes.keys()][0]), [...boxes.values()][0]);
  index.clear();
  assert.equal(union([]), undefined);
  assert.equal(index.bounds(), undefined);
});

test("parts of a node lie within it, and text areas share the room", () => {
  const catalogue = new Catalogue(emptyWorkflow(), library);
  for (const spec of library.all()) {
    const node = freshNode(1, spec.type, [10, 20], spec);
    const view = catalogue.view(node, "");
    const layout = layoutOf(node, view, 0, measure);
    assert.equal(layout.inputs.length, view.inputs.length);
    for (const { y, height } of layout.widgets) assert.ok(y >= 0 && y + height <= layout.height, spec.type);
    for (const [, y] of [...layout.inputs, ...layout.outputs])
      assert.ok(y >= 0 && y <= layout.height, spec.type);
    const folded = layoutOf({ ...node, flags: { collapsed: true } }, view, 0, measure);
    assert.equal(folded.height, 0);
    assert.deepEqual(nodeBox(node, layout).slice(0, 2), [10, 20 - layout.title]);
  }
  const text = freshNode(1, "CLIPTextEncode", [0, 0], library.get("CLIPTextEncode"));
  const tall = layoutOf({ ...text, size: { 0: 300, 1: 400 } }, catalogue.view(text, ""), 100, measure);
  assert.ok(tall.widgets[0].height > 200 && tall.content.height >= 90);
  assert.deepEqual(
    [point(undefined), point({ 0: 1, 1: "2" }), point([3])],
    [
      [0, 0],
      [1, 2],
      [3, 0],
    ],
  );
});

test("outputs that the file names otherwise, and those it lacks", () => {
  const spec = library.get("CheckpointLoaderSimple");
  const views = outputViews(
    { id: 1, type: spec.type, pos: [0, 0], outputs: [{ name: "MODEL", type: "MODEL", label: "mine" }] },
    spec,
  );
  assert.deepEqual(
    views.map(({ label }) => label),
    ["mine", "CLIP", "VAE"],
  );
});

const chunk = (type, data) => {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  data.copy(out, 8);
  return out;
};
const png = (...chunks) =>
  new Uint8Array(
    Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), ...chunks, chunk("IEND", Buffer.alloc(0))]),
  );

test("texts inside PNG, WebP, JPEG and AVIF pictures", async () => {
  const found = await readMetadata(
    png(
      chunk("tEXt", Buffer.from('prompt\0{"a":1}')),
      chunk("zTXt", Buffer.concat([Buffer.from("workflow\0\0"), deflateSync(Buffer.from("packed ü"))])),
      chunk("iTXt", Buffer.from("parameters\0\0\0en\0\0grün", "utf8")),
      chunk("iTXt", Buffer.concat([Buffer.from("other\0\x01\0\0\0"), deflateSync(Buffer.from("deep"))])),
      chunk("tEXt", Buffer.from([0x6b, 0, 0xe9])),
      chunk("tEXt", Buffer.from("no end")),
    ),
  );
  assert.deepEqual(found, {
    prompt: '{"a":1}',
    workflow: "packed ü",
    parameters: "grün",
    other: "deep",
    k: "é",
  });
  const text = Buffer.from('workflow:{"nodes":[]}\0');
  const exif = Buffer.alloc(26 + text.length);
  exif.write("II*\0", 0, "latin1");
  exif.writeUInt32LE(8, 4);
  exif.writeUInt16LE(1, 8);
  exif.writeUInt16LE(0x010f, 10);
  exif.writeUInt16LE(2, 12);
  exif.writeUInt32LE(text.length, 14);
  exif.writeUInt32LE(26, 18);
  text.copy(exif, 26);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(exif.length);
  const webp = Buffer.concat([Buffer.from("RIFF\0\0\0\0WEBPEXIF"), size, exif]);
  assert.deepEqual(await readMetadata(new Uint8Array(webp)), { workflow: '{"nodes":[]}' });
  const segment = Buffer.concat([
    Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 2, 0xff, 0xe1, 0, exif.length + 8]),
    Buffer.from("Exif\0\0"),
    exif,
  ]);
  assert.deepEqual(await readMetadata(new Uint8Array(Buffer.concat([segment, Buffer.from([0xff, 0xda])]))), {
    workflow: '{"nodes":[]}',
  });
  const avif = Buffer.concat([Buffer.from("\0\0\0\x18ftypavif MM\0*MM\0*"), exif]);
  assert.deepEqual(await readMetadata(new Uint8Array(avif)), { workflow: '{"nodes":[]}' });
  assert.deepEqual(await readMetadata(new Uint8Array(avif.subarray(0, 24))), {});
  assert.deepEqual(await readMetadata(new Uint8Array([1, 2, 3])), {});
  assert.deepEqual(await readMetadata(png(Buffer.from([255, 255, 255, 255, 1, 2, 3, 4]))), {});
});

test("another tool's generation text becomes a prompt", () => {
  const text =
    "a castle, (sky:1.2)\nNegative prompt: blurry\n" +
    "Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 99, Size: 640x384, Model: nodeloom";
  assert.ok(isGenerationText(text));
  assert.equal(isGenerationText("hello"), false);
  const prompt = promptFromText(text, { checkpoints: ["nodeloom-emoji.safetensors"] });
  assert.equal(prompt[1].inputs.ckpt_name, "nodeloom-emoji.safetensors");
  assert.deepEqual([prompt[2].inputs.text, prompt[3].inputs.text], ["a castle, (sky:1.2)", "blurry"]);
  assert.deepEqual([prompt[4].inputs.width, prompt[4].inputs.height], [640, 384]);
  const { seed, steps, cfg, sampler_name, scheduler } = prompt[5].inputs;
  assert.deepEqual([seed, steps, cfg, sampler_name, scheduler], [99, 28, 6.5, "dpmpp_2m", "karras"]);
  assert.equal(parseGenerationText("x\nSteps: 5").negative, "");
  assert.equal(promptFromText("x\nSteps: 5, Sampler: Odd")[5].inputs.sampler_name, "euler");
});

test("another tool's LoRAs, clip skip and second pass", () => {
  const text =
    "a fox <lora:Fur:0.8>, red <lora:gone>\nNegative prompt: blurry\n" +
    "Steps: 20, Sampler: Euler a, Schedule type: Exponential, CFG scale: 7, Seed: 5, Size: 512x768, " +
    "Model: sd15, Denoising strength: 0.4, Clip skip: 2, Hires upscale: 1.5, Hires steps: 10, " +
    'Hires upscaler: 4x-Ultra, Lora hashes: "Fur: 12, gone: 34", Version: v1.9';
  const files = {
    checkpoints: ["sd15.ckpt"],
    loras: ["animals/fur.safetensors"],
    upscalers: ["4x-Ultra.pth"],
  };
  const prompt = promptFromText(text, files);
  const ofType = (type) =>
    Object.entries(prompt)
      .filter(([, entry]) => entry.class_type === type)
      .map(([id, { inputs }]) => ({ id, ...inputs }));
  const [fur, gone] = ofType("LoraLoader");
  assert.deepEqual(
    [fur.lora_name, fur.strength_model, gone.lora_name, gone.strength_clip, gone.model],
    ["animals/fur.safetensors", 0.8, "gone.safetensors", 1, [fur.id, 0]],
  );
  assert.deepEqual(
    ofType("CLIPSetLastLayer").map(({ stop_at_clip_layer }) => stop_at_clip_layer),
    [-2],
  );
  assert.deepEqual(
    ofType("CLIPTextEncode").map((one) => [one.text, one.clip]),
    [
      ["a fox , red", [gone.id, 1]],
      ["blurry", [gone.id, 1]],
    ],
  );
  const [first, second] = ofType("KSampler");
  assert.deepEqual(
    [first.denoise, first.steps, first.scheduler, second.denoise, second.steps, second.sampler_name],
    [1, 20, "exponential", 0.4, 10, "euler_ancestral"],
  );
  assert.deepEqual(
    ofType("ImageScale").map(({ width, height }) => [width, height]),
    [[768, 1152]],
  );
  assert.equal(ofType("UpscaleModelLoader")[0].model_name, "4x-Ultra.pth");
  const latent = promptFromText(text.replace("4x-Ultra", "Latent"), files);
  assert.equal(
    Object.values(latent).find((entry) => entry.class_type === "LatentUpscale").inputs.upscale_method,
    "bilinear",
  );
  for (const { inputs } of Object.values(prompt))
    for (const value of Object.values(inputs)) if (Array.isArray(value)) assert.ok(prompt[value[0]]);
});
