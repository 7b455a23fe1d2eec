/** @import { Documents } from "./documents.js" */
/** @import { Server } from "./server.js" */
/** The example workflows that the server brings, found by the node types in them. */
import { parseJson } from "../core/text.js";

/** @typedef {{ name: string, title: string, types: string[] }} Example */

export class Examples {
  /** @type {Example[]} empty until it is loaded, and on a server without examples */ all = [];

  /** @param {Server} server @param {Documents} documents */
  constructor(server, documents) {
    this.server = server;
    this.documents = documents;
  }

  async load() {
    try {
      this.all = (await this.server.json("nodeloom/examples")).examples;
    } catch {
      /* the editor does without them */
    }
  }

  /** @param {string} type @returns {Example[]} those with such a node, the ones of few types first */
  using(type) {
    return this.all
      .filter(({ types }) => types.includes(type))
      .sort((a, b) => a.types.length - b.types.length);
  }

  /** In a tab of its own. @param {Example} example */
  async open({ name, title }) {
    const response = await this.server.fetch(`examples/${name}.json`);
    return this.documents.openJson(parseJson(await response.text()), title);
  }
}
