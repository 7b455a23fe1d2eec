/** @import { Editor } from "./interaction/editor.js" */
/** @import { Commands } from "./interaction/commands.js" */
/**
 * The extension interface: one object with everything an extension may add. What it registers is called
 * inside a fence, so an extension that throws is named, reported once, and left out. docs/editor.md describes
 * it.
 */

/**
 * @typedef {object} Extension
 * @property {string} name
 * @property {Record<string, { draw: import("./view/widget_painter.js").WidgetDrawing, edit?: (editor: Editor,
 *   id: import("./types.js").Id, widget: import("./types.js").WidgetView, at: import("./types.js").Point) =>
 *   any }>} [widgets] by socket type
 * @property {import("./interaction/commands.js").Command[]} [commands]
 * @property {(selection: import("./types.js").GraphNode[]) => import("./panels/menu.js").Entry[]} [nodeMenu]
 *   entries for the menu of the selected nodes
 * @property {(brush: import("./view/node_painter.js").Brush, seen: import("./types.js").Box) => boolean}
 *   [drawLive] draws above the graph, in graph units
 * @property {import("./panels/shell.js").Panel[]} [panels]
 * @property {(editor: Editor) => void | Promise<void>} [setup]
 */

export class Extensions {
  /** @type {Extension[]} */ all = [];
  /** @type {Set<string>} */ failed = new Set();

  /**
   * @param {{ editor: Editor, commands: Commands, shell: import("./panels/shell.js").Shell, fields:
   *   import("./interaction/fields.js").Fields, report: (name: string, error: unknown) => void }} parts
   */
  constructor(parts) {
    this.parts = parts;
  }

  /** @param {Extension} extension */
  async register(extension) {
    const { editor, commands, shell, fields } = this.parts;
    const fence = (/** @type {any} */ act, /** @type {any} */ otherwise = undefined) =>
      this.fenced(extension, act, otherwise);
    this.all.push(extension);
    for (const [type, { draw, edit }] of Object.entries(extension.widgets ?? {})) {
      editor.library.widgetTypes.add(type);
      editor.renderer.widgetDrawings.set(`custom:${type}`, fence(draw));
      if (edit) fields.custom.set(`custom:${type}`, fence(edit));
    }
    for (const command of extension.commands ?? [])
      commands.add({ group: extension.name, ...command, run: fence(command.run) });
    for (const panel of extension.panels ?? []) shell.addPanel({ ...panel, open: fence(panel.open) });
    if (extension.drawLive) editor.renderer.live.push(fence(extension.drawLive, false));
    if (extension.widgets) {
      const { Library } = await import("./core/specs.js");
      editor.replaceLibrary(new Library(editor.library.objectInfo, editor.library.widgetTypes));
    }
    await fence(extension.setup ?? (() => {}))(editor);
  }

  /**
   * @param {Extension} extension
   * @param {(...values: any[]) => any} act
   * @param {any} [otherwise] given back when it throws
   */
  fenced(extension, act, otherwise) {
    return (/** @type {any[]} */ ...values) => {
      if (this.failed.has(extension.name)) return otherwise;
      const fail = (/** @type {unknown} */ error) => {
        this.failed.add(extension.name);
        this.parts.report(extension.name, error);
        return otherwise;
      };
      try {
        const result = act(...values);
        return result instanceof Promise ? result.catch(fail) : result;
      } catch (error) {
        return fail(error);
      }
    };
  }

  /** @param {import("./types.js").GraphNode[]} selection */
  nodeMenu(selection) {
    return this.all.flatMap((extension) =>
      extension.nodeMenu ? this.fenced(extension, extension.nodeMenu, [])(selection) : [],
    );
  }
}
