"""GraphBuilder and its kin, against ComfyUI's documentation of node expansion."""

from __future__ import annotations

import contextvars

from hypothesis import given
from hypothesis import strategies as st

from compat.current import calling
from compat.modules.comfy_execution.graph_utils import LONGEST_ID, GraphBuilder, add_graph_prefix, is_link
from execution.declare.run import Run


def test_the_documented_example_gives_an_api_graph() -> None:
    graph = GraphBuilder("p.")
    one = graph.node("CheckpointLoaderSimple", checkpoint_path="a")
    two = graph.node("CheckpointLoaderSimple", checkpoint_path="b")
    merged = graph.node("ModelMergeSimple", "merge", model1=one.out(0), model2=two.out(0), ratio=0.5)
    assert merged.out(0) == ["p.merge", 0]
    assert graph.finalize() == {
        "p.1": {"class_type": "CheckpointLoaderSimple", "inputs": {"checkpoint_path": "a"}},
        "p.2": {"class_type": "CheckpointLoaderSimple", "inputs": {"checkpoint_path": "b"}},
        "p.merge": {
            "class_type": "ModelMergeSimple",
            "inputs": {"model1": ["p.1", 0], "model2": ["p.2", 0], "ratio": 0.5},
        },
    }


def test_inputs_can_be_changed_afterwards() -> None:
    graph = GraphBuilder("")
    node = graph.node("Add", "x", a=1, b=2)
    node.set_input("a", ["y", 0])
    node.set_input("b", None)
    node.set_input("never", None)
    assert (node.get_input("a"), node.get_input("b")) == (["y", 0], None)
    assert graph.lookup_node("x") is node
    assert graph.lookup_node("absent") is None
    assert graph.node("Other", "x") is node
    node.set_override_display_id("12")
    assert graph.finalize() == {
        "x": {"class_type": "Add", "inputs": {"a": ["y", 0]}, "override_display_id": "12"}
    }


def test_ids_do_not_grow_without_end() -> None:
    ids, last = set(), "node"
    for _ in range(1000):
        graph = GraphBuilder(f"{last}.0.0.")
        again = graph.node("Again", last)
        assert graph.lookup_node(last) is again
        last = again.id
        assert list(graph.finalize()) == [last]
        assert len(last) <= LONGEST_ID
        ids.add(last)
    assert len(ids) == 1000
    assert last.startswith("node.0.0.node.0.0.")


def test_outputs_can_be_replaced_and_nodes_removed() -> None:
    graph = GraphBuilder("p.")
    graph.node("A", "a")
    user = graph.node("B", "b", x=["p.a", 0], y=["p.a", 1], z=["p.a", 0])
    graph.replace_node_output("a", 0, ["p.c", 2])
    assert user.inputs == {"x": ["p.c", 2], "y": ["p.a", 1], "z": ["p.c", 2]}
    graph.replace_node_output("a", 1, None)
    assert user.inputs == {"x": ["p.c", 2], "z": ["p.c", 2]}
    graph.remove_node("a")
    assert list(graph.finalize()) == ["p.b"]


def test_ids_within_a_node_are_unique_and_the_same_in_every_run() -> None:
    def expansion(index: int) -> list[str]:
        with calling(Run(node="7"), index):
            graphs = [GraphBuilder(), GraphBuilder()]
        return [graph.node("A").id for graph in graphs]

    assert expansion(0) == expansion(0) == ["7.0.0.1", "7.0.1.1"]
    assert expansion(3) == ["7.3.0.1", "7.3.1.1"]


def test_a_prefix_may_be_set_or_given_in_parts() -> None:
    def chosen() -> tuple[str, str, str]:
        GraphBuilder.set_default_prefix("root", 2, 5)
        return GraphBuilder().prefix, GraphBuilder().prefix, GraphBuilder.alloc_prefix("mine", graph_index=0)

    assert contextvars.copy_context().run(chosen) == ("root.2.5.", "root.2.6.", "mine.2.0.")


def test_outside_of_a_node_prefixes_still_differ() -> None:
    def two() -> set[str]:
        return {GraphBuilder().prefix, GraphBuilder().prefix}

    assert len(contextvars.copy_context().run(two)) == 2


LINKS = [
    (["1", 0], True),
    (["a.b", 3], True),
    (["1", 0.0], True),
    (["1", True], False),
    (["1"], False),
    ([1, 0], False),
    (("1", 0), False),
    ("1", False),
    (["1", "0"], False),
    (["1", 0, 0], False),
    (None, False),
]


def test_links_are_told_from_constants() -> None:
    for value, expected in LINKS:
        assert is_link(value) is expected, value


ids = st.text("ab1.", min_size=1, max_size=3)
values = st.one_of(st.integers(), st.text(max_size=3), st.tuples(ids, st.integers(0, 3)).map(list))
graphs = st.dictionaries(
    ids, st.dictionaries(st.text("xyz", min_size=1, max_size=1), values, max_size=3), max_size=4
)


@given(graphs, st.lists(values, max_size=3))
def test_a_prefix_moves_every_id_and_nothing_else(inputs: dict, outputs: list) -> None:
    graph = {
        id: {"class_type": "A", "inputs": members, "_meta": {"title": id}} for id, members in inputs.items()
    }
    prefixed, moved = add_graph_prefix(graph, outputs, "P.")

    def back(value: object) -> object:
        return [value[0].removeprefix("P."), value[1]] if is_link(value) else value

    assert [back(value) for value in moved] == outputs
    assert all(id.startswith("P.") for id in prefixed)
    restored = {
        id.removeprefix("P."): {**node, "inputs": {key: back(value) for key, value in node["inputs"].items()}}
        for id, node in prefixed.items()
    }
    assert restored == graph
