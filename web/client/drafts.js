/** @import { Tab } from "../interaction/editor.js" */
/** @import { Put } from "../types.js" */
/** @import { ServerDrafts } from "./server_drafts.js" */
/**
 * Work is never lost: each tab's base file and its log of changes lie in IndexedDB within half a second of an
 * edit, so a crash costs nothing and undo survives a reload. An edit writes its own entry only. Browser
 * windows tell each other what they saved.
 */
import { printExact } from "../core/exact.js";
import { writeWorkflow } from "../core/workflow.js";

/** @typedef {{ label: string, undo: Put[], redo: Put[], at: number, merge?: string }} LogEntry */
/**
 * @typedef {{ key: string, name: string, base: any, done: LogEntry[], undone: LogEntry[], file?: string,
 *   revision?: string, job?: string, dirty: boolean, at: number, outputs?: Map<string, any>, closed?: number
 *   }} Draft
 */

const SOON = 400; // milliseconds from an edit to the store
const BACKUP = 5000; // milliseconds of rest before the copy on the server
const LONGEST = 400; // entries kept for undo after a reload
const CLOSED = 10; // tabs that can be opened again
const STORES = ["tabs", "bases", "entries", "windows"];

export class Drafts {
  /** @type {IDBDatabase | undefined} */ #database;
  /** @type {Map<string, Tab>} tabs that are kept */ #kept = new Map();
  /** @type {Set<string>} tabs whose base is not in the store yet */ #baseless = new Set();
  /** @type {Map<string, number[]>} when each entry in the store was made, by tab */ #stored = new Map();
  /** @type {Map<string, number>} */ #timers = new Map();
  /** @type {Map<string, number>} */ #backups = new Map();
  /** @type {(path: string, revision: string | undefined) => void} called when another window saved a file */
  savedElsewhere = () => {};
  /** @type {(() => Promise<ServerDrafts>) | undefined} copies on the server, loaded with the first */ copies;
  /** @type {Set<string>} tabs of which the server may have a copy */ #copied = new Set();
  /** Whether edits are kept by this browser. */
  get safe() {
    return this.#database !== undefined;
  }
  /** Which window this is: each has its own list of tabs. */
  window = sessionStorage.getItem("nodeloom-window") ?? crypto.randomUUID();

  /** @param {string} user whose drafts these are, on a server that keeps several users' */
  constructor(user = "") {
    this.name = user ? `nodeloom ${user}` : "nodeloom";
    this.channel = new BroadcastChannel(this.name);
  }

