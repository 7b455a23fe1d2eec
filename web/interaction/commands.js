/**
 * Every action is a command with an id, a title, keys and a condition; menus, keys, palette and extensions
 * all go through here. And who a key belongs to: an input method, the element in focus, or a command.
 */

/**
 * @typedef {{ id: string, title: string, group?: string, keys?: string[], when?: () => boolean, run:
 *   (argument?: any) => any }} Command
 */

const MAC = /Mac|iP(hone|ad)/.test(globalThis.navigator?.platform ?? "");

export class Commands {
  /** @type {Map<string, Command>} */ all = new Map();
  /** @type {Map<string, string>} command by key */ #keys = new Map();
  /** @type {Map<string, string[]>} keys by command, as it came */ #defaults = new Map();
  /** @type {Record<string, string[]>} keys by command, as the user has set them */ #bindings = {};
  /** @type {(error: unknown, command: Command) => void} */ failed = (error) => {
    throw error;
  };

  /** @param {Command} command */
  add(command) {
    this.all.set(command.id, command);
    this.#defaults.set(command.id, command.keys ?? []);
    this.rebind(this.#bindings);
  }

  /**
   * @param {Record<string, string[]>} bindings keys by command, in place of its own; of two with one key
   *   these win
   */
  rebind(bindings) {
    this.#bindings = bindings;
    this.#keys.clear();
    const bound = (/** @type {Command} */ { id }) => Object.hasOwn(bindings, id);
    const all = [...this.all.values()];
    for (const command of [...all.filter((one) => !bound(one)), ...all.filter(bound)]) {
      command.keys = bound(command) ? bindings[command.id] : this.#defaults.get(command.id);
      for (const key of command.keys ?? []) this.#keys.set(key, command.id);
    }
  }

  /** @param {string} id @returns {string[]} the keys it has of its own */
  defaults(id) {
    return this.#defaults.get(id) ?? [];
  }

  /**
   * @param {string} id
   * @returns {{ key: string, other: Command, wins: boolean }[]} keys that another command has too
   */
  conflicts(id) {
    const { keys = [] } = /** @type {Command} */ (this.all.get(id));
    return keys.flatMap((key) =>
      [...this.all.values()]
        .filter((other) => other.id !== id && other.keys?.includes(key))
        .map((other) => ({ key, other, wins: this.#keys.get(key) === id })),
    );
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
const PRESSES = ["Enter", " ", "Tab", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"];
const PROCESSED = 229; // the code of a key that an input method took, where browsers do not say `isComposing`

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

/**
 * While an input method composes a word, keys are its own: no field, list or dialog of ours sees them. Called
 * before anything else listens.
 */
export function leaveComposing() {
  let composing = false;
  addEventListener("compositionstart", () => (composing = true), true);
  addEventListener("compositionend", () => (composing = false), true);
  for (const type of /** @type {const} */ (["keydown", "keypress", "keyup"]))
    addEventListener(
      type,
      (event) => {
        if (event.isComposing || event.keyCode === PROCESSED) event.stopImmediatePropagation();
      },
      true,
    );
  // a dialog closes on Escape by itself
  addEventListener("cancel", (event) => composing && event.preventDefault(), true);
}

/** @param {EventTarget | null} target @returns {boolean} whether letters go into it */
export function isTyping(target) {
  return (
    target instanceof HTMLInputElement ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLElement && target.isContentEditable)
  );
}

/**
 * @param {KeyboardEvent} event
 * @returns {boolean} whether the element in focus has a use of its own for the key
 */
function isKept(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const chord = event.ctrlKey || event.metaKey;
  if (event.key === "F6") return false;
  if (isTyping(target)) {
    if (event.key === "Escape")
      return target instanceof HTMLInputElement && target.type === "search" && target.value !== "";
    return !(chord && (event.key === "Enter" || event.code === "KeyS" || event.code === "KeyK"));
  }
  if (event.repeat && event.key === "Enter") return true; // one press is one deed
  return (
    Boolean(target.closest?.("[role=menu], [role=tree], button, a")) && !chord && PRESSES.includes(event.key)
  );
}

/** @param {Commands} commands @param {() => boolean} blocked while a dialog or a list is open */
export function listenToKeys(commands, blocked) {
  addEventListener("keydown", (event) => {
    if (!event.defaultPrevented && !blocked() && !isKept(event)) commands.press(event);
  });
}
