/** @import { SocketType, Spec } from "../types.js" */
/**
 * The node offered first where a link is dropped on bare canvas, by the type of the socket it was pulled
 * from.
 */
import { connectable, typeName } from "./types.js";

/**
 * @typedef {"after" | "before"} Side `after`: the node takes what an output gives; `before`: it feeds an
 *   input
 */
/**
 * @typedef {Record<string, string>} FirstNodes node types by `after TYPE` and `before TYPE`; an empty text
 *   stands for none
 */

/** @type {FirstNodes} what a person has not chosen otherwise */
export const FIRST_NODES = Object.freeze({
  "after MODEL": "KSampler",
  "after CLIP": "CLIPTextEncode",
  "after VAE": "VAEDecode",
  "after CONDITIONING": "KSampler",
  "after LATENT": "VAEDecode",
  "after IMAGE": "PreviewImage",
  "after MASK": "MaskPreview",
  "after CONTROL_NET": "ControlNetApplyAdvanced",
  "after CLIP_VISION": "CLIPVisionEncode",
  "after CLIP_VISION_OUTPUT": "unCLIPConditioning",
  "after STYLE_MODEL": "StyleModelApply",
  "after UPSCALE_MODEL": "ImageUpscaleWithModel",
  "after GLIGEN": "GLIGENTextBoxApply",
  "after SIGMAS": "SamplerCustom",
  "after SAMPLER": "SamplerCustom",
  "after GUIDER": "SamplerCustomAdvanced",
  "after NOISE": "SamplerCustomAdvanced",
  "after AUDIO": "PreviewAudio",
  "after VIDEO": "SaveVideo",
  "after STRING": "CLIPTextEncode",
  "before MODEL": "CheckpointLoaderSimple",
  "before CLIP": "CheckpointLoaderSimple",
  "before VAE": "VAELoader",
  "before CONDITIONING": "CLIPTextEncode",
  "before LATENT": "EmptyLatentImage",
  "before IMAGE": "LoadImage",
  "before MASK": "LoadImageMask",
  "before CONTROL_NET": "ControlNetLoader",
  "before CLIP_VISION": "CLIPVisionLoader",
  "before CLIP_VISION_OUTPUT": "CLIPVisionEncode",
  "before STYLE_MODEL": "StyleModelLoader",
  "before UPSCALE_MODEL": "UpscaleModelLoader",
  "before GLIGEN": "GLIGENLoader",
  "before SIGMAS": "BasicScheduler",
  "before SAMPLER": "KSamplerSelect",
  "before GUIDER": "CFGGuider",
  "before NOISE": "RandomNoise",
  "before AUDIO": "LoadAudio",
  "before VIDEO": "LoadVideo",
  "before INT": "PrimitiveNode",
  "before FLOAT": "PrimitiveNode",
  "before STRING": "PrimitiveNode",
  "before BOOLEAN": "PrimitiveNode",
  "before COMBO": "PrimitiveNode",
});

/**
 * @param {FirstNodes} chosen
 * @param {Side} side
 * @param {SocketType} type
 * @returns {string | undefined} of a union, that of its first alternative that has one
 */
export function firstNode(chosen, side, type) {
  const keys = typeName(type)
    .split(",")
    .map((one) => `${side} ${one.trim().toUpperCase()}`);
  return keys.map((one) => chosen[one] ?? FIRST_NODES[one]).find(Boolean);
}

/**
 * @param {Spec} spec
 * @param {Side} side
 * @param {SocketType} type
 * @param {boolean} [widget] whether the socket is that of a widget
 * @returns {boolean} whether the node can stand there
 */
export function canFollow(spec, side, type, widget = true) {
  if (spec.type === "Reroute") return true;
  if (spec.type === "PrimitiveNode") return side === "before" && widget;
  return side === "after"
    ? spec.inputs.some((input) => connectable(type, input.type))
    : spec.outputs.some((output) => connectable(output.type, type));
}

/**
 * @param {Spec[]} specs
 * @returns {string[]} the types that sockets have, those with a node offered first in front
 */
export function socketTypes(specs) {
  const known = [...new Set(Object.keys(FIRST_NODES).map((key) => key.split(" ")[1]))];
  const sockets = specs
    .flatMap((spec) => [...spec.outputs, ...spec.inputs.filter((input) => !input.widget)])
    .flatMap(({ type }) =>
      typeName(type)
        .split(",")
        .map((one) => one.trim().toUpperCase()),
    );
  const found = new Set(sockets);
  return [
    ...known.filter((type) => found.has(type) || WIDGETS.has(type)),
    ...[...found].filter((type) => type && type !== "*" && !known.includes(type)).sort(),
  ];
}

const WIDGETS = new Set(["INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"]);
