"""Workflows made by random edits: the editor's prompt and the server's are the same."""

import json
import subprocess
from datetime import datetime
from pathlib import Path

from execution.declare.spec import NodeSpec
from tests.web.node import NEEDS_NODE, NODE
from workflows.prompt import to_prompt

ROOT = Path(__file__).parents[2]
MAKER = """
import { History } from "./web/core/history.js";
import { toPrompt } from "./web/core/prompt.js";
import { starterWorkflow } from "./web/core/starter.js";
import { writeWorkflow } from "./web/core/workflow.js";
import { library, objectInfo, open, seeded } from "./tests/web/core/fixtures.mjs";
import { randomChange } from "./tests/web/core/random_edits.mjs";
const [first, count, steps] = process.argv.slice(1).map(Number);
const made = Array.from({ length: count }, (_, index) => {
  const random = seeded(first + index);
  const where = open(starterWorkflow(library));
  const history = new History(where.workflow, () => 0);
  for (let step = 0; step < steps; step += 1) {
    const change = randomChange(where, random);
    if (change) history.do(change);
  }
  const now = new Date(2024, 4, 6, 7, 8, 9);
  const prompt = toPrompt(where.catalogue, { random: () => 0, now });
  return { workflow: writeWorkflow(where.workflow), prompt };
});
console.log(JSON.stringify({ objectInfo, made }));
"""


@NEEDS_NODE
def test_editor_and_server_make_the_same_prompt_of_any_workflow() -> None:
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", MAKER, "1000", "120", "25"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    specs = {name: NodeSpec.from_object_info(name, shape) for name, shape in found["objectInfo"].items()}
    for index, each in enumerate(found["made"]):
        now = datetime(2024, 5, 6, 7, 8, 9)
        prompt, _ = to_prompt(each["workflow"], specs, lambda choices: choices[0], now=now)
        assert prompt == each["prompt"], f"workflow {1000 + index}"
