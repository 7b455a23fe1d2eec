/** @import { Library } from "./specs.js" */
/** The workflow a new user sees: a text becomes a picture. */
import { Catalogue } from "./catalogue.js";
import { Draft } from "./draft.js";
import { emptyWorkflow } from "./workflow.js";

/**
 * @typedef {{ name: string, description: string, build: (library: Library) =>
 *   import("./document.js").Workflow }} Template
 */

/**
 * @param {Library} library
 * @returns {{ checkpoint: any, small: boolean, side: number }} the first checkpoint, and the size that suits
 *   it
 */
function setting(library) {
  const checkpoint = library.get("CheckpointLoaderSimple")?.inputs[0]?.choices?.[0];
  const small = /nodeloom/i.test(String(checkpoint ?? ""));
  const side = small ? Number(String(checkpoint).match(/(64|96|128|192|256)/)?.[1] ?? 128) : 512;
  return { checkpoint, small, side };
}

/** Places and joins nodes; values and links by name. */
export class Builder {
  /** @param {Library} library */
  constructor(library) {
    this.workflow = emptyWorkflow();
    this.draft = new Draft(new Catalogue(this.workflow, library), "");
    const { checkpoint, small, side } = setting(library);
    this.checkpoint = checkpoint;
    this.small = small;
    this.side = side;
  }

  /**
   * @param {string} type
   * @param {[number, number]} pos
   * @param {[number, number]} size
   * @param {Record<string, any>} [values] widgets, and links as `[node, slot]`
   * @param {string} [title]
   */
  node(type, pos, size, values = {}, title) {
    const { id } = this.draft.addNode(type, pos, { size, ...(title ? { title } : {}) });
    for (const [name, value] of Object.entries(values)) {
      if (Array.isArray(value)) this.draft.connect(value[0], value[1], id, name);
      else if (value !== undefined) this.draft.setValue(id, name, value);
    }
    return id;
  }

  /** Checkpoint and the two texts. @param {number} x where the texts stand */
  begin(x = 370) {
    const loader = this.node("CheckpointLoaderSimple", [40, 120], [270, 98], { ckpt_name: this.checkpoint });
    const text = this.small
      ? "an apple on a blue background"
      : "a quiet harbour at dawn, mist over the water, soft light";
    const positive = this.node(
      "CLIPTextEncode",
      [x, 230],
      [320, 140],
      { text, clip: [loader, 1] },
      "Positive prompt",
    );
    const negative = this.node(
      "CLIPTextEncode",
      [x, 420],
      [320, 140],
      { text: this.small ? "" : "text, watermark", clip: [loader, 1] },
      "Negative prompt",
    );
    return { loader, positive, negative };
  }

  /**
   * @param {{ loader: any, positive: any, negative: any }} parts
   * @param {[any, number]} latent
   * @param {[number, number]} pos
   * @param {Record<string, any>} [values]
   */
  sample({ loader, positive, negative }, latent, pos, values = {}) {
    return this.node("KSampler", pos, [260, 240], {
      seed: 1234,
      ...(this.small ? { cfg: 5, sampler_name: "dpmpp_2m", scheduler: "karras" } : {}),
      model: [loader, 0],
      positive: [positive, 0],
      negative: [negative, 0],
      latent_image: latent,
      ...values,
    });
  }

  /** @param {any} loader @param {[any, number]} latent @param {[number, number]} pos */
  finish(loader, latent, [x, y]) {
    const decode = this.node("VAEDecode", [x, y], [160, 46], { samples: latent, vae: [loader, 2] });
    this.node("SaveImage", [x + 220, y], [320, 380], { images: [decode, 0], filename_prefix: "Nodeloom" });
    return this.done();
  }

  /** The workflow. */
  done() {
    this.workflow.apply(this.draft.puts);
    return this.workflow;
  }
}

/**
 * @param {Library} library
 * @returns {import("./document.js").Workflow} it asks for the checkpoint that is there, at the size that
 *   suits it
 */
