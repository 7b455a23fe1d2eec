/** @saintno/comfyui-sdk at a server. */

import assert from "node:assert/strict";
import * as steps from "./steps.mjs";

const { ComfyApi, ComfyPool, CallWrapper, PromptBuilder } = steps.load("@saintno/comfyui-sdk");
const api = new ComfyApi(steps.url, steps.unique("saintno"), { listenTerminal: true });
const { png, inverse } = steps.picture();
const CHECKPOINT = "nodeloom-emoji.safetensors";
const SAVING = { invert: "3", sample: "6" };
const SAMPLER = "4";
let uploaded;

/** A call of a workflow whose saved pictures are its output `images`. */
function call(prompt, saving, client = api) {
  const builder = new PromptBuilder(prompt, ["prefix"], ["images"])
    .setInputNode("prefix", `${saving}.inputs.filename_prefix`)
    .setOutputNode("images", saving)
    .input("prefix", steps.unique("saintno"));
  return new CallWrapper(client, builder);
}

/** The bytes of the only picture of a result. */
async function bytesOf(result) {
  const [picture] = result.images.images;
  return await (await api.getImage(picture)).arrayBuffer();
}

/** The next event of a kind that fits. */
function next(kind, fits = () => true) {
  return steps.within(
    new Promise((resolve) => {
      const off = api.on(kind, (event) => {
        if (!fits(event.detail)) return;
        off();
        resolve(event.detail);
      });
    }),
  );
}

