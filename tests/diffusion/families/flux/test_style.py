"""USO's style: tokens of three depths in front of the text."""

from typing import Any

import pytest
import torch

from diffusion.errors import Mismatch
from diffusion.families.flux.style import PREFIX, StyleReference, StyleSizes, StyleTokens, style_reference
from diffusion.hooks import Hook
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import as_weights, seeded

SIZES = StyleSizes(seen=4, tokens=2, encoder=6, width=8)
STATES = torch.randn(1, 23, 4, 6)


class Family:
    """What is asked of a family: whether text can be hooked."""

    def has(self, point: str) -> bool:
        return point == "text.tokens"


class Flux:
    """A model that keeps the hook it is given."""

    family = Family()
    sizes = SIZES
    hooks: tuple[Hook, ...] = ()

    def with_hook(self, point: str, hook: Hook) -> Any:
        made = Flux()
        made.hooks = (hook,)
        return made


def reference(tmp_path: Any) -> StyleReference:
    module = seeded(lambda: StyleTokens(SIZES))
    path = tmp_path / "uso.safetensors"
    path.touch()
    weights = as_weights({PREFIX + name: each for name, each in module.state_dict().items()})
    weights = type(weights)(path, weights.entries)
    found = style_reference(weights, Residency(Precision("fp32"), "cpu"))
    assert found is not None
    return found


def test_a_file_is_told_with_its_sizes(tmp_path: Any) -> None:
    assert reference(tmp_path).sizes == SIZES
    nothing = as_weights({"low_projection.weight": torch.zeros(2, 2)})
    assert style_reference(nothing, Residency(Precision("fp32"), "cpu")) is None


def test_high_middle_and_low_layers_stand_in_front_of_the_text(tmp_path: Any) -> None:
    model: Any = Flux()
    changed = reference(tmp_path).applied(model, {"all_hidden_states": STATES})
    text = torch.randn(2, 3, 8)
    out = changed.hooks[0](None, text)
    assert out.shape == (2, 6 + 3, 8)
    assert torch.equal(out[:, 6:], text)
    other = STATES.clone()
    other[:, -11] = 0
    moved = reference(tmp_path).applied(model, {"all_hidden_states": other}).hooks[0](None, text)
    same = [torch.equal(out[:, i : i + 2], moved[:, i : i + 2]) for i in (0, 2, 4)]
    assert same == [True, False, True]


def test_what_another_encoder_saw_or_another_model_is_refused(tmp_path: Any) -> None:
    model: Any = Flux()
    with pytest.raises(Mismatch, match="reads 4 tokens 6 wide"):
        reference(tmp_path).applied(model, {"all_hidden_states": STATES[..., :5]})
    model.sizes = StyleSizes(4, 2, 6, 9)
    with pytest.raises(Mismatch, match="for FLUX, 8 wide"):
        reference(tmp_path).applied(model, {"all_hidden_states": STATES})
