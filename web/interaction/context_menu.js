/** @import { Point } from "../types.js" */
/** @import { Hit } from "./hit.js" */
/** What a right-click or a long press offers. */
import { addReroute, connect, disconnect, remove } from "../core/edits.js";
import { movePort, removePort, renamePort } from "../core/ports.js";
import { defaultValue } from "../core/specs.js";
import { INPUT_PORTS, OUTPUT_PORTS } from "../core/types.js";
import { copyText } from "../panels/dom.js";
import { titleOf, typeLabel } from "../view/node_painter.js";
import { COLORS } from "./builtin_commands.js";
import { isGround, nodeOf } from "./hit.js";

const LONGEST = 24; // letters of a value that a menu shows

/**
 * @param {Hit} found
 * @param {Point} at
 * @param {{ editor: import("./editor.js").Editor, commands: import("./commands.js").Commands, palettes:
 *   import("./palettes.js").Palettes, fields: import("./fields.js").Fields, extensions:
 *   import("../extensions.js").Extensions | undefined, ask: import("./app_commands.js").Dialogues["ask"],
 *   view: (files: any[], index: number) => void, paint: (file: any) => void }} parts
 * @returns {import("../panels/menu.js").Entry[]}
 */
export function contextMenu(found, at, parts) {
  if (found.kind === "link") return linkMenu(found, at, parts);
  if (found.kind === "group")
    return [
      ...groupMenu(found.id, parts),
      .../** @type {import("../panels/menu.js").Entry[]} */ (
        isGround(found) ? ["line", ...hereMenu(at, parts)] : []
      ),
    ];
  if (found.kind === "reroute")
    return [
      {
        label: "Delete this bend",
        danger: true,
        act: () => parts.editor.do(remove(parts.editor.where, [], [], [found.id])),
      },
    ];
  const node = nodeOf(found);
  const side = node === INPUT_PORTS ? "inputs" : node === OUTPUT_PORTS ? "outputs" : undefined;
  if (side && (found.kind === "input" || found.kind === "output")) return portMenu(side, found.index, parts);
  if (node === undefined || !parts.editor.scene.scope.nodes.has(node)) return canvasMenu(at, parts);
  return found.kind === "widget"
    ? [...valueMenu(found, parts), ...shortMenu(node, parts)]
    : nodeMenu(node, parts);
}

/** @param {any} parts @returns {(id: string, label?: string) => any} */
function entries({ commands }) {
  return (id, label = commands.all.get(id)?.title) => ({
    label,
    hint: commands.hint(id),
    disabled: commands.all.get(id)?.when?.() === false,
    act: () => commands.run(id),
  });
}

/**
 * What can be put where the pointer is.
 * @param {Point} at
 * @param {any} parts
 * @returns {import("../panels/menu.js").Entry[]}
 */
function hereMenu(at, { palettes, commands }) {
  const pasted = async () => {
    const text = await navigator.clipboard.readText();
    return commands.run("paste-text", { text, links: false, at });
  };
  return [
    { label: "Add a node …", hint: commands.hint("palette"), act: () => palettes.addNode(at) },
    { label: "Paste", hint: "Ctrl+V", disabled: !navigator.clipboard, act: pasted },
  ];
}

/** @param {Point} at @param {any} parts @returns {import("../panels/menu.js").Entry[]} */
function canvasMenu(at, parts) {
  const entry = entries(parts);
  return [
    ...hereMenu(at, parts),
    { ...entry("group", "Add a group"), act: () => parts.commands.run("group", at) },
    "line",
    entry("select-all"),
    entry("arrange"),
    "line",
    entry("undo"),
    entry("redo"),
    entry("fit"),
    entry("find"),
    entry("heat"),
  ];
}

/**
 * @param {import("./hit.js").LinkHit} found
 * @param {Point} at
 * @param {any} parts
 * @returns {import("../panels/menu.js").Entry[]}
 */
