"""The tensors of an adapter file by the weight they change and by what they are, however it is spelled.

A key is a weight's name, what the tensor is there (`lora_up`, `lora_A`, `hada_w1_a` …), maybe the adapter's
name as PEFT writes it (`.default`), and maybe `.weight`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from diffusion.weights.files import Weights

UP, DOWN, CORE, UP_BIAS = "up", "down", "core", "up_bias"
ALPHA, LENGTHS, DIFFERENCE, BIAS = "alpha", "lengths", "difference", "bias"
BLOCKS, ROTATION, RESCALE = "oft_blocks", "oft_diag", "rescale"
FACTOR, ON_INPUT, SCALING = "weight", "on_input", "ia3_l"

WORDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("lora_up", "lora.up", "up", "lora_linear_layer.up"), UP),
        **dict.fromkeys(("lora_down", "lora.down", "down", "lora_linear_layer.down"), DOWN),
        "lora_mid": CORE,
        "alpha": ALPHA,
        "dora_scale": LENGTHS,
        "diff": DIFFERENCE,
        "w_norm": DIFFERENCE,
        "diff_b": BIAS,
        "b_norm": BIAS,
        **{word: word for word in ("a1", "a2", "b1", "b2", "bm", BLOCKS, ROTATION, RESCALE, ON_INPUT)},
    }
)
"""What a tensor is, by how a file spells it; `.weight` may follow."""
NAMED_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "lora_A": DOWN,
        "lora_B": UP,
        "lora_embedding_A": DOWN,
        "lora_embedding_B": UP,
        "lora_magnitude_vector": LENGTHS,
        SCALING: SCALING,
        **{f"hada_{part}": f"hada_{part}" for part in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
        **{
            f"lokr_{part}": f"lokr_{part}"
            for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t1", "t2")
        },
    }
)
"""The same for those that PEFT writes, behind which an adapter's name may stand."""


def _one_of(words: Mapping[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


KEY = re.compile(
    rf"(?P<name>.+?)\.(?:(?P<plain>{_one_of(WORDS)})"
    rf"|(?P<named>{_one_of(NAMED_WORDS)})(?:\.(?P<adapter>(?!weight$|bias$)[^.]+))?)"
    r"(?:\.(?P<kind>weight|bias))?"
)


@dataclass(frozen=True)
class Group:
    """The tensors of a file that belong to one weight: their keys, by what they are."""

    weights: Weights
    name: str
    keys: Mapping[str, str]

    def get(self, part: str) -> Tensor | None:
        """This tensor in float32, if it is there."""
        key = self.keys.get(part)
        return None if key is None else self.weights.tensor(key).float()

    def take(self, *parts: str) -> tuple[Tensor, ...]:
        """These tensors in float32; they are there, as `has` has said."""
        return tuple(self.weights.tensor(self.keys[part]).float() for part in parts)

    def has(self, *parts: str) -> bool:
        """Whether all of these are there."""
        return all(part in self.keys for part in parts)

    def scale(self, rank: int) -> float:
        """Alpha / rank; 1 where no alpha is given."""
        alpha = self.get(ALPHA)
        return 1.0 if alpha is None else alpha.item() / rank


def groups(weights: Weights) -> Iterator[Group]:
    """The weights that a file changes. A file may hold several adapters, each then with its own group."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for key in weights:
        parts = KEY.fullmatch(key)
        if parts is None:
            continue
        part = WORDS[parts["plain"]] if parts["plain"] else NAMED_WORDS[parts["named"]]
        if parts["kind"] == "bias":
            if part != UP:
                continue
            part = UP_BIAS
        found.setdefault((parts["name"], parts["adapter"] or ""), {})[part] = key
    for (name, adapter), keys in found.items():
        own = (
            {**found.get((name, ""), {}), **keys} if adapter else keys
        )  # an alpha may stand without the name
        if ON_INPUT in keys and f"{name}.weight" in weights:
            own = {**own, FACTOR: f"{name}.weight"}
        if set(own) - {ALPHA, LENGTHS, CORE, RESCALE, ON_INPUT}:
            yield Group(weights, name, MappingProxyType(own))
