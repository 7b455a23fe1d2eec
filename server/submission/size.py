"""How many nodes a document stands for, counted before it is opened."""

from collections.abc import Mapping
from typing import Any

from workflows.prompt import is_workflow


def count_nodes(document: Mapping[str, Any], most: int) -> int:
    """Nodes of a prompt, or of a workflow with all subgraphs opened; beyond `most`, some number above that.

    Counts without opening: definitions that use one another ten times each would grow without bound.
    """
    if not is_workflow(document):
        return len(document)
    kinds = {name: [node.get("type") for node in nodes] for name, nodes in graphs(document).items()}
    sizes = {name: len(types) for name, types in kinds.items()}
    for _ in kinds:
        grown = {
            name: min(
                len(types) + sum(sizes.get(kind, 0) for kind in types if isinstance(kind, str)), most + 1
            )
            for name, types in kinds.items()
        }
        if grown == sizes:
            break
        sizes = grown
    return sizes[""]


def graphs(document: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The nodes of a workflow, under "", and of its subgraphs and group nodes, by the types that stand for
    them.
    """
    found = {"": document}
    definitions, extra = document.get("definitions"), document.get("extra")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    for graph in subgraphs if isinstance(subgraphs, list) else ():
        if isinstance(graph, dict):
            found[str(graph.get("id"))] = graph
    groups = extra.get("groupNodes") if isinstance(extra, dict) else None
    for name, graph in groups.items() if isinstance(groups, dict) else ():
        if isinstance(graph, dict):
            found[f"workflow/{name}"] = found[f"workflow>{name}"] = graph
    lists = {name: graph.get("nodes") for name, graph in found.items()}
    return {
        name: [node for node in nodes if isinstance(node, dict)]
        for name, nodes in lists.items()
        if isinstance(nodes, list)
    }
