/** One edit of any kind, by a seeded generator. */
import { copy, paste } from "../../../web/core/clipboard.js";
import {
  addGroup,
  addLinked,
  addNode,
  addReroute,
  align,
  connectNodes,
  disconnect,
  move,
  pullOut,
  remove,
  setFields,
  setGroup,
  setValue,
  splice,
  splicePair,
  toggleCollapsed,
  toggleMode,
} from "../../../web/core/edits.js";
import { makeSubgraph, unpackSubgraph } from "../../../web/core/subgraphs.js";

const TYPES = [
  "KSampler",
  "CLIPTextEncode",
  "VAEDecode",
  "LoadImage",
  "Reroute",
  "PrimitiveNode",
  "ImageScale",
  "Note",
  "LatentUpscale",
  "ControlNetApplyAdvanced",
  "Choosing",
  "Growing",
];

export function randomChange(where, random) {
  const scope = where.catalogue.workflow.scope(where.scope);
  const nodes = [...scope.nodes.keys()];
  const pick = (list) => list[Math.floor(random() * list.length)];
  const id = pick(nodes);
  const link = pick([...scope.links.values()]);
  const view = id === undefined ? undefined : where.catalogue.view(scope.nodes.get(id), where.scope);
  const edits = [
    () => addNode(where, pick(TYPES), [random() * 900, random() * 900]),
    () => view?.outputs.length && addLinked(where, pick(TYPES), [0, 0], { node: id, output: 0 }),
    () => {
      const widget = pick(view?.widgets ?? []);
      return (
        widget &&
        setValue(
          where,
          id,
          widget.name,
          random() < 0.7 && widget.choices?.length
            ? pick(widget.choices)
            : random() < 0.5
              ? Math.floor(random() * 100)
              : "text",
        )
      );
    },
    () => id !== undefined && move(where, new Map([[id, [random() * 900, 4]]])),
    () => id !== undefined && remove(where, [id], [], [], random() < 0.5),
    () => id !== undefined && connectNodes(where, id, pick(nodes)),
    () => link && disconnect(where, [link]),
    () => link && addReroute(where, link, [random() * 500, 7]),
    () => scope.reroutes.size && remove(where, [], [], [pick([...scope.reroutes.keys()])]),
    () => id !== undefined && toggleMode(where, [id], pick([2, 4])),
    () => id !== undefined && toggleCollapsed(where, [id, pick(nodes)]),
    () =>
      id !== undefined &&
      setFields(where, [id], { color: random() < 0.5 ? "#123" : undefined, title: "Named" }, "Rename"),
    () => addGroup(where, [0, 0, random() * 100, 100]),
    () =>
      scope.groups.size && setGroup(where, pick([...scope.groups.keys()]), { title: "G" }, "Rename group"),
    () => nodes.length > 1 && paste(where, copy(where, [id, pick(nodes)]), [50, 50], random() < 0.5),
    () => link && id !== undefined && splicePair(where, link, id) && splice(where, link, id, [1, 2]),
    () => id !== undefined && pullOut(where, id, [3, 4]),
    () =>
      nodes.length > 2 &&
      align(where, nodes.slice(0, 3), pick(["left", "right", "top", "bottom", "row", "column"]), () => [
        random(),
        1,
        10,
        10,
      ]),
    () => nodes.length > 2 && makeSubgraph(where, [...new Set([id, pick(nodes)])]),
    () => {
      const instance = nodes.find((node) => where.catalogue.isInstance(scope.nodes.get(node)));
      return instance !== undefined && unpackSubgraph(where, instance);
    },
  ];
  return pick(edits)();
}
