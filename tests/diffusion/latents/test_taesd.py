"""The tiny autoencoder is built from the numbers in its file."""

import pytest
import torch

from diffusion.latents.taesd import Clamp, Taesd, sequence
from diffusion.text.clip import ClipText
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import TEXT, as_weights, seeded, weights_of
from tests.golden.weights import manifests


@pytest.mark.parametrize("name", ["taesd_encoder", "taesd_decoder"])
def test_the_published_files_layers_are_rebuilt(name: str) -> None:
    shapes = {key: tuple(shape) for key, shape in manifests()[name].items()}
    with torch.device("meta"):
        built = sequence(as_weights({key: torch.zeros(shape) for key, shape in shapes.items()}))()
    assert {key: tuple(tensor.shape) for key, tensor in built.state_dict().items()} == shapes


def halves(width: int = 8) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """An encoder with one and a decoder with two changes of size, of any width."""
    convolution = torch.randn(width, width, 3, 3) / 9

    def block(number: int) -> dict[str, torch.Tensor]:
        names = [f"{number}.conv.{layer}" for layer in (0, 2, 4)]
        return {f"{n}.weight": convolution.clone() for n in names} | {
            f"{n}.bias": torch.randn(width) for n in names
        }

    encoder = {"0.weight": torch.randn(width, 3, 3, 3), "0.bias": torch.randn(width), "2.weight": convolution}
    encoder |= block(1) | {"3.weight": torch.randn(4, width, 3, 3), "3.bias": torch.randn(4)}
    decoder = {
        "1.weight": torch.randn(width, 4, 3, 3),
        "1.bias": torch.randn(width),
        "5.weight": convolution.clone(),
    }
    decoder |= block(3) | {"6.weight": torch.randn(3, width, 3, 3), "6.bias": torch.randn(3)}
    return encoder, decoder


def test_other_widths_and_depths_work_too() -> None:
    encoder, decoder = (sequence(as_weights(half))() for half in halves())
    assert encoder(torch.randn(1, 3, 16, 16)).shape == (1, 4, 8, 8)
    assert decoder(torch.randn(1, 4, 8, 8)).shape == (1, 3, 16, 16)


def test_scale_and_shift_stand_between_its_latents_and_the_large_ones() -> None:
    taesd = Taesd(torch.nn.Identity(), torch.nn.Identity(), scale=0.5, shift=2.0)
    x = torch.randn(1, 3, 4, 4)
    assert torch.allclose(taesd.encode(x), (x / 2 + 0.5) / 0.5 + 2)
    assert torch.allclose(taesd.decode(x), (x - 2) * 0.5 * 2 - 1)


def test_the_clamp_is_soft() -> None:
    assert Clamp()(torch.tensor([-100.0, 0.0, 0.01, 100.0])).tolist() == pytest.approx(
        [-3, 0, 0.01, 3], abs=1e-3
    )


def test_other_files_are_not_taken_for_one() -> None:
    with pytest.raises(Unlike):
        sequence(weights_of(seeded(lambda: ClipText(TEXT))))
    with pytest.raises(Unlike):
        sequence(as_weights({"0.weight": torch.zeros(1, 1, 3, 3)}))
