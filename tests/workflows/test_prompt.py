"""Workflow files become the prompts that the editor would send."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.declare.spec import InputSpec, NodeSpec, OutputSpec
from execution.errors import WorkflowError
from workflows.dynamic_text import with_choices_made
from workflows.prompt import is_workflow, to_prompt
from workflows.widgets import by_position, widget_values


def spec(name: str, *inputs: InputSpec, outputs: tuple[str, ...] = ()) -> NodeSpec:
    return NodeSpec(
        name, name.title(), inputs=inputs, outputs=tuple(OutputSpec(each, each) for each in outputs)
    )


SEED = InputSpec("seed", "INT", {"default": 0, "control_after_generate": True})
STEPS = InputSpec("steps", "INT", {"default": 20})
SPECS = {
    each.name: each
    for each in (
        spec("load", InputSpec("name", ("a.safetensors", "b.safetensors")), outputs=("MODEL", "CLIP", "VAE")),
        spec(
            "text",
            InputSpec("text", "STRING", {"dynamicPrompts": True}),
            InputSpec("clip", "CLIP"),
            outputs=("COND",),
        ),
        spec(
            "sample",
            InputSpec("model", "MODEL"),
            SEED,
            STEPS,
            InputSpec("positive", "COND"),
            InputSpec("forced", "INT", {"forceInput": True}, "optional"),
            InputSpec("denoise", "FLOAT", {"default": 1.0}, "optional"),
            outputs=("LATENT",),
        ),
        spec("again", InputSpec("latent", "LATENT"), InputSpec("model", "MODEL"), outputs=("LATENT",)),
        spec("save", InputSpec("latent", "LATENT"), InputSpec("prefix", "STRING", {})),
    )
}


def node(
    number: int, kind: str, links: dict[str, tuple[str, int | None]] | None = None, **more: Any
) -> dict[str, Any]:
    """A node of a file: `links` maps an input's name to its type and link."""
    inputs = [{"name": name, "type": kind, "link": link} for name, (kind, link) in (links or {}).items()]
    outputs = (
        [{"name": each.name, "type": each.type, "links": []} for each in SPECS[kind].outputs]
        if kind in SPECS
        else []
    )
    return {"id": number, "type": kind, "inputs": inputs, "outputs": outputs, **more}


def document(*nodes: dict[str, Any], links: list[Any], **more: Any) -> dict[str, Any]:
    return {"nodes": list(nodes), "links": links, "version": 0.4, **more}


LOAD = node(1, "load", widgets_values=["a.safetensors"])
TEXT = node(2, "text", {"clip": ("CLIP", 11)}, widgets_values=["a fox"])
SAMPLE = node(
    3, "sample", {"model": ("MODEL", 10), "positive": ("COND", 12)}, widgets_values=[7, "randomize", 30, 0.5]
)
SAVE = node(4, "save", {"latent": ("LATENT", 13)}, widgets_values=["out"])
LINKS = [
    [10, 1, 0, 3, 0, "MODEL"],
    [11, 1, 1, 2, 1, "CLIP"],
    [12, 2, 0, 3, 1, "COND"],
    [13, 3, 0, 4, 0, "LATENT"],
]


def inputs_of(workflow: dict[str, Any]) -> dict[str, Any]:
    return {
        number: each["inputs"]
        for number, each in to_prompt(workflow, SPECS, lambda options: options[0])[0].items()
    }


def test_a_plain_workflow_becomes_its_prompt() -> None:
    workflow = document(LOAD, TEXT, SAMPLE, SAVE, links=LINKS)
    prompt, extra = to_prompt(workflow, SPECS)
    assert prompt["3"] == {
        "class_type": "sample",
        "inputs": {"seed": 7, "steps": 30, "denoise": 0.5, "model": ["1", 0], "positive": ["2", 0]},
        "_meta": {"title": "Sample"},
    }
    assert inputs_of(workflow)["2"] == {"text": "a fox", "clip": ["1", 1]}
    assert extra == {"extra_pnginfo": {"workflow": workflow}}


def test_links_as_objects_mean_the_same() -> None:
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    objects = [dict(zip(names, link, strict=True)) for link in LINKS]
    assert inputs_of(document(LOAD, TEXT, SAMPLE, SAVE, links=objects)) == inputs_of(
        document(LOAD, TEXT, SAMPLE, SAVE, links=LINKS)
    )


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([7, "randomize", 30, 0.5], {"seed": 7, "steps": 30, "denoise": 0.5}),
        ([7, True, 30, 0.5], {"seed": 7, "steps": 30, "denoise": 0.5}),
        ([7, 30, 0.5], {"seed": 7, "steps": 30, "denoise": 0.5}),
        ([7, "fixed", 30, 0.5, "image", ""], {"seed": 7, "steps": 30, "denoise": 0.5}),
        ([7, "fixed", 30, 3, 0.5], {"seed": 7, "steps": 30, "denoise": 0.5}),
        ([7, None, 30, 0.5], {"seed": 7, "steps": 30, "denoise": 0.5}),
        ([7], {"seed": 7}),
        ({"seed": 7, "denoise": 0.5, "gone": 1}, {"seed": 7, "denoise": 0.5}),
        (None, {}),
    ],
)
def test_widget_values_of_all_ages_are_read(values: Any, named: dict[str, Any]) -> None:
    assert widget_values({"widgets_values": values}, SPECS["sample"]) == named


