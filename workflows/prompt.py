"""The editor's workflow files, turned into prompts: what the editor itself would send.

Reads ComfyUI's formats 0.4 (links as lists) and 1.0 (links as objects): subgraphs, group nodes of old,
reroutes, muted and bypassed nodes, primitive nodes, notes, `Set`/`Get` pairs. Nodes inside a subgraph or
group get ids such as `12:5`. Nothing here recurses, so nesting costs no stack.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from execution.declare.spec import NodeSpec
from execution.errors import WorkflowError
from workflows.dynamic_text import Choose
from workflows.promotion import given_inside
from workflows.scopes import BYPASSED, MUTED, Node, Scope, id_of, mode_of, scopes_of, slots_of, type_of
from workflows.shown_values import Making, sent, settled, shown_values, widget_behind, wrapped
from workflows.sources import UNSENT, Constant, Written, source_of

MOST_NODES = 100_000
"""Nodes of one workflow, those inside each use of a subgraph counted."""


def is_workflow(document: Any) -> bool:
    """Whether a JSON document is of the editor's form (a list of nodes) rather than a prompt."""
    return isinstance(document, Mapping) and isinstance(document.get("nodes"), Sequence)


def to_prompt(
    document: Mapping[str, Any],
    specs: Mapping[str, NodeSpec],
    choose: Choose = random.choice,
    most_nodes: int = MOST_NODES,
    now: datetime | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The prompt in API form, and the `extra_data` to send with it (the workflow, for the metadata).

    `choose` picks among `{a|b}` alternatives of texts that have them; `now` is the date for file names.

    Raises:
        WorkflowError: the document is not a workflow, or one with more than `most_nodes` nodes; names the
            node or link at fault.
    """
    if not is_workflow(document):
        raise WorkflowError("this is not a workflow: it has no list of `nodes`")
    making = Making(specs, choose, now or datetime.now())
    prompt = {}
    for scope in scopes_of(document, most_nodes):
        for node in scope.nodes.values():
            if (
                scope.muted
                or mode_of(node) in (MUTED, BYPASSED)
                or type_of(node) in UNSENT
                or scope.inner(node)
            ):
                continue
            prompt[scope.path + id_of(node)] = _prompt_node(scope, node, making)
    return _without_dangling(prompt), {"extra_pnginfo": {"workflow": document}}


def _prompt_node(scope: Scope, node: Node, making: Making) -> dict[str, Any]:
    spec = making.spec(node)
    values = shown_values(node, spec) | given_inside(scope, id_of(node), making)
    inputs = {name: sent(scope, node, name, value, making) for name, value in values.items()}
    for slot in slots_of(node, "inputs"):
        if slot.get("link") is None:
            continue
        name = str(slot["name"])
        source = source_of(scope, slot, widget_behind(slot, spec) is not None, making)
        if isinstance(source, Written):
            inputs[name] = sent(scope, node, name, settled(source.value, widget_behind(slot, spec)), making)
        elif isinstance(source, Constant):
            inputs[name] = wrapped(source.value)
        elif source is not None:
            inputs[name] = list(source)
    title = node.get("title") or (spec.display_name or spec.name if spec else None) or type_of(node)
    return {"inputs": inputs, "class_type": spec.name if spec else type_of(node), "_meta": {"title": title}}


def _without_dangling(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt without links to nodes that are not sent."""
    for node in prompt.values():
        node["inputs"] = {
            name: value
            for name, value in node["inputs"].items()
            if not (isinstance(value, list) and len(value) == 2) or value[0] in prompt
        }
    return prompt
