/** @import { Id, Point, Spec } from "../types.js" */
/** @import { Editor } from "./editor.js" */
/** @import { Commands } from "./commands.js" */
/** @import { Picker } from "../panels/picker.js" */
/** The lists one types into: nodes, commands, find in graph, connect to. */
import { addLinked, addNode, bestPair, change, connectNodes, splice } from "../core/edits.js";
import { canFollow, firstNode } from "../core/first_nodes.js";
import { whole } from "../core/exact.js";
import { ranked } from "../core/fuzzy.js";
import { connectable } from "../core/types.js";
import { titleOf } from "../view/node_painter.js";
import { INPUT_PORTS } from "../core/types.js";
import { outputType } from "./editor.js";

/** What people reach for first when the field is empty. */
const FIRST = [
  "CheckpointLoaderSimple",
  "CLIPTextEncode",
  "KSampler",
  "EmptyLatentImage",
  "VAEDecode",
  "SaveImage",
  "PreviewImage",
  "LoadImage",
  "LoraLoader",
  "VAEEncode",
  "ImageScale",
  "ControlNetApplyAdvanced",
  "UpscaleModelLoader",
  "Reroute",
  "Note",
];

export class Palettes {
  /** @type {Id[]} what the last search in the graph found */ found = [];
  /** @type {Map<string, number>} how often a node was added from the palette */ uses = new Map();
  /**
   * @type {() => import("../core/first_nodes.js").FirstNodes} what a person wants to be offered first for a
   *   link dropped on bare canvas
   */
  firstNodes = () => ({});

  /** @param {Editor} editor @param {Commands} commands @param {Picker} picker */
  constructor(editor, commands, picker) {
    this.editor = editor;
    this.commands = commands;
    this.picker = picker;
  }

