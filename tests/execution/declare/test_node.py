"""A typed function is a node type: what its signature says, what it is handed, what comes out."""

from __future__ import annotations

import asyncio
import types
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import pytest

from execution.declare import node as declaring
from execution.declare.node import (
    Choice,
    Combo,
    Each,
    ExecutionBlocker,
    Folder,
    ForceInput,
    Hidden,
    Lazy,
    Multiline,
    Name,
    NativeNode,
    Options,
    Outcome,
    Output,
    Range,
    RawLink,
    Run,
    Socket,
    Spare,
    Tip,
    Ui,
    code_fingerprint,
    node,
    node_types,
)
from execution.declare.registry import Registry
from execution.declare.spec import InputSpec
from execution.errors import DeclarationError
from execution.files.folders import Folders
from execution.files.identity import stamp_of

T = TypeVar("T")
Image = Annotated[Any, Socket("IMAGE")]
Mask = Annotated[Any, Socket("MASK")]
Side = Annotated[int, Range(16, 4096, step=8), Tip("In pixels.")]


class Latent(dict[str, Any]):
    socket = "LATENT"


class Weights:
    """Something the program provides."""

    names = ("w1", "w2")


class Halves(NamedTuple):
    high: Image
    low: Annotated[Image, Output("LOW", tip="the lower")]
    parts: list[Mask]


def listed(weights: Weights) -> tuple[str, ...]:
    return weights.names


def native(function: Any) -> NativeNode:
    found: NativeNode = function.native
    return found


def bound(function: Any, **provide: Any) -> Any:
    by_class = {type(each): each for each in provide.values()}
    return Registry([native(function)], by_class).types[function.spec.name]


@node("Everything", category="test/all", search_aliases=["all"], experimental=True, api_node=True)
def everything(
    image: Image,
    latent: Latent,
    either: Image | Mask,
    anything: Any,
    width: Side = 512,
    strength: Annotated[float, Range(0.0, 1.0, step=0.01, round=0.001)] = 1.0,
    text: Annotated[str, Multiline(dynamic_prompts=True)] = "",
    note: Annotated[str, Multiline()] = "n",
    flag: bool = True,
    mode: Literal["a", "b"] = "b",
    mask: Mask | None = None,
    scale: float | None = 2.0,
    level: Annotated[int, Spare()] = 3,
    *,
    size: int,
    pick: Annotated[str, Choice(["x", "y"])],
    weights: Annotated[str, Choice(listed)] = "w1",
    file: Annotated[str, Folder("vae", extra=("none",))],
    shown: Annotated[Literal["p", "q"], Combo(), Tip("v3")] = "p",
    bare: Annotated[Literal["p"], Combo(multiselect=None)],
    forced: Annotated[int, ForceInput(), Options(display="slider")],
    link: Annotated[Any, RawLink()],
    class_: Annotated[int, Name("class")],
    prompt: Annotated[dict[str, Any] | None, Hidden("PROMPT")] = None,
    run: Run,
    held: Weights,
    **blocks: Annotated[float, Each("in.0", "out."), Range(0.0, 1.0), Options(default=1.0)],
) -> Image:
    """Every Kind of Input.

    Described over
    two lines.

    And a paragraph.
    """
    return (width, strength, file, class_, prompt, run.node, held, blocks)


