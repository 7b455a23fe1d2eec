"""Random graphs, edited and run again, give what plain recursion gives, and run what it runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.events import Done, Finished, Running
from execution.run.cache import Budgeted, Cache, LastUsed, NoCache
from tests.execution.oracle import Oracle, plain
from tests.execution.toys import Lab, node, toys

NAMES = {each.spec.name: list(each.spec.by_name) for each in toys()}
OUTPUTS = {each.spec.name: len(each.spec.outputs) for each in toys()}
Prompt = dict[str, Any]


@st.composite
def inputs_of(draw: st.DrawFn, name: str, prompt: Prompt) -> dict[str, Any]:
    """Each input a small number, or a link to something above."""
    sources = [(each, slot) for each, above in prompt.items() for slot in range(OUTPUTS[above["class_type"]])]
    number = st.integers(-1, 4)
    value = st.one_of(number, st.sampled_from(sources)) if sources else number
    return {each: draw(number if each == "times" else value) for each in NAMES[name]}


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    prompt: Prompt = {}
    for index in range(draw(st.integers(1, 9))):
        name = draw(st.sampled_from(sorted(NAMES)))
        prompt[str(index)] = node(name, **draw(inputs_of(name, prompt)))
    return prompt


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Prompt, tuple[str, ...]]]:
    """A prompt, and the same with a few nodes' inputs drawn again, each with targets."""
    prompt = draw(prompts())
    history = []
    for _ in range(draw(st.integers(1, 4))):
        targets = draw(st.lists(st.sampled_from(sorted(prompt)), min_size=1, max_size=3, unique=True))
        history.append((prompt, tuple(targets)))
        changed = draw(st.sampled_from(list(prompt)))
        above = dict(list(prompt.items())[: list(prompt).index(changed)])
        fresh = node(prompt[changed]["class_type"], **draw(inputs_of(prompt[changed]["class_type"], above)))
        prompt = {**prompt, changed: fresh}
    return history


def runs_after_what_it_used(lab: Lab, oracle: Oracle) -> None:
    """Whatever a node was given was done before it ran."""
    started = {each.place.node: each.number for each in lab.of(Running)}
    finished = {each.place.node: each.number for each in lab.of(Done)}
    for node_id, used in oracle.used.items():
        for source in used & finished.keys():
            is_lazy = lab.engine.registry.types[oracle.prompt[node_id]["class_type"]].spec.lazy_inputs
            if node_id in started and not is_lazy:
                assert finished[source] < started[node_id]


@settings(max_examples=150, deadline=None)
@given(histories())
def test_results_and_what_ran_are_those_of_plain_recursion(
    history: list[tuple[Prompt, tuple[str, ...]]],
) -> None:
    oracle = Oracle(toys(), shares=True)
    with Lab(cache=Budgeted()) as lab:
        for prompt, targets in history:
            expected = oracle.run(prompt, targets)
            result = lab.run(prompt, *targets)
            assert {each: plain(result.outputs[each]) for each in targets} == expected
            assert len(lab.ran) == len(set(lab.ran))
            in_expansions = {oracle.key(each) for each in oracle.expanded}
            ours, theirs = keys_of(oracle, lab.ran), keys_of(oracle, oracle.ran)
            assert {key for key in ours | theirs if ours[key] != theirs[key]} <= in_expansions
            assert isinstance(lab.events[-1], Finished)
            assert [each.number for each in lab.events] == list(range(1, len(lab.events) + 1))


def keys_of(oracle: Oracle, ids: list[str]) -> Counter[Any]:
    """Which of two equal nodes ran does not matter; one may stand in an expansion, whose ids differ."""
    return Counter(oracle.key(each) for each in ids if "." not in each)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_without_a_cache_each_needed_node_runs_once(history: list[tuple[Prompt, tuple[str, ...]]]) -> None:
    oracle = Oracle(toys(), shares=False)
    with Lab(cache=NoCache()) as lab:
        for prompt, targets in history:
            expected = oracle.run(prompt, targets)
            result = lab.run(prompt, *targets)
            assert {each: plain(result.outputs[each]) for each in targets} == expected
            assert sorted(lab.ran) == sorted(oracle.ran)
            runs_after_what_it_used(lab, oracle)


@pytest.mark.parametrize("cache", [LastUsed(1), LastUsed(4), Budgeted(700)])
@settings(max_examples=30, deadline=None)
@given(histories())
def test_a_cache_that_forgets_changes_no_result(
    cache: Cache, history: list[tuple[Prompt, tuple[str, ...]]]
) -> None:
    oracle = Oracle(toys(), shares=False)
    with Lab(cache=cache) as lab:
        for prompt, targets in history:
            expected = oracle.run(prompt, targets)
            result = lab.run(prompt, *targets)
            assert {each: plain(result.outputs[each]) for each in targets} == expected
            assert set(lab.ran) <= set(oracle.ran)
