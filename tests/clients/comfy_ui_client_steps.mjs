/**
 * comfy-ui-client at a server. Its `interrupt` and `editHistory` do their work and then fail with every
 * server, since they read JSON from an empty answer; `uploadMask` names its original as no server knows it.
 * It has no calls for taking from the queue, settings and userdata.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as steps from "./steps.mjs";

const { ComfyUIClient } = steps.load("comfy-ui-client");
const client = new ComfyUIClient(steps.host, steps.unique("client"));
const { png, inverse } = steps.picture();
const name = `${steps.unique("client")}.png`;
const EMPTY = { name: "SyntaxError", message: /JSON/ };

await steps.perform({
  async connect() {
    await client.connect();
    assert.equal(client.ws.readyState, 1);
  },

  async system_stats() {
    const stats = await client.getSystemStats();
    assert.equal(typeof stats.devices[0].vram_total, "number");
  },

  async embeddings() {
    assert.ok(Array.isArray(await client.getEmbeddings()));
  },

  async extensions() {
    assert.ok(Array.isArray(await client.getExtensions()));
  },

  async object_info() {
    assert.deepEqual(Object.keys(await client.getObjectInfo("KSampler")), ["KSampler"]);
    assert.ok("SaveImage" in (await client.getObjectInfo()));
  },

  async model_metadata() {
    const told = await client.viewMetadata("checkpoints", "nodeloom-emoji.safetensors");
    assert.equal(typeof told, "object");
  },

  async upload() {
    const told = await client.uploadImage(png, name, true);
    assert.deepEqual([told.name, told.subfolder, told.type], [name, "", "input"]);
    assert.deepEqual(Buffer.from(await (await client.getImage(name, "", "input")).arrayBuffer()), png);
  },

  async upload_of_a_taken_name() {
    const other = steps.picture().png;
    assert.notEqual((await client.uploadImage(other, name)).name, name);
    assert.equal((await client.uploadImage(png, name, true)).name, name);
  },

  async run() {
    const pictures = await client.getImages(steps.inverting(name));
    assert.deepEqual(Object.keys(pictures), ["3"]);
    steps.assertPixels(await pictures[3][0].blob.arrayBuffer(), inverse);
  },

  async run_cached() {
    const prompt = steps.inverting(name);
    for (let times = 0; times < 3; times++) {
      const pictures = await client.getImages(prompt);
      steps.assertPixels(await pictures[3][0].blob.arrayBuffer(), inverse);
    }
  },

  async save() {
    const folder = mkdtempSync(join(tmpdir(), "pictures-"));
    const pictures = await client.getImages(steps.sampling(4));
    await client.saveImages(pictures, folder);
    assert.deepEqual(steps.sizeOf(readFileSync(join(folder, pictures[6][0].image.filename))), [64, 64]);
  },

  async refusal() {
    await assert.rejects(client.queuePrompt(steps.sampling(0)), /value_smaller_than_min/);
  },

  async failure() {
    const broken = (await client.uploadImage(Buffer.from("no picture"), `${steps.unique("broken")}.png`))
      .name;
    assert.deepEqual(await client.getImages(steps.inverting(broken)), {});
  },

  async queue() {
    const first = await client.queuePrompt(steps.sampling(5000));
    await steps.starts(first.prompt_id);
    const second = await client.queuePrompt(steps.sampling(5000));
    assert.equal(second.number, first.number + 1);
    const queue = await client.getQueue();
    assert.deepEqual(
      [queue.queue_running, queue.queue_pending].map((entries) => entries.map((entry) => entry[1])),
      [[first.prompt_id], [second.prompt_id]],
    );
    assert.equal((await client.getPrompt()).exec_info.queue_remaining, 2);
  },

  async interrupt() {
    for (const prompts of [2, 1]) {
      const [running] = await steps.until(async () => {
        const found = await steps.running();
        return found.length === 1 && found;
      }, `one of ${prompts} runs`);
      await assert.rejects(client.interrupt(), EMPTY);
      await steps.assertStopped(running);
    }
  },

  async history() {
    const { prompt_id } = await client.queuePrompt(steps.sampling(1));
    await steps.until(() => steps.status(prompt_id), "it ends");
    const entry = (await client.getHistory(prompt_id))[prompt_id];
    assert.equal(entry.status.status_str, "success");
    assert.ok(prompt_id in (await client.getHistory()));
  },

  async clear_history() {
    await assert.rejects(client.editHistory({ clear: true }), EMPTY);
    assert.deepEqual(await client.getHistory(), {});
  },

  async disconnect() {
    await client.disconnect();
    await client.connect();
    const pictures = await client.getImages(steps.inverting(name));
    steps.assertPixels(await pictures[3][0].blob.arrayBuffer(), inverse);
  },
});