def test_the_signature_is_the_schema() -> None:
    shape = everything.spec.object_info()
    assert shape["input"]["required"] == {
        "image": ["IMAGE"],
        "latent": ["LATENT"],
        "either": ["IMAGE,MASK"],
        "anything": ["*"],
        "width": ["INT", {"default": 512, "min": 16, "max": 4096, "step": 8, "tooltip": "In pixels."}],
        "strength": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01, "round": 0.001}],
        "text": ["STRING", {"default": "", "multiline": True, "dynamicPrompts": True}],
        "note": ["STRING", {"default": "n", "multiline": True}],
        "flag": ["BOOLEAN", {"default": True}],
        "mode": [["a", "b"], {"default": "b"}],
        "size": ["INT"],
        "pick": [["x", "y"]],
        "weights": [[], {"default": "w1"}],
        "file": [["none"]],
        "shown": ["COMBO", {"default": "p", "multiselect": False, "options": ["p", "q"], "tooltip": "v3"}],
        "bare": ["COMBO", {"options": ["p"]}],
        "forced": ["INT", {"forceInput": True, "display": "slider"}],
        "link": ["*", {"rawLink": True}],
        "class": ["INT"],
        "in.0": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0}],
        "out.": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0}],
    }
    assert shape["input"]["optional"] == {
        "mask": ["MASK"],
        "scale": ["FLOAT", {"default": 2.0}],
        "level": ["INT", {"default": 3}],
    }
    assert shape["input"]["hidden"] == {"prompt": "PROMPT"}
    assert shape["display_name"] == "Every Kind of Input"
    assert shape["description"] == "Described over two lines.\n\nAnd a paragraph."
    assert (shape["category"], shape["search_aliases"]) == ("test/all", ["all"])
    assert shape["python_module"] == __name__
    assert everything.spec.folders == {"file": "vae"}


def test_a_declared_function_is_still_a_function_and_gets_what_it_names() -> None:
    weights = Weights()
    given = dict.fromkeys(["image", "latent", "either", "anything", "size", "pick", "bare", "forced", "link"])
    inputs = given | {
        "width": 64,
        "strength": 0.5,
        "file": "f",
        "class": 7,
        "in.0": 0.1,
        "out.": 0.2,
        "unknown": 1,
    }
    outcome = bound(everything, weights=weights)(inputs, Run(node="5", prompt={"1": {}}))
    assert outcome == Outcome(((64, 0.5, "f", 7, {"1": {}}, "5", weights, {"in.0": 0.1, "out.": 0.2}),))


def test_choices_from_a_callable_are_asked_anew_and_may_be_provided_for() -> None:
    @node("Pick")
    def pick(name: Annotated[str, Choice(listed)]) -> Image:
        """Pick."""

    weights = Weights()
    made = bound(pick, weights=weights)
    assert made.spec.by_name["name"].choices == ("w1", "w2")
    weights.names = ("w3",)
    assert made.describe().by_name["name"].choices == ("w3",)


def test_a_named_tuple_gives_several_outputs_and_a_list_an_output_of_lists() -> None:
    @node("Halves")
    def halves(image: Image) -> Halves:
        """Halves."""
        return Halves(1, 2, [3])

    @node("One")
    def one(image: Image) -> list[Image]:
        """One."""
        return [1, 2]

    @node("Choose")
    def choose() -> Literal["a", "b"]:
        """Choose."""
        return "a"

    assert [(each.name, each.type, each.is_list, each.tooltip) for each in halves.spec.outputs] == [
        ("high", "IMAGE", False, None),
        ("LOW", "IMAGE", False, "the lower"),
        ("parts", "MASK", True, None),
    ]
    assert bound(halves)({"image": 0}, Run()) == Outcome((1, 2, [3]))
    assert [(each.name, each.is_list) for each in one.spec.outputs] == [("IMAGE", True)]
    assert bound(one)({"image": 0}, Run()) == Outcome(([1, 2],))
    assert [(each.name, each.type) for each in choose.spec.outputs] == [("COMBO", ("a", "b"))]


def test_what_a_node_shows_comes_with_or_without_outputs() -> None:
    @node("Show", output_node=True)
    def show() -> Ui:
        """Show."""
        return Ui(text=["a"])

    @node("Both")
    def both() -> Outcome[Halves]:
        """Both."""
        return Outcome(Halves(1, 2, []), ui=Ui(text=["b"]))

    @node("Neither")
    def neither() -> None:
        """Neither."""

    @node("Blocked")
    def blocked() -> Image | ExecutionBlocker:
        """Blocked."""
        return ExecutionBlocker("no")

    assert show.spec.outputs == ()
    assert bound(show)({}, Run()) == Outcome(ui={"text": ["a"]})
    assert len(both.spec.outputs) == 3
    assert bound(both)({}, Run()).ui == {"text": ["b"]}
    assert bound(neither)({}, Run()) == Outcome()
    assert bound(blocked)({}, Run()).blocked.message == "no"
    assert blocked.spec.outputs[0].type == "IMAGE"


