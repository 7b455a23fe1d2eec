/**
 * Group nodes of old become subgraphs on demand; what runs stays the same, and undo brings the group back.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Catalogue } from "../../../web/core/catalogue.js";
import { setValue } from "../../../web/core/edits.js";
import { groupToSubgraph } from "../../../web/core/group_conversion.js";
import { History } from "../../../web/core/history.js";
import { toPrompt } from "../../../web/core/prompt.js";
import { Library } from "../../../web/core/specs.js";
import { readWorkflow, writeWorkflow } from "../../../web/core/workflow.js";
import { objectInfo } from "./fixtures.mjs";

const CASES = JSON.parse(readFileSync(new URL("../data/conversions.json", import.meta.url), "utf8")).filter(
  ({ workflow }) => workflow.extra?.groupNodes,
);
const fixed = { random: () => 0, now: new Date(2024, 4, 6, 7, 8, 9) };

function opened({ workflow, info = {} }) {
  const document = readWorkflow(structuredClone(workflow));
  return {
    workflow: document,
    catalogue: new Catalogue(document, new Library({ ...objectInfo, ...info })),
    scope: "",
  };
}

test("a group node becomes a subgraph with the same prompt, and undo brings it back", () => {
  assert.ok(CASES.length >= 7);
  for (const given of CASES) {
    const where = opened(given);
    const history = new History(where.workflow);
    const start = JSON.stringify(writeWorkflow(where.workflow));
    const before = toPrompt(where.catalogue, fixed);
    const groups = [...where.workflow.root.nodes.values()].filter((node) => where.catalogue.interior(node));
    assert.ok(groups.length, given.name);
    for (const { id } of groups) {
      const shown = where.catalogue
        .view(where.workflow.root.nodes.get(id), "")
        .widgets.filter((widget) => widget.kind !== "button")
        .map((widget) => widget.value);
      history.do(groupToSubgraph(where, id));
      const node = where.workflow.root.nodes.get(id);
      assert.ok(where.catalogue.isInstance(node), given.name);
      const now = where.catalogue.view(node, "").widgets.map((widget) => widget.value);
      assert.deepEqual(now.slice(now.length - shown.length), shown, given.name);
      assert.equal(groupToSubgraph(where, id), undefined);
    }
    assert.deepEqual(toPrompt(where.catalogue, fixed), before, given.name);
    const file = JSON.parse(JSON.stringify(writeWorkflow(where.workflow)));
    const again = { ...opened({ ...given, workflow: file }) };
    assert.deepEqual(toPrompt(again.catalogue, fixed), before, given.name);
    for (const subgraph of file.definitions.subgraphs) {
      const ids = new Set(subgraph.links.map((link) => link.id));
      for (const node of subgraph.nodes) {
        for (const input of node.inputs ?? [])
          if (input.link != null) assert.ok(ids.has(input.link), given.name);
        for (const output of node.outputs ?? [])
          for (const link of output.links) assert.ok(ids.has(link), given.name);
      }
    }
    while (history.undo());
    assert.equal(JSON.stringify(writeWorkflow(where.workflow)), start, given.name);
  }
});

test("values of a group that became a subgraph are changed from outside as before", () => {
  const given = CASES.find(({ workflow }) =>
    workflow.nodes.some((node) => node.type.startsWith("workflow>") && node.mode !== 2 && node.mode !== 4),
  );
  const where = opened(given);
  const { id } = [...where.workflow.root.nodes.values()].find((node) => where.catalogue.interior(node));
  where.workflow.apply(groupToSubgraph(where, id).puts);
  const widget = where.catalogue
    .view(where.workflow.root.nodes.get(id), "")
    .widgets.find(({ kind }) => kind === "int");
  where.workflow.apply(setValue(where, id, widget.name, 77).puts);
  assert.equal(
    where.catalogue
      .view(where.workflow.root.nodes.get(id), "")
      .widgets.find(({ name }) => name === widget.name).value,
    77,
  );
  assert.equal(toPrompt(where.catalogue, fixed)[`${id}:${widget.proxy.id}`].inputs[widget.proxy.name], 77);
});
