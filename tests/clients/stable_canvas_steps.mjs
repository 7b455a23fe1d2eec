/**
 * @stable-canvas/comfyui-client at a server. It has no call for uploads but its own way to fetch any path;
 * its `getLogs` and `getRawLogs` ask for a path that no server has.
 */

import assert from "node:assert/strict";
import * as steps from "./steps.mjs";

const { Client, EfficientPipe, BasePipe, Workflow } = steps.load("@stable-canvas/comfyui-client");
const WebSocket = steps.load("ws");
const client = new Client({ api_host: steps.host, clientId: steps.unique("canvas"), WebSocket, fetch });
const { png, inverse } = steps.picture();
const CHECKPOINT = "nodeloom-emoji.safetensors";
let name = "";

/** The sampling workflow in the client's words. */
function sampling(made) {
  const workflow = new Workflow();
  const { CheckpointLoaderSimple, CLIPTextEncode, EmptyLatentImage, KSampler, VAEDecode, SaveImage } =
    workflow.classes;
  const [model, clip, vae] = CheckpointLoaderSimple({ ckpt_name: CHECKPOINT });
  const [text] = CLIPTextEncode({ text: "a cup", clip });
  const [latent_image] = EmptyLatentImage({ width: 64, height: 64, batch_size: 1 });
  const inputs = { ...steps.sampling(made)[4].inputs, model, positive: text, negative: text, latent_image };
  const [samples] = KSampler(inputs);
  const [images] = VAEDecode({ samples, vae });
  SaveImage({ images, filename_prefix: steps.unique("canvas") });
  return workflow;
}

/** The bytes behind the address of a result. */
async function bytesOf(picture) {
  assert.equal(picture.type, "url");
  return await (await fetch(picture.data)).arrayBuffer();
}

