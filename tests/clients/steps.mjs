/**
 * What the scripts of the Node.js clients share: steps that are told one by one, the two workflows, pictures.
 *
 * A script is `node CLIENT_steps.mjs URL ENVIRONMENT`. When a step is over a line of JSON says its name,
 * whether it went well, and what went wrong.
 */

import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { argv, exit } from "node:process";

export const [url, environment] = argv.slice(2);
export const host = new URL(url).host;
const SECONDS = 60;

/** A package of the environment. */
export const load = createRequire(`${environment}/package.json`);

/**
 * Calls every step in order, prints how each went, and ends the process.
 *
 * @param {Record<string, () => Promise<void>>} steps
 */
export async function perform(steps) {
  let failed = 0;
  for (const [step, act] of Object.entries(steps)) {
    let detail = "";
    try {
      await within(act());
    } catch (error) {
      detail = String(error?.stack ?? JSON.stringify(error) ?? error);
      failed += 1;
    }
    console.log(JSON.stringify({ step, ok: detail === "", detail }));
  }
  exit(failed);
}

/** What is promised, or an error when it takes too long. */
export function within(promise) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`nothing came within ${SECONDS} seconds`)), SECONDS * 1000).unref();
  });
  return Promise.race([promise, late]);
}

/** Asks again and again until the answer is true; that answer. */
export async function until(asked, what) {
  for (let times = 0; times < SECONDS * 20; times++) {
    const answer = await asked();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never came true: ${what}`);
}

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));

/** A workflow that loads, inverts and saves a picture. */
export function inverting(image, prefix = unique("inverted")) {
  const prompt = read("invert.json");
  prompt[1].inputs.image = image;
  prompt[3].inputs.filename_prefix = prefix;
  return prompt;
}

/** A workflow that samples a picture that no run before had; thousands of steps are there to be stopped. */
export function sampling(steps, side = 64) {
  const prompt = read("sample.json");
  Object.assign(prompt[3].inputs, { width: side, height: side });
  Object.assign(prompt[4].inputs, { steps, seed: randomBytes(4).readUInt32BE() });
  return prompt;
}

/** The same workflow with its picture sent over the socket instead of saved. */
export function sent(prompt) {
  const [saving] = Object.values(prompt).filter((node) => node.class_type === "SaveImage");
  saving.class_type = "SaveImageWebsocket";
  delete saving.inputs.filename_prefix;
  return prompt;
}

/** A name that no run before had. */
export const unique = (prefix) => `${prefix}-${randomUUID().slice(0, 8)}`;

const { PNG } = load("pngjs");

/** A picture that no run before had: its PNG, and its pixels with every channel inverted. */
export function picture() {
  const made = new PNG({ width: 24, height: 16 });
  const opaque = (byte) => made.data.map((value, at) => (at % 4 === 3 ? 255 : byte(value)));
  made.data = randomBytes(made.data.length);
  made.data = Buffer.from(opaque((value) => value));
  const inverse = Buffer.from(opaque((value) => 255 - value));
  return { png: PNG.sync.write(made, { colorType: 2 }), inverse };
}

/** The size of a PNG. */
export function sizeOf(bytes) {
  const { width, height } = PNG.sync.read(Buffer.from(bytes));
  return [width, height];
}

/** Fails unless a PNG has these pixels, up to the rounding of the way from floats to bytes, which is one. */
export function assertPixels(bytes, expected) {
  const { data } = PNG.sync.read(Buffer.from(bytes));
  assert.equal(data.length, expected.length);
  assert.ok(data.every((value, at) => Math.abs(value - expected[at]) <= 1));
}

/** The JSON that a path is answered with, without the client. */
export async function get(path) {
  const answer = await fetch(url + path);
  assert.equal(answer.status, 200, path);
  return await answer.json();
}

/** Queues a prompt without the client; its id. */
export async function submit(prompt) {
  const answer = await fetch(`${url}/prompt`, { method: "POST", body: JSON.stringify({ prompt }) });
  return (await answer.json()).prompt_id;
}

/** The ids of the prompts that run. */
export const running = async () => (await get("/queue")).queue_running.map((entry) => entry[1]);

/** The ids of the prompts that wait. */
export const waiting = async () => (await get("/queue")).queue_pending.map((entry) => entry[1]);

/** How a prompt ended: the last message of its history; undefined while it has none. */
export async function status(id) {
  const entry = (await get(`/history/${id}`))[id];
  return entry?.status.messages.at(-1)[0];
}

/** Waits until a prompt is the one that runs. */
export const starts = (id) => until(async () => (await running()).includes(id), `${id} runs`);

/** Waits until a prompt has ended, and fails unless it ended by an interruption. */
export const assertStopped = async (id) =>
  assert.equal(await until(() => status(id), `${id} ends`), "execution_interrupted");
