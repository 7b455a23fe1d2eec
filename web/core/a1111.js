/** @import { ApiPrompt } from "../types.js" */
/** The generation text other tools write into pictures, turned into a prompt of ours. */

const SAMPLERS = new Map([
  ["euler a", "euler_ancestral"], ["euler", "euler"], ["heun", "heun"], ["dpm2", "dpm_2"], ["dpm2 a", "dpm_2_ancestral"], ["lms", "lms"], ["ddim", "ddim"],
  ["dpm++ 2m", "dpmpp_2m"], ["dpm++ sde", "dpmpp_sde"], ["dpm++ 2m sde", "dpmpp_2m_sde"], ["dpm++ 2s a", "dpmpp_2s_ancestral"], ["unipc", "uni_pc"], ["lcm", "lcm"],
]);

/** @param {string} text @returns {boolean} */
export function isGenerationText(text) { return /Steps: \d+/.test(text); }

/** @param {string} text @returns {{ positive: string, negative: string, fields: Map<string, string> }} */
export function parseGenerationText(text) {
  const lines = text.trim().split("\n");
  const last = lines.findLastIndex((line) => /Steps: \d+/.test(line));
  const fields = new Map([...lines.slice(last).join(" ").matchAll(/([A-Z][\w ]*): ("[^"]*"|[^,]*)/g)].map(([, key, value]) => [key.trim().toLowerCase(), value.replace(/^"|"$/g, "").trim()]));
  const [positive, negative = ""] = lines.slice(0, last).join("\n").split(/\n?Negative prompt: /);
  return { positive: positive.trim(), negative: negative.trim(), fields };
}

/** @param {string} text @param {string[]} checkpoints names on the server @returns {ApiPrompt} */
export function promptFromText(text, checkpoints = []) {
  const { positive, negative, fields } = parseGenerationText(text);
  const [width, height] = (fields.get("size") ?? "512x512").split("x").map(Number);
  const sampler = (fields.get("sampler") ?? "euler").toLowerCase();
  const karras = /karras/.test(`${sampler} ${fields.get("schedule type") ?? ""}`.toLowerCase());
  const model = fields.get("model") ?? "";
  const checkpoint = checkpoints.find((name) => model && name.includes(model)) ?? (model ? `${model}.safetensors` : checkpoints[0] ?? "");
  return {
    1: { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: checkpoint } },
    2: { class_type: "CLIPTextEncode", inputs: { text: positive, clip: ["1", 1] }, _meta: { title: "Positive" } },
    3: { class_type: "CLIPTextEncode", inputs: { text: negative, clip: ["1", 1] }, _meta: { title: "Negative" } },
    4: { class_type: "EmptyLatentImage", inputs: { width, height, batch_size: 1 } },
    5: {
      class_type: "KSampler",
      inputs: {
        seed: Number(fields.get("seed") ?? 0), steps: Number(fields.get("steps") ?? 20), cfg: Number(fields.get("cfg scale") ?? 7),
        sampler_name: SAMPLERS.get(sampler.replace(" karras", "").trim()) ?? "euler", scheduler: karras ? "karras" : "normal",
        positive: ["2", 0], negative: ["3", 0], latent_image: ["4", 0], model: ["1", 0], denoise: 1,
      },
    },
    6: { class_type: "VAEDecode", inputs: { samples: ["5", 0], vae: ["1", 2] } },
    7: { class_type: "SaveImage", inputs: { images: ["6", 0], filename_prefix: "ComfyUI" } },
  };
}
