/** @import { Id, Point } from "../types.js" */
/** @import { Commands } from "./commands.js" */
/** @import { Editor } from "./editor.js" */
/** The commands that change the graph or the view. */
import { copy, parseClip, paste } from "../core/clipboard.js";
import {
  addGroup,
  align,
  flagged,
  move,
  pullOut,
  remove,
  setFields,
  setGroup,
  toggleCollapsed,
  toggleMode,
} from "../core/edits.js";
import { printExact } from "../core/exact.js";
import { point } from "../core/layout.js";
import { grow, union } from "../core/spatial.js";
import { MODE } from "../core/types.js";
import { copyText } from "../panels/dom.js";

export const COLORS = Object.freeze({
  none: undefined,
  red: ["#5a2a2e", "#432226"],
  orange: ["#5c3d22", "#46301d"],
  yellow: ["#56501f", "#413d1b"],
  green: ["#26492e", "#1f3826"],
  teal: ["#1f4a4c", "#1b393a"],
  blue: ["#25406a", "#1f3250"],
  violet: ["#443066", "#35274e"],
  gray: ["#45474e", "#36383e"],
});

/**
 * @param {Commands} commands
 * @param {Editor} editor
 * @param {() => Point} pointer where the pointer is, in the graph
 */
export function addEditing(commands, editor, pointer) {
  const some = () => editor.selected.size + editor.selectedGroups.size + editor.selectedReroutes.size > 0;
  const nodes = () => editor.selected.size > 0;
  const add = (
    /** @type {string} */ id,
    /** @type {string} */ title,
    /** @type {string[]} */ keys,
    /** @type {(argument?: any) => any} */ run,
    /** @type {() => boolean} */ when = () => true,
  ) => commands.add({ id, title, group: "Edit", keys, run, when });
  add("undo", "Undo", ["Ctrl+Z"], () => editor.tab.history.undo());
  add("redo", "Redo", ["Ctrl+Y", "Ctrl+Shift+Z"], () => editor.tab.history.redo());
  add(
    "delete",
    "Delete",
    ["Delete", "Backspace"],
    () =>
      editor.do(
        remove(
          editor.where,
          [...editor.selected],
          [...editor.selectedGroups],
          [...editor.selectedReroutes].map(Number),
        ),
      ),
    some,
  );
  add(
    "delete-heal",
    "Delete and join links",
    ["Ctrl+Delete", "Ctrl+Backspace", "X"],
    () => editor.do(remove(editor.where, [...editor.selected], [], [], true)),
    nodes,
  );
  add(
    "pull-out",
    "Pull out of the chain",
    ["Alt+X"],
    () => {
      for (const id of editor.selected) editor.do(pullOut(editor.where, id, shifted(editor, id, 0, 0)));
    },
    nodes,
  );
  add("select-all", "Select all", ["Ctrl+A"], () =>
    editor.select(
      editor.scene.scope.nodes.keys(),
      editor.scene.scope.groups.keys(),
      editor.scene.scope.reroutes.keys(),
    ),
  );
  add("copy", "Copy", ["Ctrl+C"], () => copyOut(editor), some);
  add(
    "cut",
    "Cut",
    ["Ctrl+X"],
    async () => {
      await copyOut(editor);
      editor.do(remove(editor.where, [...editor.selected], [...editor.selectedGroups]));
    },
    some,
  );
  add("duplicate", "Duplicate", ["Ctrl+D"], () => duplicate(editor), nodes);
  add(
    "mute",
    "Mute or unmute",
    ["Ctrl+M"],
    () => editor.do(toggleMode(editor.where, [...editor.selected], MODE.never)),
    nodes,
  );
  add(
    "bypass",
    "Bypass or not",
    ["Ctrl+B"],
    () => editor.do(toggleMode(editor.where, [...editor.selected], MODE.bypass)),
    nodes,
  );
  add(
    "collapse",
    "Collapse or expand",
    ["Alt+C"],
    () => editor.do(toggleCollapsed(editor.where, [...editor.selected])),
    nodes,
  );
  add(
    "pin",
    "Pin or unpin",
    ["P"],
    () => {
      const all = editor.selectedNodes.every((node) => node.flags?.pinned);
      editor.do(
        setFields(
          editor.where,
          editor.selected,
          (node) => ({ flags: flagged(node, "pinned", !all) }),
          all ? "Unpin" : "Pin",
        ),
      );
    },
    nodes,
  );
  add(
    "color",
    "Colour …",
    [],
    (/** @type {keyof typeof COLORS} */ name) => {
      const pair = COLORS[name];
      editor.do(setFields(editor.where, editor.selected, { color: pair?.[0], bgcolor: pair?.[1] }, "Colour"));
      for (const id of editor.selectedGroups)
        editor.do(setGroup(editor.where, id, { color: pair?.[0] ?? "#3f789e" }, "Colour"));
    },
    () => false,
  );
  add("group", "Group the selection", ["Ctrl+G"], (/** @type {Point | undefined} */ at) => group(editor, at));
  add(
    "fit-group",
    "Fit the group to its contents",
    [],
    () => fitGroups(editor),
    () => editor.selectedGroups.size > 0,
  );
  add(
    "subgraph",
    "Make a subgraph of the selection",
    ["Ctrl+Shift+E"],
    async () => {
      const { makeSubgraph } = await import("../core/subgraphs.js");
      const { ids, groups } = wholeSelection(editor);
      const made = makeSubgraph(editor.where, ids, undefined, groups);
      editor.do(made);
      editor.select([made.id]);
    },
    () => wholeSelection(editor).ids.length > 0,
  );
  add(
    "unpack",
    "Unpack the subgraph",
    [],
    async () => {
      const { unpackSubgraph } = await import("../core/subgraphs.js");
      for (const node of editor.selectedNodes.filter((one) => editor.catalogue.isInstance(one))) {
        const made = unpackSubgraph(editor.where, node.id, editor.scene.measure);
        editor.do(made);
        editor.select(made.ids);
      }
    },
    () => editor.selectedNodes.some((node) => editor.catalogue.isInstance(node)),
  );
  add(
    "enter",
    "Open the subgraph",
    [],
    () => editor.enter([...editor.tab.path, [...editor.selected][0]]),
    () => editor.selected.size === 1 && editor.catalogue.isInstance(editor.selectedNodes[0]),
  );
  add(
    "open-group",
    "Open the group node, as a subgraph",
    [],
    async () => {
      const { groupToSubgraph } = await import("../core/group_conversion.js");
      const [id] = editor.selected;
      editor.do(groupToSubgraph(editor.where, id));
      editor.enter([...editor.tab.path, id]);
      editor.host.dispatchEvent(new CustomEvent("group-opened"));
    },
    () => editor.selected.size === 1 && editor.catalogue.isGroup(editor.selectedNodes[0]),
  );
  for (const how of /** @type {const} */ (["left", "right", "top", "bottom", "row", "column"])) {
    add(
      `align-${how}`,
      how === "row" || how === "column" ? `Arrange in a ${how}` : `Align ${how}`,
      [],
      () => editor.do(align(editor.where, [...editor.selected], how, (id) => editor.scene.box(id))),
      () => editor.selected.size > 1,
    );
  }
  add("arrange", "Tidy up", ["L"], () => tidy(editor));
  add(
    "paste-text",
    "Paste",
    [],
    (/** @type {{ text: string, links: boolean, at?: Point }} */ { text, links, at }) => {
      const clip = parseClip(text);
      if (!clip) return false;
      const made = paste(editor.where, clip, at ?? pointer(), links);
      editor.do(made);
      editor.select(made.ids);
      return true;
    },
    () => true,
  );
  for (const [key, dx, dy] of /** @type {[string, number, number][]} */ ([
    ["Left", -1, 0],
    ["Right", 1, 0],
    ["Up", 0, -1],
    ["Down", 0, 1],
  ])) {
    add(
      `nudge-${key.toLowerCase()}`,
      `Move ${key.toLowerCase()}`,
      [`Shift+${key}`, `Ctrl+${key}`],
      () => nudge(editor, dx * 10, dy * 10),
      nodes,
    );
  }
  add("upstream", "Select what feeds this", ["Alt+Left"], () => editor.select(reach(editor, "up")), nodes);
  add(
    "downstream",
    "Select what this feeds",
    ["Alt+Right"],
    () => editor.select(reach(editor, "down")),
    nodes,
  );
  addViewing(commands, editor);
}