await steps.perform({
  async connect() {
    await client.connect();
    assert.equal(client.socket.readyState, 1);
  },

  async system_stats() {
    const stats = await client.getSystemStats();
    assert.equal(typeof stats.devices[0].vram_total, "number");
  },

  async lists() {
    for (const list of [await client.getEmbeddings(), await client.getExtensions(), await client.getVAEs()])
      assert.ok(Array.isArray(list));
  },

  async node_types() {
    assert.ok("KSampler" in (await client.getNodeDefs()));
    assert.ok((await client.getSamplers()).includes("euler"));
    assert.ok((await client.getSchedulers()).includes("karras"));
  },

  async models() {
    assert.ok((await client.getSDModels()).includes(CHECKPOINT));
    assert.ok((await client.getCNetModels()).includes("nodeloom-emoji-edges.safetensors"));
    assert.ok((await client.getLoRAs()).includes("nodeloom-emoji-stickers.safetensors"));
    const folders = (await client.getModelFolders()).map((each) => each.name);
    assert.ok(folders.includes("checkpoints") && folders.includes("loras"));
    assert.ok((await client.getModels("checkpoints")).some((each) => each.name === CHECKPOINT));
    assert.equal(typeof (await client.viewMetadata("checkpoints", CHECKPOINT)), "object");
  },

  async upload() {
    const form = new FormData();
    form.append("image", new Blob([png]), `${steps.unique("canvas")}.png`);
    const told = await (await client.fetchApi("/upload/image", { method: "POST", body: form })).json();
    ({ name } = told);
    assert.equal(told.type, "input");
  },

  async run() {
    const result = await client.enqueue(steps.inverting(name));
    assert.equal(result.images.length, 1);
    steps.assertPixels(await bytesOf(result.images[0]), inverse);
  },

  async run_by_polling() {
    const result = await client.enqueue_polling(steps.inverting(name), { polling_ms: 50 });
    steps.assertPixels(await bytesOf(result.images[0]), inverse);
  },

  async progress() {
    const told = [];
    const result = await client.enqueue(steps.sampling(10), { progress: (each) => told.push(each) });
    assert.equal(result.images.length, 1, "the saved picture, and no glimpses");
    assert.deepEqual([told.at(-1).value, told.at(-1).max, told.at(-1).node], [10, 10, "4"]);
    assert.deepEqual(steps.sizeOf(await bytesOf(result.images[0])), [64, 64]);
  },

  async workflow() {
    const told = [];
    const result = await sampling(6).invoke(client, { progress: (each) => told.push(each.value) });
    assert.equal(told.at(-1), 6);
    assert.deepEqual(steps.sizeOf(await bytesOf(result.images[0])), [64, 64]);
  },

  async workflow_by_polling() {
    const result = await sampling(2).invoke_polling(client, { polling_ms: 50 });
    assert.deepEqual(steps.sizeOf(await bytesOf(result.images[0])), [64, 64]);
  },

  async pipe() {
    assert.equal(typeof EfficientPipe, "function");
    const pipe = new BasePipe().with(client).model(CHECKPOINT).prompt("a cup").negative("").size(64, 64);
    const { images } = await pipe.steps(4).cfg(2).sampler("euler").seed().save().wait();
    assert.equal(images.length, 1, "the picture comes over the socket");
    assert.deepEqual([images[0].mime, ...steps.sizeOf(images[0].data)], ["image/png", 64, 64]);
  },

  async refusal() {
    await assert.rejects(client.enqueue(steps.sampling(0)));
  },

  async failure() {
    const form = new FormData();
    form.append("image", new Blob(["no picture"]), `${steps.unique("broken")}.png`);
    const told = await (await client.fetchApi("/upload/image", { method: "POST", body: form })).json();
    await assert.rejects(client.enqueue(steps.inverting(told.name)), { name: "Error" });
  },

  async interrupt() {
    const invoked = sampling(5000).instance(client);
    await invoked.enqueue();
    await steps.starts(invoked.task_id);
    const over = assert.rejects(invoked.wait());
    await invoked.interrupt();
    await over;
    await steps.assertStopped(invoked.task_id);
  },

  async interrupt_of_one() {
    const { prompt_id } = await client._enqueue_prompt(steps.sampling(5000));
    await steps.starts(prompt_id);
    await client.interrupt("00000000-0000-4000-8000-000000000000");
    assert.deepEqual(await steps.running(), [prompt_id]);
    await client.interrupt();
    await steps.assertStopped(prompt_id);
  },

  async queue() {
    const ids = [];
    for (let times = 0; times < 4; times++)
      ids.push((await client._enqueue_prompt(steps.sampling(5000))).prompt_id);
    await steps.starts(ids[0]);
    const { Running, Pending } = await client.getQueue();
    assert.deepEqual([...Running, ...Pending].map((entry) => entry[1]).sort(), [...ids].sort());
    assert.deepEqual(await client.getPromptStatus(ids[1]), { running: false, pending: true, done: false });
    await client.deleteItem("queue", ids[1]);
    assert.deepEqual(await steps.waiting(), ids.slice(2));
    await client.clearItems("queue");
    assert.deepEqual(await steps.waiting(), []);
    await client.interrupt(ids[0]);
    await steps.assertStopped(ids[0]);
  },

  async history() {
    const { prompt_id } = await client.enqueue(steps.sampling(1));
    await steps.until(() => steps.status(prompt_id), "it ends");
    const { History } = await client.getHistory(1);
    assert.equal(History[0].prompt[1], prompt_id);
    assert.deepEqual((await client.getHistory(5, { offset: 100000 })).History, []);
    assert.ok("6" in (await client.getPromptOutputs(prompt_id)));
    await client.deleteItem("history", prompt_id);
    assert.deepEqual(await steps.get(`/history/${prompt_id}`), {});
    await client.clearItems("history");
    assert.deepEqual((await client.getHistory()).History, []);
  },

  async settings() {
    const value = steps.unique("value");
    await client.storeSetting("Canvas.One", value);
    await client.storeSettings({ "Canvas.Two": [1, value] });
    assert.equal(await client.getSetting("Canvas.One"), value);
    assert.deepEqual((await client.getSettings())["Canvas.Two"], [1, value]);
  },

  async userdata() {
    const file = `canvas/${steps.unique("file")}.json`;
    await client.storeUserData(file, { told: [1, 2] }, { stringify: true });
    assert.deepEqual(await (await client.getUserData(file)).json(), { told: [1, 2] });
    await assert.rejects(client.getUserData("canvas/absent.json"));
    assert.equal((await client.getUserConfig()).storage, "server");
  },

  async free_memory() {
    await client.free({ unload_models: true, free_memory: true });
    const result = await client.enqueue(steps.inverting(name));
    steps.assertPixels(await bytesOf(result.images[0]), inverse);
  },
});
