/** @import { Settings } from "../client/settings.js" */
/** @import { Commands } from "../interaction/commands.js" */
/** Settings, and the list of keys where each can be changed. */
import { keyOf } from "../interaction/commands.js";
import { ranked } from "../core/fuzzy.js";
import { dialog } from "./dialogs.js";
import { button, h, refill } from "./dom.js";

const CHOICES = /** @type {{ key: string, title: string, text: string, values: [any, string][] }[]} */ ([
  { key: "theme", title: "Appearance", text: "", values: [["system", "As the system"], ["dark", "Dark"], ["light", "Light"]] },
  { key: "navigation", title: "Dragging on bare canvas", text: "The other one is on Ctrl; the wheel zooms or pans accordingly.", values: [["drag pans", "Pans"], ["drag selects", "Selects"]] },
  { key: "linkShape", title: "Links", text: "", values: [["spline", "Curved"], ["linear", "Slanted"], ["straight", "Straight"], ["hidden", "Hidden"]] },
  { key: "autosave", title: "Save by itself", text: "A workflow that has a file is saved three seconds after an edit. Drafts are always kept.", values: [[false, "Off"], [true, "On"]] },
  { key: "snap", title: "Snap to grid", text: "Moved nodes land on a grid of 12.", values: [[false, "Off"], [true, "On"]] },
]);

/** @param {Settings} settings @param {Commands} commands */
export function showSettings(settings, commands) {
  const rows = CHOICES.map(({ key, title, text, values }) => {
    const select = h("select", { class: "control", "aria-label": title, on: { change: () => settings.set(key, values[select.selectedIndex][0]) } }, values.map(([value, label]) => h("option", { selected: settings.get(key) === value }, label)));
    return h("div", { class: "choice" }, h("div", {}, title, text && h("small", {}, text)), select);
  });
  const element = dialog("Settings", [rows, h("div", { class: "choice" }, h("div", {}, "Keyboard shortcuts", h("small", {}, "Every command can have another key.")), button("Show", () => { element.close(); showKeys(commands, settings); }))]);
}

/** @param {Commands} commands @param {Settings} [settings] needed to change keys */
export function showKeys(commands, settings = /** @type {any} */ (window).nodeloom?.settings) {
  const filter = h("input", { type: "search", class: "control", placeholder: "Filter commands", "aria-label": "Filter commands" });
  const list = h("div", {});
  const change = (/** @type {import("../interaction/commands.js").Command} */ command, /** @type {HTMLButtonElement} */ place) => {
    place.textContent = "Press keys …";
    place.addEventListener("keydown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (["Control", "Shift", "Alt", "Meta"].includes(event.key)) return;
      if (event.key !== "Escape") settings.set("keys", { ...settings.get("keys"), [command.id]: event.key === "Backspace" ? [] : [keyOf(event)] });
      draw();
    });
  };
  const draw = () => refill(list, ranked(filter.value.trim(), [...commands.all.values()], (command) => [[command.title, 1]]).map((command) => {
    const place = button((command.keys ?? []).join("  ") || "–", () => change(command, place));
    place.setAttribute("aria-label", `Keys of ${command.title}: ${(command.keys ?? []).join(", ") || "none"}. Press to change.`);
    return h("div", { class: "choice" }, h("div", {}, command.title, command.group && h("small", {}, command.group)), place);
  }));
  filter.addEventListener("input", draw);
  draw();
  dialog("Keyboard shortcuts", [filter, list]);
}
