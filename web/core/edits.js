/**
 * @import { Change, Group, GraphNode, Id, InputView, Link, OutputView, Point, Reroute } from "../types.js"
 */
/** @import { Catalogue } from "./catalogue.js" */
/** What a person does to a graph, each as one labelled change. */
import { Draft } from "./draft.js";
import { point } from "./layout.js";
import { bypassed } from "./prompt.js";
import { connectable, MODE, typeName } from "./types.js";

/** @typedef {{ catalogue: Catalogue, scope: string }} Where */

/**
 * @param {Where} where
 * @param {string} label
 * @param {(draft: Draft) => void} write
 * @param {string} [merge]
 * @returns {Change}
 */
export function change({ catalogue, scope }, label, write, merge) {
  const draft = new Draft(catalogue, scope);
  write(draft);
  return { label, puts: draft.puts, merge };
}

/**
 * @param {Where} where
 * @param {Map<Id, Point>} nodes new positions
 * @param {Map<Id, Point>} [reroutes]
 * @param {Map<Id, Group["bounding"]>} [groups]
 * @returns {Change}
 */
export function move(where, nodes, reroutes = new Map(), groups = new Map()) {
  const count = nodes.size + reroutes.size + groups.size;
  return change(where, count > 1 ? `Move ${count} things` : "Move", (draft) => {
    for (const [id, pos] of nodes) draft.patch(id, { pos });
    for (const [id, pos] of reroutes) draft.put("reroutes", id, { ...draft.get("reroutes", id), pos });
    for (const [id, bounding] of groups) draft.put("groups", id, { ...draft.get("groups", id), bounding });
  });
}

/**
 * @param {Where} where
 * @param {Iterable<Id>} ids
 * @param {Partial<GraphNode> | ((node: GraphNode) => Partial<GraphNode>)} fields
 * @param {string} label
 * @param {string} [merge]
 * @returns {Change}
 */
export function setFields(where, ids, fields, label, merge) {
  return change(
    where,
    label,
    (draft) => {
      for (const id of ids) {
        const node = draft.node(id);
        if (node) draft.patch(id, typeof fields === "function" ? fields(node) : fields);
      }
    },
    merge,
  );
}

/**
 * @param {Where} where
 * @param {Id} id
 * @param {string} name
 * @param {any} value
 * @returns {Change} edits of one widget in a row count as one
 */
export function setValue(where, id, name, value) {
  const node = where.catalogue.workflow.scope(where.scope).nodes.get(id);
  const [widgetName, rule] = name.endsWith("/control")
    ? [name.slice(0, -"/control".length), "/control"]
    : [name, ""];
  const widget =
    node && where.catalogue.view(node, where.scope).widgets.find((one) => one.name === widgetName);
  const place = rule ? widget?.ruleIn : widget?.own ? undefined : widget?.proxy;
  return change(
    where,
    `Change ${name.replace("/control", " control")}`,
    (draft) => {
      if (place) draft.setValue(place.id, `${place.name}${rule}`, value, place.scope);
      else draft.setValue(id, name, value);
    },
    `value ${where.scope}/${id}/${name}`,
  );
}

/**
 * @param {Where} where
 * @param {Id[]} ids
 * @param {number} mode toggled: nodes that all have it go back to normal
 * @returns {Change}
 */
export function toggleMode(where, ids, mode) {
  const nodes = where.catalogue.workflow.scope(where.scope).nodes;
  const all = ids.every((id) => nodes.get(id)?.mode === mode);
  const name = mode === MODE.never ? "Mute" : "Bypass";
  return setFields(where, ids, { mode: all ? MODE.always : mode }, all ? `Un${name.toLowerCase()}` : name);
}

/** @param {Where} where @param {Id[]} ids @returns {Change} */
export function toggleCollapsed(where, ids) {
  const nodes = where.catalogue.workflow.scope(where.scope).nodes;
  const all = ids.every((id) => nodes.get(id)?.flags?.collapsed);
  return setFields(
    where,
    ids,
    (node) => ({ flags: flagged(node, "collapsed", !all) }),
    all ? "Expand" : "Collapse",
  );
}

/** @param {GraphNode} node @param {string} name @param {boolean} on */
export function flagged(node, name, on) {
  const { [name]: _, ...flags } = node.flags ?? {};
  return on ? { ...flags, [name]: true } : flags;
}

