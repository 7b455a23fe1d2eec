/** @import { Tab } from "../interaction/editor.js" */
/** @import { Server } from "./server.js" */
/**
 * Copies of unsaved work on the server, one file a tab: what another browser of the same user finds when it
 * lists them. A copy goes when its tab is saved or closed.
 */
import { printExact } from "../core/exact.js";
import { parseJson } from "../core/text.js";

const FOLDER = "drafts";
const LISTED = 20; // the newest

/**
 * @typedef {object} ServerDraft
 * @property {string} key of the tab it is of
 * @property {string} name
 * @property {string} [file] the workflow's file, and the revision the work began from
 * @property {string} [revision]
 * @property {number} modified as the server says it
 * @property {any} workflow
 */

export class ServerDrafts {
  /** @param {Server} server */
  constructor(server) {
    this.server = server;
  }

  /** @param {string} key */
  #path(key) {
    return `${FOLDER}/${key}.json`;
  }

  /**
   * @param {Tab} tab
   * @param {any} workflow as a file, without its nodes
   * @param {string[]} nodes each as JSON
   */
  async write(tab, workflow, nodes) {
    const about = { name: tab.name, file: tab.file, revision: tab.revision };
    const extra = { ...workflow.extra, nodeloom: { ...workflow.extra?.nodeloom, draft: about } };
    const rest = printExact({ nodes: [], ...workflow, extra });
    const text = rest.replace('"nodes":[]', () => `"nodes":[${nodes.join(",")}]`);
    await this.server.writeFile(this.#path(tab.key), text, { overwrite: true });
  }

  /** @param {string} key */
  async remove(key) {
    await this.server.deleteFile(this.#path(key)).catch(() => {}); // there may be none
  }

  /**
   * @param {Iterable<string>} here keys of tabs that this browser has itself
   * @returns {Promise<ServerDraft[]>} newest first
   */
  async list(here) {
    const known = new Set(here);
    const files = (await this.server.files(FOLDER))
      .map(({ path, modified }) => ({ key: path.replace(/^.*\//, "").replace(/\.json$/, ""), modified }))
      .filter(({ key }) => !known.has(key))
      .sort((one, other) => other.modified - one.modified);
    const read = await Promise.all(files.slice(0, LISTED).map((file) => this.#read(file)));
    return read.flatMap((draft) => draft ?? []);
  }

  /**
   * @param {{ key: string, modified: number }} file
   * @returns {Promise<ServerDraft | undefined>} nothing when it went, or is broken
   */
  async #read({ key, modified }) {
    try {
      const { text } = await this.server.readFile(this.#path(key));
      const workflow = parseJson(text);
      const { draft, ...own } = workflow.extra?.nodeloom ?? {};
      const { nodeloom: _, ...extra } = workflow.extra ?? {};
      workflow.extra = Object.keys(own).length ? { ...extra, nodeloom: own } : extra;
      return { key, modified, name: "Draft", ...draft, workflow };
    } catch {
      return undefined;
    }
  }
}
