"""Hypernetworks, as their trainer wrote them."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diffusion.errors import FileProblem
from diffusion.hooks import Place
from diffusion.patches.hypernetwork import changing, hypernetwork, with_hypernetwork
from diffusion.weights.entries import Weights
from diffusion.weights.files import open_weights
from tests.diffusion.small_models import seeded, weights_of
from tests.diffusion.small_runs import noise, small_model

SHAPES: dict[str, list[nn.Module]] = {
    "plain": [nn.Linear(64, 128), nn.Linear(128, 64)],
    "relu": [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64)],
    "swish with norms": [
        nn.Linear(64, 128), nn.Hardswish(), nn.LayerNorm(128), nn.Dropout(0.3), nn.Linear(128, 64),
        nn.LayerNorm(64), nn.Dropout(0.3),
    ],
    "tanh to the end": [nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 64), nn.Tanh()],
}  # fmt: skip
FACTS = {
    "plain": {},
    "relu": {"activation_func": "relu", "is_layer_norm": False},
    "swish with norms": {"activation_func": "swish", "is_layer_norm": True, "use_dropout": True},
    "tanh to the end": {"activation_func": "tanh", "activate_output": True},
}


def written(path: Path, kind: str) -> list[nn.Sequential]:
    """A file of one kind; its two nets for width 64."""
    nets = [seeded(lambda: nn.Sequential(*SHAPES[kind]), seed) for seed in (1, 2)]
    nets = [_copied(net, seed) for seed, net in enumerate(nets)]
    states = [OrderedDict((f"linear.{n}", t) for n, t in net.state_dict().items()) for net in nets]
    torch.save({64: states, "name": "mine", "step": 7, "layer_structure": [1, 2, 1], **FACTS[kind]}, path)
    return nets


def _copied(net: nn.Sequential, seed: int) -> nn.Sequential:
    """A net of the same layers with other weights."""
    import copy

    other = copy.deepcopy(net)
    generator = torch.Generator().manual_seed(seed)
    for parameter in other.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return other


@pytest.mark.parametrize("kind", SHAPES)
def test_keys_and_values_pass_through_their_nets(kind: str, tmp_path: Path) -> None:
    key, value = written(tmp_path / "net.pt", kind)
    change = changing(hypernetwork(open_weights(tmp_path / "net.pt")), 0.7)
    q, k, v = (noise(1, 5, 64, seed=seed) for seed in (1, 2, 3))
    ours = change(Place("input", 1), q, k, v)
    with torch.no_grad():
        expected = (q, k + 0.7 * key(k), v + 0.7 * value(v))
    for mine, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, other)
    wide = noise(1, 5, 32)
    assert change(Place("input", 1), wide, wide, wide)[1] is wide


def test_old_files_name_two_layers() -> None:
    layers = {"linear1": nn.Linear(8, 16), "linear2": nn.Linear(16, 8)}
    nets: dict[str, Any] = {"8": nn.ModuleDict({"0": nn.ModuleDict(layers), "1": nn.ModuleDict(layers)})}
    weights: Weights = weights_of(nn.ModuleDict(nets))
    x = noise(1, 3, 8)
    with torch.no_grad():
        expected = x + layers["linear2"](layers["linear1"](x))
        torch.testing.assert_close(hypernetwork(weights)[8][0](x, 1.0), expected)


def test_a_model_changes_and_strength_nothing_is_the_same(tmp_path: Path) -> None:
    written(tmp_path / "net.pt", "relu")
    model = small_model()
    x, words, times = noise(1, 4, 8, 8), noise(1, 7, 64), torch.tensor([500.0])

    def output(strength: float) -> Tensor:
        changed = with_hypernetwork(model, tmp_path / "net.pt", strength)
        with model.backbone.use() as unet, torch.no_grad():
            result: Tensor = unet(x, times, words, hooks=changed.hooks)
        return result

    with model.backbone.use() as unet, torch.no_grad():
        plain = unet(x, times, words)
    torch.testing.assert_close(output(0.0), plain)
    assert not torch.allclose(output(1.0), plain, atol=1e-3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": torch.zeros(1)}, "It holds no hypernetwork"),
        ({64: [{}, {}], "x": torch.zeros(1), "activation_func": "foo"}, "use 'foo', which is not known"),
    ],
)
def test_files_that_are_none_are_named(content: dict[Any, Any], message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(FileProblem, match=rf"odd.pt: .*{message}"):
        with_hypernetwork(small_model(), tmp_path / "odd.pt", 1.0)
