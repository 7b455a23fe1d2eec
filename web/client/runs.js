/** @import { Editor, Tab } from "../interaction/editor.js" */
/** @import { Server } from "./server.js" */
/** @import { Socket } from "./socket.js" */
/** Running: sends prompts, follows jobs, and puts what they say on the document they came from. */
import { isStructured, nextChoice, nextNumber } from "../core/values.js";
import { Draft } from "../core/draft.js";
import { toPrompt, unsendable } from "../core/prompt.js";
import { everyNode, writeWorkflow } from "../core/workflow.js";
import { ServerError } from "./server.js";

/** @typedef {{ id: string, tab: Tab, started: number, current?: string, finished?: boolean }} Job */

export class Runs extends EventTarget {
  /** @type {Map<string, Job>} */ jobs = new Map();
  /** @type {Job | undefined} */ active;
  queued = 0;
  auto = false;
  onChange = false;
  /**
   * @type {(tab: Tab) => Promise<boolean>} called before each prompt is made; false keeps it from being sent
   */
  prepare = async () => true;
  #soon = 0;
  #quiet = false;
  /** @type {WeakSet<Tab>} whose left-out values have been told of */ #told = new WeakSet();
  /** @type {WeakMap<Tab, Map<string, any>>} the values of seeds as they were last run */ #used =
    new WeakMap();
  /** @type {Map<string, number>} when a running node began */ #began = new Map();

  /** @param {Editor} editor @param {Server} server @param {Socket} socket */
  constructor(editor, server, socket) {
    super();
    this.editor = editor;
    this.server = server;
    this.socket = socket;
    this.#listen();
  }

