"""ComfyUI's `comfy_execution.graph`: the value that stops whatever would use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host
from compat.modules.comfy_execution.graph_utils import is_link
from execution.declare.node import ExecutionBlocker


class NodeInputError(Exception):
    """An input of a node is wrong."""


class NodeNotFoundError(Exception):
    """A node id is not in the graph."""


class DependencyCycleError(Exception):
    """Nodes wait for one another."""


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        "DependencyCycleError": DependencyCycleError,
        "ExecutionBlocker": ExecutionBlocker,
        "NodeInputError": NodeInputError,
        "NodeNotFoundError": NodeNotFoundError,
        "is_link": is_link,
    }
