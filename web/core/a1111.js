/** @import { ApiPrompt } from "../types.js" */
/** The generation text other tools write into pictures, turned into a prompt of ours. */
import { whole } from "./exact.js";

/**
 * @typedef {{ checkpoints?: string[], loras?: string[], upscalers?: string[], embeddings?: string[] }} Files
 *   names on the server
 */
/** @typedef {{ positive: string, negative: string, fields: Map<string, string> }} Generation */

const SAMPLERS = new Map([
  ["euler a", "euler_ancestral"],
  ["euler", "euler"],
  ["heun", "heun"],
  ["dpm2", "dpm_2"],
  ["dpm2 a", "dpm_2_ancestral"],
  ["lms", "lms"],
  ["ddim", "ddim"],
  ["dpm++ 2m", "dpmpp_2m"],
  ["dpm++ sde", "dpmpp_sde"],
  ["dpm++ 2m sde", "dpmpp_2m_sde"],
  ["dpm++ 2s a", "dpmpp_2s_ancestral"],
  ["dpm++ 3m sde", "dpmpp_3m_sde"],
  ["dpm++ 2m sde heun", "dpmpp_2m_sde"],
  ["dpm fast", "dpm_fast"],
  ["dpm adaptive", "dpm_adaptive"],
  ["unipc", "uni_pc"],
  ["lcm", "lcm"],
  ["ddpm", "ddpm"],
  ["plms", "ipndm"],
]);
const SCHEDULERS = new Map([
  ["karras", "karras"],
  ["exponential", "exponential"],
  ["sgm uniform", "sgm_uniform"],
  ["simple", "simple"],
  ["normal", "normal"],
  ["ddim", "ddim_uniform"],
  ["beta", "beta"],
]);
const LATENT_UPSCALES = new Map([
  ["latent (nearest-exact)", "nearest-exact"],
  ["latent (nearest)", "nearest-exact"],
  ["latent (bicubic)", "bicubic"],
  ["latent", "bilinear"],
]);

/** @param {string} text @returns {boolean} */
export function isGenerationText(text) {
  return /Steps: \d+/.test(text);
}

/** @param {string} text @returns {Generation} */
export function parseGenerationText(text) {
  const lines = text.trim().split(/\r?\n/);
  const last = lines.findLastIndex((line) => /Steps: \d+/.test(line));
  const fields = new Map(
    [
      ...lines
        .slice(last)
        .join(" ")
        .matchAll(/([A-Z][\w ]*): ("(?:[^"\\]|\\.)*"|[^,]*)/g),
    ].map(([, key, value]) => [key.trim().toLowerCase(), value.replace(/^"|"$/g, "").trim()]),
  );
  const [positive, negative = ""] = lines
    .slice(0, last)
    .join("\n")
    .split(/(?:^|\n)Negative prompt: ?/);
  return { positive: positive.trim(), negative: negative.trim(), fields };
}

/** Nodes are numbered as they come; an output is `[id, slot]`. */
class Builder {
  /** @type {ApiPrompt} */ prompt = {};

  /** @param {string} type @param {Record<string, any>} inputs @param {string} [title] @returns {string} */
  add(type, inputs, title) {
    const id = String(Object.keys(this.prompt).length + 1);
    this.prompt[id] = { class_type: type, inputs, ...(title ? { _meta: { title } } : {}) };
    return id;
  }
}

/** @param {string} text @param {Files} files @returns {ApiPrompt} */
export function promptFromText(text, files = {}) {
  const generation = parseGenerationText(text);
  const { fields } = generation;
  const build = new Builder();
  const { model, vae, positive, negative } = conditions(build, generation, files);
  const [width, height] = (fields.get("size") ?? "512x512").split("x").map(Number);
  const latent = build.add("EmptyLatentImage", {
    width,
    height,
    batch_size: Number(fields.get("batch size") ?? 1),
  });
  const sampler = { ...samplerOf(fields), positive: [positive, 0], negative: [negative, 0], model };
  const first = build.add("KSampler", { ...sampler, latent_image: [latent, 0], denoise: 1 });
  const sampled =
    fields.has("hires upscale") || fields.has("hires resize")
      ? enlarged(build, { sampler, first, vae, fields, width, height, files })
      : first;
  const decoded = build.add("VAEDecode", { samples: [sampled, 0], vae });
  build.add("SaveImage", { images: [decoded, 0], filename_prefix: "ComfyUI" });
  return build.prompt;
}

/**
 * Checkpoint, LoRAs and the two texts.
 * @param {Builder} build
 * @param {Generation} generation
 * @param {Files} files
 */
function conditions(build, { positive, negative, fields }, files) {
  const wanted = fields.get("model") ?? "";
  const loader = build.add("CheckpointLoaderSimple", {
    ckpt_name:
      nearest(wanted, files.checkpoints) ??
      (wanted ? `${wanted}.safetensors` : (files.checkpoints?.[0] ?? "")),
  });
  /** @type {[string, number]} */ let model = [loader, 0];
  /** @type {[string, number]} */ let clip = [loader, 1];
  const skip = Number(fields.get("clip skip") ?? 1);
  if (skip > 1) clip = [build.add("CLIPSetLastLayer", { stop_at_clip_layer: -skip, clip }), 0];
  const text = (/** @type {string} */ words) =>
    words
      .replace(/<(lora|lyco):([^:>]+)(?::([-\d.]+))?(?::[^>]*)?>/g, (_, _kind, name, weight) => {
        const strength = Number(weight ?? 1);
        const lora = build.add("LoraLoader", {
          lora_name: nearest(name, files.loras) ?? `${name}.safetensors`,
          strength_model: strength,
          strength_clip: strength,
          model,
          clip,
        });
        [model, clip] = [
          [lora, 0],
          [lora, 1],
        ];
        return "";
      })
      .trim();
  const [wish, avoid] = [text(positive), text(negative)].map((words) =>
    withEmbeddings(words, files.embeddings),
  );
  const first = build.add("CLIPTextEncode", { text: wish, clip }, "Positive");
  const second = build.add("CLIPTextEncode", { text: avoid, clip }, "Negative");
  return { model, vae: /** @type {[string, number]} */ ([loader, 2]), positive: first, negative: second };
}

