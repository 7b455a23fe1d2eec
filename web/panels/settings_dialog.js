/** @import { Settings } from "../client/settings.js" */
/** @import { Command, Commands } from "../interaction/commands.js" */
/** @import { Editor } from "../interaction/editor.js" */
/** @import { Side } from "../core/first_nodes.js" */
/**
 * Settings, the list of keys where each can be changed, and the nodes offered first where a link is dropped.
 */
import { keyOf } from "../interaction/commands.js";
import { canFollow, FIRST_NODES, firstNode, socketTypes } from "../core/first_nodes.js";
import { ranked } from "../core/fuzzy.js";
import { dialog } from "./dialogs.js";
import { button, h, iconButton, refill } from "./dom.js";

const CHOICES = /** @type {{ key: string, title: string, text: string, values: [any, string][] }[]} */ ([
  {
    key: "theme",
    title: "Appearance",
    text: "",
    values: [
      ["system", "As the system"],
      ["dark", "Dark"],
      ["light", "Light"],
    ],
  },
  {
    key: "navigation",
    title: "Dragging on bare canvas",
    text: "The other one is on Ctrl; the wheel zooms or pans accordingly.",
    values: [
      ["drag pans", "Pans"],
      ["drag selects", "Selects"],
    ],
  },
  {
    key: "linkShape",
    title: "Links",
    text: "",
    values: [
      ["spline", "Curved"],
      ["linear", "Slanted"],
      ["straight", "Straight"],
      ["hidden", "Hidden"],
    ],
  },
  {
    key: "autosave",
    title: "Save by itself",
    text: "A workflow that has a file is saved three seconds after an edit. Drafts are always kept.",
    values: [
      [false, "Off"],
      [true, "On"],
    ],
  },
  {
    key: "snap",
    title: "Snap to grid",
    text: "Moved nodes land on a grid of 12.",
    values: [
      [false, "Off"],
      [true, "On"],
    ],
  },
]);

/** @param {Settings} settings @param {Commands} commands @param {Editor} editor */
export function showSettings(settings, commands, editor) {
  const rows = CHOICES.map(({ key, title, text, values }) => {
    const select = h(
      "select",
      {
        class: "control",
        "aria-label": title,
        on: { change: () => settings.set(key, values[select.selectedIndex][0]) },
      },
      values.map(([value, label]) => h("option", { selected: settings.get(key) === value }, label)),
    );
    return h("div", { class: "choice" }, h("div", {}, title, text && h("small", {}, text)), select);
  });
  const more = (/** @type {string} */ title, /** @type {string} */ text, /** @type {() => void} */ act) =>
    h(
      "div",
      { class: "choice" },
      h("div", {}, title, h("small", {}, text)),
      button(
        "Show",
        () => {
          element.close();
          act();
        },
        { "aria-label": `Show: ${title}` },
      ),
    );
  const element = dialog("Settings", [
    rows,
    more("Nodes for dropped links", "What is offered first where a link is dropped on bare canvas.", () =>
      showFirstNodes(settings, editor),
    ),
    more("Keyboard shortcuts", "Every command can have another key.", () => showKeys(commands, settings)),
  ]);
}

/** @param {Settings} settings @param {Editor} editor */
function showFirstNodes(settings, editor) {
  const specs = editor.library.all();
  const filter = h("input", {
    type: "search",
    class: "control",
    placeholder: "Filter types",
    "aria-label": "Filter types",
  });
  const list = h("div", { class: "first-nodes" });
  const draw = () =>
    refill(
      list,
      ranked(filter.value.trim(), socketTypes(specs), (type) => [[type, 1]]).map((type) =>
        h(
          "div",
          { class: "first-node" },
          h(
            "strong",
            {},
            h("span", { class: "picker-dot", style: { background: editor.theme.typeColor(type) } }),
            type,
          ),
          firstNodeChoice(settings, specs, "after", type),
          firstNodeChoice(settings, specs, "before", type),
        ),
      ),
    );
  filter.addEventListener("input", draw);
  draw();
  const element = dialog(
    "Nodes for dropped links",
    [
      filter,
      h(
        "div",
        { class: "first-node first-node-head", "aria-hidden": "true" },
        h("span", {}, "Type"),
        h("span", {}, "A link from an output leads to"),
        h("span", {}, "A link into an input comes from"),
      ),
      list,
    ],
    [
      {
        label: "Back to the defaults",
        act: () => {
          settings.set("firstNodes", {});
          draw();
          return false;
        },
      },
      { label: "Close", kind: "primary" },
    ],
    "wide",
  );
  return element;
}

