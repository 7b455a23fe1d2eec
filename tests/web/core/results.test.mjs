import assert from "node:assert/strict";
import { test } from "node:test";

import { fileOf, isPicture, Results } from "../../../web/client/results.js";

const images = { get: () => undefined };

/** @param {any} output what a node showed @returns {string[]} the names of its pictures */
function shown(output) {
  const results = new Results(/** @type {any} */ (images), (file) => file.filename);
  results.outputs.set("1", output);
  return results.files("1", undefined).map((file) => file.filename);
}

test("pictures, animations and both sides of a comparison are shown in this order", () => {
  const output = { b_images: [{ filename: "b.png" }], a_images: [{ filename: "a.png" }] };
  assert.deepEqual(shown(output), ["a.png", "b.png"]);
  assert.deepEqual(shown({ gifs: [{ filename: "c.webp" }], images: [{ filename: "d.png" }] }), [
    "d.png",
    "c.webp",
  ]);
});

test("what is no picture is not shown as one", () => {
  assert.deepEqual(shown({ images: [{ filename: "a.latent" }, null, {}] }), []);
  assert.equal(isPicture("a/b.PNG [output]"), true);
  assert.equal(isPicture("a.txt"), false);
});

test("a value names a file with its folder and where it lies", () => {
  assert.deepEqual(fileOf("x/y.png [output]"), { filename: "y.png", subfolder: "x", type: "output" });
  assert.deepEqual(fileOf("y.png"), { filename: "y.png", subfolder: "", type: "input" });
});