def test_list_parameters_make_a_node_take_lists_and_others_get_the_first_item() -> None:
    @node("Join")
    def join(images: list[Image], size: int = 3, note: str = "n") -> Image:
        """Join."""
        return (images, size, note)

    assert join.spec.input_is_list
    assert bound(join)({"images": [1, 2], "size": [5, 6], "note": []}, Run()) == Outcome((([1, 2], 5, None),))


def test_an_async_node_is_awaited_and_may_await_lazy_inputs() -> None:
    @node("Later")
    async def later(mask: Lazy[Mask], other: Lazy[Mask] | None = None) -> Mask:
        """Later."""
        return await mask

    made = bound(later)
    assert made.asynchronous
    assert later.spec.object_info()["input"] == {
        "required": {"mask": ["MASK", {"lazy": True}]},
        "optional": {"other": ["MASK", {"lazy": True}]},
    }
    assert asyncio.run(made({"mask": 4}, Run())) == Outcome((4,))


def test_a_class_with_a_typed_call_is_made_once_and_provided_for() -> None:
    @node("Counter")
    class Counter:
        """Counter."""

        def __init__(self, weights: Weights) -> None:
            self.weights, self.count = weights, 0

        def __call__(self, step: int = 1) -> int:
            self.count += step
            return self.count

    @node("Plain")
    class Plain:
        """Plain."""

        def __call__(self, step: int = 1) -> int:
            return step

    made = bound(Counter, weights=Weights())
    assert [made({"step": 2}, Run()).outputs for _ in range(2)] == [(2,), (4,)]
    assert bound(Plain)({}, Run()) == Outcome((1,))


def test_titles_are_given_or_taken_from_the_docstring_or_null() -> None:
    def titles(**more: Any) -> str | None:
        @node("Name", **more)
        def thing() -> None:
            """The Title."""

        title: str | None = thing.spec.display_name  # type: ignore[attr-defined]  # left there by @node
        return title

    assert titles() == "The Title"
    assert titles(display_name="Another") == "Another"
    assert titles(display_name=None) is None

    @node("Untitled")
    def untitled() -> None:
        pass

    assert untitled.spec.display_name == "Untitled"  # type: ignore[attr-defined]  # left there by @node


def test_v3_types_show_choices_and_hidden_inputs_in_the_new_way() -> None:
    @node("New", v3=True)
    def new(mode: Literal["a"], who: Annotated[str, Hidden("UNIQUE_ID")] = "") -> None:
        """New."""

    assert new.spec.object_info()["input"] == {
        "required": {"mode": ["COMBO", {"multiselect": False, "options": ["a"]}]},
        "hidden": {"who": ["UNIQUE_ID"]},
    }


def test_the_files_behind_inputs_and_what_the_type_says_are_its_fingerprint(tmp_path: Path) -> None:
    def own(number: int) -> int:
        return number * 10

    @node("Load")
    def load(name: Annotated[str, Folder("vae")]) -> Image:
        """Load."""

    @node("LoadMore", fingerprint=own)
    def more(name: Annotated[str, Folder("vae")], number: int = 1) -> Image:
        """Load More."""

    @node("Only", fingerprint=own)
    def only(number: int = 1) -> Image:
        """Only."""

    folders = Folders(tmp_path)
    (tmp_path / "models" / "vae").mkdir(parents=True)
    file = tmp_path / "models" / "vae" / "a.safetensors"
    file.write_bytes(b"123")
    stamp = stamp_of(file)
    assert stamp[:3] == (str(file), 3, file.stat().st_mtime_ns)
    run = Run()
    assert bound(load, folders=folders).fingerprint({"name": "a.safetensors"}, run) == [stamp]
    assert bound(load, folders=folders).fingerprint({"name": None}, run) == []
    assert bound(load).fingerprint({"name": "a.safetensors"}, run) == []
    assert bound(more, folders=folders).fingerprint({"name": "a.safetensors", "number": 2}, run) == [
        stamp,
        20,
    ]
    assert bound(only).fingerprint({"number": 2}, run) == 20
    assert [bound(each).fingerprints for each in (load, only)] == [True, True]
    assert everything.spec.code != ""


