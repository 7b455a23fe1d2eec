/**
 * Pictures on the canvas: decoded off the main thread at about the size shown, bounded by bytes, the least
 * used going first.
 */

const BUDGET = 192 * 1024 * 1024;

export class Images {
  /** @type {Map<string, { bitmap?: ImageBitmap, failed?: boolean, wide?: number }>} */ #kept = new Map();
  #bytes = 0;
  /** @type {Set<(url: string) => void>} */ listeners = new Set();

  /**
   * @param {string} url
   * @param {number} pixels how wide it is drawn
   * @returns {ImageBitmap | undefined} nothing until it is there
   */
  get(url, pixels) {
    const side = Math.min(2048, 2 ** Math.ceil(Math.log2(Math.max(64, pixels))));
    const exact = this.#kept.get(`${side} ${url}`);
    if (exact) {
      this.#kept.delete(`${side} ${url}`);
      this.#kept.set(`${side} ${url}`, exact);
      if (exact.bitmap) return exact.bitmap;
    } else this.#load(url, side);
    for (let other = 64; other <= 2048; other *= 2) {
      const near = this.#kept.get(`${other} ${url}`)?.bitmap;
      if (near) return near;
    }
    return undefined;
  }

  /** @param {string} url @param {number} side */
  async #load(url, side) {
    const key = `${side} ${url}`;
    /** @type {{ bitmap?: ImageBitmap, failed?: boolean }} */ const entry = {};
    this.#kept.set(key, entry);
    try {
      const sized = url.startsWith("blob:")
        ? url
        : `${url}&size=${side}${side <= 1024 ? "&preview=webp;85" : ""}`;
      const response = await fetch(sized);
      if (!response.ok) throw new Error(String(response.status));
      const blob = await response.blob();
      const whole = await createImageBitmap(blob);
      const scale = Math.min(1, side / Math.max(whole.width, whole.height));
      entry.bitmap =
        scale < 1
          ? await createImageBitmap(whole, {
              resizeWidth: Math.max(1, Math.round(whole.width * scale)),
              resizeHeight: Math.max(1, Math.round(whole.height * scale)),
              resizeQuality: "medium",
            })
          : whole;
      this.#bytes += entry.bitmap.width * entry.bitmap.height * 4;
      this.#trim();
    } catch {
      entry.failed = true;
    }
    for (const listener of this.listeners) listener(url);
  }

  #trim() {
    for (const [key, { bitmap }] of this.#kept) {
      if (this.#bytes <= BUDGET) return;
      if (!bitmap) continue;
      this.#bytes -= bitmap.width * bitmap.height * 4;
      bitmap.close();
      this.#kept.delete(key);
    }
  }
}
