/** @import { Editor } from "../interaction/editor.js" */
/** @import { Server } from "../client/server.js" */
/**
 * Painting a mask over a picture: brush, eraser, fill, undo and redo, soft edge; the wheel enlarges. The
 * server stores a copy with the mask as its alpha channel.
 */
import { addNode, setValue } from "../core/edits.js";
import { button, h, iconButton } from "./dom.js";

const COLOR = "#ff3b6b";
const MEMORY = 400e6; // bytes for taking strokes back
const EDGE = 12; // pixels around the whole picture
const LARGEST_FIT = 8;
const LEAST = 0.05;
const MOST = 32;

/** @param {Server} server @param {Editor} editor @param {import("../client/results.js").FileRef} file */
export async function paintMask(server, editor, file) {
  const painting = new MaskPainting(await pictureOf(server, file, "rgb"));
  painting.begin(await pictureOf(server, file, "a"));
  const size = h("input", {
    type: "range",
    min: "2",
    max: "200",
    value: "40",
    "aria-label": "Brush size",
    on: {
      input: () => {
        painting.size = Number(size.value);
      },
    },
  });
  const soft = h("input", {
    type: "range",
    min: "0",
    max: "60",
    value: "0",
    "aria-label": "Soft edge",
    on: {
      input: () => {
        painting.soft = Number(soft.value);
        painting.draw();
      },
    },
  });
  const seen = h("input", {
    type: "range",
    min: "10",
    max: "100",
    value: "60",
    "aria-label": "How much the mask covers",
    on: {
      input: () => {
        painting.opacity = Number(seen.value) / 100;
        painting.draw();
      },
    },
  });
  const resize = (/** @type {number} */ by) => {
    size.value = String(Number(size.value) + by);
    painting.size = Number(size.value);
  };
  const tools = ["Brush", "Erase", "Fill"].map((name) =>
    button(name, () => choose(name), { "aria-pressed": String(name === "Brush") }),
  );
  const choose = (/** @type {string} */ name) => {
    painting.tool = name;
    tools.forEach((tool) => tool.setAttribute("aria-pressed", String(tool.textContent === name)));
    tools.forEach((tool) => tool.classList.toggle("primary", tool.textContent === name));
  };
  const zoom = button("100%", () => painting.fit(), {
    title: "Show the whole picture",
    class: "button zoom-button",
  });
  painting.zoomed = (percent) => {
    zoom.textContent = `${percent}%`;
  };
  const save = async () => {
    const { name, subfolder } = await server.uploadMask(
      await painting.result(),
      `mask-${Date.now()}.png`,
      file,
      "masks",
    );
    const value = subfolder ? `${subfolder}/${name}` : name;
    const target = editor.selectedNodes.find(
      (node) => node.type === "LoadImage" || node.type === "LoadImageMask",
    );
    if (target) editor.do(setValue(editor.where, target.id, "image", value));
    else {
      const made = addNode(editor.where, "LoadImage", editor.snapped(editor.middle));
      const merge = `mask ${made.id}`;
      editor.do({ ...made, merge });
      editor.do({ ...setValue(editor.where, made.id, "image", value), merge });
      editor.tab.history.seal();
      editor.select([made.id]);
    }
    element.close();
  };
  const element = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "viewer", "aria-label": "Paint a mask", tabindex: "-1" },
      h(
        "div",
        { class: "viewer-bar" },
        tools,
        h("label", {}, "Size ", size),
        h("label", {}, "Soft ", soft),
        h("label", {}, "Cover ", seen),
        button("Undo", () => painting.undo()),
        button("Redo", () => painting.redo()),
        button("Invert", () => painting.invert()),
        button("Clear", () => painting.clear()),
        zoom,
        h("span", {}),
        button("Use this mask", save, { class: "button primary" }),
        iconButton("Close", "close", () => element.close()),
      ),
      painting.stage,
      painting.ring,
    )
  );
  element.addEventListener("close", () => element.remove());
  element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    const chord = event.ctrlKey || event.metaKey;
    const again = event.code === "KeyY" || (event.code === "KeyZ" && event.shiftKey);
    if (chord && (again || event.code === "KeyZ")) {
      event.preventDefault();
      return again ? painting.redo() : painting.undo();
    }
    if (event.key === "+" || event.key === "=") painting.zoomBy(1.25);
    if (event.key === "-") painting.zoomBy(0.8);
    if (event.key === "0") painting.fit();
    if (event.key === "b") choose("Brush");
    if (event.key === "e") choose("Erase");
    if (event.key === "f") choose("Fill");
    if (event.key === "[" || event.key === "]") resize(event.key === "[" ? -6 : 6);
  });
  document.body.append(element);
  choose("Brush");
  painting.draw();
  element.showModal();
  painting.fit();
  element.focus();
}

