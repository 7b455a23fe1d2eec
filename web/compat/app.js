/** @import { Editor } from "../interaction/editor.js" */
/** @import { Documents } from "../client/documents.js" */
/** @import { Runs } from "../client/runs.js" */
/**
 * `window.app`, as ComfyUI's scripts and tools expect it: the seam where a façade for packs' scripts will
 * grow.
 */
import { rounded } from "../core/exact.js";
import { toPrompt } from "../core/prompt.js";
import { parseJson } from "../core/text.js";
import { writeWorkflow } from "../core/workflow.js";

/**
 * @param {Editor} editor
 * @param {Documents} documents
 * @param {Runs} runs
 * @param {(extension: import("../extensions.js").Extension) => Promise<void>} register
 */
export function createApp(editor, documents, runs, register) {
  return Object.freeze({
    /**
     * Opens a workflow (or an API prompt) in a new tab.
     * @param {any} json
     * @param {boolean} [_clean]
     * @param {boolean} [_view]
     * @param {string} [name]
     */
    async loadGraphData(json, _clean, _view, name = "Workflow") {
      const data = typeof json === "string" ? parseJson(json) : structuredClone(json);
      if (data === undefined || data === null) documents.openStarter();
      else await documents.openJson(data, typeof name === "string" ? name : "Workflow");
    },
    /** Opens a prompt in the API format. @param {any} json @param {string} [name] */
    async loadApiJson(json, name = "Prompt") {
      await documents.openJson(structuredClone(json), name);
    },
    /**
     * @returns {Promise<{ workflow: any, output: import("../types.js").ApiPrompt }>} what a run would send,
     *   but numbers beyond 2^53 rounded, as scripts know them
     */
    async graphToPrompt() {
      return rounded({ workflow: writeWorkflow(editor.workflow), output: toPrompt(editor.catalogue) });
    },
    /**
     * @param {number} [number] -1 runs before what waits
     * @param {number} [times]
     * @returns {Promise<boolean>}
     */
    async queuePrompt(number = 0, times = 1) {
      return runs.run({ front: number === -1, times });
    },
    /** @param {File} file */
    async handleFile(file) {
      return Boolean(await documents.openFile(file));
    },
    /** @param {import("../extensions.js").Extension} extension */
    async registerExtension(extension) {
      await register(extension);
    },
    get editor() {
      return editor;
    },
  });
}
