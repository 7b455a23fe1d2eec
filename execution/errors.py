"""What the engine, its files and its channels raise on purpose, as one tree.

What a node raises is not among them: it becomes the event `Failed`. Models and memory have their own tree, in
`diffusion/errors.py`.

NodeloomError                 anything below; catch this at the outermost edge only
├── DeclarationError          a node type is declared wrongly: names the node, the parameter and the cure
├── GraphError                a prompt or an expansion is not a graph that could run
│   ├── DependencyCycle       nodes that wait for one another
│   └── DuplicateNode         an expansion brings an id which exists already
├── WorkflowError             a workflow file that cannot be turned into a prompt
├── FolderError               a name that is not to be found
│   ├── OutsideRoot           …because it points out of the folder it belongs to
│   └── FileMissing           …because no such file is there; carries the nearest names
└── ChannelClosed             the other end of a channel is gone

Cancelled                     the job was cancelled; a BaseException, so `except Exception` lets it through
"""

from __future__ import annotations

from collections.abc import Sequence


class NodeloomError(Exception):
    """Root of the tree."""


class DeclarationError(NodeloomError):
    """A node type cannot be declared like this."""

    def __init__(self, node: str, parameter: str | None, problem: str, cure: str) -> None:
        """Name the place (`node`, maybe `parameter`), the problem and what to write instead."""
        self.node, self.parameter, self.problem, self.cure = node, parameter, problem, cure
        place = f"node {node!r}" + (f", parameter {parameter!r}" if parameter else "")
        super().__init__(f"{place}: {problem}; {cure}")


class GraphError(NodeloomError):
    """A prompt or an expansion is not a graph that could run."""


class DependencyCycle(GraphError):
    """Nodes that wait for one another; `nodes` is one such round, in order."""

    def __init__(self, nodes: Sequence[str]) -> None:
        """Keep the ids of the nodes on the round."""
        self.nodes = tuple(nodes)
        super().__init__(f"dependency cycle between nodes {' -> '.join((*self.nodes, *self.nodes[:1]))}")


class DuplicateNode(GraphError):
    """An expansion brings a node id which the running graph already has."""

    def __init__(self, node: str) -> None:
        """Keep the id."""
        self.node = node
        super().__init__(
            f"attempt to add duplicate node {node!r}: ids in an expanded graph must be unique, "
            "for example by prefixing them with the id of the node that expands"
        )


class WorkflowError(NodeloomError):
    """A workflow file cannot be turned into a prompt."""


class FolderError(NodeloomError):
    """A file name that is not to be found; `kind` is the folder's kind."""

    def __init__(self, kind: str, name: str, problem: str) -> None:
        """Name folder kind and file, and say what is wrong."""
        self.kind, self.name = kind, name
        super().__init__(problem)


class OutsideRoot(FolderError):
    """The name points out of the folder it belongs to."""

    def __init__(self, kind: str, name: str) -> None:
        """Name folder kind and file."""
        super().__init__(kind, name, f"{name!r} is not inside the {kind!r} folder; use a name relative to it")


class FileMissing(FolderError):
    """No such file; `nearest` are the names most like it."""

    def __init__(self, kind: str, name: str, nearest: Sequence[str] = ()) -> None:
        """Name folder kind and file and suggest the nearest names."""
        self.nearest = tuple(nearest)
        advice = (
            f"did you mean {', '.join(map(repr, nearest))}?" if nearest else "the folder has nothing like it"
        )
        super().__init__(kind, name, f"no file {name!r} in the {kind!r} folder; {advice}")


class ChannelClosed(NodeloomError):
    """The other end of a channel is gone."""


class Cancelled(BaseException):
    """The job was cancelled. Not an `Exception`: a node that catches those must not swallow it."""