/**
 * Upright, as Load Image reads it: the server turns a photo as its camera says.
 * @param {Server} server
 * @param {import("../client/results.js").FileRef} file
 * @param {string} channel
 * @returns {Promise<ImageBitmap>}
 */
async function pictureOf(server, file, channel) {
  const response = await fetch(`${server.view(file)}&channel=${channel}`);
  if (!response.ok) throw new Error(`“${file.filename}” cannot be read.`);
  return createImageBitmap(await response.blob());
}

/** The mask at the picture's size, with its own undo. */
class MaskPainting {
  tool = "Brush";
  size = 40;
  soft = 0;
  opacity = 0.6;
  ring = /** @type {HTMLElement} */ (h("div", { class: "brush-ring", hidden: true }));
  scale = 1; // pixels on screen for one of the picture
  /** @type {(percent: number) => void} */ zoomed = () => {};
  /** @type {ImageData[]} */ #past = [];
  /** @type {ImageData[]} what was taken back */ #future = [];
  /** @type {[number, number] | undefined} */ #last;

  /** @param {ImageBitmap} picture */
  constructor(picture) {
    this.picture = picture;
    this.view = /** @type {HTMLCanvasElement} */ (
      h("canvas", { class: "mask-view", width: picture.width, height: picture.height })
    );
    this.stage = /** @type {HTMLElement} */ (h("div", { class: "viewer-stage mask-stage" }, this.view));
    this.mask = Object.assign(document.createElement("canvas"), {
      width: picture.width,
      height: picture.height,
    });
    this.ctx = /** @type {CanvasRenderingContext2D} */ (
      this.mask.getContext("2d", { willReadFrequently: true })
    );
    this.view.addEventListener("pointerdown", (event) => this.#start(event));
    this.view.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.#stroke(event);
      else if (event.buttons & 4) this.stage.scrollBy(-event.movementX, -event.movementY);
    });
    this.stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.view.addEventListener("pointerup", () => {
      this.#last = undefined;
    });
    this.view.addEventListener("pointermove", (event) => this.#ring(event));
    this.view.addEventListener("pointerleave", () => {
      this.ring.hidden = true;
    });
  }

  /** The mask that the picture has already. @param {ImageBitmap} alpha */
  begin(alpha) {
    const { width, height } = this.mask;
    this.ctx.fillStyle = COLOR;
    this.ctx.fillRect(0, 0, width, height);
    this.ctx.globalCompositeOperation = "destination-out";
    this.ctx.drawImage(alpha, 0, 0, width, height);
    this.ctx.globalCompositeOperation = "source-over";
  }