function linkMenu({ link }, at, { editor, palettes }) {
  return [
    { label: "Insert a node here …", act: () => palettes.insertInto(link, at) },
    {
      label: "Add a bend here",
      hint: "Alt+click",
      act: () => editor.do(addReroute(editor.where, link, editor.snapped(at))),
    },
    {
      label: "Go to where it comes from",
      act: () => editor.reveal(link.origin_id),
      disabled: !editor.scene.scope.nodes.has(link.origin_id),
    },
    {
      label: "Go to where it leads",
      act: () => editor.reveal(link.target_id),
      disabled: !editor.scene.scope.nodes.has(link.target_id),
    },
    "line",
    { label: "Delete this link", danger: true, act: () => editor.do(disconnect(editor.where, [link])) },
  ];
}

/**
 * Which of the sockets that fit are to be joined, best first.
 * @param {import("../core/edits.js").Pair[]} pairs
 * @param {import("./editor.js").Editor} editor
 * @returns {import("../panels/menu.js").Entry[]}
 */
export function pairMenu(pairs, editor) {
  return [
    { heading: true, label: `${nameOf(editor, pairs[0].from)} → ${nameOf(editor, pairs[0].to)}` },
    ...pairs.map(({ from, to, output, input }) => ({
      label: `${output.label} → ${input.label}`,
      color: editor.theme.typeColor(output.type),
      detail: [typeLabel(output.type), input.link != null && "replaces a link"].filter(Boolean).join(" · "),
      act: () => editor.do(connect(editor.where, from, output.index, to, input.name)),
    })),
  ];
}

/** @param {import("./editor.js").Editor} editor @param {import("../types.js").Id} id */
function nameOf(editor, id) {
  return titleOf(editor.scene.node(id), editor.scene.view(id));
}

/**
 * @param {"inputs" | "outputs"} side
 * @param {number} index
 * @param {any} parts
 * @returns {import("../panels/menu.js").Entry[]}
 */
function portMenu(side, index, { editor, ask }) {
  const ports = editor.workflow.definitions.get(editor.scopeId)?.[side] ?? [];
  const port = ports[index];
  if (!port) return [{ label: "Drag a link here to add one", disabled: true }];
  const rename = async () => {
    const name = await ask("Rename", "Name", port.name, "Rename");
    if (name) editor.do(renamePort(editor.where, side, index, name));
  };
  return [
    { label: "Rename", act: rename },
    {
      label: "Move up",
      disabled: index === 0,
      act: () => editor.do(movePort(editor.where, side, index, -1)),
    },
    {
      label: "Move down",
      disabled: index === ports.length - 1,
      act: () => editor.do(movePort(editor.where, side, index, 1)),
    },
    "line",
    { label: "Remove", danger: true, act: () => editor.do(removePort(editor.where, side, index)) },
  ];
}

/** @param {any} parts @returns {import("../panels/menu.js").Entry} */
function swatches({ commands }) {
  return {
    label: "Colour",
    swatches: Object.entries(COLORS).map(([name, pair]) => ({
      name,
      color: pair?.[0],
      act: () => commands.all.get("color").run(name),
    })),
  };
}

/** @param {import("../types.js").Id} id @param {any} parts @returns {import("../panels/menu.js").Entry[]} */
function groupMenu(id, parts) {
  const entry = entries(parts);
  const { editor, commands } = parts;
  const alone = editor.selectedGroups.size === 1 && !editor.selected.size;
  const inside = (/** @type {string} */ command) => () => {
    editor.select(editor.nodesInGroup(id), [id]);
    commands.run(command);
  };
  return [
    { label: "Rename", act: () => parts.fields.renameGroup(id) },
    swatches(parts),
    entry("fit-group", "Fit to its contents"),
    "line",
    { label: "Select its nodes", act: () => editor.select(editor.nodesInGroup(id)) },
    { label: "Mute its nodes", act: inside("mute") },
    { label: "Bypass its nodes", act: inside("bypass") },
    { label: "Run to its nodes", act: inside("run-selected") },
    "line",
    { ...entry("delete", alone ? "Delete the group" : "Delete the selection"), danger: true },
  ];
}

/**
 * What can be done with one value.
 * @param {import("./hit.js").WidgetHit} found
 * @param {any} parts
 * @returns {import("../panels/menu.js").Entry[]}
 */