  async open() {
    sessionStorage.setItem("nodeloom-window", this.window);
    this.channel.addEventListener("message", ({ data }) => {
      if (data?.saved) this.savedElsewhere(data.saved, data.revision);
    });
    addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.flush();
    });
    try {
      this.#database = await new Promise((resolve, reject) => {
        const request = indexedDB.open(this.name, 1);
        request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name));
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    } catch {
      /* private windows have no store; the server's copy remains */
    }
  }

  /**
   * For good at once: a page that goes takes what is not committed with it.
   * @param {string} store
   * @param {any} value
   * @param {string} key
   */
  #put(store, value, key) {
    const target = this.#write(store);
    target?.put(value, key);
    target?.transaction.commit();
  }

  /** @param {string} store */
  #write(store) {
    return this.#database?.transaction(store, "readwrite").objectStore(store);
  }

  /** Starts keeping a tab as it is now. @param {Tab} tab */
  keep(tab) {
    if (!this.#kept.has(tab.key)) {
      this.#listen(tab);
      this.#baseless.add(tab.key);
      idle(() => {
        if (this.#baseless.has(tab.key)) this.#rebase(tab);
      });
    }
    this.#soon(tab);
  }

  /** @param {Tab} tab */
  #listen(tab) {
    this.#kept.set(tab.key, tab);
    tab.history.listeners.add(() => this.#soon(tab));
  }

  /** @param {Tab} tab */
  #soon(tab) {
    if (!this.#kept.has(tab.key)) return; // it was closed
    if (!this.#timers.has(tab.key))
      this.#timers.set(
        tab.key,
        window.setTimeout(() => this.#store(tab), SOON),
      );
    clearTimeout(this.#backups.get(tab.key));
    this.#backups.set(
      tab.key,
      window.setTimeout(() => this.#copy(tab), BACKUP),
    );
  }

  /** Writes the entries that are new and how many are done. @param {Tab} tab @param {number} [closed] when */
  #store(tab, closed = 0) {
    clearTimeout(this.#timers.get(tab.key));
    this.#timers.delete(tab.key);
    const { history } = tab;
    if (history.done.length > (this.#baseless.has(tab.key) ? 0 : LONGEST)) this.#rebase(tab);
    const log = [...history.done, ...[...history.undone].reverse()];
    const stored = this.#stored.get(tab.key) ?? [];
    try {
      const entries = this.#write("entries");
      log.forEach((entry, index) => {
        if (stored[index] !== entry.at) entries?.put({ ...entry }, [tab.key, index]);
      });
      this.#stored.set(
        tab.key,
        log.map((entry) => entry.at),
      );
      entries?.transaction.commit();
      this.#put(
        "tabs",
        {
          key: tab.key,
          name: tab.name,
          done: history.done.length,
          total: log.length,
          file: tab.file,
          revision: tab.revision,
          job: tab.results.job,
          dirty: tab.dirty,
          outputs: tab.results.outputs,
          at: Date.now(),
          ...(closed ? { closed } : {}),
        },
        tab.key,
      );
    } catch {
      /* the database is closing */
    }
  }

  /**
   * Writes what the log starts from; of a long one, its middle. What is taken back for it is done again, so
   * nobody is told.
   * @param {Tab} tab
   */
  #rebase(tab) {
    const { history, workflow } = tab;
    const { listeners } = workflow;
    history.done.splice(0, Math.max(0, history.done.length - LONGEST / 2));
    workflow.listeners = new Set();
    try {
      for (const entry of [...history.done].reverse()) workflow.apply(entry.undo);
      const base = writeWorkflow(workflow);
      for (const entry of history.done) workflow.apply(entry.redo);
      this.#put("bases", base, tab.key);
      this.#baseless.delete(tab.key);
    } finally {
      workflow.listeners = listeners;
    }
    this.#stored.delete(tab.key);
  }

  /** The server keeps a copy, written in slices so that no edit waits for it. @param {Tab} tab */
  async #copy(tab) {
    if (!tab.dirty || !this.#kept.has(tab.key)) return;
    const file = writeWorkflow(tab.workflow);
    /** @type {string[]} */ const nodes = [];
    for (let at = 0; at < file.nodes.length; at += 200) {
      nodes.push(...file.nodes.slice(at, at + 200).map((/** @type {any} */ node) => printExact(node)));
      await new Promise((resolve) => idle(() => resolve(undefined)));
    }
    this.#copied.add(tab.key);
    await (await this.copies?.())?.write(tab, { ...file, nodes: [] }, nodes).catch(() => {});
    if (!tab.dirty || !this.#kept.has(tab.key)) this.#uncopy(tab.key); // saved or closed meanwhile
  }

  /** Writes at once, before the page goes. */
  flush() {
    for (const [key, tab] of this.#kept) {
      if (this.#baseless.has(key)) this.#rebase(tab);
      if (this.#timers.has(key)) this.#store(tab);
    }
  }

  /** A tab is closed: what it held can be had back, as long as it is among the last ones. @param {Tab} tab */
  async close(tab) {
    clearTimeout(this.#backups.get(tab.key));
    if (this.#baseless.has(tab.key)) this.#rebase(tab);
    this.#store(tab, Date.now());
    for (const known of [this.#kept, this.#baseless, this.#stored]) known.delete(tab.key);
    this.#uncopy(tab.key);
    if (!tab.workflow.root.nodes.size && !tab.history.done.length) return this.#erase(tab.key);
    for (const old of (await this.#closed()).slice(CLOSED)) this.#erase(old.key);
  }

  /** @returns {Promise<any[]>} tabs that were closed, the last one first */
  async #closed() {
    const tabs = (await this.#read("tabs", (store) => store.getAll())) ?? [];
    return tabs
      .filter((/** @type {any} */ tab) => tab.closed)
      .sort((/** @type {any} */ one, /** @type {any} */ other) => other.closed - one.closed);
  }

  /** @returns {Promise<Draft | undefined>} the tab that was closed last, which is so no more */
  async takeClosed() {
    const [last] = await this.#closed();
    if (!last) return undefined;
    const { closed: _, ...tab } = last;
    this.#put("tabs", tab, tab.key);
    return this.#draft(tab.key);
  }

  /** A tab takes over what the server keeps of another. @param {Tab} tab @param {string} key of the other */
  async adopt(tab, key) {
    await this.#copy(tab);
    await (await this.copies?.())?.remove(key);
  }

  /** @param {string} key */
  async #uncopy(key) {
    if (this.#copied.delete(key)) await (await this.copies?.())?.remove(key);
  }

  /** Nothing in the tab is unsaved any more. @param {Tab} tab */
  settled(tab) {
    clearTimeout(this.#backups.get(tab.key));
    this.#uncopy(tab.key);
  }

  /** @returns {Promise<string[]>} the tabs of which this browser has drafts of its own, in any window */
  async keys() {
    return [...this.#kept.keys(), ...((await this.#read("tabs", (store) => store.getAllKeys())) ?? [])];
  }

  /** @param {string} key */
  #erase(key) {
    for (const store of ["tabs", "bases"]) this.#write(store)?.delete(key);
    this.#write("entries")?.delete(IDBKeyRange.bound([key, 0], [key, Infinity]));
  }

  /** @param {Tab[]} tabs @param {Tab} current */
  remember(tabs, current) {
    this.#put(
      "windows",
      { key: this.window, tabs: tabs.map((tab) => tab.key), current: current.key, at: Date.now() },
      this.window,
    );
  }

  /**
   * @returns {Promise<{ drafts: Draft[], current: string | undefined, first: boolean }>} this window's tabs;
   *   a new window takes those of one that is gone; `first`: this browser had none before
   */
  async restore() {
    const windows = (await this.#read("windows", (store) => store.getAll())) ?? [];
    const own =
      windows.find((/** @type {any} */ one) => one.key === this.window) ?? (await this.#orphan(windows));
    this.#hold();
    const drafts = [];
    for (const key of own?.tabs ?? []) {
      const draft = await this.#draft(key);
      if (draft && !draft.closed) drafts.push(draft);
    }
    return { drafts, current: own?.current, first: !windows.length };
  }

  /** @param {string} key @returns {Promise<Draft | undefined>} */
  async #draft(key) {
    const [tab, base, entries] = await Promise.all([
      this.#read("tabs", (store) => store.get(key)),
      this.#read("bases", (store) => store.get(key)),
      this.#read("entries", (store) => store.getAll(IDBKeyRange.bound([key, 0], [key, Infinity]))),
    ]);
    if (!tab || !base) return undefined;
    const log = entries.slice(0, tab.total);
    return { ...tab, base, done: log.slice(0, tab.done), undone: log.slice(tab.done).reverse() };
  }

  /** @param {string} store @param {(store: IDBObjectStore) => IDBRequest} ask @returns {Promise<any>} */
  #read(store, ask) {
    return new Promise((resolve) => {
      if (!this.#database) return resolve(undefined);
      const request = ask(this.#database.transaction(store, "readonly").objectStore(store));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(undefined);
      return undefined;
    });
  }

  /** While a window lives it holds a lock of its name. */
  #hold() {
    navigator.locks?.request(`nodeloom ${this.window}`, () => new Promise(() => {}));
  }

  /**
   * @param {any[]} windows
   * @returns {Promise<any>} the newest window that is not open any more; its tabs move here
   */
  async #orphan(windows) {
    const held = new Set((await navigator.locks?.query())?.held?.map((lock) => lock.name));
    const [newest] = windows.filter(({ key }) => !held.has(`nodeloom ${key}`)).sort((a, b) => b.at - a.at);
    if (newest) this.#write("windows")?.delete(newest.key);
    return newest;
  }

  /** @param {Tab} tab fresh from the draft's base @param {Draft} draft */
  replay(tab, draft) {
    Object.assign(tab, { key: draft.key, file: draft.file, revision: draft.revision, dirty: draft.dirty });
    tab.results.job = draft.job;
    if (draft.dirty) this.#copied.add(draft.key);
    for (const [runId, output] of draft.outputs ?? []) tab.results.outputs.set(runId, output);
    for (const entry of draft.done) tab.workflow.apply(entry.redo);
    tab.history.done = draft.done;
    tab.history.undone = draft.undone;
    this.#stored.set(
      tab.key,
      [...draft.done, ...[...draft.undone].reverse()].map((entry) => entry.at),
    );
    this.#listen(tab);
  }

  /** @param {string} path @param {string | undefined} revision */
  announce(path, revision) {
    this.channel.postMessage({ saved: path, revision });
  }
}

/** @param {() => void} act when nothing else is to be done */
function idle(act) {
  if ("requestIdleCallback" in window) requestIdleCallback(act, { timeout: 1000 });
  else setTimeout(act, 50);
}