/** @param {Commands} commands @param {Editor} editor */
function addViewing(commands, editor) {
  const add = (
    /** @type {string} */ id,
    /** @type {string} */ title,
    /** @type {string[]} */ keys,
    /** @type {() => any} */ run,
  ) => commands.add({ id, title, group: "View", keys, run });
  add("fit", "Fit everything, or the selection", ["F", "."], () =>
    editor.fit(editor.selected.size ? editor.selected : undefined),
  );
  add("zoom-in", "Zoom in", ["Alt+=", "+"], () => zoom(editor, 1.25));
  add("zoom-out", "Zoom out", ["Alt+-", "-"], () => zoom(editor, 0.8));
  add("zoom-1", "Actual size", ["1"], () => zoom(editor, 1 / editor.camera.scale));
  add("snap", "Snap to grid", [], () => {
    editor.snap = !editor.snap;
  });
  add("heat", "Colour titles by time", ["H"], () => {
    editor.heat = !editor.heat;
    editor.renderer.redraw();
  });
  add("link-shape", "Change the shape of links", [], () => {
    const shapes = ["spline", "linear", "straight", "hidden"];
    editor.scene.linkShape = shapes[(shapes.indexOf(editor.scene.linkShape) + 1) % shapes.length];
    editor.refreshAll();
  });
  for (const [key, across, down] of /** @type {[string, number, number][]} */ ([
    ["Left", -1, 0],
    ["Right", 1, 0],
    ["Up", 0, -1],
    ["Down", 0, 1],
  ])) {
    add(`walk-${key.toLowerCase()}`, `Go ${key.toLowerCase()}`, [key], () => walk(editor, across, down));
  }
}

