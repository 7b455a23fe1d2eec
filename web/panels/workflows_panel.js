/** @import { Documents } from "../client/documents.js" */
/** @import { Commands } from "../interaction/commands.js" */
/** Saved workflows on the server: open, delete, filter, favourites first. */
import { FOLDER, nameOf } from "../client/documents.js";
import { ranked } from "../core/fuzzy.js";
import { confirm } from "./dialogs.js";
import { h, iconButton, refill } from "./dom.js";

/**
 * @param {Documents} documents
 * @param {Commands} commands
 * @param {import("../client/settings.js").Settings} settings
 */
export function workflowsPanel(documents, commands, settings) {
  return (/** @type {HTMLElement} */ body, /** @type {HTMLElement} */ head) => {
    const filter = h("input", {
      type: "search",
      class: "control",
      placeholder: "Filter workflows",
      "aria-label": "Filter workflows",
    });
    const list = h("div", {});
    /** @type {{ path: string, modified: number }[]} */ let files = [];
    const starred = (/** @type {string} */ path) => settings.get("favourites").includes(path);
    const star = async (/** @type {string} */ path) => {
      const others = settings.get("favourites").filter((/** @type {string} */ one) => one !== path);
      await settings.set("favourites", starred(path) ? others : [...others, path]);
      draw();
    };
    const draw = () => {
      const found = ranked(filter.value.trim(), files, ({ path }) => [[nameOf(path), 1]]);
      const first = found.filter(({ path }) => starred(path));
      const rest = found.filter(({ path }) => !starred(path));
      refill(
        list,
        first.length > 0 && h("h3", { class: "side-title" }, "Favourites"),
        first.map(row),
        first.length > 0 && rest.length > 0 && h("h3", { class: "side-title" }, "All"),
        rest.map(row),
        !found.length && h("div", { class: "empty" }, "No workflow has such a name."),
      );
    };
    const load = async () => {
      try {
        files = (await documents.server.files(FOLDER))
          .filter(({ path }) => path.endsWith(".json"))
          .map((file) => ({ ...file, path: `${FOLDER}/${file.path.replace(/^workflows\//, "")}` }))
          .sort((a, b) => b.modified - a.modified);
        if (files.length) draw();
        else
          refill(
            list,
            h(
              "div",
              { class: "empty" },
              h("strong", {}, "No saved workflows yet"),
              `${commands.hint("save")} saves the open one here, on the server.`,
            ),
          );
      } catch (error) {
        refill(
          list,
          h(
            "div",
            { class: "empty" },
            h("strong", {}, "The workflows cannot be read"),
            String(/** @type {Error} */ (error).message),
          ),
        );
      }
    };
    const row = (/** @type {{ path: string, modified: number }} */ file) =>
      h(
        "div",
        { class: "row" },
        h(
          "button",
          { type: "button", class: "row-main", on: { click: () => commands.run("open-saved", file.path) } },
          h("strong", {}, nameOf(file.path)),
          h("span", {}, file.modified ? ago(file.modified) : ""),
        ),
        iconButton(
          starred(file.path)
            ? `No longer a favourite: ${nameOf(file.path)}`
            : `Make ${nameOf(file.path)} a favourite`,
          "star",
          () => star(file.path),
          { "aria-pressed": String(starred(file.path)) },
        ),
        iconButton(`Delete ${nameOf(file.path)}`, "trash", async () => {
          if (
            !(await confirm(
              "Delete this workflow?",
              `“${nameOf(file.path)}” is removed from the server.`,
              "Delete",
              "danger",
            ))
          )
            return;
          await documents.server.deleteFile(file.path);
          await load();
        }),
      );
    filter.addEventListener("input", draw);
    head.append(
      iconButton("Save the open workflow", "save", () => commands.run("save").then(load)),
      iconButton("Open a file from this computer", "open", () => commands.run("open")),
    );
    body.before(h("div", { class: "side-tools" }, filter));
    refill(body, list);
    load();
  };
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
