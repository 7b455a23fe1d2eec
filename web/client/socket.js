/**
 * The WebSocket: JSON facts and binary previews as events; comes back by itself, and says what it had last.
 */

const LONGEST_WAIT = 15000;

export class Socket extends EventTarget {
  #wait = 500;
  #last = 0;
  connected = false;

  /** @param {string} url of the route, http or https @param {string} clientId */
  constructor(url, clientId) {
    super();
    this.url = url.replace(/^http/, "ws");
    this.clientId = clientId;
  }

  open() {
    const query = new URLSearchParams({ clientId: this.clientId, after: String(this.#last) });
    const socket = new WebSocket(`${this.url}?${query}`);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      socket.send(
        JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true, numbered: true } }),
      );
      this.#wait = 500;
      this.connected = true;
      this.#tell("connected");
    });
    socket.addEventListener("message", ({ data }) =>
      typeof data === "string" ? this.#text(data) : this.#binary(data),
    );
    socket.addEventListener("close", () => {
      const was = this.connected;
      this.connected = false;
      if (was) this.#tell("disconnected");
      setTimeout(() => this.open(), this.#wait);
      this.#wait = Math.min(LONGEST_WAIT, this.#wait * 2);
    });
  }

  /** @param {string} type @param {any} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @param {string} text */
  #text(text) {
    const { type, data, number } = JSON.parse(text);
    if (typeof number === "number") this.#last = number;
    if (data?.sid) this.clientId = data.sid;
    this.#tell(type, data);
    this.#tell("*", { type, data });
  }

  /** @param {ArrayBuffer} buffer */
  #binary(buffer) {
    const view = new DataView(buffer);
    const kind = view.getUint32(0);
    if (kind === 1)
      this.#tell("preview", {
        blob: new Blob([buffer.slice(8)], { type: view.getUint32(4) === 2 ? "image/png" : "image/jpeg" }),
      });
    else if (kind === 4) {
      const length = view.getUint32(4);
      const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
      this.#tell("preview", {
        ...facts,
        blob: new Blob([buffer.slice(8 + length)], { type: facts.image_type ?? "image/jpeg" }),
      });
    }
  }
}
