/**
 * Every action is a command with an id, a title, keys and a condition; menus, keys, palette and extensions
 * all go through here.
 */

/**
 * @typedef {{ id: string, title: string, group?: string, keys?: string[], when?: () => boolean, run:
 *   (argument?: any) => any }} Command
 */

const MAC = /Mac|iP(hone|ad)/.test(globalThis.navigator?.platform ?? "");

export class Commands {
  /** @type {Map<string, Command>} */ all = new Map();
  /** @type {Map<string, string>} command by key */ #keys = new Map();
  /** @type {(error: unknown, command: Command) => void} */ failed = (error) => {
    throw error;
  };

  /** @param {Command} command */
  add(command) {
    this.all.set(command.id, command);
    for (const key of command.keys ?? []) this.#keys.set(key, command.id);
  }

  /** @param {Record<string, string[]>} bindings keys by command, in place of its own */
  rebind(bindings) {
    for (const [id, keys] of Object.entries(bindings)) {
      const command = this.all.get(id);
      if (!command) continue;
      for (const [key, bound] of [...this.#keys]) if (bound === id) this.#keys.delete(key);
      command.keys = keys;
      for (const key of keys) this.#keys.set(key, id);
    }
  }

  /** @param {string} id @param {any} [argument] @returns {Promise<any>} */
  async run(id, argument) {
    const command = this.all.get(id);
    if (!command || command.when?.() === false) return undefined;
    try {
      return await command.run(argument);
    } catch (error) {
      return this.failed(error, command);
    }
  }

  /** What goes wrong is told as for a command. @param {() => Promise<any>} act */
  async guarded(act) {
    try {
      await act();
    } catch (error) {
      this.failed(error, { id: "", title: "", run: act });
    }
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether a command took it */
  press(event) {
    const id = this.#keys.get(keyOf(event));
    if (!id || this.all.get(id)?.when?.() === false) return false;
    event.preventDefault();
    this.run(id);
    return true;
  }

  /** @param {string} id @returns {string} */
  hint(id) {
    return (this.all.get(id)?.keys?.[0] ?? "").replace("Ctrl", MAC ? "⌘" : "Ctrl");
  }
}

const NAMES = /** @type {Record<string, string>} */ ({
  " ": "Space",
  ArrowUp: "Up",
  ArrowDown: "Down",
  ArrowLeft: "Left",
  ArrowRight: "Right",
});

/** @param {KeyboardEvent} event @returns {string} such as `Ctrl+Shift+Z` */
export function keyOf(event) {
  const letter = event.code.startsWith("Key")
    ? event.code.slice(3)
    : event.code.startsWith("Digit")
      ? event.code.slice(5)
      : undefined;
  const key =
    NAMES[event.key] ??
    (letter && (event.ctrlKey || event.metaKey || event.altKey)
      ? letter
      : event.key.length === 1
        ? event.key.toUpperCase()
        : event.key);
  return [
    event.ctrlKey || event.metaKey ? "Ctrl" : "",
    event.altKey ? "Alt" : "",
    event.shiftKey && (event.key.length > 1 || letter) ? "Shift" : "",
    key,
  ]
    .filter(Boolean)
    .join("+");
}

/** @param {Commands} commands @param {() => boolean} blocked while a dialog or a list is open */
export function listenToKeys(commands, blocked) {
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing =
      target instanceof HTMLInputElement ||
      target instanceof HTMLTextAreaElement ||
      target instanceof HTMLSelectElement ||
      target.isContentEditable;
    const global = event.ctrlKey || event.metaKey;
    if (event.defaultPrevented || event.isComposing || blocked()) return;
    if (typing && !(global && (event.key === "Enter" || event.code === "KeyS" || event.code === "KeyK")))
      return;
    if (
      target.closest?.("[role=menu], [role=tree], button, a") &&
      !global &&
      ["Enter", " ", "Tab", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].includes(event.key)
    )
      return;
    commands.press(event);
  });
}