/**
 * @param {Where} where
 * @param {Id[]} nodes
 * @param {Id[]} [groups]
 * @param {Id[]} [reroutes]
 * @param {boolean} [heal] join links across what goes
 * @returns {Change}
 */
export function remove(where, nodes, groups = [], reroutes = [], heal = false) {
  return change(where, nodes.length > 1 ? `Delete ${nodes.length} nodes` : "Delete", (draft) => {
    for (const id of nodes) removeNode(draft, id, heal);
    for (const id of groups) draft.put("groups", id, undefined);
    for (const id of reroutes) removeReroute(draft, id);
  });
}

/** @param {Draft} draft @param {Id} id @param {boolean} heal */
function removeNode(draft, id, heal) {
  if (heal) healAround(draft, id);
  for (const link of [...draft.linksTo(id), ...draft.linksFrom(id)]) draft.disconnect(link);
  draft.put("nodes", id, undefined);
}

/** What came into a node goes on to what it fed, where types allow. @param {Draft} draft @param {Id} id */
export function healAround(draft, id) {
  const node = draft.node(id);
  if (!node) return;
  const scope = draft.workflow.scope(draft.scope);
  for (const link of draft.linksFrom(id)) {
    const before = bypassed(draft.catalogue, scope, node, link.origin_slot, link);
    const target = draft.node(link.target_id);
    if (before && before.origin_id !== id)
      draft.connect(
        before.origin_id,
        before.origin_slot,
        link.target_id,
        target ? (target.inputs?.[link.target_slot]?.name ?? link.target_slot) : link.target_slot,
        link.parentId,
      );
  }
}

/**
 * Takes a node out of its chain, which closes behind it.
 * @param {Where} where
 * @param {Id} id
 * @param {Point} pos
 * @returns {Change}
 */
export function pullOut(where, id, pos) {
  return change(where, "Pull out", (draft) => {
    healAround(draft, id);
    for (const link of [...draft.linksTo(id), ...draft.linksFrom(id)]) draft.disconnect(link);
    draft.patch(id, { pos });
  });
}

/** @param {Draft} draft @param {Id} id */
function removeReroute(draft, id) {
  const reroute = draft.get("reroutes", id);
  if (!reroute) return;
  for (const linkId of reroute.linkIds) {
    const link = draft.get("links", linkId);
    if (link?.parentId === id) draft.put("links", linkId, withParent(link, reroute.parentId));
  }
  for (const other of draft.workflow.scope(draft.scope).reroutes.values()) {
    if (other.parentId === id)
      draft.put("reroutes", other.id, withParent(draft.get("reroutes", other.id), reroute.parentId));
  }
  draft.put("reroutes", id, undefined);
}

/** @template {{ parentId?: number }} T @param {T} thing @param {number | undefined} parentId @returns {T} */
function withParent(thing, parentId) {
  const { parentId: _, ...rest } = thing;
  return /** @type {T} */ (parentId === undefined ? rest : { ...rest, parentId });
}

/**
 * A bend in one link, before the reroute the link has there.
 * @param {Where} where
 * @param {Link} link
 * @param {Point} pos
 * @param {number} [after] the reroute it comes after, towards the target
 * @returns {Change}
 */
export function addReroute(where, link, pos, after = link.parentId) {
  return change(where, "Add reroute", (draft) => {
    const id = draft.workflow.issue(draft.scope, "reroutes");
    /** @type {Reroute} */ const reroute = {
      id,
      ...(after === undefined ? {} : { parentId: after }),
      pos,
      linkIds: [link.id],
    };
    const child = draft.chain(link).find((one) => one.parentId === after);
    draft.put("reroutes", id, reroute);
    if (child) draft.put("reroutes", child.id, { ...child, parentId: id });
    else draft.put("links", link.id, { ...link, parentId: id });
  });
}

/**
 * @param {Where} where
 * @param {string} type
 * @param {Point} pos
 * @param {Partial<GraphNode>} [fields]
 * @returns {Change & { id: Id }}
 */
export function addNode(where, type, pos, fields) {
  /** @type {Id} */ let id = 0;
  const made = change(where, "Add node", (draft) => {
    ({ id } = draft.addNode(type, pos, fields));
  });
  return { ...made, id };
}

/** @typedef {{ node: Id, output: number } | { node: Id, input: string }} End */

