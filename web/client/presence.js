/** @import { Tab } from "../interaction/editor.js" */
/**
 * Windows of a browser tell each other which files have edits that are not saved, so that two people at one
 * file, or one person in two windows, learn of it while nothing is lost yet, and not when the second one
 * saves.
 */

/**
 * `edits`: there is something to lose here; `asks`: who edits this? `rests`: not any more.
 * @typedef {{ file: string, from: string, says: "edits" | "asks" | "rests" }} Said
 */

export class Presence {
  /** @type {Map<string, Set<string>>} other windows that edit a file, by its path */ others = new Map();
  /** @type {Set<string>} files whose edits here were told of */ #told = new Set();
  name = crypto.randomUUID(); // of this page, another one after each reload

  /**
   * @param {BroadcastChannel} channel
   * @param {() => Tab[]} tabs
   * @param {(tab: Tab) => void} met called when another window has begun to edit the file of a tab
   * @param {(tab: Tab) => void} parted called when none does any more
   */
  constructor(channel, tabs, met, parted) {
    this.channel = channel;
    this.tabs = tabs;
    this.met = met;
    this.parted = parted;
    channel.addEventListener("message", ({ data }) => {
      if (typeof data?.says === "string" && data.from !== this.name) this.#heard(data);
    });
    addEventListener("pagehide", () => {
      for (const file of [...this.#told]) this.rest(file);
    });
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) for (const tab of tabs()) this.enter(tab);
    });
  }

  /** @param {string} file @param {Said["says"]} says */
  #say(file, says) {
    this.channel.postMessage({ file, from: this.name, says });
  }

  /** @param {Said} said */
  #heard({ file, from, says }) {
    const tab = this.tabs().find((one) => one.file === file);
    if (says === "rests") this.#forget(file, from);
    else if (says === "asks" && tab?.dirty) this.#tell(file);
    else if (says === "edits" && tab) this.#remember(tab, file, from);
  }

  /** @param {Tab} tab @param {string} file @param {string} from */
  #remember(tab, file, from) {
    const known = this.others.get(file) ?? new Set();
    if (known.has(from)) return;
    this.others.set(file, known.add(from));
    if (tab.dirty) this.#tell(file); // the other one may not have heard
    this.met(tab);
  }

  /** @param {string} file @param {string} from */
  #forget(file, from) {
    const known = this.others.get(file);
    if (!known?.delete(from) || known.size) return;
    this.others.delete(file);
    for (const tab of this.tabs()) if (tab.file === file) this.parted(tab);
  }

  /** @param {string} file */
  #tell(file) {
    this.#told.add(file);
    this.#say(file, "edits");
  }

  /** A tab was opened, or took another file. @param {Tab} tab */
  enter(tab) {
    if (!tab.file) return;
    this.#say(tab.file, "asks");
    if (tab.dirty) this.#tell(tab.file);
  }

  /** A tab was edited. Told once until it rests. @param {Tab} tab */
  edit({ file }) {
    if (file && !this.#told.has(file)) this.#tell(file);
  }

  /** A tab was saved or closed. @param {string | undefined} file */
  rest(file) {
    if (file && this.#told.delete(file)) this.#say(file, "rests");
  }
}
