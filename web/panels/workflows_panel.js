/** @import { Documents } from "../client/documents.js" */
/** @import { ServerDraft, ServerDrafts } from "../client/server_drafts.js" */
/** @import { Settings } from "../client/settings.js" */
/** @import { Commands } from "../interaction/commands.js" */
/**
 * Saved workflows on the server, favourites first, and the drafts of other browsers: open, delete, filter.
 */
import { FOLDER, nameOf } from "../client/documents.js";
import { ranked } from "../core/fuzzy.js";
import { confirm } from "./dialogs.js";
import { h, iconButton, refill } from "./dom.js";

/** @typedef {{ path: string, modified: number }} Saved */

/**
 * @param {Documents} documents
 * @param {Commands} commands
 * @param {Settings} settings
 * @param {ServerDrafts} serverDrafts
 * @returns {(body: HTMLElement, head: HTMLElement) => () => void}
 */
export function workflowsPanel(documents, commands, settings, serverDrafts) {
  return (body, head) => new WorkflowsPanel(documents, commands, settings, serverDrafts).open(body, head);
}

class WorkflowsPanel {
  /** @type {Saved[]} */ files = [];
  /** @type {ServerDraft[]} */ drafts = [];
  /** @type {string | undefined} why the files cannot be listed */ trouble;
  list = h("div", {});
  filter = h("input", {
    type: "search",
    class: "control",
    placeholder: "Filter workflows",
    "aria-label": "Filter workflows",
    on: { input: () => this.draw() },
  });

  /**
   * @param {Documents} documents
   * @param {Commands} commands
   * @param {Settings} settings
   * @param {ServerDrafts} serverDrafts
   */
  constructor(documents, commands, settings, serverDrafts) {
    this.documents = documents;
    this.commands = commands;
    this.settings = settings;
    this.serverDrafts = serverDrafts;
  }

  /** @param {HTMLElement} body @param {HTMLElement} head @returns {() => void} */
  open(body, head) {
    head.append(
      iconButton("Save the open workflow", "save", () => this.commands.run("save")),
      iconButton("Open a file from this computer", "open", () => this.commands.run("open")),
    );
    body.before(h("div", { class: "side-tools" }, this.filter));
    refill(body, this.list);
    this.load();
    return this.documents.editor.on("files", () => this.load());
  }

  /** What lies on the server now. */
  async load() {
    try {
      const [files, drafts] = await Promise.all([
        this.documents.server.files(FOLDER),
        this.documents.drafts.keys().then((keys) => this.serverDrafts.list(keys)),
      ]);
      this.drafts = drafts;
      this.files = files
        .filter(({ path }) => path.endsWith(".json"))
        .map((file) => ({ ...file, path: `${FOLDER}/${file.path.replace(/^workflows\//, "")}` }))
        .sort((a, b) => b.modified - a.modified);
      this.trouble = undefined;
    } catch (error) {
      this.trouble = String(/** @type {Error} */ (error).message);
    }
    this.draw();
  }

  draw() {
    if (this.trouble) return refill(this.list, empty("The workflows cannot be read", this.trouble));
    const query = this.filter.value.trim();
    const found = ranked(query, this.files, ({ path }) => [[nameOf(path), 1]]);
    const drafts = ranked(query, this.drafts, ({ name }) => [[name, 1]]);
    const first = found.filter(({ path }) => this.#isStarred(path));
    const rest = found.filter(({ path }) => !this.#isStarred(path));
    const titled = drafts.length + first.length > 0;
    refill(
      this.list,
      section(
        "Unsaved in another browser",
        drafts.map((draft) => this.#draftRow(draft)),
      ),
      section(
        "Favourites",
        first.map((file) => this.#row(file)),
      ),
      section(
        titled ? "All" : "",
        rest.map((file) => this.#row(file)),
      ),
      !this.files.length &&
        empty(
          "No saved workflows yet",
          `${this.commands.hint("save")} saves the open one here, on the server.`,
        ),
      query && !found.length && !drafts.length && empty("", "No workflow has such a name."),
    );
  }

  /** @param {string} path */
  #isStarred(path) {
    return this.settings.get("favourites").includes(path);
  }

  /** @param {string} path */
  async #star(path) {
    const others = this.settings.get("favourites").filter((/** @type {string} */ one) => one !== path);
    await this.settings.set("favourites", this.#isStarred(path) ? others : [...others, path]);
    this.draw();
  }

  /** @param {Saved} file */
  #row({ path, modified }) {
    const name = nameOf(path);
    const starred = this.#isStarred(path);
    return row(
      name,
      modified,
      () => this.commands.run("open-saved", path),
      iconButton(
        starred ? `No longer a favourite: ${name}` : `Make ${name} a favourite`,
        "star",
        () => this.#star(path),
        { "aria-pressed": String(starred) },
      ),
      this.#deleting(name, "Delete this workflow?", () => this.documents.server.deleteFile(path)),
    );
  }

  /** @param {ServerDraft} draft */
  #draftRow(draft) {
    return row(
      draft.name,
      draft.modified,
      () => this.commands.guarded(() => this.documents.takeDraft(draft)),
      this.#deleting(draft.name, "Delete this draft?", () => this.serverDrafts.remove(draft.key)),
    );
  }

  /** @param {string} name @param {string} question @param {() => Promise<any>} act */
  #deleting(name, question, act) {
    return iconButton(`Delete ${name}`, "trash", async () => {
      if (!(await confirm(question, `“${name}” is removed from the server.`, "Delete", "danger"))) return;
      await act();
      await this.load();
    });
  }
}

/** @param {string} name @param {number} modified @param {() => any} open @param {HTMLElement[]} buttons */
function row(name, modified, open, ...buttons) {
  return h(
    "div",
    { class: "row" },
    h(
      "button",
      { type: "button", class: "row-main", on: { click: open } },
      h("strong", {}, name),
      h("span", {}, modified ? ago(modified) : ""),
    ),
    buttons,
  );
}

/** @param {string} title @param {HTMLElement[]} rows */
function section(title, rows) {
  return rows.length > 0 && [title && h("h3", { class: "side-title" }, title), rows];
}

/** @param {string} title @param {string} text */
function empty(title, text) {
  return h("div", { class: "empty" }, title && h("strong", {}, title), text);
}

/** @param {number} when seconds or milliseconds since 1970 */
function ago(when) {
  const seconds = Math.max(0, (Date.now() - (when > 1e12 ? when : when * 1000)) / 1000);
  const [count, unit] =
    seconds < 90
      ? [0, "minute"]
      : seconds < 5400
        ? [seconds / 60, "minute"]
        : seconds < 129600
          ? [seconds / 3600, "hour"]
          : [seconds / 86400, "day"];
  return count
    ? new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(
        -Math.round(count),
        /** @type {Intl.RelativeTimeFormatUnit} */ (unit),
      )
    : "just now";
}
