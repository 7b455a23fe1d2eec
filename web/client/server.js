/** HTTP: the server's routes as functions. Failures carry what the server said. */
import { parseExact, printExact } from "../core/exact.js";

export class ServerError extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(
      typeof body === "string" && body
        ? body
        : (body?.error?.message ??
            body?.message ??
            (status ? `The server answered ${status}.` : "The server cannot be reached.")),
    );
    this.status = status;
    this.body = body;
  }
}

const USER = "nodeloom-user"; // in this browser's storage

export class Server {
  /**
   * @param {string} base address of the page, with the final slash
   * @param {string} user whose files and settings are meant, on a server that keeps several users': `?user=`
   *   in the page's address, else the one chosen here
   */
  constructor(
    base = new URL("./", document.baseURI).href,
    user = new URLSearchParams(location.search).get("user") ?? localStorage.getItem(USER) ?? "",
  ) {
    this.base = base;
    this.user = user;
    /** Whether workflows and settings are kept by user; known with the settings. */
    this.several = false;
  }

  /** @param {string} path */
  url(path) {
    return new URL(path.replace(/^\//, ""), this.base).href;
  }

  /** @param {string} path @param {RequestInit & { json?: any }} [options] @returns {Promise<Response>} */
  async fetch(path, { json, ...options } = {}) {
    const headers = new Headers(options.headers);
    if (this.user) headers.set("comfy-user", this.user);
    if (json !== undefined) headers.set("Content-Type", "application/json");
    /** @type {Response} */ let response;
    try {
      response = await fetch(this.url(path), {
        ...options,
        headers,
        ...(json === undefined ? {} : { body: printExact(json) }),
      });
    } catch {
      throw new ServerError(0, undefined);
    }
    if (response.ok) return response;
    const text = await response.text();
    let body = /** @type {any} */ (text);
    try {
      body = JSON.parse(text);
    } catch {
      /* plain text is fine */
    }
    throw new ServerError(response.status, body);
  }

  /** @param {string} path @param {RequestInit & { json?: any }} [options] @returns {Promise<any>} */
  async json(path, options) {
    return (await this.fetch(path, options)).json();
  }

  /**
   * What holds workflows or prompts, whose large numbers stay exact.
   * @param {string} path
   * @returns {Promise<any>}
   */
  async exact(path) {
    return parseExact(await (await this.fetch(path)).text());
  }

  objectInfo() {
    return this.json("api/object_info");
  }

  /** @returns {Promise<string[]>} their names; none where the server does not tell */
  embeddings() {
    return this.json("api/embeddings").catch(() => []);
  }
  queue() {
    return this.exact("api/queue");
  }
  systemStats() {
    return this.json("api/system_stats");
  }

  /** @param {number} most */
  history(most = 64) {
    return this.exact(`api/history?max_items=${most}`);
  }

  /**
   * @param {{ prompt: any, client_id: string, extra_data: any, front?: boolean, prompt_id?: string,
   *   partial_execution_targets?: string[] }} body
   */
  submit(body) {
    return this.json("api/prompt", { method: "POST", json: body });
  }

  /** @param {string} id */
  interrupt(id) {
    return this.fetch("api/interrupt", { method: "POST", json: { prompt_id: id } });
  }

  /** @param {{ clear?: boolean, delete?: string[] }} body */
  editQueue(body) {
    return this.fetch("api/queue", { method: "POST", json: body });
  }

  /** @param {{ clear?: boolean, delete?: string[] }} body */
  editHistory(body) {
    return this.fetch("api/history", { method: "POST", json: body });
  }

  /** @param {import("./results.js").FileRef} file */
  view({ filename, subfolder = "", type = "output" }) {
    return this.url(`api/view?${new URLSearchParams({ filename, subfolder, type })}`);
  }

  /**
   * @param {Blob} file
   * @param {string} name
   * @param {{ subfolder?: string, type?: string, overwrite?: boolean }} [options]
   * @returns {Promise<{ name: string, subfolder: string, type: string }>}
   */
  upload(file, name, { subfolder = "", type = "input", overwrite = false } = {}) {
    const body = new FormData();
    body.append("image", file, name);
    body.append("type", type);
    if (subfolder) body.append("subfolder", subfolder);
    if (overwrite) body.append("overwrite", "true");
    return this.json("api/upload/image", { method: "POST", body });
  }

  /**
   * @param {string} job
   * @returns {Promise<{ state: string, nodes: { node: string, seconds: number, cached: boolean, memory:
   *   number | null }[] }>}
   */
  timings(job) {
    return this.json(`nodeloom/timings?${new URLSearchParams({ job })}`);
  }

  /**
   * What went through an output.
   * @param {string} job
   * @param {string} node
   * @param {number} output
   * @returns {Promise<{ kept: boolean, count?: number, lines?: string[], picture?: string }>}
   */
  value(job, node, output) {
    return this.json(`nodeloom/value?${new URLSearchParams({ job, node, output: String(output) })}`);
  }

  /**
   * A copy of a stored picture that takes the alpha channel of another.
   * @param {Blob} mask
   * @param {string} name
   * @param {import("./results.js").FileRef} original
   * @param {string} subfolder
   * @returns {Promise<{ name: string, subfolder: string, type: string }>}
   */
  uploadMask(mask, name, original, subfolder) {
    const body = new FormData();
    body.append("image", mask, name);
    body.append("subfolder", subfolder);
    body.append(
      "original_ref",
      JSON.stringify({
        filename: original.filename,
        subfolder: original.subfolder ?? "",
        type: original.type ?? "output",
      }),
    );
    return this.json("api/upload/mask", { method: "POST", body });
  }

  /** @returns {Promise<Record<string, string>>} names by id */
  async users() {
    return (await this.json("api/users")).users ?? {};
  }

  /** @param {string} username @returns {Promise<string>} the id of a new user */
  addUser(username) {
    return this.json("api/users", { method: "POST", json: { username } });
  }

  /** The page begins anew, as that user's. @param {string} user an id; none to be asked */
  become(user) {
    if (user) localStorage.setItem(USER, user);
    else localStorage.removeItem(USER);
    location.replace(this.base);
  }

  async settings() {
    try {
      const response = await this.fetch("api/settings");
      this.several = response.headers.has("nodeloom-users");
      return await response.json();
    } catch (error) {
      if (error instanceof ServerError && error.status === 401) this.several = true; // the user is gone
      throw error;
    }
  }

  /** @param {Record<string, any>} values */
  saveSettings(values) {
    return this.fetch("api/settings", { method: "POST", json: values });
  }

  /** @param {string} directory @returns {Promise<{ path: string, size: number, modified: number }[]>} */
  async files(directory) {
    try {
      const asked = { dir: directory, recurse: "true", split: "false", full_info: "true" };
      const list = await this.json(`api/userdata?${new URLSearchParams(asked)}`);
      return list.map((/** @type {any} */ entry) =>
        typeof entry === "string" ? { path: entry, size: 0, modified: 0 } : entry,
      );
    } catch (error) {
      if (error instanceof ServerError && error.status === 404) return [];
      throw error;
    }
  }

  /**
   * @param {string} path below the user's folder
   * @returns {Promise<{ text: string, revision: string | undefined }>}
   */
  async readFile(path) {
    const response = await this.fetch(`api/userdata/${encodeURIComponent(path)}`);
    return { text: await response.text(), revision: response.headers.get("ETag") ?? undefined };
  }

  /**
   * @param {string} path
   * @param {string} text
   * @param {{ revision?: string, overwrite?: boolean }} [options] saved only if the file is still at this
   *   revision
   * @returns {Promise<string | undefined>} the new revision
   */
  async writeFile(path, text, { revision, overwrite = Boolean(revision) } = {}) {
    const headers = { "Content-Type": "application/json", ...(revision ? { "If-Match": revision } : {}) };
    const response = await this.fetch(
      `api/userdata/${encodeURIComponent(path)}?overwrite=${overwrite}&full_info=true`,
      { method: "POST", headers, body: text },
    );
    return response.headers.get("ETag") ?? undefined;
  }

  /** @param {string} path @param {string} to refused when there is one of that name */
  moveFile(path, to) {
    return this.fetch(
      `api/userdata/${encodeURIComponent(path)}/move/${encodeURIComponent(to)}?overwrite=false`,
      { method: "POST" },
    );
  }

  /** @param {string} path */
  deleteFile(path) {
    return this.fetch(`api/userdata/${encodeURIComponent(path)}`, { method: "DELETE" });
  }
}
