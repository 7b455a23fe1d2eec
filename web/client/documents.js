/** @import { Editor, Tab } from "../interaction/editor.js" */
/** @import { Drafts } from "./drafts.js" */
/** @import { Server } from "./server.js" */
/** Open workflows: tabs, files, drafts, and everything that can be dropped or pasted. */
import { Catalogue } from "../core/catalogue.js";
import { printExact } from "../core/exact.js";
import { History } from "../core/history.js";
import { starterWorkflow } from "../core/starter.js";
import { parseJson } from "../core/text.js";
import { emptyWorkflow, isPrompt, isWorkflow, readWorkflow, writeWorkflow } from "../core/workflow.js";
import { fileOf, Results } from "./results.js";
import { ServerError } from "./server.js";

export const FOLDER = "workflows";

export class Documents {
  /** @type {Tab[]} */ tabs = [];
  /** Whether this browser has kept nothing before. */ firstVisit = false;
  /** @type {Editor} */ editor = /** @type {any} */ (undefined);
  /** @type {(tab: Tab) => void} called when a document was opened */ opened = () => {};
  /** @type {(tab: Tab) => void} called when another window has begun to edit the file of a tab */ met =
    () => {};
  /** @type {(tab: Tab) => void} called when none does any more */ parted = () => {};
  /**
   * @type {Promise<import("./presence.js").Presence> | undefined} loaded with the first tab that has a file
   */
  #presence;

  /**
   * @param {Server} server
   * @param {Drafts} drafts
   * @param {import("../view/images.js").Images} images
   * @param {() => import("../core/specs.js").Library} library
   */
  constructor(server, drafts, images, library) {
    this.server = server;
    this.drafts = drafts;
    this.images = images;
    this.library = library;
  }

  /** @param {string} name @param {import("../core/document.js").Workflow} workflow @returns {Tab} */
  make(name, workflow) {
    const results = new Results(this.images, (file) => this.server.view(file));
    /** @type {Tab} */
    const tab = {
      key: crypto.randomUUID(),
      name,
      workflow,
      catalogue: new Catalogue(workflow, this.library()),
      history: new History(workflow),
      results,
      path: [],
      camera: undefined,
      dirty: false,
    };
    results.source = (node) => pictureSource(tab, node);
    this.tabs.push(tab);
    return tab;
  }

  /**
   * @param {string} name
   * @param {import("../core/document.js").Workflow} workflow
   * @param {Partial<Tab>} [fields]
   * @returns {Tab}
   */
  open(name, workflow, fields = {}) {
    const tab = this.make(name, workflow);
    Object.assign(tab, fields);
    this.show(tab);
    this.drafts.keep(tab);
    this.#enter(tab);
    this.opened(tab);
    return tab;
  }

  /** @param {Tab} tab */
  show(tab) {
    this.editor.show(tab);
    this.drafts.remember(this.tabs, tab);
  }

  /** @param {Tab} tab */
  close(tab) {
    const index = this.tabs.indexOf(tab);
    this.tabs.splice(index, 1);
    this.drafts.close(tab);
    this.#rest(tab.file);
    if (!this.tabs.length) this.make("Untitled", emptyWorkflow());
    this.show(tab === this.editor.tab ? this.tabs[Math.min(index, this.tabs.length - 1)] : this.editor.tab);
    this.editor.tell("tab");
  }

  /** The tab that was closed last is there again, with its undo. @returns {Promise<Tab | undefined>} */
  async reopen() {
    const draft = await this.drafts.takeClosed();
    if (!draft) return undefined;
    const known = draft.file && !draft.dirty && this.tabs.find((tab) => tab.file === draft.file);
    const tab = known || this.#revive(draft);
    if (!known) this.#enter(tab);
    this.show(tab);
    return tab;
  }

