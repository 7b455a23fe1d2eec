/** Choices that a route of the server lists (`remote` in a spec), asked for when the list is opened. */

/**
 * @typedef {{ route: string, query_params?: Record<string, string>, response_key?: string, refresh?: number,
 *   control_after_refresh?: "first" | "last" }} Remote
 */

export class RemoteChoices {
  /** @type {Map<string, { choices: any[], until: number }>} */ #known = new Map();

  /**
   * @param {(path: string) => Promise<any>} get the JSON a route of our own server gives
   * @param {() => number} now in milliseconds
   */
  constructor(get, now = Date.now) {
    this.get = get;
    this.now = now;
  }

  /**
   * @param {Remote} remote
   * @returns {Promise<any[]>} kept for as long as the spec says (`refresh`), else asked for each time
   */
  async list(remote) {
    const path = pathOf(remote);
    const known = this.#known.get(path);
    if (known && this.now() < known.until) return known.choices;
    const answer = await this.get(path);
    const found = remote.response_key ? answer?.[remote.response_key] : answer;
    if (!Array.isArray(found)) throw new TypeError(`“${path}” lists no choices.`);
    this.#known.set(path, { choices: found, until: this.now() + Math.max(0, Number(remote.refresh) || 0) });
    return found;
  }
}

/** @param {Remote} remote @returns {string} on our own server: other hosts are never asked */
function pathOf({ route, query_params }) {
  const path = String(route).replace(/^\/+/, "");
  if (/^[a-z][a-z0-9+.-]*:/i.test(path) || String(route).startsWith("//"))
    throw new TypeError(`“${route}” is on another host, which the editor does not ask.`);
  const query = Object.entries(query_params ?? {})
    .map((pair) => pair.map((word) => encodeURIComponent(String(word))).join("="))
    .join("&");
  return query ? `${path}${path.includes("?") ? "&" : "?"}${query}` : path;
}

/**
 * @param {Remote} remote
 * @param {any[]} choices
 * @param {any} value what the widget holds
 * @returns {any} what it takes when it holds nothing yet
 */
export function firstRemote(remote, choices, value) {
  if (value !== undefined && value !== null && value !== "") return value;
  return remote.control_after_refresh === "last" ? choices.at(-1) : choices[0];
}