def test_values_by_name_win_over_positions() -> None:
    stored = {"widgets_values": [1, "fixed", 2], "widgets_values_named": {"steps": 9}}
    assert widget_values(stored, SPECS["sample"]) == {"seed": 1, "steps": 9}


@given(
    st.lists(st.integers(0, 5), max_size=6),
    st.lists(st.sampled_from(["fixed", "randomize", None]), min_size=6, max_size=6),
)
def test_control_entries_never_shift_what_follows(values: list[int], controls: list[str | None]) -> None:
    widgets = [InputSpec(f"w{n}", "INT", {"control_after_generate": True}) for n in range(len(values))]
    mixed = [
        each
        for value, control in zip(values, controls, strict=False)
        for each in (value, control)
        if each is not None
    ]
    assert by_position(mixed, widgets) == {f"w{n}": value for n, value in enumerate(values)}


def test_an_unknown_node_keeps_its_links_and_the_widgets_that_the_file_names() -> None:
    strange = node(3, "strange", {"model": ("MODEL", 10)}, widgets_values=[5])
    strange["inputs"].append({"name": "amount", "type": "INT", "widget": {"name": "amount"}, "link": None})
    assert inputs_of(document(LOAD, strange, links=LINKS[:1]))["3"] == {"amount": 5, "model": ["1", 0]}


def test_notes_and_reroutes_are_not_sent_and_reroutes_are_followed() -> None:
    reroute = {
        "id": 8,
        "type": "Reroute",
        "inputs": [{"name": "", "type": "*", "link": 20}],
        "outputs": [{"type": "LATENT"}],
    }
    note = {"id": 9, "type": "Note", "widgets_values": ["hello"]}
    links = [*LINKS[:3], [20, 3, 0, 8, 0, "LATENT"], [13, 8, 0, 4, 0, "LATENT"]]
    found = inputs_of(document(LOAD, TEXT, SAMPLE, SAVE, reroute, note, links=links))
    assert found["4"]["latent"] == ["3", 0]
    assert set(found) == {"1", "2", "3", "4"}


def test_reroutes_that_feed_one_another_are_an_error() -> None:
    first = {"id": 8, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 21}]}
    second = {"id": 9, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 20}]}
    links = [[20, 8, 0, 9, 0, "*"], [21, 9, 0, 8, 0, "*"], [13, 8, 0, 4, 0, "*"]]
    with pytest.raises(WorkflowError, match="circle"):
        inputs_of(document(SAVE, first, second, links=links))


def test_a_muted_node_takes_its_links_with_it() -> None:
    found = inputs_of(document(LOAD, TEXT, {**SAMPLE, "mode": 2}, SAVE, links=LINKS))
    assert "3" not in found
    assert found["4"] == {"prefix": "out"}


def test_a_bypassed_node_hands_on_the_input_of_the_same_type() -> None:
    again = node(5, "again", {"model": ("MODEL", 30), "latent": ("LATENT", 31)}, mode=4)
    links = [*LINKS[:3], [30, 1, 0, 5, 0, "MODEL"], [31, 3, 0, 5, 1, "LATENT"], [13, 5, 0, 4, 0, "LATENT"]]
    assert inputs_of(document(LOAD, TEXT, SAMPLE, again, SAVE, links=links))["4"]["latent"] == ["3", 0]


def test_a_primitive_node_gives_its_value() -> None:
    primitive = {
        "id": 6,
        "type": "PrimitiveNode",
        "outputs": [{"type": "INT"}],
        "widgets_values": [99, "fixed"],
    }
    sample = {
        **SAMPLE,
        "inputs": [
            *SAMPLE["inputs"],
            {"name": "seed", "type": "INT", "widget": {"name": "seed"}, "link": 40},
        ],
    }
    links = [*LINKS, [40, 6, 0, 3, 2, "INT"]]
    assert inputs_of(document(LOAD, TEXT, sample, SAVE, primitive, links=links))["3"]["seed"] == 99