/**
 * Adds a node and joins it to a link's loose end.
 * @param {Where} where @param {string} type @param {Point} pos @param {End} end
 * @returns {Change & { id: Id }}
 */
export function addLinked(where, type, pos, end) {
  /** @type {Id} */ let id = 0;
  const made = change(where, "Add node", (draft) => {
    const node = draft.addNode(type, pos);
    ({ id } = node);
    const view = draft.catalogue.view(node, draft.scope);
    const other = /** @type {GraphNode} */ (draft.node(end.node));
    const far = draft.catalogue.view(other, draft.scope);
    if ("output" in end) {
      const input = bestInput(view.inputs, far.outputs[end.output]?.type);
      if (input) draft.connect(end.node, end.output, id, input.name);
    } else {
      const wanted = far.inputs.find((one) => one.name === end.input);
      const output = view.outputs.find((one) => connectable(one.type, wanted?.type));
      if (output || type === "PrimitiveNode") draft.connect(id, output?.index ?? 0, end.node, end.input);
    }
  });
  return { ...made, id };
}

/**
 * The input a link should land on: free and of the very type first, then free and fitting, then any fitting;
 * sockets before widgets.
 * @param {InputView[]} inputs
 * @param {any} type
 * @param {string} [name] preferred name
 * @returns {InputView | undefined}
 */
export function bestInput(inputs, type, name) {
  const fitting = inputs.filter((input) => connectable(type, input.type));
  const score = (/** @type {InputView} */ input) =>
    (input.name === name ? 8 : 0) +
    (input.link == null ? 4 : 0) +
    (input.widget ? 0 : 2) +
    (typeName(input.type) === typeName(type) ? 1 : 0);
  return fitting.sort((a, b) => score(b) - score(a))[0];
}

/**
 * @param {Where} where
 * @param {Id} origin
 * @param {number} slot
 * @param {Id} target
 * @param {string | number} input
 * @returns {Change}
 */
export function connect(where, origin, slot, target, input) {
  return change(where, "Connect", (draft) => {
    draft.connect(origin, slot, target, input);
  });
}

/** @param {Where} where @param {Link[]} links @returns {Change} */
export function disconnect(where, links) {
  return change(where, "Disconnect", (draft) => links.forEach((link) => draft.disconnect(link)));
}

/**
 * Joins the best pair of two nodes.
 * @param {Where} where
 * @param {Id} from
 * @param {Id} to
 * @returns {Change | undefined} nothing when no pair fits
 */
export function connectNodes(where, from, to) {
  const pair = bestPair(where, from, to);
  return (
    pair &&
    change(where, "Connect", (draft) => {
      draft.connect(from, pair.output.index, to, pair.input.name);
    })
  );
}

/**
 * An output and an input that may be joined.
 * @typedef {{ from: Id, to: Id, output: OutputView, input: InputView }} Pair
 */

/** @param {Where} where @param {Id} from @param {Id} to @returns {Pair | undefined} */
export function bestPair(where, from, to) {
  return pairs(where, from, to)[0];
}

/**
 * What a link between two nodes could join that is not joined yet, best first; the other way round where
 * nothing fits this way.
 * @param {Where} where
 * @param {Id} from
 * @param {Id} to
 * @returns {Pair[]}
 */
export function nodePairs(where, from, to) {
  const { links } = where.catalogue.workflow.scope(where.scope);
  const joined = (/** @type {Pair} */ { from: origin, output, input }) => {
    const link = input.link == null ? undefined : links.get(input.link);
    return link?.origin_id === origin && link.origin_slot === output.index;
  };
  const forth = pairs(where, from, to);
  return (forth.length ? forth : pairs(where, to, from)).filter((pair) => !joined(pair));
}

/**
 * Sockets before values, free before taken, the very type before one that fits, the same name before another.
 * @param {Where} where
 * @param {Id} from
 * @param {Id} to
 * @returns {Pair[]}
 */
function pairs({ catalogue, scope }, from, to) {
  const { nodes } = catalogue.workflow.scope(scope);
  const [a, b] = [nodes.get(from), nodes.get(to)];
  if (!a || !b || from === to) return [];
  const { inputs } = catalogue.view(b, scope);
  const score = (/** @type {Pair} */ { output, input }) =>
    (input.widget ? 0 : 8) +
    (input.link == null ? 4 : 0) +
    (typeName(output.type) === typeName(input.type) ? 2 : 0) +
    (String(output.name).toLowerCase() === String(input.name).toLowerCase() ? 1 : 0);
  return catalogue
    .view(a, scope)
    .outputs.flatMap((output) =>
      inputs
        .filter((input) => connectable(output.type, input.type))
        .map((input) => ({ from, to, output, input })),
    )
    .sort((left, right) => score(right) - score(left));
}