/** @param {Editor} editor @param {number} factor */
function zoom(editor, factor) {
  editor.camera.zoomTo(editor.camera.scale * factor, [editor.renderer.width / 2, editor.renderer.height / 2]);
  editor.moved();
}

/** @param {Editor} editor @param {Id} id @param {number} dx @param {number} dy @returns {Point} */
function shifted(editor, id, dx, dy) {
  const [x, y] = point(editor.scene.node(id).pos);
  return [x + dx, y + dy];
}

/** @param {Editor} editor @param {number} dx @param {number} dy */
function nudge(editor, dx, dy) {
  const places = new Map([...editor.selected].map((id) => [id, shifted(editor, id, dx, dy)]));
  editor.do({ ...move(editor.where, places), merge: `nudge ${[...editor.selected].join()}` });
}

/** @param {Editor} editor */
async function copyOut(editor) {
  await copyText(printExact(copy(editor.where, editor.selected, editor.selectedGroups)));
}

/** @param {Editor} editor */
function duplicate(editor) {
  const corners = [...editor.selected].map((id) => shifted(editor, id, 30, 30));
  const made = paste(
    editor.where,
    copy(editor.where, editor.selected),
    [Math.min(...corners.map(([x]) => x)), Math.min(...corners.map(([, y]) => y))],
    true,
  );
  editor.do(made);
  editor.select(made.ids);
}

/**
 * What is selected, with the nodes in selected groups and the groups of which every node is selected.
 * @param {Editor} editor
 */
function wholeSelection(editor) {
  const ids = new Set([
    ...editor.selected,
    ...[...editor.selectedGroups].flatMap((id) => editor.nodesInGroup(id)),
  ]);
  const groups = [...editor.scene.scope.groups.keys()].filter((id) => {
    const inside = editor.nodesInGroup(id);
    return editor.selectedGroups.has(id) || (inside.length > 0 && inside.every((node) => ids.has(node)));
  });
  return { ids: [...ids], groups };
}