def test_get_nodes_find_the_set_node_of_their_name() -> None:
    put = {
        "id": 6,
        "type": "SetNode",
        "inputs": [{"name": "LATENT", "type": "LATENT", "link": 41}],
        "widgets_values": ["x"],
    }
    got = {"id": 7, "type": "GetNode", "outputs": [{"type": "LATENT"}], "widgets_values": ["x"]}
    links = [*LINKS[:3], [41, 3, 0, 6, 0, "LATENT"], [13, 7, 0, 4, 0, "LATENT"]]
    assert inputs_of(document(LOAD, TEXT, SAMPLE, put, got, SAVE, links=links))["4"]["latent"] == ["3", 0]


def test_a_list_is_wrapped_so_that_it_is_no_link() -> None:
    assert inputs_of(document({**SAVE, "inputs": [], "widgets_values": [["1", 0]]}, links=[]))["4"] == {
        "prefix": {"__value__": ["1", 0]}
    }


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("a {red|blue} fox", "a red fox"),
        ("{a {b|c}|d}", "a b"),
        (r"\{kept|so\}", "{kept|so}"),
        ("fox // not this", "fox "),
        ("fox /* nor\nthis */den", "fox den"),
        ("no { end", "no  end"),
        ("{a|b", "a"),
        (r"a \\ b", r"a \\ b"),
        ("http://x", "http:"),
    ],
)
def test_alternatives_in_a_text_are_chosen(text: str, chosen: str) -> None:
    assert with_choices_made(text, lambda options: options[0]) == chosen


@settings(max_examples=200)
@given(st.text(alphabet="ab{}|", max_size=60))
def test_choosing_ends_and_leaves_no_alternatives_behind(text: str) -> None:
    chosen = with_choices_made(text, lambda options: options[0])
    assert "{" not in chosen
    assert len(chosen) <= len(text)


# --- subgraphs ---


def subgraph(
    number: str, nodes: list[dict[str, Any]], links: list[Any], inputs: list[str], outputs: int = 1
) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"part {number}",
        "nodes": nodes,
        "links": links,
        "inputs": [{"name": name} for name in inputs],
        "outputs": [{"name": f"o{n}"} for n in range(outputs)],
    }


def obj(number: int, origin: int, origin_slot: int, target: int, target_slot: int) -> dict[str, int]:
    return {
        "id": number,
        "origin_id": origin,
        "origin_slot": origin_slot,
        "target_id": target,
        "target_slot": target_slot,
    }


def with_part(**instance: Any) -> dict[str, Any]:
    """Loader → (sampler and text inside a subgraph) → save; the steps are promoted."""
    inner_sample = {
        **SAMPLE,
        "inputs": [
            {"name": "model", "type": "MODEL", "link": 1},
            {"name": "positive", "type": "COND", "link": 2},
            {"name": "steps", "type": "INT", "widget": {"name": "steps"}, "link": 3},
        ],
    }
    inner_text = {**TEXT, "inputs": [{"name": "clip", "type": "CLIP", "link": 4}]}
    part = subgraph(
        "uuid",
        [inner_sample, inner_text],
        [
            obj(1, -10, 0, 3, 0),
            obj(2, 2, 0, 3, 1),
            obj(3, -10, 2, 3, 2),
            obj(4, -10, 1, 2, 0),
            obj(5, 3, 0, -20, 0),
        ],
        ["model", "clip", "steps"],
    )
    use = {
        "id": 20,
        "type": "uuid",
        "inputs": [
            {"name": "model", "type": "MODEL", "link": 10},
            {"name": "clip", "type": "CLIP", "link": 11},
            {"name": "steps", "type": "INT", "widget": {"name": "steps"}, "link": None},
        ],
        "outputs": [{"type": "LATENT"}],
        **instance,
    }
    links = [[10, 1, 0, 20, 0, "MODEL"], [11, 1, 1, 20, 1, "CLIP"], [13, 20, 0, 4, 0, "LATENT"]]
    return document(LOAD, use, SAVE, links=links, definitions={"subgraphs": [part]})


def test_a_subgraph_is_entered_and_left() -> None:
    found = inputs_of(with_part())
    assert set(found) == {"1", "4", "20:2", "20:3"}
    assert found["20:3"] == {
        "seed": 7,
        "steps": 30,
        "denoise": 0.5,
        "model": ["1", 0],
        "positive": ["20:2", 0],
    }
    assert found["20:2"]["clip"] == ["1", 1]
    assert found["4"]["latent"] == ["20:3", 0]


@pytest.mark.parametrize(
    "instance",
    [
        {"widgets_values": [44]},
        {"widgets_values": {"steps": 44}},
        {"widgets_values": [44], "properties": {"proxyWidgets": [["-1", "steps"]]}},
        {"widgets_values": [44], "properties": {"proxyWidgets": [["3", "steps"]]}},
    ],
)
def test_a_promoted_widget_gives_the_value_of_this_use(instance: dict[str, Any]) -> None:
    assert inputs_of(with_part(**instance))["20:3"]["steps"] == 44


