/** @import { Applied, Definition, GraphNode, Group, Id, Kind, Link, Put, Reroute } from "../types.js" */
/**
 * The document: a workflow as maps of plain objects in the shape of the file.
 *
 * Objects are replaced, never changed in place. An edit is a list of *puts* (one object gets a new value, or
 * goes); applying it returns the puts that undo it, so undo is exact and costs what the edit cost. Whatever
 * is derived from an object (sockets, layout, drawing) may be remembered by the object's identity.
 */

export const ROOT = "";

/** One graph: the root, or the inside of a subgraph definition. */
export class Scope {
  /** @param {string} id `""` for the root, else the definition's id */
  constructor(id) {
    this.id = id;
    /** @type {Map<Id, GraphNode>} */ this.nodes = new Map();
    /** @type {Map<Id, Link>} */ this.links = new Map();
    /** @type {Map<Id, Group>} */ this.groups = new Map();
    /** @type {Map<Id, Reroute>} */ this.reroutes = new Map();
    /** @type {Map<Id, Link>} */ this.floating = new Map();
    /** @type {Map<Id, Set<number>>} links by the node they come from */ this.from = new Map();
    /** @type {Map<Id, Set<number>>} links by the node they go to */ this.to = new Map();
    /** @type {Map<string, number>} place of an object in its file, kept after it is removed */ this.ranks =
      new Map();
  }

  /** @param {Kind} kind @returns {any[]} the objects of a kind in file order */
  ordered(kind) {
    const map = /** @type {Map<Id, any>} */ (/** @type {any} */ (this)[kind]);
    return [...map]
      .map(([id, value]) => ({ value, rank: this.ranks.get(`${kind}/${id}`) ?? 0 }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ value }) => value);
  }

  /** @param {Id} id @returns {Link[]} the links that leave a node */
  linksFrom(id) {
    return [...(this.from.get(id) ?? [])].map((link) => /** @type {Link} */ (this.links.get(link)));
  }

  /** @param {Id} id @returns {Link[]} the links that enter a node */
  linksTo(id) {
    return [...(this.to.get(id) ?? [])].map((link) => /** @type {Link} */ (this.links.get(link)));
  }

  /** @param {Put} put @returns {any} the value it had */
  put({ kind, id, value }) {
    const map = /** @type {Map<Id, any>} */ (/** @type {any} */ (this)[kind]);
    const before = map.get(id);
    if (value === undefined) map.delete(id);
    else {
      map.set(id, value);
      const key = `${kind}/${id}`;
      if (!this.ranks.has(key)) this.ranks.set(key, this.ranks.size);
    }
    if (kind === "links") this.#relink(before, value);
    return before;
  }

  /** @param {Link | undefined} before @param {Link | undefined} after */
  #relink(before, after) {
    if (before) {
      this.from.get(before.origin_id)?.delete(before.id);
      this.to.get(before.target_id)?.delete(before.id);
    }
    if (after) {
      entry(this.from, after.origin_id).add(after.id);
      entry(this.to, after.target_id).add(after.id);
    }
  }
}

/** @param {Map<Id, Set<number>>} map @param {Id} id */
function entry(map, id) {
  const set = map.get(id) ?? new Set();
  map.set(id, set);
  return set;
}

export class Workflow {
  constructor() {
    /** @type {Map<string, Scope>} */ this.scopes = new Map([[ROOT, new Scope(ROOT)]]);
    /** @type {Map<string, Definition>} subgraph definitions, in file order */ this.definitions = new Map();
    /** @type {Map<string, any>} the file's other top-level fields */ this.head = new Map();
    /** Grows with each edit; tells readers that something changed. */ this.revision = 0;
    /** @type {Set<(applied: Applied[]) => void>} */ this.listeners = new Set();
    /** @type {Map<string, number>} last number given out, by scope and kind */ this.issued = new Map();
  }

  get root() {
    return this.scope(ROOT);
  }

  /** @param {string} id @returns {Scope} */
  scope(id) {
    const scope = this.scopes.get(id) ?? new Scope(id);
    this.scopes.set(id, scope);
    return scope;
  }

  /** @param {Put[]} puts @returns {Put[]} what takes them back, in the order to apply it */
  apply(puts) {
    /** @type {Applied[]} */ const applied = [];
    for (const put of puts) applied.push({ ...put, before: this.#put(put) });
    this.revision += 1;
    for (const listener of this.listeners) listener(applied);
    return applied.reverse().map(({ scope, kind, id, before }) => ({ scope, kind, id, value: before }));
  }

  /** @param {Put} put */
  #put(put) {
    if (put.kind !== "definitions" && put.kind !== "head") return this.scope(put.scope).put(put);
    const map = /** @type {Map<Id, any>} */ (put.kind === "head" ? this.head : this.definitions);
    const before = map.get(put.id);
    if (put.value === undefined) map.delete(put.id);
    else map.set(put.id, put.value);
    return before;
  }

  /**
   * A number no node, link or reroute of the scope has or had in this session.
   * @param {string} scope @param {"nodes" | "links" | "reroutes" | "groups"} kind
   */
  issue(scope, kind) {
    const key = `${kind}/${scope}`;
    const number = (this.issued.get(key) ?? this.lastNumber(scope, kind)) + 1;
    this.issued.set(key, number);
    return number;
  }

  /**
   * @param {string} scope
   * @param {"nodes" | "links" | "reroutes" | "groups"} kind
   * @returns {number} the highest in use or on record
   */
  lastNumber(scope, kind) {
    const source = scope === ROOT ? this.head : new Map(Object.entries(this.definitions.get(scope) ?? {}));
    const field = { nodes: "last_node_id", links: "last_link_id", reroutes: "", groups: "" }[kind];
    const state = {
      nodes: "lastNodeId",
      links: "lastLinkId",
      reroutes: "lastRerouteId",
      groups: "lastGroupId",
    }[kind];
    let last = Math.max(Number(source.get(field)) || 0, Number(source.get("state")?.[state]) || 0);
    for (const id of this.scope(scope)[kind].keys()) if (Number(id) > last) last = Number(id);
    return last;
  }
}
