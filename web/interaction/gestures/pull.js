/** @import { Box, Id, Link, Point } from "../../types.js" */
/** @import { Editor } from "../editor.js" */
/** @import { Pair } from "../../core/edits.js" */
/**
 * Pulling a link from a socket: what fits lights up, the nearest fitting socket catches it, a node's body
 * takes it too. Or from node to node.
 */
import { Draft } from "../../core/draft.js";
import { bestInput, connect, nodePairs } from "../../core/edits.js";
import { point } from "../../core/layout.js";
import { connectable, INPUT_PORTS, OUTPUT_PORTS } from "../../core/types.js";
import { outlineNodes, pulledLink } from "../../view/live.js";
import { socketPath } from "../../view/theme.js";
import { outputType } from "../editor.js";
import { hit, nodeOf } from "../hit.js";

/**
 * The fixed end.
 * @typedef {{ side: "output", id: Id, slot: number } | { side: "input", id: Id, name: string, slot: number }}
 *   Fixed
 */
/**
 * Where the loose end would land.
 * @typedef {{ id: Id, output: number } | { id: Id, input: string | number }} Landing
 */

export class PullGesture {
  /** @type {Landing | undefined} */ landing;
  /** @type {Id | undefined} node whose body would take the link */ over;

  /**
   * @param {Editor} editor
   * @param {Fixed} fixed
   * @param {Link[]} moved links whose loose end this is; they go when it lands elsewhere
   * @param {(fixed: Fixed, at: Point) => void} dropped called when it lands on bare canvas
   */
  constructor(editor, fixed, moved, dropped) {
    this.editor = editor;
    this.fixed = fixed;
    this.moved = moved;
    this.dropped = dropped;
    this.type = fixed.side === "output" ? outputType(editor, fixed.id, fixed.slot) : this.#inputType(fixed);
    const anchor =
      fixed.side === "output" ? editor.scene.outputPoint(fixed.id, fixed.slot) : this.#inputAnchor(fixed);
    /** @type {Point} */ this.anchor = anchor ?? [0, 0];
    /** @type {Point} */ this.at = this.anchor;
    editor.renderer.hidden = {
      hiddenNodes: new Set(),
      hiddenLinks: new Set(moved.map((link) => link.id)),
      simple: false,
    };
    editor.renderer.damage(editor.scene.boxesOf(moved.map((link) => link.id)));
  }