  /** @param {import("./drafts.js").Draft} draft @returns {Tab} */
  #revive(draft) {
    const tab = this.make(draft.name, readWorkflow(draft.base));
    this.drafts.replay(tab, draft);
    return tab;
  }

  /** Work of another browser goes on here. @param {import("./server_drafts.js").ServerDraft} draft */
  async takeDraft({ key, name, file, revision, workflow }) {
    const about = file && !this.tabs.some((tab) => tab.file === file) ? { file, revision } : {};
    const tab = await this.openJson(workflow, name, about);
    tab.dirty = true;
    this.drafts.keep(tab);
    await this.drafts.adopt(tab, key);
    this.editor.tell("tab");
    this.editor.tell("files");
    return tab;
  }

  /** @param {string} base @returns {string} one no tab has */
  freeName(base) {
    const names = new Set(this.tabs.map((tab) => tab.name));
    for (let count = 1; ; count += 1) {
      const name = count === 1 ? base : `${base} ${count}`;
      if (!names.has(name)) return name;
    }
  }

  /** Other windows are asked who edits the tab's file. @param {Tab} tab */
  async #enter(tab) {
    if (!tab.file) return;
    this.#presence ??= import("./presence.js").then(
      ({ Presence }) =>
        new Presence(
          this.drafts.channel,
          () => this.tabs,
          (one) => this.met(one),
          (one) => this.parted(one),
        ),
    );
    (await this.#presence).enter(tab);
  }

  /** @param {Tab} tab */
  edited(tab) {
    this.#presence?.then((presence) => presence.edit(tab));
  }

  /** @param {string | undefined} file that is not edited here any more */
  #rest(file) {
    this.#presence?.then((presence) => presence.rest(file));
  }

  openEmpty() {
    return this.open(this.freeName("Untitled"), emptyWorkflow());
  }
  openStarter() {
    return this.open(this.freeName("Text to image"), starterWorkflow(this.library()));
  }

  /**
   * @param {any} json a workflow or a prompt
   * @param {string} name
   * @param {Partial<Tab>} [fields]
   * @returns {Promise<Tab>}
   */
  async openJson(json, name, fields) {
    if (isWorkflow(json)) return this.open(this.freeName(name), readWorkflow(json), fields);
    if (isPrompt(json)) {
      const { readPrompt } = await import("../core/prompt_import.js");
      return this.open(
        this.freeName(name),
        readPrompt(json, this.library(), this.editor.scene.measure),
        fields,
      );
    }
    if (json && isPrompt(json.prompt)) return this.openJson(json.prompt, name, fields);
    throw new TypeError("This is neither a workflow nor a prompt in the API format.");
  }

  /** @param {File} file @returns {Promise<Tab | undefined>} nothing when it holds no workflow */
  async openFile(file) {
    const name = file.name.replace(/(\.json)?\.[^.]+$/i, "");
    const { readDropped } = await import("../core/dropped.js");
    const held = await readDropped(file);
    if (held?.generation === undefined) return held && this.openJson(held.json, name);
    const choices = (/** @type {string} */ type, /** @type {string} */ input) =>
      this.library()
        .get(type)
        ?.inputs.find((one) => one.name === input)?.choices ?? [];
    const files = {
      checkpoints: choices("CheckpointLoaderSimple", "ckpt_name"),
      loras: choices("LoraLoader", "lora_name"),
      upscalers: choices("UpscaleModelLoader", "model_name"),
      embeddings: await this.server.embeddings(),
    };
    const { promptFromText } = await import("../core/a1111.js");
    return this.openJson(promptFromText(held.generation, files), name);
  }

  /** @param {string} path below the user's folder @returns {Promise<Tab>} */
  async openSaved(path) {
    const known = this.tabs.find((tab) => tab.file === path);
    if (known) {
      this.show(known);
      return known;
    }
    const { text, revision } = await this.server.readFile(path);
    return this.openJson(parseJson(text), nameOf(path), { file: path, revision });
  }

  /**
   * @param {Tab} tab
   * @param {string} path
   * @param {{ force?: boolean }} [options] `force`: even if the file has changed meanwhile
   * @returns {Promise<"saved" | "conflict">}
   */
  async save(tab, path, { force = false } = {}) {
    const text = printExact(writeWorkflow(tab.workflow));
    try {
      const same = path === tab.file;
      tab.revision = await this.server.writeFile(path, text, {
        revision: same && !force ? tab.revision : undefined,
        overwrite: force || (same && Boolean(tab.revision)),
      });
    } catch (error) {
      if (error instanceof ServerError && (error.status === 412 || error.status === 409)) return "conflict";
      throw error;
    }
    this.#rest(tab.file);
    const moved = tab.file !== path;
    Object.assign(tab, { file: path, name: nameOf(path), dirty: false });
    if (moved) this.#enter(tab);
    this.drafts.keep(tab);
    this.drafts.settled(tab);
    this.drafts.announce(path, tab.revision);
    this.editor.tell("tab");
    this.editor.tell("files");
    return "saved";
  }

  /** The tab takes another name, and its file with it. @param {Tab} tab @param {string} name */
  async rename(tab, name) {
    const from = tab.file;
    if (tab.file) {
      const path = `${FOLDER}/${name}.json`;
      await this.server.moveFile(tab.file, path);
      this.#rest(tab.file);
      tab.file = path;
      this.#enter(tab);
    }
    tab.name = name;
    this.drafts.keep(tab);
    this.editor.tell("tab");
    this.editor.tell("files", from && { from, to: tab.file });
  }

  /** The same workflow in a tab of its own, without a file. @param {Tab} tab */
  duplicate(tab) {
    return this.open(this.freeName(`${tab.name} copy`), readWorkflow(writeWorkflow(tab.workflow)));
  }

  /** Tabs of the last visit, with their undo; else the starter. */
  async restore() {
    const { drafts, current, first } = await this.drafts.restore();
    this.firstVisit = first;
    for (const draft of drafts) {
      try {
        this.#revive(draft);
      } catch {
        /* a broken draft must not keep the others from opening */
      }
    }
    for (const tab of this.tabs) this.#enter(tab);
    if (!this.tabs.length) this.drafts.keep(this.make("Text to image", starterWorkflow(this.library())));
    return this.tabs.find((tab) => tab.key === current) ?? this.tabs[0];
  }
}

/** @param {string} path */
export function nameOf(path) {
  return path.replace(/^workflows\//, "").replace(/\.json$/, "");
}

/**
 * @param {Tab} tab
 * @param {import("../types.js").GraphNode} node
 * @returns {import("./results.js").FileRef | undefined} the picture a loader or a camera node points at
 */
function pictureSource(tab, node) {
  const spec = tab.catalogue.library.get(node.type);
  const input = spec?.inputs.find((one) => one.options.image_upload || one.widget === "webcam");
  if (!input) return undefined;
  const value = tab.catalogue.view(node, "").widgets.find((widget) => widget.name === input.name)?.value;
  if (typeof value !== "string" || !value) return undefined;
  return fileOf(value, input.options.image_folder);
}
