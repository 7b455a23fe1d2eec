import assert from "node:assert/strict";
import test from "node:test";
import { toPrompt } from "../../../web/core/prompt.js";
import { starterWorkflow } from "../../../web/core/starter.js";
import { library, open } from "./fixtures.mjs";

test("the starter workflow makes a complete prompt", () => {
  const { catalogue } = open(starterWorkflow(library));
  console.log(JSON.stringify(toPrompt(catalogue), null, 1));
});
