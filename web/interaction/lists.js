/** @import { Id, WidgetView } from "../types.js" */
/** @import { Editor } from "./editor.js" */
/** @import { Commands } from "./commands.js" */
/** @import { Fields } from "./fields.js" */
/** Everything one types into to choose: loaded when first asked for. */
import { fileOf, isPicture } from "../client/results.js";
import { ranked } from "../core/fuzzy.js";
import { firstRemote, RemoteChoices } from "../core/remote_choices.js";
import { CONTROLS } from "../core/values.js";
import { Picker } from "../panels/picker.js";
import { Palettes } from "./palettes.js";

/** @typedef {{ picker: Picker, palettes: Palettes, choices: Choices }} Lists */

/**
 * @param {HTMLElement} layer
 * @param {Editor} editor
 * @param {Commands} commands
 * @param {Fields} fields
 * @param {import("../client/server.js").Server} server
 * @returns {Lists}
 */
export function createLists(layer, editor, commands, fields, server) {
  const picker = new Picker(layer);
  return {
    picker,
    palettes: new Palettes(editor, commands, picker),
    choices: new Choices(picker, fields, new RemoteChoices((path) => server.json(path))),
  };
}

const WORDS = /** @type {Record<string, string>} */ ({
  fixed: "stays",
  increment: "one step up",
  decrement: "one step down",
  randomize: "a new random one",
  "increment-wrap": "one step up, then from the start",
});

const UPLOADS = ["image_upload", "video_upload", "audio_upload", "file_upload"];
const UPLOAD = Symbol("upload");
const AGAIN = Symbol("again");

const UPLOADED = "uploaded";

/** @param {WidgetView} widget */
function isUpload({ options }) {
  return UPLOADS.some((upload) => options[upload]);
}

/** @param {WidgetView} widget @param {any[]} choices */
function isMissing({ value }, choices) {
  return value !== undefined && value !== null && !choices.includes(value);
}

/** The values of one widget. */
class Choices {
  /** @param {Picker} picker @param {Fields} fields @param {RemoteChoices} remote */
  constructor(picker, fields, remote) {
    this.remote = remote;
    this.picker = picker;
    this.fields = fields;
  }

  /** @param {Id} id @param {WidgetView} widget */
  async edit(id, widget) {
    const { remote } = widget.options;
    if (isUpload(widget) && isMissing(widget, widget.choices ?? []))
      return this.show(
        id,
        widget,
        widget.choices ?? [],
        widget.value,
        undefined,
        await this.#whereItIs(widget),
      );
    if (!remote) return this.show(id, widget, widget.choices ?? []);
    try {
      const choices = await this.remote.list(remote);
      this.show(id, widget, choices, firstRemote(remote, choices, widget.value));
    } catch (error) {
      this.show(id, widget, widget.choices ?? [], undefined, String(/** @type {Error} */ (error).message));
    }
  }

  /**
   * @param {Id} id
   * @param {WidgetView} widget
   * @param {any[]} choices
   * @param {any} [current]
   * @param {string} [trouble] why there are none
   * @param {string} [missing] what is said of a value that is not among them
   */
  show(id, widget, choices, current = widget.value, trouble, missing = "not installed") {
    const chosen = new Set(Array.isArray(widget.value) ? widget.value : []);
    this.picker.open({
      title: widget.label,
      placeholder: `Filter ${choices.length} choices`,
      current,
      at: this.fields.pagePlace(id, widget.name),
      width: 320,
      empty:
        trouble ??
        (choices.length
          ? "No choice fits."
          : "There is nothing to choose from. Put a file into the folder of this kind and reload the " +
            "node list (R)."),
      items: (query) => [
        ...(!query && isUpload(widget) ? [{ label: "Upload from this computer …", value: UPLOAD }] : []),
        ...(isMissing(widget, choices) && !query && widget.value !== ""
          ? [
              {
                label: String(widget.value),
                detail: missing,
                value: widget.value,
                picture: missing === UPLOADED ? this.#thumbnail(widget, widget.value) : undefined,
              },
            ]
          : []),
        ...ranked(query, choices, (choice) => [[String(choice), 1]]).map((choice) => ({
          label: String(choice),
          value: choice,
          detail: chosen.has(choice) ? "chosen" : undefined,
          picture: this.#thumbnail(widget, choice),
        })),
      ],
      next: (step) => this.fields.next(id, widget.name, step),
      pick: (value) => {
        if (value === UPLOAD) return this.fields.upload(id, widget.name);
        if (!widget.options.multiselect && !widget.options.multi_select)
          return this.fields.set(id, widget.name, value);
        if (!chosen.delete(value)) chosen.add(value);
        return this.fields.set(id, widget.name, [...chosen]);
      },
    });
  }

  /**
   * A list names what lies in one folder when it was read; a mask, or a file sent later, lies elsewhere.
   * @param {WidgetView} widget
   * @returns {Promise<string>}
   */
  async #whereItIs({ value, options }) {
    const address = this.fields.editor.tab.results.url(fileOf(String(value), options.image_folder));
    const answer = await fetch(address, { method: "HEAD" }).catch(() => undefined);
    return answer?.ok ? UPLOADED : "no such file on the server";
  }

  /** @param {WidgetView} widget @param {any} choice @returns {string | undefined} */
  #thumbnail({ options }, choice) {
    if (!options.image_upload || !isPicture(choice)) return undefined;
    const whole = this.fields.editor.tab.results.url(fileOf(choice, options.image_folder));
    return `${whole}&size=64&preview=webp;80`;
  }

  /** @param {Id} id @param {WidgetView} widget */
  editControl(id, widget) {
    const used = this.fields.lastUsed(id, widget.name);
    const rules = widget.kind === "combo" ? [...CONTROLS, "increment-wrap"] : CONTROLS;
    this.picker.open({
      title: "What the next run does with this value",
      current: widget.control,
      at: this.fields.pagePlace(id, widget.name),
      width: 280,
      items: (query) => [
        ...ranked(query, rules, (rule) => [[rule, 1]]).map((rule) => ({
          label: rule,
          detail: WORDS[rule],
          value: rule,
        })),
        ...(used !== undefined && used !== widget.value && !query
          ? [{ label: `Use ${used} again`, detail: "of the last run", value: AGAIN }]
          : []),
      ],
      pick: (rule) =>
        rule === AGAIN
          ? this.fields.set(id, widget.name, used)
          : this.fields.set(id, `${widget.name}/control`, rule),
    });
  }
}