/**
 * All nodes that fit are listed once the field is reached; until then it holds what is chosen.
 * @param {Settings} settings
 * @param {import("../types.js").Spec[]} specs
 * @param {Side} side
 * @param {string} type
 */
function firstNodeChoice(settings, specs, side, type) {
  const chosen = () => firstNode(settings.get("firstNodes"), side, type) ?? "";
  const option = (/** @type {string} */ value, /** @type {string} */ label) =>
    h("option", { value, selected: value === chosen() }, label);
  const titleOf = (/** @type {string} */ value) => specs.find((spec) => spec.type === value)?.title ?? value;
  const none = () => option("", "No node in particular");
  const select = h(
    "select",
    {
      class: "control",
      "aria-label": side === "after" ? `After an output of type ${type}` : `Before an input of type ${type}`,
    },
    none(),
    chosen() && option(chosen(), titleOf(chosen())),
  );
  let filled = false;
  const fill = () => {
    if (filled) return;
    filled = true;
    const fitting = specs
      .filter((spec) => canFollow(spec, side, type, side === "before"))
      .sort((a, b) => a.title.localeCompare(b.title));
    refill(
      select,
      none(),
      fitting.map((spec) => option(spec.type, spec.title)),
    );
  };
  for (const event of ["focus", "pointerdown"]) select.addEventListener(event, fill);
  select.addEventListener("change", () => {
    const key = `${side} ${type}`;
    const { [key]: _, ...others } = settings.get("firstNodes");
    settings.set(
      "firstNodes",
      select.value === (FIRST_NODES[key] ?? "") ? others : { ...others, [key]: select.value },
    );
  });
  return select;
}

/**
 * Every command with its keys: each can be changed and set back, and what two commands share is marked.
 * @param {Commands} commands
 * @param {Settings} settings
 */
export function showKeys(commands, settings) {
  const filter = h("input", {
    type: "search",
    class: "control",
    placeholder: "Filter commands or keys",
    "aria-label": "Filter commands or keys",
    on: { input: () => draw() },
  });
  const list = h("div", {});
  const bind = (/** @type {Record<string, string[]>} */ keys) => {
    settings.set("keys", keys);
    draw();
  };
  const draw = () =>
    refill(
      list,
      ranked(filter.value.trim(), [...commands.all.values()], (command) => [
        [command.title, 1],
        .../** @type {[string, number][]} */ ((command.keys ?? []).map((key) => [key, 0.9])),
      ]).map((command) => keyRow(command, commands, settings, bind, draw)),
    );
  draw();
  const all = () => {
    bind({});
    return false;
  };
  dialog(
    "Keyboard shortcuts",
    [filter, list],
    [
      { label: "Back to the defaults", act: all },
      { label: "Close", kind: "primary" },
    ],
  );
}

/**
 * @param {Command} command
 * @param {Commands} commands
 * @param {Settings} settings
 * @param {(keys: Record<string, string[]>) => void} bind
 * @param {() => void} draw
 */
function keyRow(command, commands, settings, bind, draw) {
  const { id, title, group, keys = [] } = command;
  const { [id]: own, ...others } = settings.get("keys");
  const place = button(keys.join("  ") || "–", () => listen(), { "data-command": id });
  place.setAttribute("aria-label", `Keys of ${title}: ${keys.join(", ") || "none"}. Press to change.`);
  const take = (/** @type {KeyboardEvent} */ event) => {
    event.preventDefault();
    event.stopPropagation();
    if (["Control", "Shift", "Alt", "Meta"].includes(event.key)) return;
    place.removeEventListener("blur", draw);
    if (event.key === "Escape") draw();
    else bind({ ...others, [id]: event.key === "Backspace" ? [] : [keyOf(event)] });
    /** @type {HTMLElement | null} */ (document.querySelector(`[data-command="${CSS.escape(id)}"]`))?.focus();
  };
  const listen = () => {
    place.textContent = "Press keys …";
    place.addEventListener("keydown", take);
    place.addEventListener("blur", draw);
  };
  return h(
    "div",
    { class: "choice key-row" },
    h(
      "div",
      {},
      title,
      group && h("small", {}, group),
      commands
        .conflicts(id)
        .map(({ key, other, wins }) =>
          h(
            "small",
            { class: "warn" },
            wins ? `${key} is taken from “${other.title}”` : `${key} runs “${other.title}” instead`,
          ),
        ),
    ),
    h(
      "div",
      { class: "key-buttons" },
      own &&
        iconButton(`Set back: ${title} (${commands.defaults(id).join(", ") || "no key"})`, "undo", () =>
          bind(others),
        ),
      place,
    ),
  );
}