  /** @param {Fixed & { side: "input" }} fixed */
  #inputType(fixed) {
    if (fixed.id === OUTPUT_PORTS)
      return this.editor.workflow.definitions.get(this.editor.scopeId)?.outputs[fixed.slot]?.type ?? "*";
    return this.editor.scene.view(fixed.id).inputs.find((input) => input.name === fixed.name)?.type;
  }

  /** @param {Fixed & { side: "input" }} fixed @returns {Point | undefined} */
  #inputAnchor(fixed) {
    if (fixed.id === OUTPUT_PORTS) return this.editor.scene.portPoint("outputs", fixed.slot);
    const [x, y] = point(this.editor.scene.node(fixed.id).pos);
    const at = this.editor.scene.layout(fixed.id).inputs[fixed.slot];
    return [x + at[0], y + at[1]];
  }

  /** @param {Point} at in the graph */
  move(at) {
    this.at = at;
    this.landing = undefined;
    this.over = undefined;
    const found = hit(this.editor, at);
    if (found.kind === "input" && this.fixed.side === "output")
      this.#aimInput(found.id, found.id === OUTPUT_PORTS ? found.index : found.name);
    else if (found.kind === "output" && this.fixed.side === "input") this.#aimOutput(found.id, found.index);
    const node = nodeOf(found);
    if (!this.landing && node !== undefined) this.#aimNode(node);
    this.editor.renderer.stir();
  }

  /** @param {Id} id @param {string | number} input */
  #aimInput(id, input) {
    if (id === this.fixed.id) return;
    const type =
      id === OUTPUT_PORTS
        ? (this.editor.workflow.definitions.get(this.editor.scopeId)?.outputs[Number(input)]?.type ?? "*")
        : this.editor.scene.view(id).inputs.find((one) => one.name === input)?.type;
    if (connectable(this.type, type)) this.landing = { id, input };
  }

  /** @param {Id} id @param {number} output */
  #aimOutput(id, output) {
    if (id !== this.fixed.id && connectable(outputType(this.editor, id, output), this.type))
      this.landing = { id, output };
  }

  /** @param {Id} id */
  #aimNode(id) {
    if (id === this.fixed.id || !this.editor.scene.scope.nodes.has(id)) return;
    const view = this.editor.scene.view(id);
    if (this.fixed.side === "output") {
      const input =
        bestInput(
          view.inputs.filter((one) => !one.widget),
          this.type,
        ) ?? bestInput(view.inputs, this.type);
      if (input) this.landing = { id, input: input.name };
    } else {
      const output = view.outputs.find((one) => connectable(one.type, this.type));
      if (output) this.landing = { id, output: output.index };
    }
    if (this.landing) this.over = id;
  }

  /** @returns {Point | undefined} */
  #landingPoint() {
    const { landing, editor } = this;
    if (!landing) return undefined;
    if ("output" in landing) return editor.scene.outputPoint(landing.id, landing.output);
    if (landing.id === OUTPUT_PORTS) return editor.scene.portPoint("outputs", Number(landing.input));
    const index = editor.scene.view(landing.id).inputs.findIndex((one) => one.name === landing.input);
    const [x, y] = point(editor.scene.node(landing.id).pos);
    const at = editor.scene.layout(landing.id).inputs[index];
    return at && [x + at[0], y + at[1]];
  }

  /** @param {import("../../view/node_painter.js").Brush} brush @param {Box} seen */
  paint(brush, seen) {
    const { scene, camera } = this.editor;
    this.#lightUp(brush, seen);
    if (this.over !== undefined)
      outlineNodes(brush, scene, [this.over], brush.theme.typeColor(this.type), camera.scale, seen);
    pulledLink(
      brush,
      this.anchor,
      this.#landingPoint() ?? this.at,
      this.type,
      this.fixed.side === "output",
      camera.scale,
    );
    return true;
  }

  /**
   * Sockets that fit get a ring, others fade.
   * @param {import("../../view/node_painter.js").Brush} brush
   * @param {Box} seen
   */
  #lightUp({ ctx, theme }, seen) {
    const { scene, camera } = this.editor;
    if (camera.scale < 0.3) return;
    for (const id of scene.nodes.query(seen)) {
      const layout = scene.layout(id);
      if (layout.collapsed) continue;
      const view = scene.view(id);
      const [x, y] = point(scene.node(id).pos);
      const sockets = this.fixed.side === "output" ? view.inputs : view.outputs;
      const places = this.fixed.side === "output" ? layout.inputs : layout.outputs;
      sockets.forEach((socket, index) => {
        const fits =
          id !== this.fixed.id &&
          (this.fixed.side === "output"
            ? connectable(this.type, socket.type)
            : connectable(socket.type, this.type));
        if (!fits && "widget" in socket && socket.widget && socket.link == null) return;
        ctx.beginPath();
        socketPath(
          ctx,
          theme.typeShape(socket.type),
          x + places[index][0],
          y + places[index][1],
          fits ? 8 : 6,
        );
        if (fits) {
          ctx.lineWidth = 2;
          ctx.strokeStyle = theme.typeColor(socket.type);
          ctx.stroke();
        } else {
          ctx.globalAlpha = 0.75;
          ctx.fillStyle = theme.colors.node;
          ctx.fill();
          ctx.globalAlpha = 1;
        }
      });
    }
  }

  end() {
    this.#reset();
    const { editor, landing, fixed } = this;
    if (!landing) {
      const bare = hit(editor, this.at).kind;
      if (this.moved.length)
        editor.do(
          this.#written("Disconnect", (draft) => this.moved.forEach((link) => draft.disconnect(link))),
        );
      else if (bare === "bare" || bare === "group" || bare === "link") this.dropped(fixed, this.at);
      return;
    }
    editor.do(this.#written("Connect", (draft) => this.#land(draft, landing)));
  }

  /** @param {string} label @param {(draft: Draft) => void} write */
  #written(label, write) {
    const draft = new Draft(this.editor.catalogue, this.editor.scopeId);
    write(draft);
    return { label, puts: draft.puts };
  }

  /** @param {Draft} draft @param {Landing} landing */
  #land(draft, landing) {
    const { fixed } = this;
    const same =
      this.moved.length === 1 &&
      "input" in landing &&
      this.moved[0].target_id === landing.id &&
      draft.node(landing.id)?.inputs?.[this.moved[0].target_slot]?.name === landing.input;
    if (same) return;
    if ("input" in landing && fixed.side === "output") {
      for (const link of this.moved) draft.disconnect(link);
      const input =
        typeof landing.input === "number"
          ? portFor(draft, "outputs", landing.input, this.type)
          : landing.input;
      portFor(draft, "inputs", fixed.slot, this.#targetType(landing), fixed.id, String(landing.input));
      draft.connect(fixed.id, fixed.slot, landing.id, input);
    } else if ("output" in landing && fixed.side === "input") {
      const targets = this.moved.length ? this.moved : [undefined];
      if (landing.id === INPUT_PORTS)
        portFor(
          draft,
          "inputs",
          landing.output,
          this.type,
          INPUT_PORTS,
          this.fixed.side === "input" ? this.fixed.name : "input",
        );
      for (const link of targets) {
        if (link) draft.disconnect(link);
        const target = link ? link.target_id : fixed.id;
        const input = link
          ? (draft.node(link.target_id)?.inputs?.[link.target_slot]?.name ?? link.target_slot)
          : fixed.id === OUTPUT_PORTS
            ? portFor(draft, "outputs", fixed.slot, outputType(this.editor, landing.id, landing.output))
            : fixed.name;
        draft.connect(landing.id, landing.output, target, input);
      }
    }
  }

  /** @param {{ id: Id, input: string | number }} landing */
  #targetType(landing) {
    return this.editor.scene.scope.nodes.has(landing.id)
      ? this.editor.scene.view(landing.id).inputs.find((one) => one.name === landing.input)?.type
      : "*";
  }

  #reset() {
    this.editor.renderer.hidden = { hiddenNodes: new Set(), hiddenLinks: new Set(), simple: false };
    this.editor.renderer.damage(this.editor.scene.boxesOf(this.moved.map((link) => link.id)));
  }

  cancel() {
    this.#reset();
  }
}