export function starterWorkflow(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const latent = build.node("EmptyLatentImage", [370, 610], [320, 106], {
    width: build.side,
    height: build.side,
  });
  const sampler = build.sample(parts, [latent, 0], [750, 120]);
  return build.finish(parts.loader, [sampler, 0], [1070, 120]);
}

/** @param {Library} library */
function imageToImage(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const image = build.node("LoadImage", [40, 280], [270, 330]);
  const scaled = build.node("ImageScale", [370, 610], [320, 130], {
    image: [image, 0],
    upscale_method: "lanczos",
    width: build.side,
    height: build.side,
    crop: "center",
  });
  const latent = build.node("VAEEncode", [750, 610], [150, 46], {
    pixels: [scaled, 0],
    vae: [parts.loader, 2],
  });
  const sampler = build.sample(parts, [latent, 0], [950, 120], { denoise: 0.6 });
  return build.finish(parts.loader, [sampler, 0], [1270, 120]);
}

/** @param {Library} library */
function inpaint(library) {
  const build = new Builder(library);
  const parts = build.begin(1000);
  const fit = { upscale_method: "lanczos", width: build.side, height: build.side, crop: "center" };
  const image = build.node("LoadImage", [40, 280], [270, 330]);
  const scaled = build.node("ImageScale", [370, 430], [250, 130], { image: [image, 0], ...fit });
  const painted = build.node("MaskToImage", [370, 640], [190, 46], { mask: [image, 1] });
  const fitted = build.node(
    "ImageScale",
    [600, 640],
    [250, 130],
    { image: [painted, 0], ...fit },
    "The mask at the same size",
  );
  const mask = build.node("ImageToMask", [900, 640], [200, 60], { image: [fitted, 0], channel: "red" });
  const latent = build.node("VAEEncode", [700, 500], [150, 46], {
    pixels: [scaled, 0],
    vae: [parts.loader, 2],
  });
  const masked = build.node("SetLatentNoiseMask", [1150, 640], [180, 46], {
    samples: [latent, 0],
    mask: [mask, 0],
  });
  const sampler = build.sample(parts, [masked, 0], [1380, 120], { denoise: 0.9 });
  return build.finish(parts.loader, [sampler, 0], [1700, 120]);
}

/** @param {Library} library */
function enlarge(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const image = build.node("LoadImage", [40, 280], [270, 330]);
  const larger = build.node("ImageScale", [370, 610], [320, 130], {
    image: [image, 0],
    upscale_method: "lanczos",
    width: build.side * 2,
    height: build.side * 2,
    crop: "center",
  });
  const latent = build.node("VAEEncode", [750, 610], [150, 46], {
    pixels: [larger, 0],
    vae: [parts.loader, 2],
  });
  const sampler = build.sample(parts, [latent, 0], [950, 120], {
    denoise: 0.3,
    ...(build.small ? { cfg: 1 } : {}),
  });
  return build.finish(parts.loader, [sampler, 0], [1270, 120]);
}

/** @param {Library} library */
function twoPasses(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const latent = build.node("EmptyLatentImage", [370, 610], [320, 106], {
    width: build.side,
    height: build.side,
  });
  const first = build.sample(parts, [latent, 0], [750, 120]);
  const larger = build.node("LatentUpscale", [1060, 430], [240, 130], {
    samples: [first, 0],
    upscale_method: "bicubic",
    width: build.side * 1.5,
    height: build.side * 1.5,
  });
  const second = build.sample(parts, [larger, 0], [1350, 120], {
    steps: 14,
    ...(build.small ? { denoise: 0.25, cfg: 1 } : { denoise: 0.55 }),
  });
  return build.finish(parts.loader, [second, 0], [1660, 120]);
}

/** @param {Library} library */
function batch(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const latent = build.node("EmptyLatentImage", [370, 610], [320, 106], {
    width: build.side,
    height: build.side,
    batch_size: 4,
  });
  const sampler = build.sample(parts, [latent, 0], [750, 120]);
  return build.finish(parts.loader, [sampler, 0], [1070, 120]);
}

/**
 * @param {Library} library
 * @param {string} type a node that loads files
 * @param {(file: string) => boolean} fits
 * @returns {string | undefined} the first file it offers that fits, or the first of all
 */