  /**
   * @param {Spec[]} all
   * @param {string} text with words like `in:IMAGE` and letters of the name
   * @returns {Spec[]}
   */
  #ranked(all, text) {
    const { specs, query } = narrowed(all, text);
    if (!query) {
      const place = (/** @type {Spec} */ spec) =>
        (FIRST.includes(spec.type) ? FIRST.indexOf(spec.type) : 100) -
        Math.min(50, 5 * (this.uses.get(spec.type) ?? 0));
      return [...specs].sort((a, b) => place(a) - place(b));
    }
    return ranked(query, specs, (spec) => [
      [spec.title, 1],
      [spec.type, 0.97],
      ...spec.aliases.map((alias) => /** @type {[string, number]} */ ([alias, 0.9])),
      [spec.category, 0.35],
    ]);
  }

  /** @param {Spec[]} specs @param {string} query */
  #items(specs, query) {
    return this.#ranked(specs, query).map((spec) => ({
      label: spec.title,
      detail: [spec.category, spec.deprecated && "old", spec.experimental && "beta"]
        .filter(Boolean)
        .join(" · "),
      value: spec.type,
      color: spec.outputs[0]
        ? this.editor.theme.typeColor(spec.outputs[0].type)
        : this.editor.theme.colors.faint,
    }));
  }

  /** @returns {Spec[]} node types of the server and the subgraphs of this file */
  #specs() {
    const { catalogue, workflow } = this.editor;
    const own = [...workflow.definitions.values()].filter(
      (definition) => definition.id !== this.editor.scopeId,
    );
    return [
      ...own.map(
        (definition) => /** @type {Spec} */ (catalogue.spec({ id: 0, type: definition.id, pos: [0, 0] }, "")),
      ),
      ...this.editor.library.all(),
    ];
  }

  /** @param {Point} at in the graph @param {[number, number]} [page] */
  addNode(at, page) {
    const specs = this.#specs();
    this.picker.open({
      title: "Add a node",
      placeholder: `Search ${specs.length} nodes; in:IMAGE out:MASK cat:sampling narrow it`,
      at: page,
      empty: "No node fits. Try fewer letters.",
      items: (query) => this.#items(specs, query),
      pick: (type) => this.#place(type, at),
    });
  }

  /** @param {string} type @param {Point} at */
  #place(type, at) {
    this.#count(type);
    const made = addNode(this.editor.where, type, this.editor.snapped(at));
    this.editor.do(made);
    this.editor.select([made.id]);
  }

  /** @param {string} type */
  #count(type) {
    this.uses.set(type, (this.uses.get(type) ?? 0) + 1);
  }

  /**
   * A node that fits a loose link end.
   * @param {import("./gestures/pull.js").Fixed} fixed
   * @param {Point} at
   * @param {[number, number]} page
   */
  addLinked(fixed, at, page) {
    const { editor } = this;
    if (fixed.id === INPUT_PORTS || !editor.scene.scope.nodes.has(fixed.id)) return;
    const type =
      fixed.side === "output"
        ? outputType(editor, fixed.id, fixed.slot)
        : editor.scene.view(fixed.id).inputs.find((input) => input.name === fixed.name)?.type;
    const widgetInput =
      fixed.side === "input" &&
      editor.scene.view(fixed.id).inputs.find((input) => input.name === fixed.name)?.widget;
    const side = fixed.side === "output" ? "after" : "before";
    const specs = this.#specs().filter((spec) => canFollow(spec, side, type, Boolean(widgetInput)));
    const first = specs.find((spec) => spec.type === firstNode(this.firstNodes(), side, type));
    const exact = (/** @type {Spec} */ spec) =>
      fixed.side === "output"
        ? spec.inputs.some((input) => !input.widget && input.type === type)
        : spec.outputs.some((output) => output.type === type);
    specs.sort((a, b) => Number(exact(b)) - Number(exact(a)));
    const end =
      fixed.side === "output"
        ? { node: fixed.id, output: fixed.slot }
        : { node: fixed.id, input: fixed.name };
    this.picker.open({
      title: `Add a node for ${String(type)}`,
      placeholder: `${specs.length} nodes ${fixed.side === "output" ? "take" : "give"} ${String(type)}`,
      at: page,
      items: (query) =>
        query || !first
          ? this.#items(specs, query)
          : this.#items([first], "").concat(
              this.#items(
                specs.filter((spec) => spec !== first),
                "",
              ),
            ),
      pick: (chosen) => {
        this.#count(chosen);
        const place = /** @type {Point} */ (
          fixed.side === "output" ? [at[0], at[1] - 10] : [at[0] - 240, at[1] - 10]
        );
        const made = addLinked(editor.where, chosen, editor.snapped(place), end);
        editor.do(made);
        editor.select([made.id]);
      },
    });
  }

  /** A node after the selected one, already linked. @param {Id} id */
  addAfter(id) {
    const view = this.editor.scene.view(id);
    const [x, y, w] = this.editor.scene.box(id);
    const at = /** @type {Point} */ ([x + w + 80, y + 30]);
    if (!view.outputs.length) return this.addNode(at);
    const specs = this.#specs().filter((spec) =>
      spec.inputs.some((input) =>
        view.outputs.some(
          (output) => connectable(output.type, input.type) && !(input.widget && output.type === "*"),
        ),
      ),
    );
    return this.picker.open({
      title: `Add a node after ${titleOf(this.editor.scene.node(id), view)}`,
      placeholder: "Next node",
      items: (query) => this.#items(specs, query),
      pick: (type) => {
        this.#count(type);
        /** @type {Id} */ let made = 0;
        const merge = `after ${id} ${this.editor.tab.history.done.length}`;
        this.editor.do({
          ...change(this.editor.where, "Add node", (draft) => {
            made = draft.addNode(type, this.editor.snapped(at)).id;
          }),
          merge,
        });
        const joined = connectNodes(this.editor.where, id, made);
        if (joined) this.editor.do({ ...joined, merge });
        this.editor.select([made]);
        this.editor.reveal(made);
      },
    });
  }

  /**
   * A node that takes a link over, in the middle of it.
   * @param {import("../types.js").Link} link
   * @param {Point} at
   */
  insertInto(link, at) {
    const { editor } = this;
    const target =
      editor.scene.scope.nodes.get(link.target_id)?.inputs?.[link.target_slot]?.type ?? link.type;
    const specs = this.#specs().filter(
      (spec) =>
        spec.inputs.some((input) => !input.widget && connectable(link.type, input.type)) &&
        spec.outputs.some((output) => connectable(output.type, target)),
    );
    const exact = (/** @type {Spec} */ spec) =>
      Number(spec.inputs.some((input) => input.type === link.type)) +
      Number(spec.outputs.some((output) => output.type === target));
    specs.sort((a, b) => exact(b) - exact(a));
    this.picker.open({
      title: `Insert a node into this ${String(link.type)} link`,
      placeholder: `${specs.length} nodes fit`,
      items: (query) => this.#items(specs, query),
      pick: (type) => {
        this.#count(type);
        const made = addNode(editor.where, type, editor.snapped([at[0] - 100, at[1] + 20]));
        const merge = `insert ${made.id}`;
        editor.do({ ...made, merge });
        const put = splice(editor.where, link, made.id, editor.snapped([at[0] - 100, at[1] + 20]));
        if (put) editor.do({ ...put, merge });
        editor.select([made.id]);
      },
    });
  }

  showCommands() {
    const usable = [...this.commands.all.values()].filter((command) => command.when?.() !== false);
    this.picker.open({
      title: "Commands",
      placeholder: "What do you want to do?",
      items: (query) =>
        ranked(query, usable, (command) => [
          [command.title, 1],
          [command.id, 0.8],
        ]).map((command) => ({
          label: command.title,
          detail: command.group,
          hint: this.commands.hint(command.id),
          value: command.id,
        })),
      pick: (id) => this.commands.run(id),
    });
  }

  /** By title, type, id, value or error; every hit can be jumped to. */
  find() {
    const { editor } = this;
    const before = new Set(editor.selected);
    const all = [...editor.scene.scope.nodes.values()].map((node) => {
      const view = editor.scene.view(node.id);
      const error = editor.tab.results.error(editor.runId(node.id))?.message;
      return {
        node,
        title: titleOf(node, view),
        values: view.widgets
          .map((widget) => String(widget.value ?? ""))
          .filter((text) => text && text.length < 2000),
        error,
      };
    });
    this.picker.open({
      title: "Find in this graph",
      placeholder: `Find among ${all.length} nodes by name, type, value or error`,
      empty: "No node fits.",
      items: (query) =>
        ranked(query, all, ({ node, title, values, error }) => [
          [title, 1],
          [node.type, 0.95],
          [`#${node.id}`, 1],
          ...values.map((value) => /** @type {[string, number]} */ ([value.slice(0, 300), 0.7])),
          ...(error ? [/** @type {[string, number]} */ ([`error ${error}`, 0.8])] : []),
        ]).map(({ node, title, values, error }) => ({
          label: title,
          detail:
            error ??
            values
              .find((value) => query && value.toLowerCase().includes(query.toLowerCase()))
              ?.slice(0, 60) ??
            `#${node.id} ${node.type}`,
          value: node.id,
        })),
      hover: (id) => {
        if (!this.picker.input.value) return;
        this.found = this.picker.items.map((item) => item.value);
        editor.reveal(id);
      },
      pick: (id) => editor.reveal(id),
      closed: () => {
        if (!editor.selected.size) editor.select(before);
      },
    });
  }

  /** The next node that the last search found. @param {number} by 1 or -1 */
  findNext(by) {
    const { editor } = this;
    const ids = this.found.filter((id) => editor.scene.scope.nodes.has(id));
    if (!ids.length) return this.find();
    const at = ids.indexOf([...editor.selected][0]);
    return editor.reveal(ids[(at + by + ids.length) % ids.length]);
  }

  /**
   * Every equal value of widgets gets another, as one change.
   * @param {string} old
   * @param {string} value
   * @returns {number} how many were changed
   */
  replaceValues(old, value) {
    const { editor } = this;
    let count = 0;
    editor.do(
      change(editor.where, "Replace values", (draft) => {
        for (const node of editor.scene.scope.nodes.values()) {
          for (const widget of editor.scene.view(node.id).widgets) {
            if (
              widget.linked ||
              !String(widget.value ?? "").includes(old) ||
              (typeof widget.value !== "string" && String(widget.value) !== old)
            )
              continue;
            const next =
              typeof widget.value === "string"
                ? widget.value.replaceAll(old, value)
                : (whole(value) ?? Number(value));
            if (typeof next === "number" && Number.isNaN(next)) continue;
            draft.setValue(node.id, widget.name, next);
            count += 1;
          }
        }
      }),
    );
    return count;
  }

  /** Both ends by name: sockets of the node first, then every node with a place for it. @param {Id} id */
  connectFrom(id) {
    const { editor } = this;
    const view = editor.scene.view(id);
    const name = titleOf(editor.scene.node(id), view);
    const ends = [
      ...view.outputs.map((output) => ({
        label: `${output.label} →`,
        detail: String(output.type),
        value: { output: output.index },
        color: editor.theme.typeColor(output.type),
      })),
      ...view.inputs.map((input) => ({
        label: `→ ${input.label}`,
        detail: String(input.type),
        value: { input: input.name },
        color: editor.theme.typeColor(input.type),
        group: input.widget ? "values" : undefined,
      })),
    ];
    this.picker.open({
      title: `Connect which socket of ${name}?`,
      placeholder: `Connect which socket of ${name}?`,
      empty: "This node has no sockets.",
      items: (query) =>
        ranked(query, ends, (end) => [
          [end.label, 1],
          [end.detail, 0.8],
        ]),
      pick: (end) => this.#connectTo(id, end),
    });
  }

  /** @param {Id} id @param {{ output?: number, input?: string }} end */
  #connectTo(id, { output, input }) {
    const { editor } = this;
    const type =
      output !== undefined
        ? outputType(editor, id, output)
        : editor.scene.view(id).inputs.find((one) => one.name === input)?.type;
    /** @type {{ label: string, detail: string, value: any, rank: number }[]} */
    const targets = [...editor.scene.scope.nodes.values()]
      .filter((node) => node.id !== id)
      .flatMap(
        (/** @type {any} */ node) => /** @type {any[]} */ (this.#placesOn(node, type, output !== undefined)),
      )
      .sort((a, b) => a.rank - b.rank);
    this.picker.open({
      title: "Connect to",
      placeholder: "Connect to …",
      empty: "Nothing in this graph fits this socket.",
      items: (query) => ranked(query, targets, (target) => [[target.label, 1]]),
      pick: (/** @type {any} */ target) =>
        editor.do(
          change(editor.where, "Connect", (draft) => {
            if (output !== undefined) draft.connect(id, output, target.node, target.input);
            else draft.connect(target.node, target.output, id, /** @type {string} */ (input));
          }),
        ),
    });
  }

  /**
   * @param {import("../types.js").GraphNode} node
   * @param {any} type
   * @param {boolean} asInput
   * @returns {any[]} sockets of a node that fit
   */
  #placesOn(node, type, asInput) {
    const view = this.editor.scene.view(node.id);
    const title = titleOf(node, view);
    if (!asInput)
      return view.outputs
        .filter((one) => connectable(one.type, type))
        .map((one) => ({
          label: `${title} · ${one.label}`,
          detail: "",
          value: { node: node.id, output: one.index },
          rank: 0,
        }));
    return view.inputs
      .filter((one) => connectable(type, one.type))
      .map((one) => ({
        label: `${title} · ${one.label}`,
        detail: one.link == null ? "" : "replaces a link",
        value: { node: node.id, input: one.name },
        rank: (one.widget ? 1 : 0) + (one.link == null ? 0 : 2),
      }));
  }

  /**
   * Chooses a widget or the title of a node to edit.
   * @param {Id} id
   * @param {(name: string | undefined) => void} edit
   */
  chooseWidget(id, edit) {
    const widgets = this.editor.scene.view(id).widgets.filter((widget) => !widget.linked);
    if (widgets.length === 1) return edit(widgets[0].name);
    const items = [
      ...widgets.map((widget) => ({
        label: widget.label,
        detail: String(widget.value ?? "").slice(0, 60),
        value: widget.name,
      })),
      { label: "Title", detail: "", value: "" },
    ];
    return this.picker.open({
      title: "Edit which value?",
      placeholder: "Edit which value?",
      items: (query) => ranked(query, items, (item) => [[item.label, 1]]),
      pick: (name) => edit(name || undefined),
    });
  }

  /** Another type in its place; links and equal-named values stay. @param {Id} id */
  swap(id) {
    const { editor } = this;
    const old = editor.scene.view(id);
    const node = editor.scene.node(id);
    const shared = (/** @type {Spec} */ spec) =>
      spec.inputs.filter((input) => old.inputs.some((one) => one.name === input.name)).length +
      spec.outputs.filter((output) => old.outputs.some((one) => one.type === output.type)).length * 2;
    const specs = this.#specs()
      .filter((spec) => spec.type !== node.type)
      .sort((a, b) => shared(b) - shared(a));
    this.picker.open({
      title: "Replace with",
      placeholder: `Replace ${titleOf(node, old)} with …`,
      items: (query) => this.#items(query ? specs : specs.slice(0, 30), query ? query : "").slice(0, 60),
      pick: (type) =>
        editor.do(
          change(editor.where, "Replace node", (draft) => {
            const [x, y] = [editor.scene.box(id)[0], editor.scene.box(id)[1] + 30];
            const made = draft.addNode(type, [x, y]);
            const view = editor.catalogue.view(made, editor.scopeId);
            for (const widget of old.widgets)
              if (view.widgets.some((one) => one.name === widget.name))
                draft.setValue(made.id, widget.name, widget.value);
            for (const link of draft.linksTo(id)) {
              const name = old.inputs.find((one) => one.index === link.target_slot)?.name ?? "";
              const input =
                view.inputs.find((one) => one.name === name && connectable(link.type, one.type)) ??
                view.inputs.find((one) => connectable(link.type, one.type) && !one.widget);
              if (input) draft.connect(link.origin_id, link.origin_slot, made.id, input.name);
            }
            for (const link of draft.linksFrom(id)) {
              const output = view.outputs.find((one) => connectable(one.type, link.type));
              if (output)
                draft.connect(
                  made.id,
                  output.index,
                  link.target_id,
                  draft.node(link.target_id)?.inputs?.[link.target_slot]?.name ?? link.target_slot,
                );
            }
            for (const link of [...draft.linksTo(id), ...draft.linksFrom(id)]) draft.disconnect(link);
            draft.put("nodes", id, undefined);
          }),
        ),
    });
  }

  /** @param {Id} from @param {Id} to @returns {boolean} */
  fits(from, to) {
    return Boolean(bestPair(this.editor.where, from, to));
  }
}

/**
 * Words `in:`, `out:`, `cat:` and `pack:` narrow a search by input, output, category and where a type comes
 * from.
 * @param {Spec[]} specs
 * @param {string} text
 * @returns {{ specs: Spec[], query: string }}
 */
export function narrowed(specs, text) {
  const words = text.split(/\s+/);
  const rules = words.map((word) => /^(in|out|cat|pack):(.*)$/i.exec(word));
  const left = specs.filter((spec) =>
    rules.every((rule) => !rule?.[2] || FILTERS[rule[1].toLowerCase()](spec, rule[2].toLowerCase())),
  );
  return { specs: left, query: words.filter((_, index) => !rules[index]).join(" ") };
}

/** @type {Record<string, (spec: Spec, wanted: string) => boolean>} */
const FILTERS = {
  in: (spec, wanted) => spec.inputs.some((input) => String(input.type).toLowerCase().startsWith(wanted)),
  out: (spec, wanted) => spec.outputs.some((output) => String(output.type).toLowerCase().startsWith(wanted)),
  cat: (spec, wanted) => spec.category.toLowerCase().includes(wanted),
  pack: (spec, wanted) => spec.module.toLowerCase().includes(wanted),
};
