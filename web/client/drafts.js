/** @import { Tab } from "../interaction/editor.js" */
/** @import { Put } from "../types.js" */
/**
 * Work is never lost: each tab's base file and its log of changes lie in IndexedDB within a second of an edit, so a crash
 * costs nothing and undo survives a reload. Browser windows tell each other what they saved.
 */
import { writeWorkflow } from "../core/workflow.js";

/** @typedef {{ label: string, undo: Put[], redo: Put[], at: number, merge?: string }} LogEntry */
/** @typedef {{ key: string, name: string, base: any, done: LogEntry[], undone: LogEntry[], file?: string, revision?: string, dirty: boolean, at: number }} Draft */

const SOON = 400; // milliseconds from an edit to the store
const LONGEST = 400; // entries kept for undo after a reload

export class Drafts {
  /** @type {IDBDatabase | undefined} */ #database;
  /** @type {Map<string, any>} base of each tab: the file before the first entry of its log */ #bases = new Map();
  /** @type {Map<string, number>} */ #timers = new Map();
  /** @type {(path: string, revision: string | undefined) => void} called when another window saved a file */ savedElsewhere = () => {};
  /** @type {(tab: Tab, text: string) => Promise<any>} keeps a copy on the server */ backup = async () => {};
  channel = new BroadcastChannel("nodeloom");
  /** Which window this is: each has its own list of tabs. */
  window = sessionStorage.getItem("nodeloom-window") ?? crypto.randomUUID();

  async open() {
    sessionStorage.setItem("nodeloom-window", this.window);
    this.channel.addEventListener("message", ({ data }) => { if (data?.saved) this.savedElsewhere(data.saved, data.revision); });
    addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.flush(); });
    try {
      this.#database = await new Promise((resolve, reject) => {
        const request = indexedDB.open("nodeloom", 1);
        request.onupgradeneeded = () => {
          request.result.createObjectStore("drafts", { keyPath: "key" });
          request.result.createObjectStore("windows", { keyPath: "key" });
        };
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    } catch { /* private windows have no store; the server copy remains */ }
  }

  /** @param {string} store @param {"readonly" | "readwrite"} mode */
  #store(store, mode) { return this.#database?.transaction(store, mode).objectStore(store); }

  /** Starts keeping a tab. @param {Tab} tab */
  keep(tab) {
    if (!this.#bases.has(tab.key)) {
      this.#bases.set(tab.key, writeWorkflow(tab.workflow));
      tab.history.listeners.add(() => this.#soon(tab));
    }
    this.#soon(tab);
  }

  /** @type {Map<string, Tab>} */ #waiting = new Map();

  /** @param {Tab} tab */
  #soon(tab) {
    this.#waiting.set(tab.key, tab);
    if (!this.#timers.has(tab.key)) this.#timers.set(tab.key, window.setTimeout(() => this.#write(tab), SOON));
  }

  /** @param {Tab} tab */
  #write(tab) {
    clearTimeout(this.#timers.get(tab.key));
    this.#timers.delete(tab.key);
    this.#waiting.delete(tab.key);
    const { history } = tab;
    if (history.done.length > LONGEST) this.#rebase(tab);
    /** @type {Draft} */
    const draft = { key: tab.key, name: tab.name, base: this.#bases.get(tab.key), done: history.done.map((entry) => ({ ...entry })), undone: history.undone.map((entry) => ({ ...entry })), file: tab.file, revision: tab.revision, dirty: tab.dirty, at: Date.now() };
    try {
      this.#store("drafts", "readwrite")?.put(draft);
    } catch { /* the database is closing */ }
    if (tab.dirty) this.backup(tab, JSON.stringify(writeWorkflow(tab.workflow))).catch(() => {});
  }

  /** A long log starts anew from half of it. @param {Tab} tab */
  #rebase(tab) {
    const dropped = tab.history.done.splice(0, tab.history.done.length - LONGEST / 2);
    const undone = tab.history.done.length;
    for (let count = 0; count < undone; count += 1) tab.workflow.apply(tab.history.done[undone - 1 - count].undo);
    this.#bases.set(tab.key, writeWorkflow(tab.workflow));
    for (const entry of tab.history.done) tab.workflow.apply(entry.redo);
    return dropped;
  }

  /** Writes at once, before the page goes. */
  flush() { for (const tab of [...this.#waiting.values()]) this.#write(tab); }

  /** @param {Tab} tab */
  drop(tab) {
    this.#bases.delete(tab.key);
    this.#store("drafts", "readwrite")?.delete(tab.key);
  }

  /** @param {Tab[]} tabs @param {Tab} current */
  remember(tabs, current) { this.#store("windows", "readwrite")?.put({ key: this.window, tabs: tabs.map((tab) => tab.key), current: current.key, at: Date.now() }); }

  /** @returns {Promise<{ drafts: Draft[], current: string | undefined }>} this window's tabs; a new window takes those of one that is gone */
  async restore() {
    const all = /** @type {Draft[]} */ (await result(this.#store("drafts", "readonly")?.getAll())) ?? [];
    const windows = /** @type {any[]} */ (await result(this.#store("windows", "readonly")?.getAll())) ?? [];
    const own = windows.find(({ key }) => key === this.window) ?? (await this.#orphan(windows));
    const drafts = (own?.tabs ?? []).flatMap((/** @type {string} */ key) => all.find((draft) => draft.key === key) ?? []);
    this.#hold();
    return { drafts, current: own?.current };
  }

  /** While a window lives it holds a lock of its name. */
  #hold() { navigator.locks?.request(`nodeloom ${this.window}`, () => new Promise(() => {})); }

  /** @param {any[]} windows @returns {Promise<any>} the newest window that is not open any more; its tabs move here */
  async #orphan(windows) {
    const held = new Set((await navigator.locks?.query())?.held?.map((lock) => lock.name));
    const [newest] = windows.filter(({ key }) => !held.has(`nodeloom ${key}`)).sort((a, b) => b.at - a.at);
    if (newest) this.#store("windows", "readwrite")?.delete(newest.key);
    return newest;
  }

  /** @param {Tab} tab fresh from the draft's base @param {Draft} draft */
  replay(tab, draft) {
    this.#bases.set(draft.key, draft.base);
    Object.assign(tab, { key: draft.key, file: draft.file, revision: draft.revision, dirty: draft.dirty });
    for (const entry of draft.done) tab.workflow.apply(entry.redo);
    tab.history.done = draft.done;
    tab.history.undone = draft.undone;
    tab.history.listeners.add(() => this.#soon(tab));
  }

  /** @param {string} path @param {string | undefined} revision */
  announce(path, revision) { this.channel.postMessage({ saved: path, revision }); }
}

/** @param {IDBRequest | undefined} request @returns {Promise<any>} */
function result(request) {
  return new Promise((resolve) => {
    if (!request) return resolve(undefined);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(undefined);
    return undefined;
  });
}