/**
 * @param {Where} where
 * @param {Link} link
 * @param {Id} id
 * @returns {{ input: InputView, output: OutputView } | undefined} how a node fits into a link
 */
export function splicePair({ catalogue, scope }, link, id) {
  const node = catalogue.workflow.scope(scope).nodes.get(id);
  if (!node || link.origin_id === id || link.target_id === id) return undefined;
  const view = catalogue.view(node, scope);
  const target = catalogue.workflow.scope(scope).nodes.get(link.target_id);
  const wanted = target?.inputs?.[link.target_slot]?.type ?? link.type;
  const input = bestInput(
    view.inputs.filter((one) => !one.widget && one.link == null),
    link.type,
  );
  const output = view.outputs.find((one) => connectable(one.type, wanted));
  return input && output ? { input, output } : undefined;
}

/** @param {Where} where @param {Link} link @param {Id} id @param {Point} pos @returns {Change | undefined} */
export function splice(where, link, id, pos) {
  const pair = splicePair(where, link, id);
  return (
    pair &&
    change(where, "Insert into link", (draft) => {
      draft.patch(id, { pos });
      const target = draft.node(link.target_id)?.inputs?.[link.target_slot]?.name ?? link.target_slot;
      draft.connect(link.origin_id, link.origin_slot, id, pair.input.name);
      draft.connect(id, pair.output.index, link.target_id, target);
    })
  );
}

/**
 * @param {Where} where
 * @param {Group["bounding"]} bounding
 * @param {string} [title]
 * @returns {Change & { id: Id }}
 */
export function addGroup(where, bounding, title = "Group") {
  const id = where.catalogue.workflow.issue(where.scope, "groups");
  const made = change(where, "Add group", (draft) =>
    draft.put("groups", id, { id, title, bounding, color: "#3f789e", font_size: 24, flags: {} }),
  );
  return { ...made, id };
}

/**
 * @param {Where} where
 * @param {Id} id
 * @param {Partial<Group>} fields
 * @param {string} label
 * @returns {Change}
 */
export function setGroup(where, id, fields, label) {
  return change(where, label, (draft) => draft.put("groups", id, { ...draft.get("groups", id), ...fields }));
}

/**
 * @param {Where} where
 * @param {Id[]} ids
 * @param {"left" | "right" | "top" | "bottom" | "row" | "column"} how
 * @param {(id: Id) => [number, number, number, number]} boxOf
 * @returns {Change}
 */
export function align(where, ids, how, boxOf) {
  const boxes = ids.map((id) => ({ id, box: boxOf(id) }));
  const nodes = where.catalogue.workflow.scope(where.scope).nodes;
  /** @type {Map<Id, Point>} */ const positions = new Map();
  const horizontal = how === "left" || how === "right" || how === "row";
  const sorted = [...boxes].sort((a, b) => a.box[how === "row" ? 0 : 1] - b.box[how === "row" ? 0 : 1]);
  let cursor =
    how === "row" ? Math.min(...boxes.map(({ box }) => box[0])) : Math.min(...boxes.map(({ box }) => box[1]));
  const line = {
    left: Math.min(...boxes.map(({ box }) => box[0])),
    right: Math.max(...boxes.map(({ box }) => box[0] + box[2])),
    top: Math.min(...boxes.map(({ box }) => box[1])),
    bottom: Math.max(...boxes.map(({ box }) => box[1] + box[3])),
    row: 0,
    column: 0,
  }[how];
  for (const { id, box } of sorted) {
    const [x, y] = point(nodes.get(id)?.pos);
    const title = y - box[1];
    if (how === "row" || how === "column") {
      positions.set(
        id,
        how === "row" ? [cursor, sorted[0].box[1] + title] : [sorted[0].box[0], cursor + title],
      );
      cursor += (how === "row" ? box[2] : box[3]) + 40;
    } else if (horizontal) positions.set(id, [how === "left" ? line : line - box[2], y]);
    else positions.set(id, [x, (how === "top" ? line : line - box[3]) + title]);
  }
  return { ...move(where, positions), label: "Align" };
}