await steps.perform({
  async connect() {
    const connected = next("connected");
    await steps.within(api.init().waitForReady());
    await connected;
    assert.deepEqual(api.availableFeatures, { manager: false, monitor: false });
  },

  async system_stats() {
    const stats = await api.getSystemStats();
    assert.equal(typeof stats.devices[0].vram_total, "number");
    assert.equal((await api.ping()).status, true);
    assert.equal((await api.pollStatus()).exec_info.queue_remaining, 0);
  },

  async features() {
    const features = await api.getFeatures();
    assert.ok(features.max_upload_size > 0 && features.node_replacements && features.assets);
  },

  async node_types() {
    assert.ok("KSampler" in (await api.getNodeDefs()));
    assert.equal(await api.getNodeDefs("NoSuchNode"), null);
    const { sampler, scheduler } = await api.getSamplerInfo();
    assert.ok(sampler[0].includes("euler") && scheduler[0].includes("karras"));
  },

  async models() {
    assert.ok((await api.getCheckpoints()).includes(CHECKPOINT));
    assert.ok((await api.getLoras()).includes("nodeloom-emoji-stickers.safetensors"));
    assert.ok((await api.getModelTypes()).includes("checkpoints"));
    assert.ok((await api.getModels("checkpoints")).includes(CHECKPOINT));
    assert.ok((await api.getModelFolders()).some((each) => each.name === "loras"));
    assert.ok((await api.getModelFiles("checkpoints")).some((each) => each.name === CHECKPOINT));
    assert.equal(typeof (await api.getViewMetadata("checkpoints", CHECKPOINT)), "object");
    assert.deepEqual(await api.getViewMetadata("checkpoints", "absent.safetensors"), {});
  },

  async lists() {
    for (const list of [await api.getEmbeddings(), await api.getExtensions()]) assert.ok(Array.isArray(list));
    assert.equal(typeof (await api.getWorkflowTemplates()), "object");
  },

  async terminal() {
    const { entries, size } = await api.getTerminalLogs();
    assert.ok(Array.isArray(entries) && size.cols > 0);
    await api.setTerminalSubscription(true);
    await api.setTerminalSubscription(false);
  },

  async upload() {
    const told = await api.uploadImage(png, `${steps.unique("saintno")}.png`, { subfolder: "a folder" });
    uploaded = told.info;
    assert.deepEqual([uploaded.subfolder, uploaded.type], ["a folder", "input"]);
    assert.deepEqual(Buffer.from(await (await api.getImage(uploaded)).arrayBuffer()), png);
    assert.equal((await fetch(told.url)).status, 200);
  },

  async upload_of_a_mask() {
    const told = await api.uploadMask(png, uploaded);
    assert.equal(told.info.type, "input");
  },

  async run() {
    const outputs = [];
    const result = await call(steps.inverting(`a folder/${uploaded.filename}`), SAVING.invert)
      .onOutput((name) => outputs.push(name))
      .run();
    steps.assertPixels(await bytesOf(result), inverse);
  },

  async run_cached() {
    for (let times = 0; times < 3; times++) {
      const result = await call(steps.inverting(`a folder/${uploaded.filename}`), SAVING.invert).run();
      steps.assertPixels(await bytesOf(result), inverse);
    }
  },

  async progress() {
    const told = [];
    const seen = { pending: 0, start: 0, finished: 0, preview: 0 };
    const result = await call(steps.sampling(40, 128), SAVING.sample)
      .onPending(() => seen.pending++)
      .onStart(() => seen.start++)
      .onPreview(() => seen.preview++)
      .onFinished(() => seen.finished++)
      .onProgress((each) => told.push(each))
      .run();
    assert.deepEqual(seen, { pending: 1, start: 1, finished: 1, preview: 0 });
    assert.deepEqual([told.at(-1).value, told.at(-1).max, told.at(-1).node], [40, 40, "4"]);
    assert.deepEqual(steps.sizeOf(await bytesOf(result)), [128, 128]);
  },

  async picture_by_socket() {
    const coming = next("b_preview");
    await api.appendPrompt(steps.sent(steps.sampling(4)));
    assert.deepEqual(steps.sizeOf(await (await coming).arrayBuffer()), [64, 64]);
  },

  async bypass() {
    const prompt = steps.inverting(`a folder/${uploaded.filename}`);
    const builder = new PromptBuilder(prompt, [], ["images"]).setOutputNode("images", "3").bypass("2");
    const result = await new CallWrapper(api, builder).run();
    const plain = Buffer.from(inverse.map((value, at) => (at % 4 === 3 ? 255 : 255 - value)));
    steps.assertPixels(await bytesOf(result), plain);
  },

  async refusal() {
    const failures = [];
    const result = await call(steps.sampling(0), SAVING.sample)
      .onFailed((error) => failures.push(error))
      .run();
    assert.equal(result, false);
    assert.ok("4" in failures[0].cause.node_errors);
  },

  async failure() {
    const broken = await api.uploadImage(Buffer.from("no picture"), `${steps.unique("broken")}.png`);
    const failures = [];
    const result = await call(steps.inverting(broken.info.filename), SAVING.invert)
      .onFailed((error) => failures.push(error))
      .run();
    assert.equal(result, false);
    assert.ok(failures.length > 0);
  },

  async interrupt() {
    const failures = [];
    const running = next("executing", (event) => event.node === SAMPLER);
    const over = call(steps.sampling(5000), SAVING.sample)
      .onFailed((error) => failures.push(error))
      .run();
    const { prompt_id } = await running;
    await next("progress");
    await api.interrupt();
    assert.equal(await over, false);
    assert.ok(failures.length > 0);
    await steps.assertStopped(prompt_id);
  },

  async queue() {
    const ids = [];
    for (let times = 0; times < 4; times++)
      ids.push((await api.appendPrompt(steps.sampling(5000))).prompt_id);
    await steps.starts(ids[0]);
    const front = (await api.queuePrompt(-1, steps.sampling(5000))).prompt_id;
    const queue = await api.getQueue();
    assert.deepEqual(
      queue.queue_running.map((entry) => entry[1]),
      [ids[0]],
    );
    assert.equal(queue.queue_pending.length, 4);
    await api.manageQueue({ delete: [front, ids[1]] });
    assert.deepEqual(await steps.waiting(), ids.slice(2));
    await api.manageQueue({ clear: true });
    assert.deepEqual(await steps.waiting(), []);
    await api.interrupt();
    await steps.assertStopped(ids[0]);
  },

  async history() {
    const { prompt_id } = await api.appendPrompt(steps.sampling(1));
    await steps.until(() => steps.status(prompt_id), "it ends");
    assert.equal((await api.getHistory(prompt_id)).status.status_str, "success");
    assert.deepEqual(Object.keys(await api.getHistories(1)), [prompt_id]);
    await api.clearHistory({ delete: [prompt_id] });
    assert.equal(await api.getHistory(prompt_id), undefined);
    await api.clearHistory({ clear: true });
    assert.deepEqual(await api.getHistories(), {});
  },

  async settings() {
    const value = steps.unique("value");
    await api.storeSetting("Saintno.One", value);
    await api.storeSettings({ "Saintno.Two": { value } });
    assert.equal(await api.getSetting("Saintno.One"), value);
    assert.deepEqual((await api.getSettings())["Saintno.Two"], { value });
  },

  async userdata() {
    const folder = steps.unique("saintno");
    await api.storeUserData(`${folder}/one.json`, { told: [1, 2] });
    assert.deepEqual(await (await api.getUserData(`${folder}/one.json`)).json(), { told: [1, 2] });
    assert.equal((await api.moveUserData(`${folder}/one.json`, `${folder}/two.json`)).status, 200);
    assert.deepEqual(await api.listUserData(folder), ["two.json"]);
    const listed = (await api.listUserDataV2("")).filter((each) => each.name === folder);
    assert.deepEqual(
      listed.map((each) => each.type),
      ["directory"],
    );
    await api.deleteUserData(`${folder}/two.json`);
    assert.deepEqual(await api.listUserData(folder), []);
    assert.equal((await api.getUserConfig()).storage, "server");
  },

  async free_memory() {
    assert.equal(await api.freeMemory(true, true), true);
    const result = await call(steps.inverting(`a folder/${uploaded.filename}`), SAVING.invert).run();
    steps.assertPixels(await bytesOf(result), inverse);
  },

  async pool() {
    const pool = new ComfyPool([new ComfyApi(steps.url, steps.unique("one")), new ComfyApi(steps.url)]);
    const made = (client) => call(steps.sampling(2), SAVING.sample, client).run();
    const results = await steps.within(pool.batch([made, made, made]));
    for (const result of results) assert.deepEqual(steps.sizeOf(await bytesOf(result)), [64, 64]);
    pool.destroy();
  },
});
