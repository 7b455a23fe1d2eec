/** @import { CaptureWindow, Taker } from "./capture.js" */
/** The microphone: record and stop, with the time that has gone and how loud it is, then listen to it. */
import { closeDevice, devicesOf, openDevice } from "../client/devices.js";
import { deviceChoice, setBusy } from "./capture.js";
import { button, h } from "./dom.js";

const FORMS = /** @type {const} */ ([
  ["audio/webm;codecs=opus", "webm"],
  ["audio/ogg;codecs=opus", "ogg"],
  ["audio/mp4", "m4a"],
]);
const QUIETEST = 60; // decibels below the loudest, where the level begins

/** @implements {Taker} */
export class Recorder {
  title = "Microphone";
  accept = "audio/*,video/*";
  level = /** @type {HTMLMeterElement} */ (h("meter", { min: 0, max: 1, "aria-label": "Loudness" }));
  clock = h("span", { class: "capture-clock" }, "0:00");
  playback = /** @type {HTMLAudioElement} */ (
    h("audio", { controls: true, "aria-label": "What was recorded", hidden: true })
  );
  choice = deviceChoice("Microphone", () => {});
  body = [h("div", { class: "capture-level" }, this.level, this.clock), this.playback, this.choice.element];
  button = button("Record", () => this.#press(), { class: "button primary" });
  /** @type {MediaRecorder | undefined} */ #recorder;
  #ended = false;

  /** @param {CaptureWindow} window */
  constructor(window) {
    this.window = window;
  }

  begin() {
    const { address } = this.window;
    if (address) this.#offer(address);
    this.window.say("The microphone is asked for when you press Record.");
  }

  /** What was being recorded is kept. */
  end() {
    this.#ended = true;
    this.#recorder?.stop();
    this.#offer("");
  }

  refresh() {}

  async #press() {
    if (this.button.getAttribute("aria-disabled") === "true") return;
    if (this.#recorder) return this.#recorder.stop();
    setBusy(this.button, true);
    this.window.say("Opening the microphone …");
    try {
      await this.#record();
    } catch (error) {
      this.window.fail(error);
    } finally {
      setBusy(this.button, false);
    }
  }

  /** @returns {Promise<void>} */
  async #record() {
    const stream = await openDevice("microphone", this.choice.wish);
    if (this.#ended) return closeDevice(stream);
    const [mimeType, suffix] = FORMS.find(([form]) => MediaRecorder.isTypeSupported(form)) ?? ["", "webm"];
    /** @type {Blob[]} */ const parts = [];
    const began = performance.now();
    const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    recorder.addEventListener("stop", () => {
      // by the button, by the window's end, or as the microphone is gone
      closeDevice(stream);
      this.#recorder = undefined;
      this.#keep(new Blob(parts, { type: mimeType.split(";")[0] }), suffix, performance.now() - began);
    });
    recorder.start();
    this.#recorder = recorder;
    this.playback.pause();
    this.button.textContent = "Stop";
    this.window.say("Recording …");
    this.#watch(stream, began);
    this.choice.show(await devicesOf("microphone", stream));
  }

  /** Time and loudness, while it records. @param {MediaStream} stream @param {number} began */
  #watch(stream, began) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const look = () => {
      if (!this.#recorder) {
        this.level.value = 0;
        return void context.close();
      }
      analyser.getFloatTimeDomainData(samples);
      this.level.value = loudness(samples);
      const time = clockText(performance.now() - began);
      if (this.clock.textContent !== time) this.clock.textContent = time;
      return void requestAnimationFrame(look);
    };
    look();
  }

  /** @param {Blob} blob @param {string} suffix of the file's name @param {number} milliseconds */
  async #keep(blob, suffix, milliseconds) {
    this.button.textContent = "Record again";
    this.clock.textContent = clockText(milliseconds);
    setBusy(this.button, true);
    try {
      if (!blob.size) throw new Error("The microphone gave no sound. Try again.");
      if (!this.#ended) this.#offer(URL.createObjectURL(blob));
      await this.window.keep(blob, `recording-${Date.now()}.${suffix}`, { subfolder: "recordings" });
      this.window.say(`Recorded, ${(milliseconds / 1000).toFixed(1)} seconds.`);
    } catch (error) {
      this.window.fail(error);
    } finally {
      setBusy(this.button, false);
    }
  }

  /** @param {string} address of a sound to listen to; none to let the last one go */
  #offer(address) {
    if (this.playback.src.startsWith("blob:")) URL.revokeObjectURL(this.playback.src);
    this.playback.pause();
    if (address) this.playback.src = address;
    else this.playback.removeAttribute("src");
    this.playback.hidden = !address;
  }
}

/** @param {Float32Array} samples -1 … 1 @returns {number} 0 … 1, even steps for even steps of loudness */
function loudness(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power || Number.MIN_VALUE)) / QUIETEST));
}

/** @param {number} milliseconds */
function clockText(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
