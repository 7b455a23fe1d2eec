/** @import { Server } from "./server.js" */
/** A user's settings: kept on the server, and here for the next start. */

/** @type {Record<string, any>} */
export const DEFAULTS = {
  theme: "system",
  navigation: "drag pans",
  linkShape: "spline",
  snap: false,
  minimap: true,
  autosave: false,
  favourites: [],
  keys: {},
  firstNodes: {},
};
const PREFIX = "Nodeloom.";

export class Settings extends EventTarget {
  /** @type {Record<string, any>} */ #values = { ...DEFAULTS };

  /** @param {Server} server */
  constructor(server) {
    super();
    this.server = server;
    this.store = server.user ? `nodeloom-settings ${server.user}` : "nodeloom-settings";
    try {
      Object.assign(this.#values, JSON.parse(localStorage.getItem(this.store) ?? "{}"));
    } catch {
      /* unreadable: defaults */
    }
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () =>
      this.dispatchEvent(new Event("change")),
    );
  }

  /** @returns {Promise<boolean>} whether the server gave them */
  async load() {
    try {
      const stored = await this.server.settings();
      for (const [key, value] of Object.entries(stored ?? {}))
        if (key.startsWith(PREFIX)) this.#values[key.slice(PREFIX.length)] = value;
      this.apply();
      return true;
    } catch {
      /* the local copy serves */
    }
    return false;
  }

  /** @param {string} key */
  get(key) {
    return this.#values[key];
  }

  /** @param {string} key @param {any} value */
  async set(key, value) {
    this.#values[key] = value;
    localStorage.setItem(this.store, JSON.stringify(this.#values));
    this.dispatchEvent(new Event("change"));
    await this.server.saveSettings({ [PREFIX + key]: value }).catch(() => {});
  }

  /** The page takes the theme. */
  apply() {
    const light =
      this.#values.theme === "light" ||
      (this.#values.theme === "system" && matchMedia("(prefers-color-scheme: light)").matches);
    document.documentElement.dataset.theme = light ? "light" : "dark";
  }
}