  /** @param {string} type @param {any} [detail] */
  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #listen() {
    const on = (/** @type {string} */ type, /** @type {(data: any) => void} */ act) =>
      this.socket.addEventListener(type, (event) => act(/** @type {CustomEvent} */ (event).detail));
    on("status", (data) => this.#status(data?.status?.exec_info?.queue_remaining ?? 0));
    on("execution_start", ({ prompt_id }) => this.#started(prompt_id));
    on("execution_cached", ({ prompt_id, nodes }) => this.#cached(prompt_id, nodes ?? []));
    on("executing", ({ prompt_id, node }) => this.#executing(prompt_id, node));
    on("progress", ({ prompt_id, node, value, max }) =>
      this.#progress(prompt_id, node, value / Math.max(1, max)),
    );
    on("progress_state", ({ prompt_id, nodes }) => this.#states(prompt_id, nodes ?? {}));
    on("executed", ({ prompt_id, node, output }) => this.#executed(prompt_id, node, output));
    on("nodeloom.notice", (data) =>
      this.tell("noticed", { ...data, tab: this.jobs.get(data.prompt_id)?.tab }),
    );
    on("execution_error", (data) => this.#failed(data));
    on("execution_interrupted", ({ prompt_id }) => this.#ended(prompt_id, "interrupted"));
    on("execution_success", ({ prompt_id }) => this.#ended(prompt_id, "success"));
    on("preview", (data) => this.#preview(data));
    on("connected", () => this.#reconnected());
  }

  /**
   * @param {{ times?: number, front?: boolean, targets?: string[], partly?: boolean }} [options] `partly`:
   *   even if values cannot be sent
   * @returns {Promise<boolean>} whether everything was taken
   */
  async run({ times = 1, front = false, targets, partly = false } = {}) {
    const { tab } = this.editor;
    if (!partly && this.#wouldLose(tab, { times, front, targets })) return false;
    for (let turn = 0; turn < times; turn += 1) {
      if (!(await this.prepare(tab))) return false;
      this.#control(tab, "before");
      const prompt = toPrompt(tab.catalogue);
      const workflow = writeWorkflow(tab.workflow);
      this.#remember(tab);
      if (!(await this.#send(tab, prompt, workflow, front, targets))) return false;
      this.#control(tab, "after");
    }
    return true;
  }

  /**
   * Values that nothing names cannot be sent. What somebody has set up is not left out in silence: the run
   * waits for a word. A number or a text that a type has no place for any more is told of once.
   * @param {Tab} tab
   * @param {{ times: number, front: boolean, targets?: string[] }} run
   * @returns {boolean} whether the run has to wait
   */
  #wouldLose(tab, run) {
    const held = unsendable(tab.catalogue);
    const stopped = held.filter(({ values }) => values.some(isStructured));
    if (stopped.length) this.tell("unsendable", { tab, nodes: stopped, run });
    else if (held.length && !this.#told.has(tab)) this.tell("unsent", { tab, nodes: held });
    this.#told.add(tab);
    return stopped.length > 0;
  }

  /**
   * @param {Tab} tab
   * @param {any} prompt
   * @param {any} workflow
   * @param {boolean} front
   * @param {string[]} [targets]
   */
  async #send(tab, prompt, workflow, front, targets) {
    tab.results.errors.clear();
    /** @type {Job} */ const job = { id: crypto.randomUUID(), tab, started: Date.now() };
    this.jobs.set(job.id, job); // before it is sent: a run from the cache may end before the answer is here
    try {
      const body = {
        prompt_id: job.id,
        client_id: this.socket.clientId,
        prompt,
        extra_data: { extra_pnginfo: { workflow } },
        ...(front ? { front: true } : {}),
        ...(targets ? { partial_execution_targets: targets } : {}),
      };
      const answer = await this.server.submit(body);
      if (answer.prompt_id !== job.id) this.#renamed(job, answer.prompt_id);
      this.#problems(tab, answer.node_errors ?? {});
      this.tell("submitted", { id: answer.prompt_id, tab });
      return true;
    } catch (error) {
      this.jobs.delete(job.id);
      if (!(error instanceof ServerError)) throw error;
      this.#problems(tab, error.body?.node_errors ?? {});
      this.tell("refused", { error, tab });
      return false;
    } finally {
      this.editor.renderer.stir();
      this.editor.tell("results");
    }
  }

  /** The server gave the job another id. @param {Job} job @param {string} id */
  #renamed(job, id) {
    this.jobs.delete(job.id);
    job.id = id;
    this.jobs.set(id, job);
  }

  /** @param {Tab} tab @param {Record<string, any>} nodeErrors as the server lists them */
  #problems(tab, nodeErrors) {
    for (const [runId, { errors = [] }] of Object.entries(nodeErrors)) {
      const inputs = new Set(
        errors.map((/** @type {any} */ error) => error.extra_info?.input_name).filter(Boolean),
      );
      const message = errors
        .map((/** @type {any} */ error) => [error.message, error.details].filter(Boolean).join(": "))
        .join("\n");
      tab.results.errors.set(runId, {
        inputs,
        message,
        kind: errors[0]?.type,
        advice: errors[0]?.extra_info?.advice,
      });
      this.#refresh(tab, runId);
    }
  }

  /**
   * Seeds change before a run in our own documents (so the value shown is the value used), after it in those
   * of the reference. A value that was not run yet is left as it is.
   * @param {Tab} tab
   * @param {"before" | "after"} when
   */
  #control(tab, when) {
    const ours = tab.workflow.head.get("extra")?.nodeloom?.control === "before";
    if (ours !== (when === "before")) return;
    const used = this.#used.get(tab) ?? new Map();
    const draft = new Draft(tab.catalogue, "");
    for (const { scope, node } of everyNode(tab.workflow)) {
      for (const widget of tab.catalogue.view(node, scope.id).widgets) {
        if (!widget.control || widget.control === "fixed" || widget.linked || isElsewhere(widget)) continue;
        const key = `${scope.id}/${node.id}/${widget.name}`;
        if (when === "before" && used.get(key) !== widget.value) continue;
        const value =
          widget.kind === "combo"
            ? nextChoice(widget.value, widget.control, widget.choices ?? [])
            : nextNumber(
                typeof widget.value === "bigint" ? widget.value : Number(widget.value),
                widget.control,
                widget.options,
              );
        draft.setValue(node.id, widget.name, value, scope.id);
      }
    }
    this.quietly(() => tab.history.do({ label: "Change seeds", puts: draft.puts, merge: "seeds" }));
  }

  /** @param {Tab} tab */
  #remember(tab) {
    const used = new Map();
    for (const { scope, node } of everyNode(tab.workflow)) {
      for (const widget of tab.catalogue.view(node, scope.id).widgets)
        if (widget.control) used.set(`${scope.id}/${node.id}/${widget.name}`, widget.value);
    }
    this.#used.set(tab, used);
  }

  /** @param {Tab} tab @param {string} key `scope/node/widget` @returns {any} the value of the last run */
  lastUsed(tab, key) {
    return this.#used.get(tab)?.get(key);
  }

  /** @param {number} queued */
  #status(queued) {
    this.queued = queued;
    this.tell("status");
    if (queued === 0 && this.auto && this.socket.connected) this.run();
  }

  /** @param {string} id */
  #started(id) {
    const job = this.jobs.get(id);
    this.active = job ?? { id, tab: this.editor.tab, started: Date.now() };
    if (job) job.tab.results.job = id;
    if (job) for (const runId of job.tab.results.begin()) this.#refresh(job.tab, runId);
    this.tell("started", { id, tab: job?.tab });
    this.editor.renderer.stir();
  }

  /** @param {string} id @param {string[]} nodes */
  #cached(id, nodes) {
    const job = this.jobs.get(id);
    for (const runId of nodes) {
      job?.tab.results.timings.set(runId, { seconds: 0, cached: true });
      if (job) this.#refresh(job.tab, runId);
    }
  }

  /** @param {string} id @param {string | null} node */
  #executing(id, node) {
    const job = this.jobs.get(id);
    if (!job) return;
    if (job.current && job.current !== node) this.#finished(job, job.current);
    job.current = node ?? undefined;
    if (node) this.#running(job, node, job.tab.results.running.get(node) ?? 0);
    else this.#measured(job); // the last word on a job: all of it is in the journal now
    this.tell("progress");
  }

  /** @param {Job} job @param {string} runId @param {number} share */
  #running(job, runId, share) {
    if (!job.tab.results.running.has(runId)) this.#began.set(`${job.id}/${runId}`, performance.now());
    job.tab.results.running.set(runId, share);
    this.editor.renderer.stir();
  }

  /** @param {Job} job @param {string} runId */
  #finished(job, runId) {
    const key = `${job.id}/${runId}`;
    const began = this.#began.get(key);
    if (began !== undefined)
      job.tab.results.timings.set(runId, { seconds: (performance.now() - began) / 1000, cached: false });
    this.#began.delete(key);
    job.tab.results.running.delete(runId);
    job.tab.results.previews.delete(runId);
    this.#refresh(job.tab, runId);
  }

  /** @param {string} id @param {string} node @param {number} share */
  #progress(id, node, share) {
    const job = this.jobs.get(id);
    if (!job || !node) return;
    this.#running(job, node, share);
    this.tell("progress");
  }

  /** @param {string} id @param {Record<string, any>} nodes */
  #states(id, nodes) {
    const job = this.jobs.get(id);
    if (!job) return;
    for (const [runId, { state, value, max }] of Object.entries(nodes)) {
      if (state === "running") this.#running(job, runId, value / Math.max(1, max));
      else if (state === "finished" && job.tab.results.running.has(runId)) this.#finished(job, runId);
    }
    this.tell("progress");
  }