  /** A ring shows how much the brush covers. @param {PointerEvent} event */
  #ring(event) {
    this.ring.hidden = this.tool === "Fill" || event.pointerType === "touch";
    Object.assign(this.ring.style, {
      width: `${this.size}px`,
      height: `${this.size}px`,
      left: `${event.clientX - this.size / 2}px`,
      top: `${event.clientY - this.size / 2}px`,
    });
  }

  #keep() {
    this.#past.push(this.#now());
    this.#future.length = 0;
    const most = Math.max(3, Math.min(30, Math.floor(MEMORY / (this.mask.width * this.mask.height * 4))));
    if (this.#past.length > most) this.#past.shift();
  }

  #now() {
    return this.ctx.getImageData(0, 0, this.mask.width, this.mask.height);
  }

  /** The wheel enlarges around the pointer; with Shift it scrolls. @param {WheelEvent} event */
  #wheel(event) {
    if (event.shiftKey) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    this.zoomBy(Math.exp(-event.deltaY * unit * 0.0014), [event.clientX, event.clientY]);
  }

  /** The whole picture, as large as it goes but small ones no more than eightfold. */
  fit() {
    const { clientWidth, clientHeight } = this.stage;
    const { width, height } = this.mask;
    this.#show(Math.min(LARGEST_FIT, (clientWidth - 2 * EDGE) / width, (clientHeight - 2 * EDGE) / height));
  }

  /**
   * @param {number} factor
   * @param {[number, number]} [at] the point of the page that stays; else the middle
   */
  zoomBy(factor, at) {
    const { stage, view } = this;
    const room = stage.getBoundingClientRect();
    const [x, y] = at ?? [room.left + room.width / 2, room.top + room.height / 2];
    const before = view.getBoundingClientRect();
    const [share, fall] = [(x - before.left) / before.width, (y - before.top) / before.height];
    this.#show(Math.max(LEAST, Math.min(MOST, this.scale * factor)));
    const after = view.getBoundingClientRect();
    stage.scrollLeft += after.left + share * after.width - x;
    stage.scrollTop += after.top + fall * after.height - y;
  }

  /** @param {number} scale */
  #show(scale) {
    this.scale = scale;
    Object.assign(this.view.style, {
      width: `${this.mask.width * scale}px`,
      height: `${this.mask.height * scale}px`,
      imageRendering: scale > 2 ? "pixelated" : "",
    });
    this.zoomed(Math.round(scale * 100));
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  #place(event) {
    return [
      (event.offsetX * this.mask.width) / this.view.clientWidth,
      (event.offsetY * this.mask.height) / this.view.clientHeight,
    ];
  }

  /** @param {PointerEvent} event */
  #start(event) {
    if (event.button !== 0) return;
    this.#keep();
    this.view.setPointerCapture(event.pointerId);
    if (this.tool === "Fill") this.#fill(this.#place(event));
    else this.#stroke(event);
  }

  /** @param {PointerEvent} event */
  #stroke(event) {
    if (this.tool === "Fill") return;
    const at = this.#place(event);
    const { ctx } = this;
    ctx.globalCompositeOperation = this.tool === "Erase" ? "destination-out" : "source-over";
    ctx.strokeStyle = COLOR;
    ctx.lineCap = ctx.lineJoin = "round";
    ctx.lineWidth =
      (this.size * (event.pointerType === "pen" ? Math.max(0.1, event.pressure) : 1) * this.mask.width) /
      Math.max(1, this.view.clientWidth);
    ctx.beginPath();
    ctx.moveTo(...(this.#last ?? at));
    ctx.lineTo(at[0] + 0.01, at[1]);
    ctx.stroke();
    ctx.globalCompositeOperation = "source-over";
    this.#last = at;
    this.draw();
  }

  /** Paints the unmasked area around a point. @param {[number, number]} at */
  #fill(at) {
    const { width, height } = this.mask;
    const image = this.ctx.getImageData(0, 0, width, height);
    const open = [Math.floor(at[1]) * width + Math.floor(at[0])];
    while (open.length) {
      const pixel = /** @type {number} */ (open.pop());
      if (pixel < 0 || pixel >= width * height || image.data[pixel * 4 + 3] > 127) continue;
      image.data.set([255, 59, 107, 255], pixel * 4);
      const x = pixel % width;
      if (x > 0) open.push(pixel - 1);
      if (x < width - 1) open.push(pixel + 1);
      open.push(pixel - width, pixel + width);
    }
    this.ctx.putImageData(image, 0, 0);
    this.draw();
  }

  undo() {
    this.#step(this.#past, this.#future);
  }

  redo() {
    this.#step(this.#future, this.#past);
  }

  /** @param {ImageData[]} from @param {ImageData[]} to */
  #step(from, to) {
    const next = from.pop();
    if (!next) return;
    to.push(this.#now());
    this.ctx.putImageData(next, 0, 0);
    this.draw();
  }

  clear() {
    this.#keep();
    this.ctx.clearRect(0, 0, this.mask.width, this.mask.height);
    this.draw();
  }

  invert() {
    this.#keep();
    this.ctx.globalCompositeOperation = "xor";
    this.ctx.fillStyle = COLOR;
    this.ctx.fillRect(0, 0, this.mask.width, this.mask.height);
    this.ctx.globalCompositeOperation = "source-over";
    this.draw();
  }

  draw() {
    const ctx = /** @type {CanvasRenderingContext2D} */ (this.view.getContext("2d"));
    ctx.filter = "none";
    ctx.globalAlpha = 1;
    ctx.clearRect(0, 0, this.view.width, this.view.height);
    ctx.drawImage(this.picture, 0, 0);
    ctx.globalAlpha = this.opacity;
    ctx.filter = this.soft ? `blur(${this.soft}px)` : "none";
    ctx.drawImage(this.mask, 0, 0);
  }

  /**
   * @returns {Promise<Blob>} a picture of the mask alone: transparent where it applies, which is what Load
   *   Image reads as a mask
   */
  async result() {
    const canvas = Object.assign(document.createElement("canvas"), {
      width: this.mask.width,
      height: this.mask.height,
    });
    const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    ctx.filter = this.soft ? `blur(${this.soft}px)` : "none";
    ctx.drawImage(this.mask, 0, 0);
    const pixels = ctx.getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < pixels.data.length; at += 4)
      pixels.data.set([0, 0, 0, 255 - pixels.data[at + 3]], at);
    ctx.putImageData(pixels, 0, 0);
    return new Promise((resolve, reject) => {
      canvas.toBlob(
        (blob) => (blob ? resolve(blob) : reject(new Error("The mask cannot be written."))),
        "image/png",
      );
    });
  }
}
