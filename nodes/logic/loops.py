"""Repeating a part of the graph: for each, and while.

A loop is a pair of nodes. What stands between them, the body, is found in the running graph; for each round
the closing node brings in a copy of it, in which the round's values stand for those of the opening node. The
opening node blocks its other outputs, so the body itself never runs: what it makes leaves through the closing
node. Rounds are nodes like others: results are kept, and a loop that is longer next time does only what is
new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from execution.declare.node import (
    ExecutionBlocker,
    Outcome,
    Output,
    Range,
    RawLink,
    Run,
    Socket,
    Tip,
    node,
)
from execution.declare.run import GraphView
from execution.run.graph import PLAIN, is_link, ordered
from nodes.logic.logic import items_of

MAX_ROUNDS = 100_000
FLOW, ITEM, INDEX, COUNT, VALUE = range(5)
"""The outputs of an opening node."""


@dataclass(frozen=True)
class Loop:
    """What an opening node tells its closing node: the items, and the value that the first round gets."""

    items: tuple[Any, ...] = ()
    value: tuple[Any, ...] = ()


Flow = Annotated[Loop, Socket("LOOP")]
Opened = Annotated[Flow, Tip("From the node that opens the loop.")]
First = Annotated[
    list[Any] | None, Tip("What the first round gets as `value`; later ones get what was made of it.")
]


class ForEach(NamedTuple):
    """What each round of a loop over items is given."""

    loop: Flow
    item: Any
    number: Annotated[int, Output("index")]
    total: Annotated[int, Output("count")]
    value: Any


class While(NamedTuple):
    """What each round of an open loop is given."""

    loop: Flow
    number: Annotated[int, Output("index")]
    value: Any


class Results(NamedTuple):
    """What a loop over items made."""

    results: list[Any]
    value: Any


@node("ForEachStart", category="logic/loops", search_aliases=("loop", "repeat", "iterate", "for"))
def for_each_start(
    items: Annotated[list[Any], Tip("A list, a batch of images or latents, or how many rounds (a number).")],
    value: First = None,
) -> Outcome[ForEach]:
    """For Each: Start.

    Opens a loop: what stands between it and For Each: End is done once for each item.
    """
    found = items_of(items)
    if len(found) == 1 and type(found[0]) is int:
        found = list(range(found[0]))
    return _opened(Loop(tuple(found), tuple(value or ())), 4)


@node("WhileStart", category="logic/loops", search_aliases=("loop", "repeat", "until"))
def while_start(value: First = None) -> Outcome[While]:
    """While: Start.

    Opens a loop: what stands between it and While: End is done again and again, as long as a condition holds.
    """
    return _opened(Loop(value=tuple(value or ())), 2)


def _opened(loop: Loop, others: int) -> Outcome[Any]:
    return Outcome((loop, *(ExecutionBlocker() for _ in range(others))))


@node("ForEachEnd", category="logic/loops")
def for_each_end(
    loop: Opened,
    result: Annotated[Any | None, RawLink(), Tip("What each round makes; comes out as a list.")] = None,
    value: Annotated[
        Any | None, RawLink(), Tip("What the next round gets as `value`: sums, chains, growing pictures.")
    ] = None,
    *,
    run: Run,
) -> Outcome[Results]:
    """For Each: End.

    Closes a loop: gives the results of all rounds as a list, and the value that the last round left.
    """
    body = Body.around(run, [result, value])
    count = len(loop.items)
    if count > MAX_ROUNDS:
        raise ValueError(f"input 'loop' has {count} rounds, more than {MAX_ROUNDS}; work on fewer items")
    expand: dict[str, Any] = {}
    results: Any = []
    carried = body.first(expand, loop)
    for index, item in enumerate(loop.items):
        given = {INDEX: index, COUNT: count, VALUE: carried}
        given[ITEM] = item if isinstance(item, PLAIN) else body.picked(expand, f"{index}.item", index)
        body.copy(expand, index, given)
        if value is not None:
            carried = body.link(index, given, value)
        if result is not None:
            results = body.gathered(expand, index, count, results, body.link(index, given, result))
    return Outcome((results, carried), expand=expand)


@node("WhileEnd", category="logic/loops")
def while_end(
    loop: Opened,
    condition: Annotated[
        bool, RawLink(), Tip("Asked before each round, of `value`: whether the round is done.")
    ],
    value: Annotated[Any, RawLink(), Tip("What a round makes of `value`.")],
    max_rounds: Annotated[int, Range(1, MAX_ROUNDS), Tip("A loop that goes on longer is an error.")] = 1000,
    *,
    run: Run,
) -> Outcome[Annotated[Any, Output("value")]]:
    """While: End.

    Closes a loop: gives the value for which the condition no longer holds. The condition is asked first, so
    there may be no round at all.
    """
    body = Body.around(run, [condition, value])
    expand: dict[str, Any] = {}
    first = body.first(expand, loop)
    return _round(body, expand, 0, first, [condition, value], max_rounds)


@node("WhileRound", category="logic/loops/parts")
def while_round(
    loop: Annotated[Any, RawLink(), Tip("From the node that opens the loop.")],
    go_on: Annotated[bool, Tip("Whether this round is done.")],
    carried: Annotated[list[Any], Tip("The value before this round.")],
    made: Annotated[Any, RawLink(), Tip("The value after this round.")],
    end: Annotated[str, Tip("The node that closes the loop.")],
    index: Annotated[int, Tip("The number of this round.")],
    max_rounds: Annotated[int, Tip("A loop that goes on longer is an error.")],
    *,
    run: Run,
) -> Outcome[Annotated[list[Any], Output("value")]]:
    """While: Round.

    One round of a While loop, which the loop brings in by itself.
    """
    if not go_on:
        return Outcome((carried,))
    if index + 1 >= max_rounds:
        raise ValueError(
            f"the loop did not end within {max_rounds} rounds; "
            "let its condition become false, or raise 'max_rounds' of While: End"
        )
    run.progress(index + 1, max_rounds)
    graph = run.dynprompt
    assert graph is not None  # the engine that brought this node in gives it
    inputs = graph.get_node(end)["inputs"]
    outer = [inputs["condition"], inputs["value"]]
    body = Body.around(run, outer, end)
    return _round(body, {}, index + 1, made, outer, max_rounds)


def _round(
    body: Body, expand: dict[str, Any], index: int, carried: Any, outer: list[Any], max_rounds: int
) -> Outcome[Any]:
    """Bring in round `index`: its copy of the body, and the node that asks whether it is done."""
    given = {1: index, 2: carried}
    body.copy(expand, index, given)
    asks = f"{body.end}.{index}.round"
    condition, value = (body.link(index, given, each) for each in outer)
    expand[asks] = {
        "class_type": "WhileRound",
        "inputs": {
            "loop": [body.start, FLOW],
            "go_on": condition,
            "carried": carried,
            "made": value,
            "end": body.end,
            "index": index,
            "max_rounds": max_rounds,
        },
    }
    return Outcome(([asks, 0],), expand=expand)


@node("LoopItem", category="logic/loops/parts")
def loop_item(
    loop: Opened,
    index: Annotated[int, Tip("The number of the item; below 0 the first value.")],
) -> Annotated[list[Any], Output("value")]:
    """Loop: Item.

    One item of a loop, which the loop brings in by itself.
    """
    return list(loop.value) if index < 0 else [loop.items[index]]


@node("LoopGather", category="logic/loops/parts")
def loop_gather(
    before: Annotated[list[Any] | None, Tip("The results of the rounds before.")] = None,
    result: Annotated[list[Any] | None, Tip("The result of this round.")] = None,
    index: Annotated[int, Tip("The number of this round.")] = 0,
    count: Annotated[int, Tip("How many rounds there are.")] = 1,
    *,
    run: Run,
) -> Annotated[list[Any], Output("results")]:
    """Loop: Gather.

    The results of a loop so far, which the loop brings in by itself.
    """
    run.progress(index + 1, count)
    return [*(before or ()), *(result or ())]


@dataclass(frozen=True)
class Body:
    """The nodes between an opening and a closing node, as they stand in the running graph."""

    start: str
    end: str
    nodes: Mapping[str, Mapping[str, Any]]

    @classmethod
    def around(cls, run: Run, links: Iterable[Any], end: str | None = None) -> Body:
        """The body of the loop that node `end` (the running one) closes and that `links` lead back into.

        Raises:
            ValueError: the closing node is not linked to an opening one.
        """
        graph = run.dynprompt
        if graph is None:
            raise ValueError("a loop can only run in a graph")
        end = end or run.node
        flow = graph.get_node(end)["inputs"]["loop"]
        if not is_link(flow):
            raise ValueError("input 'loop' has to be linked to the node that opens the loop")
        start = str(flow[0])
        inside = _depending(graph, start, end, [str(link[0]) for link in links if is_link(link)])
        return cls(start, end, {each: graph.get_node(each) for each in inside})

    def link(self, index: int, given: Mapping[int, Any], link: Any) -> Any:
        """What stands in round `index` where `link` (or a constant) stands in the body."""
        if not is_link(link):
            return link
        source, slot = str(link[0]), int(link[1])
        if source == self.start and slot in given:
            return given[slot]
        return [self._name(index, source), slot] if source in self.nodes else link

    def copy(self, expand: dict[str, Any], index: int, given: Mapping[int, Any]) -> None:
        """Bring round `index` into the graph; it is shown on the body's nodes."""
        for node_id, found in self.nodes.items():
            inputs = {name: self.link(index, given, value) for name, value in found["inputs"].items()}
            copied = {"class_type": found["class_type"], "inputs": inputs, "override_display_id": node_id}
            expand[self._name(index, node_id)] = copied

    def first(self, expand: dict[str, Any], loop: Loop) -> Any:
        """What stands in the first round for the value: itself if it is plain, else a link to it."""
        plain = len(loop.value) == 1 and isinstance(loop.value[0], PLAIN)
        return loop.value[0] if plain else self.picked(expand, "first", -1)

    def picked(self, expand: dict[str, Any], name: str, index: int) -> list[Any]:
        """A link to an item of the loop, or with -1 to the value of its first round."""
        picks = f"{self.end}.{name}"
        expand[picks] = {"class_type": "LoopItem", "inputs": {"loop": [self.start, FLOW], "index": index}}
        return [picks, 0]

    def gathered(self, expand: dict[str, Any], index: int, count: int, before: Any, result: Any) -> list[Any]:
        """A link to the results up to round `index`."""
        gathers = f"{self.end}.{index}.gather"
        inputs = {"before": before or None, "result": result, "index": index, "count": count}
        kept = {name: value for name, value in inputs.items() if value is not None}
        expand[gathers] = {"class_type": "LoopGather", "inputs": kept}
        return [gathers, 0]

    def _name(self, index: int, node_id: str) -> str:
        return f"{self.end}.{index}.{node_id}"


def _depending(graph: GraphView, start: str, end: str, links: list[str]) -> list[str]:
    """The nodes of the loop: those that depend on its opening node and not on its closing one."""
    parent = graph.get_parent_node_id(end)
    scope = [each for each in graph.all_node_ids() if graph.get_parent_node_id(each) == parent]

    def sources(node_id: str) -> list[str]:
        inputs = graph.get_node(node_id)["inputs"].values()
        return [str(value[0]) for value in inputs if is_link(value) and graph.has_node(str(value[0]))]

    inside, outside = {start}, {end}
    for node_id in ordered([*links, *sorted(scope)], sources):
        before = sources(node_id)
        if node_id == end or not outside.isdisjoint(before):
            outside.add(node_id)
        elif not inside.isdisjoint(before):
            inside.add(node_id)
    return sorted(inside - {start})
