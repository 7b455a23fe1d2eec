"""Networks of diffusers as backbones: built without memory, hooked inside, told the time exactly."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffusion.families.flux.network import Flux, FluxSizes
from diffusion.hooks import Hooks, Place
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import patches, unpatched, wrapped
from diffusion.residency.budget import Residency, Resident
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Entry, Weights

SIZES = FluxSizes(
    width=256, in_channels=4, out_channels=4, text=12, vector=8, doubles=2, singles=3, guidance=True
)
ROOT = Path(__file__).parents[3]


def tensors(sizes: FluxSizes = SIZES) -> dict[str, Tensor]:
    torch.manual_seed(0)
    shapes = {name: each.shape for name, each in Flux(sizes).state_dict().items()}
    return {name: torch.randn(shape) * (0.1 if len(shape) > 1 else 1.0) for name, shape in shapes.items()}


def filled(sizes: FluxSizes = SIZES, dtype: torch.dtype = torch.float32) -> Flux:
    network = Flux(sizes)
    network.load_state_dict({name: each.to(dtype) for name, each in tensors(sizes).items()}, assign=True)
    return network


def question(rows: int = 1, kept: dict[Any, Any] | None = None) -> tuple[Tensor, Tensor, Inputs]:
    torch.manual_seed(1)
    given = {"pooled": torch.randn(rows, 8), "guidance": torch.full((rows,), 3.5)}
    inputs = Inputs(torch.randn(rows, 5, 12), given, kept=kept, call={"step": 4})
    return torch.randn(rows, 4, 6, 8), torch.full((rows,), 0.7), inputs


@torch.no_grad()
def predicted(network: Flux, hooks: Hooks | None = None, rows: int = 1) -> Tensor:
    x, time, inputs = question(rows)
    return network.predict(x, time, inputs, hooks or Hooks())


@torch.no_grad()
def by_the_class(network: Flux) -> Tensor:
    """What the library's class says when it is called as its own pipeline calls it."""
    x, time, inputs = question()
    rows, columns = torch.meshgrid(torch.arange(3.0), torch.arange(4.0), indexing="ij")
    dtype = network.proj_out.weight.dtype
    out = network.called(
        hidden_states=patches(x).to(dtype),
        encoder_hidden_states=inputs.context.to(dtype),
        pooled_projections=inputs.tensors["pooled"].to(dtype),
        timestep=time,
        guidance=inputs.tensors["guidance"],
        img_ids=torch.stack([torch.zeros(3, 4), rows, columns], -1).reshape(-1, 3),
        txt_ids=torch.zeros(5, 3),
        return_dict=False,
    )[0]
    return unpatched(out, 6, 8)


def close(a: Tensor, b: Tensor, within: float = 1e-6) -> bool:
    return bool((a - b).abs().max() <= within * b.abs().max())


def test_a_network_is_built_without_memory_for_its_parameters() -> None:
    network = Flux(SIZES)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert set(network.state_dict()) == set(network.network.state_dict())


def test_the_numbers_are_the_classs_own() -> None:
    network = filled()
    assert close(predicted(network), by_the_class(network))


def test_the_time_is_not_rounded_to_half_precision() -> None:
    exact = predicted(filled())
    network = filled(dtype=torch.bfloat16)
    ours, theirs = predicted(network).float(), by_the_class(network).float()
    scale = exact.square().mean().sqrt()
    assert (ours - exact).square().mean().sqrt() / scale < 0.05
    assert (ours - exact).square().mean() < 0.2 * (theirs - exact).square().mean()


def test_a_library_is_imported_only_when_a_network_is_built() -> None:
    code = "import diffusion.families.flux.network, sys; print('diffusers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_blocks_that_do_not_fit_are_streamed() -> None:
    all_tensors = tensors()
    entries = {name: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for name, t in all_tensors.items()}
    notes: list[str] = []
    residency = Residency(Precision("fp32"), "cpu", budget=lambda device: 10_000_000, notice=notes.append)
    resident = Resident(residency, "backbone", Weights(Path("x"), entries), lambda: Flux(SIZES), ("x",))
    with resident.use() as network:
        streamed = predicted(network)
        assert network.get_parameter("single_transformer_blocks.2.proj_mlp.weight").is_meta
    residency.close()
    assert "blocks of x do not fit" in notes[0]
    assert torch.equal(streamed, predicted(filled()))


# Hooks


