"""What a V1 class says, read as a spec."""

from __future__ import annotations

import json
import math

import pytest

from compat.v1_spec import FileNames, Origin, plain, socket_name, spec_of
from execution.declare.spec import NodeSpec


class AnyType(str):
    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


class AlwaysEqual(str):
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


class Named(str):
    """A str subclass that compares as text does."""


TYPES = [
    # what INPUT_TYPES says, what the spec says
    ("IMAGE", "IMAGE"),
    ("IMAGE,MASK", "IMAGE,MASK"),
    ("INT:seed", "INT:seed"),
    ("*", "*"),
    (AnyType("*"), "*"),
    (AnyType("ANYTHING"), "*"),
    (AlwaysEqual("IMAGE"), "*"),
    (Named("LATENT"), "LATENT"),
]


@pytest.mark.parametrize(
    ("said", "read"), TYPES, ids=[f"{type(said).__name__} {str.__str__(said)}" for said, _ in TYPES]
)
def test_types_become_plain_names(said: str, read: str) -> None:
    name = socket_name(said)
    assert type(name) is str
    assert name == read


def test_choices_become_tuples_and_odd_types_wildcards() -> None:
    assert socket_name(["a", "b", 1, True]) == ("a", "b", 1, True)
    assert socket_name(("a",)) == ("a",)
    assert socket_name([]) == ()
    assert socket_name({"a": 1}) == "*"


def described(cls: type, name: str = "Node") -> NodeSpec:
    return spec_of(cls, cls.INPUT_TYPES(), Origin(name))  # type: ignore[attr-defined]


def of(**members: object) -> NodeSpec:
    inputs = members.pop("inputs", {"required": {}})
    return described(
        type("Node", (), {"INPUT_TYPES": classmethod(lambda cls: inputs), "FUNCTION": "run", **members})
    )


def test_a_class_with_nothing_but_inputs_has_defaults() -> None:
    spec = of()
    assert (spec.display_name, spec.category, spec.description) == ("Node", "sd", "")
    assert (spec.outputs, spec.output_node, spec.custom_validation) == ((), False, None)
    assert not spec.accepts_extra_inputs


def test_every_flag_of_the_class_is_read() -> None:
    spec = of(
        CATEGORY="a/b",
        DESCRIPTION="Does.",
        OUTPUT_NODE=True,
        INPUT_IS_LIST=True,
        DEPRECATED=True,
        EXPERIMENTAL=True,
        API_NODE=True,
        NOT_IDEMPOTENT=True,
        SEARCH_ALIASES=["x"],
        RETURN_TYPES=("INT", ["p", "q"], AnyType("*")),
        RETURN_NAMES=("number",),
        OUTPUT_IS_LIST=(True, False),
        OUTPUT_TOOLTIPS=("A number.",),
    )
    assert (spec.category, spec.description, spec.search_aliases) == ("a/b", "Does.", ("x",))
    flags = (
        spec.output_node,
        spec.input_is_list,
        spec.deprecated,
        spec.experimental,
        spec.api_node,
        spec.not_idempotent,
    )
    assert flags == (True,) * 6
    assert [(each.name, each.type, each.is_list, each.tooltip) for each in spec.outputs] == [
        ("number", "INT", True, "A number."),
        ("COMBO", ("p", "q"), False, None),
        ("*", "*", False, None),
    ]


def test_object_info_shows_inputs_as_they_were_declared() -> None:
    spec = of(
        inputs={
            "required": {
                "image": ("IMAGE",),
                "mode": (["a", "b"], {"default": "a", "pysssss.autocomplete": False}),
                "amount": (
                    "FLOAT",
                    {"default": 1.0, "min": 0.0, "step": 0.1, "vhs_path_extensions": ("mp4", "gif")},
                ),
                "bare": "MODEL",
                "empty": ("INT", {}),
            },
            "optional": {
                "mask": ["MASK"],
                "lazy": ("INT", {"lazy": True, "rawLink": True, "forceInput": True}),
            },
            "hidden": {"id": "UNIQUE_ID", "other": ("INT", {"default": 3})},
        }
    )
    info = spec.object_info()
    assert info["input"] == {
        "required": {
            "image": ["IMAGE"],
            "mode": [["a", "b"], {"default": "a", "pysssss.autocomplete": False}],
            "amount": [
                "FLOAT",
                {"default": 1.0, "min": 0.0, "step": 0.1, "vhs_path_extensions": ["mp4", "gif"]},
            ],
            "bare": ["MODEL"],
            "empty": ["INT", {}],
        },
        "optional": {"mask": ["MASK"], "lazy": ["INT", {"lazy": True, "rawLink": True, "forceInput": True}]},
        "hidden": {"id": "UNIQUE_ID", "other": ["INT"]},
    }
    assert info["input_order"]["required"] == ["image", "mode", "amount", "bare", "empty"]
    assert (spec.lazy_inputs, spec.raw_inputs, spec.hidden) == ({"lazy"}, {"lazy"}, {"UNIQUE_ID", "INT"})
    json.dumps(info)
    assert NodeSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


class ContainsAll(dict):  # type: ignore[type-arg]
    def __contains__(self, key: object) -> bool:
        return True


class Flexible(dict):  # type: ignore[type-arg]
    """rgthree's kind: claims all names, invents types, but lists only what is in it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> tuple[str]:
        return (self.kind,)


def test_inputs_of_any_name_are_accepted_where_the_class_says_so() -> None:
    assert of(inputs={"required": {}, "optional": ContainsAll(a=("INT",))}).accepts_extra_inputs
    assert of(inputs={"required": {}, "optional": Flexible("*")}).accepts_extra_inputs
    assert of(inputs={"required": {}, "hidden": ContainsAll()}).accepts_extra_inputs
    assert of(run=lambda self, a, **more: None).accepts_extra_inputs
    assert not of(run=lambda self, a: None).accepts_extra_inputs


VALIDATIONS = {
    # the signature: the names in the spec
    "by name": (classmethod(lambda cls, a, b: True), {"a", "b"}),
    "all": (classmethod(lambda cls, **kwargs: True), {"**"}),
    "all and types": (classmethod(lambda cls, input_types, **kwargs: True), {"input_types", "**"}),
    "static": (staticmethod(lambda a: True), {"a"}),
    "nothing": (classmethod(lambda cls: True), set()),
}


@pytest.mark.parametrize("style", VALIDATIONS)
def test_validation_names_the_inputs_it_looks_at(style: str) -> None:
    function, names = VALIDATIONS[style]
    assert of(VALIDATE_INPUTS=function).custom_validation == names


def test_choices_that_are_a_folders_files_stay_a_folder() -> None:
    spec = of(
        inputs={
            "required": {
                "vae": (FileNames("vae", ["x.pt"]), {"tooltip": "t"}),
                "own": (["None", *FileNames("vae", ["x"])],),
            }
        }
    )
    assert spec.folders == {"vae": "vae"}
    assert spec.object_info(lambda kind: ["a.pt", "b.pt"])["input"]["required"] == {
        "vae": [["a.pt", "b.pt"], {"tooltip": "t"}],
        "own": [["None", "x"]],
    }


class Flag(int):
    pass


def test_odd_values_become_json() -> None:
    import numpy as np

    odd = {
        1: (Named("a"), Flag(3)),
        "set": {3, 1, 2},
        "float": np.float32(0.5),
        "range": range(2),
        "what": object,
    }
    assert plain(odd) == {"1": ["a", 3], "set": [1, 2, 3], "float": 0.5, "range": [0, 1], "what": str(object)}
    assert math.isnan(plain(math.nan))
    assert plain(None) is None
    assert plain(True) is True