function valueMenu({ id, name }, { fields }) {
  const widget = fields.widget(id, name);
  if (!widget) return [];
  const first = widget.spec && defaultValue(widget.spec);
  const used = fields.lastUsed(id, name);
  const set = (/** @type {any} */ value) => () => fields.set(id, name, value);
  return [
    { heading: true, label: widget.label },
    { label: widget.kind === "boolean" ? "Switch" : "Edit", act: () => fields.edit(id, name) },
    { label: "Copy the value", act: () => copyText(String(widget.value ?? "")) },
    { label: "Back to the default", detail: brief(first), disabled: first === undefined, act: set(first) },
    ...(used === undefined || used === widget.value
      ? []
      : [{ label: "Use that of the last run", detail: brief(used), act: set(used) }]),
    "line",
  ];
}

/** @param {any} value */
function brief(value) {
  const text = String(value ?? "");
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/**
 * What is most wanted of a node, below the menu of one of its values.
 * @param {import("../types.js").Id} id
 * @param {any} parts
 * @returns {import("../panels/menu.js").Entry[]}
 */
function shortMenu(id, parts) {
  const entry = entries(parts);
  const { mode } = parts.editor.scene.node(id);
  return [
    entry("run-selected", "Run to here"),
    { label: "Rename", hint: "F2", act: () => parts.fields.rename(id) },
    entry("help"),
    "line",
    entry("bypass", mode === 4 ? "Stop bypassing" : "Bypass"),
    entry("mute", mode === 2 ? "Unmute" : "Mute"),
    "line",
    entry("copy"),
    entry("duplicate"),
    { ...entry("delete"), danger: true },
  ];
}

/** @param {import("../types.js").Id} id @param {any} parts @returns {import("../panels/menu.js").Entry[]} */
function nodeMenu(id, parts) {
  const entry = entries(parts);
  const { editor, palettes, fields, view, paint, extensions } = parts;
  const node = editor.scene.node(id);
  const runId = editor.runId(id);
  const files = editor.tab.results.files(runId, node);
  const error = editor.tab.results.error(runId);
  const several = editor.selected.size > 1;
  return [
    ...(error
      ? [
          {
            label: "What went wrong?",
            act: () => editor.host.dispatchEvent(new CustomEvent("explain-error", { detail: runId })),
          },
          "line",
        ]
      : []),
    ...(files.length
      ? [
          { label: "View the picture", act: () => view(files, 0) },
          { label: "Paint a mask …", act: () => paint(files[0]) },
          "line",
        ]
      : []),
    ...(editor.catalogue.isInstance(node)
      ? [
          { label: "Open the subgraph", act: () => editor.enter([...editor.tab.path, id]) },
          entry("unpack"),
          "line",
        ]
      : []),
    ...(!several && editor.catalogue.isGroup(node) ? [entry("open-group", "Open the group"), "line"] : []),
    entry("run-selected", "Run to here"),
    { label: "Rename", hint: "F2", act: () => fields.rename(id) },
    { label: "Connect to …", hint: "C", act: () => palettes.connectFrom(id) },
    {
      label: "Add a node after this …",
      hint: parts.commands.hint("palette"),
      act: () => palettes.addAfter(id),
    },
    entry("swap", "Replace with …"),
    entry("help"),
    ...(parts.commands.all.get("example")?.when?.() ? [entry("example")] : []),
    "line",
    entry("bypass", node.mode === 4 ? "Stop bypassing" : "Bypass"),
    entry("mute", node.mode === 2 ? "Unmute" : "Mute"),
    entry("collapse", node.flags?.collapsed ? "Expand" : "Collapse"),
    entry("pin", node.flags?.pinned ? "Unpin" : "Pin"),
    swatches(parts),
    "line",
    entry("copy"),
    entry("duplicate"),
    entry("group"),
    entry("subgraph", "Make a subgraph"),
    ...(several
      ? ["line", entry("align-left"), entry("align-top"), entry("align-row"), entry("align-column")]
      : []),
    ...(extensions?.nodeMenu(editor.selectedNodes) ?? []),
    "line",
    entry("upstream"),
    entry("downstream"),
    entry("delete-heal"),
    { ...entry("delete"), danger: true },
  ];
}