  /** @param {string} id @param {string} node @param {any} output */
  #executed(id, node, output) {
    const job = this.jobs.get(id);
    if (!job || !output) return;
    job.tab.results.outputs.set(node, output);
    job.tab.results.previews.delete(node);
    this.#refresh(job.tab, node);
    this.tell("output", { job, node, output });
  }

  /** @param {any} data */
  #failed(data) {
    const job = this.jobs.get(data.prompt_id);
    const tab = job?.tab ?? this.editor.tab;
    if (data.node_id) {
      const trace = (data.traceback ?? []).join?.("") ?? String(data.traceback ?? "");
      tab.results.errors.set(String(data.node_id), {
        inputs: new Set(),
        message: `${data.exception_type ?? "Error"}: ${data.exception_message ?? ""}`.trim(),
        trace,
        kind: data.exception_type,
      });
      this.#refresh(tab, String(data.node_id));
    }
    this.#ended(data.prompt_id, "error", data);
  }

  /** @param {string} id @param {"success" | "error" | "interrupted"} how @param {any} [data] */
  #ended(id, how, data) {
    const job = this.jobs.get(id);
    if (this.active?.id === id) this.active = undefined;
    if (!job || job.finished) return;
    job.finished = true;
    for (const runId of [...job.tab.results.running.keys()]) this.#finished(job, runId);
    for (const runId of [...job.tab.results.previews.keys()]) {
      job.tab.results.previews.delete(runId);
      this.#refresh(job.tab, runId);
    }
    this.tell("ended", { id, how, data, tab: job.tab, seconds: (Date.now() - job.started) / 1000 });
    this.editor.renderer.stir();
    this.editor.tell("results");
  }

  /** The server's own times take the place of ours. @param {Job} job */
  async #measured(job) {
    try {
      const { nodes } = await this.server.timings(job.id);
      if (job.tab.results.job !== job.id) return;
      for (const { node, seconds, cached, memory } of nodes) {
        job.tab.results.timings.set(String(node), { seconds, cached, memory: memory ?? undefined });
        this.#refresh(job.tab, String(node));
      }
      this.tell("measured", { id: job.id });
    } catch {
      /* a server without them: what was seen here stays */
    }
  }

  /** @param {{ blob: Blob, node_id?: string, display_node_id?: string, prompt_id?: string }} data */
  async #preview({ blob, node_id, prompt_id }) {
    const job = (prompt_id && this.jobs.get(prompt_id)) || (this.active && this.jobs.get(this.active.id));
    const runId = node_id ?? job?.current;
    if (!job || !runId || !job.tab.results.running.has(runId)) return;
    const bitmap = await createImageBitmap(blob);
    if (job.finished || !job.tab.results.running.has(runId)) return;
    const first = !job.tab.results.previews.has(runId);
    job.tab.results.previews.get(runId)?.close();
    job.tab.results.previews.set(runId, bitmap);
    if (first || job.tab === this.editor.tab) this.#refresh(job.tab, runId);
    this.tell("preview", { runId, bitmap });
  }

  /**
   * After a reload: what the last run left is shown again, or the run is followed on if it still goes.
   * @param {Tab} tab
   */
  async recall(tab) {
    const { job: id } = tab.results;
    if (!id || this.jobs.has(id)) return;
    /** @type {Job} */ const job = { id, tab, started: Date.now(), finished: true };
    this.jobs.set(id, job);
    try {
      // first: what ends meanwhile is in the history then
      const { queue_running } = await this.server.queue();
      if (queue_running.some((/** @type {any} */ entry) => entry[1] === id)) return await this.#followOn(job);
      const entry = (await this.server.exact(`api/history/${encodeURIComponent(id)}`))[id];
      for (const [node, output] of Object.entries(entry?.outputs ?? {})) this.#executed(id, node, output);
      if (entry) await this.#measured(job);
    } catch {
      /* without them the graph is as it is */
    }
  }

  /** @param {Job} job that was running a moment ago */
  async #followOn(job) {
    job.finished = false;
    this.active = job;
    this.tell("started", { id: job.id, tab: job.tab });
    await this.#reconnected(); // it may have ended since
  }

  /** After a gap: jobs that ended meanwhile are looked up. */
  async #reconnected() {
    const open = [...this.jobs.values()].filter((job) => !job.finished);
    if (!open.length) return;
    try {
      const queue = await this.server.queue();
      const waiting = new Set(
        [...queue.queue_running, ...queue.queue_pending].map((/** @type {any} */ entry) => entry[1]),
      );
      for (const job of open) {
        if (waiting.has(job.id)) continue;
        const entry = (await this.server.exact(`api/history/${encodeURIComponent(job.id)}`))[job.id];
        for (const [node, output] of Object.entries(entry?.outputs ?? {}))
          this.#executed(job.id, node, output);
        const failed = entry?.status?.status_str === "error" || !entry;
        const error = (entry?.status?.messages ?? []).find(
          (/** @type {any} */ [type]) => type === "execution_error",
        )?.[1];
        this.#ended(
          job.id,
          failed ? "error" : "success",
          failed
            ? (error ?? { exception_message: "The server stopped while it ran. Run it again." })
            : undefined,
        );
        this.#measured(job);
      }
    } catch {
      /* the next connection tries again */
    }
  }

  /** @param {Tab} tab @param {string} runId */
  #refresh(tab, runId) {
    if (tab === this.editor.tab) this.editor.refresh(runId);
  }

  /** Whether an edit will start a run. */
  get due() {
    return this.#soon !== 0;
  }

  /** After an edit, once the hand rests. */
  runSoon() {
    if (this.#quiet) return;
    clearTimeout(this.#soon);
    this.#soon = window.setTimeout(() => {
      this.#soon = 0;
      if (!this.queued) this.run();
    }, 600);
  }

  /** Edits that belong to a run ask for no further one. @param {() => void} edit */
  quietly(edit) {
    this.#quiet = true;
    try {
      edit();
    } finally {
      this.#quiet = false;
    }
  }

  /** Writes the seeds of the last run back into the widgets. */
  bringBackSeeds() {
    const { tab } = this.editor;
    const draft = new Draft(tab.catalogue, "");
    for (const [key, value] of this.#used.get(tab) ?? []) {
      const [scope, id, name] = key.split("/");
      const { nodes } = tab.workflow.scope(scope);
      const node = nodes.get(id) ?? nodes.get(Number(id));
      const widget = node && tab.catalogue.view(node, scope).widgets.find((one) => one.name === name);
      if (node && widget && !isElsewhere(widget)) draft.setValue(node.id, name, value, scope);
    }
    tab.history.do({ label: "Bring back seeds", puts: draft.puts });
  }

  async cancel() {
    if (this.active) await this.server.interrupt(this.active.id);
  }
}

/**
 * @param {import("../types.js").WidgetView} widget
 * @returns {boolean} whether its value is that of a node inside the subgraph, which has it itself
 */
function isElsewhere(widget) {
  return Boolean(widget.proxy && !widget.own);
}
