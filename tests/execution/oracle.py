"""What a run should give, worked out the plain way: by recursion, from the targets upwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution.declare.outcome import ExecutionBlocker
from execution.declare.run import Run
from execution.run.graph import is_link
from tests.execution.toys import Toy

Key = Any
Lists = list[list[Any]]


class Oracle:
    """Runs prompts with toys. With `shares`, results are kept by what they were made of, in all runs."""

    def __init__(self, types: list[Toy], shares: bool) -> None:
        self.types = {each.spec.name: each for each in types}
        self.shares = shares
        self.memory: dict[Key, Lists] = {}

    def run(self, prompt: Mapping[str, Any], targets: tuple[str, ...]) -> dict[str, Lists]:
        self.prompt = dict(prompt)
        self.ran: list[str] = []
        self.values: dict[str, Lists] = {}
        self.used: dict[str, set[str]] = {}
        self.expanded: set[str] = set()
        return {target: self.value(target) for target in targets}

    def key(self, node_id: str) -> Key:
        node = self.prompt[node_id]
        parts = [
            (name, (self.key(value[0]), value[1]) if is_link(value) else (type(value).__name__, value))
            for name, value in sorted(node["inputs"].items())
        ]
        return (node["class_type"], tuple(parts))

    def value(self, node_id: str) -> Lists:
        if node_id not in self.values:
            key = self.key(node_id) if self.shares else node_id
            known = self.memory.get(key) if self.shares else None
            if known is None:
                known, ran = self.compute(node_id)
                if ran and self.shares:
                    self.memory[key] = known
            self.values[node_id] = known
        return self.values[node_id]

    def compute(self, node_id: str) -> tuple[Lists, bool]:
        """The outputs, and whether the node was called (or had nothing to be called for)."""
        node = self.prompt[node_id]
        toy = self.types[node["class_type"]]
        used = self.used.setdefault(node_id, set())
        lists: dict[str, list[Any]] = {}
        for name, value in node["inputs"].items():
            if not is_link(value):
                lists[name] = [value]
            elif toy.spec.by_name[name].lazy:
                lists[name] = [None]
            else:
                used.add(value[0])
                lists[name] = self.value(value[0])[value[1]]
        lazy = [name for name, each in toy.spec.by_name.items() if each.lazy]
        for inputs in self.calls(toy, lists) if lazy else []:
            if self.blocker(toy, inputs):
                continue
            for name in toy.wanted(inputs, Run()):
                value = node["inputs"][name]
                if is_link(value):
                    used.add(value[0])
                    lists[name] = self.value(value[0])[value[1]]
        calls = self.calls(toy, lists)
        outputs: Lists = [[] for _ in toy.spec.outputs]
        called = False
        for index, inputs in enumerate(calls):
            if self.blocker(toy, inputs):
                for column in outputs:
                    column.append("blocked")
                continue
            if not called:
                self.ran.append(node_id)
            called = True
            self.call(toy, inputs, Run(node=node_id, index=index), outputs)
        return outputs, called or not calls

    def call(self, toy: Toy, inputs: dict[str, Any], run: Run, outputs: Lists) -> None:
        if toy.spec.name == "Later":
            outputs[0].append(inputs["value"])
            return
        outcome = toy(inputs, run)
        self.prompt |= outcome.expand or {}
        self.expanded |= (outcome.expand or {}).keys()
        for slot, value in enumerate(outcome.outputs):
            if outcome.expand is not None and is_link(value):
                outputs[slot] += self.value(value[0])[value[1]]
            elif isinstance(value, ExecutionBlocker):
                outputs[slot].append("blocked")
            elif toy.spec.outputs[slot].is_list:
                outputs[slot] += value
            else:
                outputs[slot].append(value)

    def calls(self, toy: Toy, lists: dict[str, list[Any]]) -> list[dict[str, Any]]:
        if toy.spec.input_is_list:
            return [lists]
        if any(values == [] for values in lists.values()):
            return []
        longest = max([len(values) for values in lists.values()], default=1)
        return [
            {name: values[index] if index < len(values) else values[-1] for name, values in lists.items()}
            for index in range(longest)
        ]

    def blocker(self, toy: Toy, inputs: dict[str, Any]) -> bool:
        values = [item for each in inputs.values() for item in (each if toy.spec.input_is_list else [each])]
        return "blocked" in values


def plain(outputs: Any) -> Lists:
    """The engine's outputs as the oracle writes them."""
    return [
        ["blocked" if isinstance(item, ExecutionBlocker) else item for item in column] for column in outputs
    ]