/**
 * That tool names embeddings as words, in any case; ours are told by `embedding:`.
 * @param {string} text
 * @param {string[]} [names] as the server lists them, folders and maybe suffixes included
 * @returns {string}
 */
function withEmbeddings(text, names = []) {
  /** @type {Map<string, string>} */ const known = new Map();
  for (const name of names) {
    const path = name.replace(/\.(safetensors|pt|bin|ckpt|pth|sft)$/i, "");
    const word = path.replace(/^.*[\\/]/, "").toLowerCase();
    if (word && !/[\s():]/.test(path) && !known.has(word)) known.set(word, path);
  }
  if (!known.size) return text;
  const words = [...known.keys()].sort((a, b) => b.length - a.length);
  const any = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const found = new RegExp(`(?<![\\p{L}\\p{N}_:/.\\\\-])(${any})(?![\\p{L}\\p{N}_-])`, "giu");
  return text.replace(found, (word) => `embedding:${known.get(word.toLowerCase())}`);
}

/** @param {Map<string, string>} fields */
function samplerOf(fields) {
  const said = (fields.get("sampler") ?? "euler").toLowerCase();
  const suffix = said.match(/ (karras|exponential)$/)?.[1];
  const sampler_name = SAMPLERS.get(suffix ? said.slice(0, -suffix.length - 1) : said) ?? "euler";
  const scheduler = SCHEDULERS.get(suffix ?? (fields.get("schedule type") ?? "").toLowerCase()) ?? "normal";
  const seed = fields.get("seed") ?? "0";
  return {
    seed: whole(seed) ?? Number(seed),
    steps: Number(fields.get("steps") ?? 20),
    cfg: Number(fields.get("cfg scale") ?? 7),
    sampler_name,
    scheduler,
  };
}

/**
 * The size of the second pass: said outright (a side of 0 follows the other), or as a factor.
 * @param {Map<string, string>} fields
 * @param {number} width
 * @param {number} height
 */
function largerSize(fields, width, height) {
  const [wide = 0, high = 0] = (fields.get("hires resize") ?? "").split("x").map((side) => Number(side) || 0);
  const scale = Number(fields.get("hires upscale")) || 1;
  const grid = (/** @type {number} */ side) => Math.max(8, Math.round(side / 8) * 8);
  return {
    width: grid(wide || (high ? (width * high) / height : width * scale)),
    height: grid(high || (wide ? (height * wide) / width : height * scale)),
  };
}

/**
 * The second pass over a larger picture.
 * @param {Builder} build
 * @param {{ sampler: Record<string, any>, first: string, vae: [string, number], fields: Map<string, string>,
 *   width: number, height: number, files: Files }} given
 * @returns {string}
 */
function enlarged(build, { sampler, first, vae, fields, width, height, files }) {
  const size = largerSize(fields, width, height);
  const crop = Math.abs(size.width / size.height - width / height) > 0.05 ? "center" : "disabled";
  const upscaler = (fields.get("hires upscaler") ?? "latent").toLowerCase();
  const method = LATENT_UPSCALES.get(upscaler) ?? (upscaler.startsWith("latent") ? "bilinear" : undefined);
  const larger = method
    ? build.add("LatentUpscale", { samples: [first, 0], upscale_method: method, ...size, crop })
    : throughPicture();
  const own = new Map(
    [...fields].flatMap(([key, value]) =>
      key.startsWith("hires ") && !/^use same/i.test(value) ? [[key.slice(6), value]] : [],
    ),
  );
  const steps = Number(own.get("steps") ?? 0) || sampler.steps;
  const second = samplerOf(new Map([...fields, ...own]));
  return build.add("KSampler", {
    ...sampler,
    ...second,
    seed: sampler.seed,
    steps,
    latent_image: [larger, 0],
    denoise: Number(fields.get("denoising strength") ?? 0.7),
  });

  /** A model enlarges the picture itself, if the server has it. */
  function throughPicture() {
    const decoded = build.add("VAEDecode", { samples: [first, 0], vae });
    const model = nearest(upscaler, files.upscalers);
    const picture = model
      ? build.add("ImageUpscaleWithModel", {
          upscale_model: [build.add("UpscaleModelLoader", { model_name: model }), 0],
          image: [decoded, 0],
        })
      : decoded;
    const scaled = build.add("ImageScale", {
      image: [picture, 0],
      upscale_method: "lanczos",
      ...size,
      crop: "disabled",
    });
    return build.add("VAEEncode", { pixels: [scaled, 0], vae });
  }
}

/**
 * @param {string} wanted
 * @param {string[]} [names]
 * @returns {string | undefined} the file whose name is or holds what is wanted
 */
function nearest(wanted, names = []) {
  const plain = (/** @type {string} */ name) =>
    name
      .replace(/^.*[\\/]/, "")
      .replace(/\.[^.]+$/, "")
      .toLowerCase();
  const word = wanted.toLowerCase();
  return word
    ? (names.find((name) => plain(name) === word) ?? names.find((name) => name.toLowerCase().includes(word)))
    : undefined;
}
