/** @import { Runs } from "../client/runs.js" */
/** @import { Server } from "../client/server.js" */
/** @import { Commands } from "../interaction/commands.js" */
/** What runs, waits and is done: cards with picture, time and status; each can be opened again. */
import { h, iconButton, refill } from "./dom.js";

/**
 * @typedef {{ id: string, number: number, prompt: any, workflow: any, status: string, outputs: Record<string,
 *   any>, seconds?: number, message?: string }} Card
 */

export class QueuePanel {
  /**
   * @param {Server} server
   * @param {Runs} runs
   * @param {Commands} commands
   * @param {(files: import("../client/results.js").FileRef[], index: number) => void} view
   */
  constructor(server, runs, commands, view) {
    this.server = server;
    this.runs = runs;
    this.commands = commands;
    this.view = view;
  }

  /** @param {HTMLElement} body @param {HTMLElement} head @returns {() => void} */
  open = (body, head) => {
    this.body = body;
    head.append(
      iconButton("Clear what waits", "trash", () => this.commands.run("clear-queue")),
      iconButton("Clear the history", "clock", () => this.#clearHistory()),
    );
    const refresh = () => this.refresh();
    const progress = () => this.#showProgress();
    for (const type of ["status", "ended", "submitted", "started"]) this.runs.addEventListener(type, refresh);
    for (const type of ["progress", "preview"]) this.runs.addEventListener(type, progress);
    this.refresh();
    return () => {
      for (const type of ["status", "ended", "submitted", "started"])
        this.runs.removeEventListener(type, refresh);
      for (const type of ["progress", "preview"]) this.runs.removeEventListener(type, progress);
    };
  };

  async refresh() {
    try {
      const [queue, history] = await Promise.all([this.server.queue(), this.server.history(48)]);
      const running = queue.queue_running.map((/** @type {any} */ entry) => waiting(entry, "running"));
      const pending = queue.queue_pending
        .map((/** @type {any} */ entry) => waiting(entry, "waiting"))
        .sort((/** @type {Card} */ a, /** @type {Card} */ b) => a.number - b.number);
      const done = Object.entries(history)
        .map(([id, entry]) => finished(id, entry))
        .reverse();
      this.#draw([...running, ...pending], done);
    } catch (error) {
      refill(
        /** @type {HTMLElement} */ (this.body),
        h(
          "div",
          { class: "empty" },
          h("strong", {}, "The queue cannot be read"),
          String(/** @type {Error} */ (error).message),
        ),
      );
    }
  }

  async #clearHistory() {
    const { confirm } = await import("./dialogs.js");
    if (
      !(await confirm(
        "Clear the history?",
        "The list of runs is emptied. Saved pictures stay where they are.",
        "Clear",
        "danger",
      ))
    )
      return;
    await this.server.editHistory({ clear: true });
    await this.refresh();
  }