def seen(network: Flux, point: str) -> list[Place]:
    places: list[Place] = []

    def look(place: Place, *values: Any) -> Any:
        places.append(place)
        return values[-1](*values[:-1])

    predicted(network, Hooks().adding(point, look))
    return places


def test_every_block_can_be_hooked() -> None:
    places = seen(filled(), "block.call")
    assert [(p.block, p.index) for p in places] == [
        ("double", 0),
        ("double", 1),
        *(("single", i) for i in range(3)),
    ]
    assert [p.serial for p in places] == [0, 1, 2, 3, 4]
    assert places[0].call == {"step": 4}
    assert places[0].latent == (6, 8)
    assert {p.blocks for p in places} == {5}
    assert {p.image for p in places} == {(5, 5 + 12)}


@pytest.mark.parametrize(("block", "index"), [("double", 0), ("single", 2)])
def test_a_block_can_be_skipped(block: str, index: int) -> None:
    def skip(place: Place, image: Tensor, text: Tensor, run: Callable[..., Any]) -> tuple[Tensor, Tensor]:
        return (image, text) if (place.block, place.index) == (block, index) else run(image, text)

    network = filled()
    skipped = predicted(network, Hooks().adding("block.call", skip))
    assert not close(skipped, predicted(network))
    name = "transformer_blocks" if block == "double" else "single_transformer_blocks"
    setattr(
        network.network,
        name,
        type(network.get_submodule(name))(
            each
            for i, each in enumerate(network.get_submodule(name))
            if i != index  # type: ignore[arg-type]
        ),
    )
    assert close(skipped, predicted(network))


def test_a_block_can_be_replaced() -> None:
    def doubled(place: Place, image: Tensor, text: Tensor, run: Callable[..., Any]) -> tuple[Tensor, Tensor]:
        image, text = run(image, text)
        return image * 2, text

    network = filled()
    assert not close(predicted(network, Hooks().adding("block.call", doubled)), predicted(network))


def test_attention_goes_through_hooks_with_heads_merged() -> None:
    places: list[Place] = []

    def same(place: Place, q: Tensor, k: Tensor, v: Tensor, attend: Callable[..., Tensor]) -> Tensor:
        places.append(place)
        assert q.shape == k.shape == v.shape == (1, 17, 256)
        return attend(q, k, v)

    network = filled()
    assert torch.equal(predicted(network, Hooks().adding("attention.self.attend", same)), predicted(network))
    assert [(p.block, p.index, p.heads, p.head_channels) for p in places][:3] == [
        ("double", 0, 2, 128),
        ("double", 1, 2, 128),
        ("single", 0, 2, 128),
    ]


def test_what_a_hook_makes_of_attention_counts() -> None:
    def nothing(place: Place, q: Tensor, k: Tensor, v: Tensor, attend: Callable[..., Tensor]) -> Tensor:
        return v

    network = filled()
    changed = predicted(network, Hooks().adding("attention.self.attend", nothing))
    assert not close(changed, predicted(network))


def test_hooks_are_gone_after_a_call() -> None:
    network = filled()
    before = predicted(network)
    seen(network, "block.call")
    assert torch.equal(predicted(network), before)


# What is made once a run


@torch.no_grad()
def test_text_and_places_are_made_once_a_run() -> None:
    network, calls = filled(), list[str]()
    project = network.project

    def counted(context: Tensor) -> Tensor:
        calls.append("text")
        return project(context)

    network.project = counted
    kept: dict[Any, Any] = {}
    x, time, inputs = question(kept=kept)
    first = network.predict(x, time, inputs, Hooks())
    again = network.predict(x, time, inputs, Hooks())
    assert calls == ["text"]
    assert [key for key in kept if key != "text"] == [("pos_embed", ((17, 3),))]
    assert torch.equal(first, again)


# Latents and tokens


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3))
def test_a_latent_is_its_tokens_again(height: int, width: int, patch: int) -> None:
    x = torch.randn(2, 3, height, width)
    padded = wrapped(x, patch)
    assert padded.shape[-2] % patch == padded.shape[-1] % patch == 0
    assert torch.equal(unpatched(patches(padded, patch), height, width, patch), x)


def test_a_latent_is_continued_by_its_other_side() -> None:
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert wrapped(x)[0, 0].tolist() == [[0, 1, 2, 0], [3, 4, 5, 3], [6, 7, 8, 6], [0, 1, 2, 0]]


def test_the_channel_is_slowest_inside_a_token() -> None:
    x = torch.arange(8.0).reshape(1, 2, 2, 2)
    assert patches(x)[0, 0].tolist() == list(range(8))
