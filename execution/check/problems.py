"""The problems validation reports, in ComfyUI's types, words and shapes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from execution.declare.spec import InputSpec

Problem = dict[str, Any]
SHOWN_CHOICES = 20
"""Lists longer than this are not repeated in a message."""
MISSING_NODE_TYPE = "missing_node_type"
"""What tells an unknown class from other kinds of `invalid_prompt`: newer clients know it as a type."""


def problem(kind: str, message: str, details: str = "", **extra_info: Any) -> Problem:
    """The shape of all of them."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info}


def no_class_type(node_id: str) -> Problem:
    """A node does not say what it is."""
    message = "Cannot execute because a node is missing the class_type property."
    return problem("invalid_prompt", message, f"Node ID '#{node_id}'", node_id=node_id)


def missing_node_type(node_id: str, node: Mapping[str, Any], known: Collection[str] = ()) -> Problem:
    """There is no such node type here; `known` are those there are."""
    class_type = node["class_type"]
    meta = node.get("_meta")
    title = meta.get("title", class_type) if isinstance(meta, dict) else class_type
    message = f"Node '{title}' not found. The custom node may not be installed."
    nearest = get_close_matches(class_type, known, 3, 0.7)
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
    details = f"{MISSING_NODE_TYPE}: Node ID '#{node_id}'{hint}"
    facts = {"node_id": node_id, "class_type": class_type, "node_title": title, "nearest": nearest}
    return problem("invalid_prompt", message, details, **facts)


def no_outputs() -> Problem:
    """Nothing in the prompt would show anything."""
    return problem("prompt_no_outputs", "Prompt has no outputs")


def outputs_failed(node_errors: Mapping[str, Any]) -> Problem:
    """No output can run."""
    lines = [
        f"* {entry['class_type']} {node_id}: {each['message']}: {each['details']}"
        for node_id, entry in node_errors.items()
        for each in entry["errors"]
    ]
    kind = "prompt_outputs_failed_validation"
    return problem(kind, "Prompt outputs failed validation", "\n".join(lines))


def dependency_cycle(nodes: Sequence[str]) -> Problem:
    """Nodes wait for one another; of a long round only the first are named."""
    named = list(nodes[:SHOWN_CHOICES])
    rest = [f"… ({len(nodes)} nodes)"] if len(nodes) > len(named) else []
    details = " -> ".join((*named, *rest, nodes[0]))
    return problem("dependency_cycle", "Dependency cycle detected", details, node_ids=named)


def required_input_missing(name: str) -> Problem:
    """A required input has neither constant nor link."""
    return problem("required_input_missing", "Required input is missing", name, input_name=name)


def bad_link(each: InputSpec, value: Any) -> Problem:
    """A link is none: it has not two parts."""
    message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
    return problem("bad_linked_input", message, each.name, **_facts(each, received_value=value))


def no_inputs(exception: str, at_target: bool) -> Problem:
    """A node has no object of inputs."""
    details = 'the node has no inputs; send {"inputs": {…}}, empty if it takes none'
    return _unreadable(details, at_target, {"exception_type": exception})


def dangling_link(each: InputSpec, value: Any, reason: str, exception: str, at_target: bool) -> Problem:
    """A link leads to no node or to no output of one."""
    facts = _facts(each, received_value=value, linked_node=value, exception_type=exception)
    return _unreadable(f"{each.name}, {reason}", at_target, facts)


def _unreadable(details: str, at_target: bool, facts: Mapping[str, Any]) -> Problem:
    """What ComfyUI cannot look up in a prompt, and so reports by the exception that it met there; a node
    that others need has a type and a message of its own.
    """
    kind = "exception_during_validation" if at_target else "exception_during_inner_validation"
    message = "Exception when validating node" if at_target else "Exception when validating inner node"
    return problem(kind, message, details, exception_message=details, traceback=[], **facts)


def return_type_mismatch(each: InputSpec, value: Any, received: str) -> Problem:
    """A link joins an output and an input of different types."""
    message = "Return type mismatch between linked nodes"
    details = f"{each.name}, received_type({received}) mismatch input_type({each.socket})"
    facts = _facts(each, received_type=received, linked_node=value)
    return problem("return_type_mismatch", message, details, **facts)


def invalid_input_type(each: InputSpec, value: Any, error: Exception) -> Problem:
    """A constant is no number, or whatever the input wants."""
    message = f"Failed to convert an input value to a {each.type} value"
    facts = _facts(each, received_value=value, exception_message=str(error))
    return problem("invalid_input_type", message, f"{each.name}, {value}, {error}", **facts)


def value_smaller_than_min(each: InputSpec, value: Any) -> Problem:
    """A number is below its range."""
    message = f"Value {value} smaller than min of {(each.options or {})['min']}"
    return problem("value_smaller_than_min", message, each.name, **_facts(each, received_value=value))


def value_bigger_than_max(each: InputSpec, value: Any) -> Problem:
    """A number is above its range."""
    message = f"Value {value} bigger than max of {(each.options or {})['max']}"
    return problem("value_bigger_than_max", message, each.name, **_facts(each, received_value=value))


def not_in_list(each: InputSpec, value: Any, choices: Collection[Any], advice: str | None = None) -> Problem:
    """A choice that is not offered; `advice` says what to do where the usual is not enough."""
    many = len(choices) > SHOWN_CHOICES
    offered = f"(list of length {len(choices)})" if many else str(list(choices))
    nearest = get_close_matches(str(value), list(map(str, choices)), 3, 0.6) if many else []
    hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
    facts: dict[str, Any] = {"input_name": each.name, "received_value": value}
    facts["input_config"] = None if many else each.object_info()
    if advice is not None:
        facts["advice"] = advice
    details = f"{each.name}: '{value}' not in {offered}{hint}"
    return problem("value_not_in_list", "Value not in list", details, **facts)


def custom_validation_failed(name: str, message: str) -> Problem:
    """The node's own check says no."""
    details = f"{name} - {message}" if message else name
    kind = "custom_validation_failed"
    return problem(kind, "Custom validation failed for node", details, input_name=name)


def no_such_file(name: str, kind: str, value: Any, advice: str) -> Problem:
    """A file of a `kind` such as `input:image` or `output:image` is not there; in ComfyUI's words."""
    what = re.split(r"\W+", kind.partition(":")[2].lstrip("."))[0]
    problem = custom_validation_failed(name, f"Invalid {what} file: {value}")
    problem["extra_info"] |= {"received_value": value, "advice": advice}
    return problem


def exception_during_validation(error: Exception, traceback: Sequence[str]) -> Problem:
    """The node's own check raised."""
    facts = {"exception_type": type(error).__name__, "traceback": list(traceback)}
    kind = "exception_during_validation"
    return problem(kind, "Exception when validating node", str(error), **facts)


def exception_during_inner_validation(each: InputSpec, value: Any, error: Exception) -> Problem:
    """Checking one input raised, because of what its type declares."""
    facts = _facts(each, received_value=value, exception_type=type(error).__name__)
    kind = "exception_during_inner_validation"
    return problem(kind, "Exception when validating inner node", str(error), **facts)


def _facts(each: InputSpec, **more: Any) -> dict[str, Any]:
    return {"input_name": each.name, "input_config": each.object_info(), **more}