function offered(library, type, fits) {
  const files = library.get(type)?.inputs[0]?.choices?.map(String) ?? [];
  return files.find(fits) ?? files[0];
}

/**
 * A picture whose lines are followed.
 * @param {Library} library
 * @param {string} file the picture that is shown if it is there
 * @param {string} text
 * @param {boolean} drawn whether the picture is lines already
 */
function followed(library, file, text, drawn) {
  const build = new Builder(library);
  const parts = build.begin();
  if (build.small) build.draft.setValue(parts.positive, "text", text);
  const image = build.node("LoadImage", [40, 280], [270, 330], {
    image: offered(library, "LoadImage", (each) => each === file),
  });
  const scaled = build.node("ImageScale", [370, 610], [320, 130], {
    image: [image, 0],
    upscale_method: "area",
    width: build.side,
    height: build.side,
    crop: "center",
  });
  const lines = drawn
    ? scaled
    : build.node("Canny", [750, 610], [270, 82], {
        image: [scaled, 0],
        low_threshold: 0.1,
        high_threshold: 0.3,
      });
  const network = build.node("ControlNetLoader", [750, 480], [270, 60], {
    control_net_name: offered(library, "ControlNetLoader", (each) => /nodeloom/i.test(each) === build.small),
  });
  const guided = build.node("ControlNetApplyAdvanced", [1080, 230], [260, 190], {
    positive: [parts.positive, 0],
    negative: [parts.negative, 0],
    control_net: [network, 0],
    image: [lines, 0],
    vae: [parts.loader, 2],
  });
  const latent = build.node("EmptyLatentImage", [1080, 480], [260, 106], {
    width: build.side,
    height: build.side,
  });
  if (!drawn) build.node("PreviewImage", [1080, 640], [260, 310], { images: [lines, 0] }, "The edges");
  const sampler = build.sample(parts, [latent, 0], [1400, 120], {
    ...(build.small ? { cfg: 2.5 } : {}),
    positive: [guided, 0],
    negative: [guided, 1],
  });
  return build.finish(parts.loader, [sampler, 0], [1720, 120]);
}

/** @param {Library} library */
const edges = (library) => followed(library, "example.png", "a fox in the snow", false);

/** @param {Library} library */
const scribble = (library) => followed(library, "scribble.png", "a heart on a pink background", true);

/** @param {Library} library */
function style(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const lora = build.node("LoraLoaderModelOnly", [370, 60], [320, 110], {
    model: [parts.loader, 0],
    lora_name: offered(library, "LoraLoaderModelOnly", (each) => /nodeloom/i.test(each) === build.small),
  });
  const latent = build.node("EmptyLatentImage", [370, 610], [320, 106], {
    width: build.side,
    height: build.side,
  });
  const sampler = build.sample(parts, [latent, 0], [750, 120], { model: [lora, 0] });
  return build.finish(parts.loader, [sampler, 0], [1070, 120]);
}

/** @type {Template[]} bundled, and made for whatever checkpoint is there */
export const TEMPLATES = [
  { name: "Text to image", description: "A text becomes a picture.", build: starterWorkflow },
  { name: "Four at once", description: "One text, a batch of four pictures.", build: batch },
  { name: "Image to image", description: "A picture, redrawn along a text.", build: imageToImage },
  { name: "Inpaint", description: "Only the painted part of a picture is drawn anew.", build: inpaint },
  {
    name: "Enlarge",
    description: "A picture at twice the model's size, its details drawn anew.",
    build: enlarge,
  },
  {
    name: "Two passes",
    description: "A small picture first, then a larger one with more detail.",
    build: twoPasses,
  },
  {
    name: "Along edges",
    description: "A ControlNet keeps the edges of a picture; the text decides the rest.",
    build: edges,
  },
  {
    name: "From a scribble",
    description: "A ControlNet fills lines that are drawn by hand.",
    build: scribble,
  },
  { name: "In a style", description: "A LoRA changes how everything is drawn.", build: style },
];