def held_too(number: int, weights: Weights) -> list[Any]:
    return [number, *weights.names]


def test_a_fingerprint_of_a_types_own_may_take_what_is_provided() -> None:
    @node("Held", fingerprint=held_too)
    def held(number: int = 1, text: str = "") -> Image:
        """Held."""

    made = bound(held, weights=Weights())
    assert made.fingerprint({"number": 2, "text": "x"}, Run()) == [2, "w1", "w2"]


def test_a_native_type_leaves_validation_to_its_spec_and_awaits_what_it_wants() -> None:
    made = bound(everything, weights=Weights())
    assert tuple(made.validate({}, {})) == ()
    assert tuple(made.wanted({}, Run())) == ()
    assert made.describe() == made.spec


WRONG: list[tuple[str, str]] = [
    ("def wrong(x) -> None: ...", "parameter 'x': has no annotation; write its type"),
    ("def wrong(x: 'Gone') -> None: ...", "annotation names 'Gone'; import it at runtime"),
    ("def wrong(x: T, y: dict[str, int]) -> None: ...", "parameter 'y': nothing is known about dict"),
    ("def wrong(x: int): ...", "has no return annotation; write what comes out, or `-> None`"),
    ("def wrong() -> dict[str, int]: ...", "parameter 'return': dict[str, int] is no socket"),
    ("def wrong(**x: int) -> None: ...", "parameter 'x': takes any input; name its inputs"),
    ("def wrong(**x: Annotated[Weights, Each('a')]) -> None: ...", "parameter 'a': has no socket"),
    ("def wrong(x: Weights | int) -> None: ...", "parameter 'x': nothing is known about"),
]


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_a_wrong_declaration_is_refused_where_it_stands_with_the_cure(source: str, message: str) -> None:
    names: dict[str, Any] = {"Annotated": Annotated, "Each": Each, "Weights": Weights, "T": T}
    exec(source, names)  # a table of declarations
    with pytest.raises(DeclarationError) as caught:
        node("Wrong")(names["wrong"])
    assert message in str(caught.value)
    assert "node 'Wrong'" in str(caught.value)


def test_a_parameter_that_nobody_provides_is_refused_when_the_registry_is_made() -> None:
    @node("Needs")
    def needs(weights: Weights) -> None:
        """Needs."""

    with pytest.raises(DeclarationError, match="nobody provides 'Weights'; give Registry"):
        Registry([native(needs)])


def test_a_module_gives_the_types_it_declares_and_not_those_it_imports() -> None:
    module = types.ModuleType("some_nodes")
    exec(
        "from execution.declare.node import node\n"
        "@node('B')\ndef b() -> None:\n    'B.'\n@node('A')\ndef a() -> None:\n    'A.'\n",
        module.__dict__,
    )
    module.everything = everything  # type: ignore[attr-defined]  # as an import would
    assert [each.spec.name for each in node_types(module)] == ["B", "A"]


def test_code_that_does_the_same_has_one_fingerprint_wherever_it_stands() -> None:
    def one(x: int) -> int:
        return x + 1

    def same(x: int) -> int:

        return x + 1

    def other(x: int) -> int:
        return x + 2

    def nested(x: int) -> Any:
        return lambda y: x + y

    def nested_other(x: int) -> Any:
        return lambda y: x - y

    class Kind:
        def __call__(self, x: int) -> int:
            return x + 1

    found = [code_fingerprint(each) for each in (one, other, nested, nested_other, Kind)]
    assert len(set(found)) == 5
    assert code_fingerprint(one) == code_fingerprint(same)


def test_everything_named_for_export_is_there() -> None:
    assert all(hasattr(declaring, name) for name in declaring.__all__)
    assert InputSpec("a", "INT", {"lazy": True}).lazy
