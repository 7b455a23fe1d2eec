/** @import { CaptureWindow, Taker } from "./capture.js" */
/**
 * The camera: a live preview, pictures at the wished size, and a new one before each run if the node asks for
 * it.
 */
import { closeDevice, devicesOf, openDevice } from "../client/devices.js";
import { deviceChoice, setBusy } from "./capture.js";
import { button, h } from "./dom.js";

const HIGHEST = 46; // hundredths of the page's height, for the preview
const AT_FIRST = { width: 4, height: 3 };

/** @implements {Taker} */
export class Webcam {
  title = "Camera";
  accept = "image/*";
  video = /** @type {HTMLVideoElement} */ (
    h("video", { muted: true, playsInline: true, "aria-label": "What the camera sees" })
  );
  choice = deviceChoice("Camera", () => this.#openCamera());
  rule = h("p", { class: "quiet" });
  body = [this.video, this.choice.element, this.rule];
  button = button("Take the picture", () => this.#press(), { class: "button primary" });
  /** @type {MediaStream | undefined} */ #stream;
  #turn = 0; // of opening: what comes too late is closed

  /** @param {CaptureWindow} window */
  constructor(window) {
    this.window = window;
  }

  begin() {
    return this.#openCamera();
  }

  end() {
    this.#turn += 1;
    this.#closeCamera();
  }

  refresh() {
    const { width, height } = this.#live ? pictureSize(this.#wished(), sizeOf(this.video)) : AT_FIRST;
    Object.assign(this.video.style, {
      aspectRatio: `${width} / ${height}`,
      width: `min(100%, ${(HIGHEST * width) / height}vh)`,
    }); // what the picture will have
    this.rule.textContent = this.#anew()
      ? "Each run takes a new picture while this is open."
      : "Runs use the picture taken last.";
  }

  async beforeRun() {
    if (this.#live && this.#anew()) await this.#take(true);
  }

  get #live() {
    return Boolean(this.#stream) && this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  }

  #anew() {
    return Boolean(this.window.place.setting("capture_on_queue"));
  }

  /** @returns {Size} 0 where the camera's own is right */
  #wished() {
    const side = (/** @type {string} */ name) =>
      Math.max(0, Math.round(Number(this.window.place.setting(name)) || 0));
    return { width: side("width"), height: side("height") };
  }

  /** @returns {Promise<void>} */
  async #openCamera() {
    this.#closeCamera();
    this.#turn += 1;
    const turn = this.#turn;
    setBusy(this.button, true);
    this.window.say("Opening the camera …");
    try {
      const { width, height } = this.#wished();
      const stream = await openDevice("camera", {
        ...(width ? { width: { ideal: width } } : {}),
        ...(height ? { height: { ideal: height } } : {}),
        ...this.choice.wish,
      });
      if (turn !== this.#turn) return closeDevice(stream);
      this.#stream = stream;
      stream.getVideoTracks()[0].addEventListener("ended", () => this.#lost());
      this.video.srcObject = stream;
      await this.video.play();
      this.choice.show(await devicesOf("camera", stream));
      this.button.textContent = "Take the picture";
      this.refresh();
      this.window.say(`The camera is open, ${this.video.videoWidth} × ${this.video.videoHeight}.`);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#closeCamera();
      this.window.fail(error);
    } finally {
      if (turn === this.#turn) setBusy(this.button, false);
    }
  }

  #closeCamera() {
    closeDevice(this.#stream);
    this.#stream = undefined;
    this.video.srcObject = null;
    this.button.textContent = "Try again";
  }

  #lost() {
    this.#closeCamera();
    this.window.fail("The camera is gone. Connect it and try again.");
  }

  /** @returns {Promise<void>} */
  async #press() {
    if (this.button.getAttribute("aria-disabled") === "true") return;
    if (!this.#live) return this.#openCamera();
    setBusy(this.button, true);
    try {
      const { width, height } = await this.#take(false);
      this.window.say(`The picture is taken, ${width} × ${height}.`);
    } catch (error) {
      this.window.fail(error);
    } finally {
      setBusy(this.button, false);
    }
  }

  /** @param {boolean} forRun one of many, which need not last */
  async #take(forRun) {
    const canvas = pictureOf(this.video, this.#wished());
    const blob = await new Promise((resolve) => {
      canvas.toBlob(resolve, "image/png");
    });
    if (!blob)
      throw new Error(
        `A picture of ${canvas.width} × ${canvas.height} is more than this browser can hold. ` +
          "Set a smaller width and height.",
      );
    await this.window.keep(blob, `camera-${Date.now()}.png`, {
      subfolder: "webcam",
      type: forRun ? "temp" : "input",
      forRun,
    });
    return canvas;
  }
}

/**
 * What a video shows now, filling the wished size without being stretched.
 * @param {HTMLVideoElement} video
 * @param {Size} wished
 */
function pictureOf(video, wished) {
  const own = sizeOf(video);
  const { width, height } = pictureSize(wished, own);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const ctx = canvas.getContext("2d");
  const scale = Math.max(width / own.width, height / own.height);
  if (ctx) ctx.imageSmoothingQuality = "high";
  ctx?.drawImage(
    video,
    (own.width - width / scale) / 2,
    (own.height - height / scale) / 2,
    width / scale,
    height / scale,
    0,
    0,
    width,
    height,
  );
  return canvas;
}

/** @typedef {{ width: number, height: number }} Size */

/** @param {HTMLVideoElement} video @returns {Size} */
function sizeOf({ videoWidth, videoHeight }) {
  return { width: videoWidth, height: videoHeight };
}

/** @param {Size} wished 0 follows from the shape of what is there @param {Size} there @returns {Size} */
function pictureSize({ width, height }, there) {
  if (!width && !height) return there;
  return {
    width: width || Math.max(1, Math.round((height * there.width) / there.height)),
    height: height || Math.max(1, Math.round((width * there.height) / there.width)),
  };
}