def test_a_bypassed_or_muted_subgraph_is_not_sent() -> None:
    assert set(inputs_of(with_part(mode=2))) == {"1", "4"}
    bypassed = inputs_of(with_part(mode=4))
    assert set(bypassed) == {"1", "4"}
    assert "latent" not in bypassed["4"]


def test_subgraphs_nest_and_are_used_twice() -> None:
    inner = subgraph(
        "in",
        [{**SAVE, "inputs": [{"name": "latent", "type": "LATENT", "link": 1}]}],
        [obj(1, -10, 0, 4, 0)],
        ["x"],
    )
    use = {"id": 5, "type": "in", "inputs": [{"name": "x", "type": "LATENT", "link": 1}]}
    outer = subgraph(
        "out",
        [use, {**use, "id": 6, "inputs": [{"name": "x", "link": 2}]}],
        [obj(1, -10, 0, 5, 0), obj(2, -10, 0, 6, 0)],
        ["y"],
    )
    top = {"id": 7, "type": "out", "inputs": [{"name": "y", "type": "LATENT", "link": 13}]}
    links = [*LINKS[:3], [13, 3, 0, 7, 0, "LATENT"]]
    found = inputs_of(
        document(LOAD, TEXT, SAMPLE, top, links=links, definitions={"subgraphs": [inner, outer]})
    )
    assert found["7:5:4"]["latent"] == found["7:6:4"]["latent"] == ["3", 0]


def test_a_subgraph_that_contains_itself_is_an_error() -> None:
    loop = subgraph("loop", [{"id": 1, "type": "loop"}, {"id": 2, "type": "loop"}], [], [])
    with pytest.raises(WorkflowError, match=r"'?part loop'? contains itself, at node 9:1"):
        inputs_of(document({"id": 9, "type": "loop"}, links=[], definitions={"subgraphs": [loop]}))


def test_subgraphs_that_multiply_are_stopped() -> None:
    parts = [subgraph(f"p{n}", [{"id": i, "type": f"p{n + 1}"} for i in range(10)], [], []) for n in range(9)]
    with pytest.raises(WorkflowError, match="more than"):
        inputs_of(document({"id": 1, "type": "p0"}, links=[], definitions={"subgraphs": parts}))


def test_a_group_node_of_old_is_opened() -> None:
    text = {
        "type": "text",
        "inputs": [{"name": "clip", "type": "CLIP"}],
        "outputs": [{"type": "COND"}],
        "widgets_values": ["old"],
    }
    sample = {
        "type": "sample",
        "inputs": [{"name": "model", "type": "MODEL"}, {"name": "positive", "type": "COND"}],
        "outputs": [{"type": "LATENT"}],
        "widgets_values": [1, "fixed", 2, 1.0],
    }
    group = {"nodes": [text, sample], "links": [[0, 0, 1, 1, "COND"]], "external": []}
    use = {
        "id": 20,
        "type": "workflow>mine",
        "inputs": [
            {"name": "clip", "type": "CLIP", "link": 11},
            {"name": "model", "type": "MODEL", "link": 10},
        ],
        "outputs": [{"type": "LATENT"}],
        "widgets_values": ["new", 5, "fixed", 6, 0.7],
    }
    links = [[10, 1, 0, 20, 1, "MODEL"], [11, 1, 1, 20, 0, "CLIP"], [13, 20, 0, 4, 0, "LATENT"]]
    found = inputs_of(document(LOAD, use, SAVE, links=links, extra={"groupNodes": {"mine": group}}))
    assert found["20:0"] == {"text": "new", "clip": ["1", 1]}
    assert found["20:1"] == {
        "seed": 5,
        "steps": 6,
        "denoise": 0.7,
        "model": ["1", 0],
        "positive": ["20:0", 0],
    }
    assert found["4"]["latent"] == ["20:1", 0]


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"nodes": [{"id": 1}], "links": []}, "no `id` or no `type`"),
        ({"nodes": ["x"], "links": []}, "no `id` or no `type`"),
        ({"nodes": [], "links": [[1, 2]]}, "link of the workflow is malformed"),
        ({"nodes": [], "links": ["?"]}, "link of the workflow is malformed"),
        ({"3": {"class_type": "x"}}, "not a workflow"),
    ],
)
def test_a_broken_workflow_says_where(broken: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WorkflowError, match=complaint):
        to_prompt(broken, SPECS)


def test_a_prompt_is_no_workflow() -> None:
    assert not is_workflow({"3": {"class_type": "x", "inputs": {}}})
    assert is_workflow({"nodes": []})