/** @param {Editor} editor @param {Point} [at] the middle of a group around nothing */
function group(editor, [x, y] = editor.middle) {
  const around = union([...editor.selected].map((id) => editor.scene.box(id)));
  const box = around
    ? grow(around, 20)
    : /** @type {import("../types.js").Box} */ ([x - 200, y - 120, 400, 240]);
  const made = addGroup(editor.where, [
    Math.round(box[0]),
    Math.round(box[1] - 36),
    Math.round(box[2]),
    Math.round(box[3] + 36),
  ]);
  editor.do(made);
  editor.select([], [made.id]);
}

/** @param {Editor} editor */
function fitGroups(editor) {
  for (const id of editor.selectedGroups) {
    const around = union(editor.nodesInGroup(id).map((node) => editor.scene.box(node)));
    if (around)
      editor.do(
        setGroup(
          editor.where,
          id,
          { bounding: [around[0] - 20, around[1] - 56, around[2] + 40, around[3] + 76] },
          "Fit group",
        ),
      );
  }
}

/** @param {Editor} editor */
async function tidy(editor) {
  const { arrange } = await import("../core/prompt_import.js");
  const ids = editor.selected.size > 1 ? [...editor.selected] : [...editor.scene.scope.nodes.keys()];
  const around = union(ids.map((id) => editor.scene.box(id)));
  if (!around) return;
  editor.do({
    label: "Tidy up",
    puts: arrange(editor.catalogue, editor.scopeId, ids, editor.scene.measure, [around[0], around[1] + 30]),
  });
  if (editor.selected.size < 2) editor.fit();
}

/** @param {Editor} editor @param {"up" | "down"} way @returns {Set<Id>} */
function reach(editor, way) {
  const found = new Set(editor.selected);
  for (const id of found) {
    const links = way === "up" ? editor.scene.scope.linksTo(id) : editor.scene.scope.linksFrom(id);
    for (const link of links)
      if (editor.scene.scope.nodes.has(way === "up" ? link.origin_id : link.target_id))
        found.add(way === "up" ? link.origin_id : link.target_id);
  }
  return found;
}

/**
 * Selects the next node that way: along a link first, else the nearest.
 * @param {Editor} editor
 * @param {number} across
 * @param {number} down
 */
function walk(editor, across, down) {
  const { scope } = editor.scene;
  const from = [...editor.selected].at(-1) ?? editor.focus;
  if (from === undefined || !scope.nodes.has(from)) {
    const [first] = scope.nodes.keys();
    if (first !== undefined) editor.reveal(first);
    return;
  }
  const linked =
    across < 0
      ? scope.linksTo(from).map((link) => link.origin_id)
      : across > 0
        ? scope.linksFrom(from).map((link) => link.target_id)
        : [];
  const next = linked.find((id) => scope.nodes.has(id)) ?? nearest(editor, from, across, down);
  if (next !== undefined) editor.reveal(next);
}

/**
 * @param {Editor} editor
 * @param {Id} from
 * @param {number} across
 * @param {number} down
 * @returns {Id | undefined}
 */
function nearest(editor, from, across, down) {
  const [x, y, w, h] = editor.scene.box(from);
  /** @type {{ id: Id, far: number } | undefined} */ let best;
  for (const id of editor.scene.nodes.query([x - 3000, y - 3000, 6000, 6000])) {
    const [bx, by, bw, bh] = editor.scene.box(id);
    const [dx, dy] = [bx + bw / 2 - x - w / 2, by + bh / 2 - y - h / 2];
    const along = dx * across + dy * down;
    const aside = Math.abs(dx * down) + Math.abs(dy * across);
    if (id !== from && along > 10 && along + 2 * aside < (best?.far ?? Infinity))
      best = { id, far: along + 2 * aside };
  }
  return best?.id;
}