  /** The card of what runs shows how far it is, and the newest preview. */
  #showProgress() {
    const { active } = this.runs;
    const row = active && this.body?.querySelector(`[data-job="${CSS.escape(active.id)}"]`);
    if (!row) return;
    const share = Math.max(0, ...active.tab.results.running.values());
    const words = row.querySelector(".row-main span");
    if (words) words.textContent = share > 0 ? `running · ${Math.round(share * 100)}%` : "running";
    const preview = [...active.tab.results.previews.values()].at(-1);
    const place = row.querySelector(".thumb");
    if (!preview || !place) return;
    let canvas = place.querySelector("canvas");
    if (!canvas) {
      canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { width: 56, height: 56 }));
      refill(place, canvas);
    }
    const scale = Math.max(56 / preview.width, 56 / preview.height);
    canvas
      .getContext("2d")
      ?.drawImage(
        preview,
        (56 - preview.width * scale) / 2,
        (56 - preview.height * scale) / 2,
        preview.width * scale,
        preview.height * scale,
      );
  }

  /** @param {Card[]} open @param {Card[]} done */
  #draw(open, done) {
    if (!open.length && !done.length)
      return refill(
        /** @type {HTMLElement} */ (this.body),
        h(
          "div",
          { class: "empty" },
          h("strong", {}, "Nothing has run yet"),
          `Press Run or ${this.commands.hint("run")}. ` +
            "Each run stays here with its picture and the workflow that made it.",
        ),
      );
    return refill(
      /** @type {HTMLElement} */ (this.body),
      open.length > 0 && h("h3", { class: "side-title" }, "Now"),
      open.map((card) => this.#row(card)),
      done.length > 0 && h("h3", { class: "side-title" }, "Done"),
      done.map((card) => this.#row(card)),
    );
  }

  /** @param {Card} card */
  #row(card) {
    const files = Object.values(card.outputs)
      .flatMap((output) => output?.images ?? [])
      .filter((file) => file?.filename);
    const shown = files.find((file) => file.type === "output") ?? files[0];
    const waits = card.status === "waiting" || card.status === "running";
    const picture = shown
      ? h(
          "button",
          {
            type: "button",
            class: "thumb",
            "aria-label": `View ${shown.filename}`,
            on: { click: () => this.view(files, files.indexOf(shown)) },
          },
          h("img", {
            src: `${this.server.view(shown)}&size=128&preview=webp;80`,
            alt: "",
            loading: "lazy",
            width: "56",
            height: "56",
          }),
        )
      : h("span", { class: "thumb", "aria-hidden": "true" }, waits ? "…" : "–");
    return h(
      "div",
      { class: "row", "data-job": card.id },
      picture,
      h(
        "button",
        {
          type: "button",
          class: "row-main",
          title: "Open this job's workflow",
          on: { click: () => this.commands.run("open-job", card) },
        },
        h("strong", {}, titleOf(card)),
        h("span", { class: card.status === "error" ? "bad" : "" }, card.message ?? facts(card, files.length)),
      ),
      waits
        ? iconButton(card.status === "running" ? "Cancel" : "Remove from the queue", "close", () =>
            this.#remove(card),
          )
        : iconButton("Delete from the history", "trash", () => this.#remove(card)),
    );
  }

  /** @param {Card} card */
  async #remove(card) {
    if (card.status === "running") await this.server.interrupt(card.id);
    else if (card.status === "waiting") await this.server.editQueue({ delete: [card.id] });
    else await this.server.editHistory({ delete: [card.id] });
    await this.refresh();
  }
}

/** @param {any} entry `[number, id, prompt, extra, outputs]` @param {string} status @returns {Card} */
function waiting([number, id, prompt, extra], status) {
  return { id, number, prompt, workflow: extra?.extra_pnginfo?.workflow, status, outputs: {} };
}

/** @param {string} id @param {any} entry @returns {Card} */
function finished(id, entry) {
  const messages = new Map(
    (entry.status?.messages ?? []).map((/** @type {any} */ [type, data]) => [type, data]),
  );
  const start = messages.get("execution_start")?.timestamp;
  const end = (
    messages.get("execution_success") ??
    messages.get("execution_error") ??
    messages.get("execution_interrupted")
  )?.timestamp;
  const error = messages.get("execution_error");
  const status = messages.has("execution_interrupted")
    ? "cancelled"
    : entry.status?.status_str === "error"
      ? "error"
      : "done";
  return {
    id,
    number: entry.prompt?.[0] ?? 0,
    prompt: entry.prompt?.[2],
    workflow: entry.prompt?.[3]?.extra_pnginfo?.workflow,
    status,
    outputs: entry.outputs ?? {},
    seconds: start && end ? (end - start) / 1000 : undefined,
    message: error ? `${error.node_type ?? "Error"}: ${error.exception_message ?? ""}` : undefined,
  };
}

/** @param {Card} card */
function titleOf(card) {
  const text = Object.values(card.prompt ?? {})
    .map((/** @type {any} */ entry) => entry.inputs?.text)
    .find((one) => typeof one === "string" && one.trim());
  return text ?? `${Object.keys(card.prompt ?? {}).length} nodes`;
}

/** @param {Card} card @param {number} pictures */
function facts({ status, seconds }, pictures) {
  const words =
    { running: "running", waiting: "waiting", cancelled: "cancelled", error: "failed", done: "done" }[
      status
    ] ?? status;
  return [
    words,
    seconds !== undefined &&
      (seconds < 0.05 ? "at once" : `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`),
    pictures > 1 && `${pictures} pictures`,
  ]
    .filter(Boolean)
    .join(" · ");
}