/**
 * From node to node without aiming: dropped on a node, the one pair of sockets that fits is joined; of
 * several, one is chosen.
 */
export class NodeLinkGesture {
  /** @type {Id | undefined} the node below, if anything fits */ over;
  /** @type {Pair[]} what fits there, best first */ pairs = [];

  /**
   * @param {Editor} editor
   * @param {Id} id
   * @param {Point} start in the graph
   * @param {(pairs: Pair[], at: Point) => void} choose asks which of several pairs is meant
   * @param {(fixed: Fixed, at: Point) => void} dropped called with the first output when it lands on bare
   *   canvas
   */
  constructor(editor, id, start, choose, dropped) {
    this.editor = editor;
    this.id = id;
    this.start = start;
    this.at = start;
    this.choose = choose;
    this.dropped = dropped;
  }

  /** @param {Point} at in the graph */
  move(at) {
    this.at = at;
    const found = hit(this.editor, at);
    const node = nodeOf(found);
    const over = node !== undefined && this.editor.scene.scope.nodes.has(node) ? node : undefined;
    if (over !== this.over)
      this.pairs = over === undefined ? [] : nodePairs(this.editor.where, this.id, over);
    this.over = over;
    this.editor.renderer.stir();
  }

  /** @param {import("../../view/node_painter.js").Brush} brush @param {Box} seen */
  paint(brush, seen) {
    const { scene, camera } = this.editor;
    const [best] = this.pairs;
    const type = best ? best.output.type : scene.view(this.id).outputs[0]?.type;
    if (best)
      outlineNodes(
        brush,
        scene,
        [/** @type {Id} */ (this.over)],
        brush.theme.typeColor(type),
        camera.scale,
        seen,
      );
    pulledLink(brush, this.start, this.at, type, !best || best.from === this.id, camera.scale);
    return true;
  }

  end() {
    const { editor, pairs } = this;
    const [best] = pairs;
    if (pairs.length > 1) this.choose(pairs, this.at);
    else if (best) editor.do(connect(editor.where, best.from, best.output.index, best.to, best.input.name));
    else if (
      ["bare", "group", "link"].includes(hit(editor, this.at).kind) &&
      editor.scene.view(this.id).outputs.length
    )
      this.dropped({ side: "output", id: this.id, slot: 0 }, this.at);
  }

  cancel() {
    this.editor.renderer.stir();
  }
}

/**
 * A subgraph gets a new port when a link lands on its empty place.
 * @param {Draft} draft
 * @param {"inputs" | "outputs"} side
 * @param {number} slot
 * @param {any} type
 * @param {Id} [end]
 * @param {string} [name]
 * @returns {number}
 */
function portFor(
  draft,
  side,
  slot,
  type,
  end = side === "inputs" ? INPUT_PORTS : OUTPUT_PORTS,
  name = side === "inputs" ? "input" : "output",
) {
  const definition = draft.get("definitions", draft.scope);
  if (!definition || (end !== INPUT_PORTS && end !== OUTPUT_PORTS) || slot < definition[side].length)
    return slot;
  const names = new Set(definition[side].map((/** @type {any} */ port) => port.name));
  let unique = name;
  for (let count = 1; names.has(unique); count += 1) unique = `${name}_${count}`;
  draft.put(
    "definitions",
    draft.scope,
    {
      ...definition,
      [side]: [...definition[side], { id: crypto.randomUUID(), name: unique, type, linkIds: [] }],
    },
    draft.scope,
  );
  return definition[side].length;
}
