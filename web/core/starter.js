/** @import { Library } from "./specs.js" */
/** The workflow a new user sees: a text becomes a picture. */
import { Catalogue } from "./catalogue.js";
import { Draft } from "./draft.js";
import { emptyWorkflow } from "./workflow.js";

/**
 * @param {Library} library
 * @returns {import("./document.js").Workflow} it asks for the checkpoint that is there, at the size that suits it
 */
export function starterWorkflow(library) {
  const workflow = emptyWorkflow();
  const draft = new Draft(new Catalogue(workflow, library), "");
  const checkpoint = library.get("CheckpointLoaderSimple")?.inputs[0]?.choices?.[0];
  const small = /nodeloom/i.test(String(checkpoint ?? ""));
  const side = small ? Number(String(checkpoint).match(/(64|96|128|192|256)/)?.[1] ?? 128) : 512;
  const loader = draft.addNode("CheckpointLoaderSimple", [40, 320], { size: [300, 98] });
  const positive = draft.addNode("CLIPTextEncode", [400, 120], { title: "Positive prompt", size: [380, 150] });
  const negative = draft.addNode("CLIPTextEncode", [400, 320], { title: "Negative prompt", size: [380, 150] });
  const latent = draft.addNode("EmptyLatentImage", [400, 520], { size: [380, 106] });
  const sampler = draft.addNode("KSampler", [840, 120], { size: [300, 262] });
  const decode = draft.addNode("VAEDecode", [1200, 120], { size: [200, 46] });
  const save = draft.addNode("SaveImage", [1200, 220], { size: [380, 400] });
  if (checkpoint !== undefined) draft.setValue(loader.id, "ckpt_name", checkpoint);
  draft.setValue(positive.id, "text", small ? "a red apple" : "a quiet harbour at dawn, mist over the water, soft light");
  draft.setValue(negative.id, "text", small ? "" : "text, watermark");
  draft.setValue(latent.id, "width", side);
  draft.setValue(latent.id, "height", side);
  draft.setValue(sampler.id, "seed", 1234);
  if (small) draft.setValue(sampler.id, "cfg", 4);
  draft.setValue(save.id, "filename_prefix", "Nodeloom");
  draft.connect(loader.id, 0, sampler.id, "model");
  draft.connect(loader.id, 1, positive.id, "clip");
  draft.connect(loader.id, 1, negative.id, "clip");
  draft.connect(loader.id, 2, decode.id, "vae");
  draft.connect(positive.id, 0, sampler.id, "positive");
  draft.connect(negative.id, 0, sampler.id, "negative");
  draft.connect(latent.id, 0, sampler.id, "latent_image");
  draft.connect(sampler.id, 0, decode.id, "samples");
  draft.connect(decode.id, 0, save.id, "images");
  workflow.apply(draft.puts);
  return workflow;
}
