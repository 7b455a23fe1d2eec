"""MODEL, CLIP and VAE in the hands of V1 nodes: the results are those of our own nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from compat.host import Host
from compat.packs import load_packs
from compat.values.facade import Facade
from compat.values.passing import own, shown
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.program import build_registry
from tests.nodes.conftest import models

from .conftest import Bench, graph

__all__ = ["models"]

PACKS = Path(__file__).with_name("packs_models")
LOADER = {"l": ("CheckpointLoaderSimple", {"ckpt_name": "small.safetensors"})}


@pytest.fixture(scope="module")
def program(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """All native nodes and the pack's."""
    folders = Folders(tmp_path_factory.mktemp("base"), models=models)
    registry = build_registry(folders, Residency(Precision("fp32"), "cpu"))
    with load_packs([PACKS], Host(folders, registry.types, providers=registry.provide)) as packs:
        assert packs.reports[0].problems == ()
        for node_type in packs.node_types:
            registry.add(node_type)
        yield registry


@pytest.fixture
def bench(program: Registry) -> Iterator[Bench]:
    made = Bench(program)
    yield made
    made.engine.close()


def one(bench: Bench, name: str, slot: int = 0, **nodes: Any) -> Any:
    """The value of an output, in a graph with the small checkpoint."""
    return bench.run(graph(**LOADER, **nodes), name)[name][slot][0]


@pytest.mark.parametrize("way", ["tokens", "scheduled", "node"])
def test_text_is_encoded_as_by_our_own_node(bench: Bench, way: str) -> None:
    text = "a (red:1.3) cat, embedding:style"
    theirs = one(bench, "e", e=("Encode", {"clip": ("l", 1), "text": text, "way": way}))
    ours = one(bench, "e", e=("CLIPTextEncode", {"clip": ("l", 1), "text": text}))
    assert torch.equal(theirs[0][0], ours[0][0])
    assert torch.equal(theirs[0][1]["pooled_output"], ours[0][1]["pooled_output"])
    assert theirs[0][1].get("strength") == (1.0 if way == "scheduled" else None)


def test_clip_skip_makes_a_new_value_that_our_nodes_take(bench: Bench) -> None:
    encode = ("CLIPTextEncode", {"clip": ("s", 0), "text": "a cat"})
    theirs = one(bench, "e", s=("Skip", {"clip": ("l", 1), "layer": -2}), e=encode)
    ours = one(bench, "e", s=("CLIPSetLastLayer", {"clip": ("l", 1), "stop_at_clip_layer": -2}), e=encode)
    plain = one(bench, "e", e=("CLIPTextEncode", {"clip": ("l", 1), "text": "a cat"}))
    assert torch.equal(theirs[0][0], ours[0][0])
    assert not torch.equal(theirs[0][0], plain[0][0])


@pytest.mark.parametrize("tiled", [False, True])
def test_pictures_pass_through_the_vae_as_by_our_own_nodes(bench: Bench, tiled: bool) -> None:
    image = ("EmptyImage", {"width": 96, "height": 64, "batch_size": 1, "color": 0x3366CC})
    trip = ("RoundTrip", {"vae": ("l", 2), "image": ("i", 0), "tiled": tiled})
    theirs = one(bench, "t", i=image, t=trip)
    ours = one(
        bench,
        "d",
        i=image,
        e=("VAEEncode", {"pixels": ("i", 0), "vae": ("l", 2)}),
        d=("VAEDecode", {"samples": ("e", 0), "vae": ("l", 2)}),
    )
    assert theirs.shape == ours.shape == (1, 64, 96, 3)
    near = 0.1 if tiled else 1e-6  # the norms of a tile are not those of the whole
    assert (theirs - ours).abs().mean() < near
    again = one(bench, "d", i=image, t=trip, d=("VAEDecode", {"samples": ("t", 1), "vae": ("t", 2)}))
    assert (again - ours).abs().mean() < near


def sampled(bench: Bench, **patch: Any) -> torch.Tensor:
    """A short run, maybe through a patched model."""
    model = ("g", 0) if patch else ("l", 0)
    inputs = {
        "model": model,
        "seed": 3,
        "steps": 3,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "positive": ("p", 0),
        "negative": ("n", 0),
        "latent_image": ("z", 0),
        "denoise": 1.0,
    }
    return one(
        bench,
        "k",
        p=("CLIPTextEncode", {"clip": ("l", 1), "text": "a cat"}),
        n=("CLIPTextEncode", {"clip": ("l", 1), "text": ""}),
        z=("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 2}),
        k=("KSampler", inputs),
        **patch,
    )["samples"]


@pytest.mark.parametrize("what", ["none", "cfg", "pre", "post"])
def test_guidance_functions_that_change_nothing_change_nothing(bench: Bench, what: str) -> None:
    guided = sampled(bench, g=("Guide", {"model": ("l", 0), "what": what, "factor": 1.0}))
    assert torch.allclose(guided, sampled(bench), atol=1e-4)


@pytest.mark.parametrize("what", ["cfg", "pre", "post"])
def test_guidance_functions_are_used(bench: Bench, what: str) -> None:
    halved = sampled(bench, g=("Guide", {"model": ("l", 0), "what": what, "factor": 0.5}))
    plain = sampled(bench)
    assert not torch.allclose(halved, plain, atol=1e-2)
    if what in ("pre", "post"):
        other = {"pre": "post", "post": "pre"}[what]
        same = sampled(bench, g=("Guide", {"model": ("l", 0), "what": other, "factor": 0.5}))
        assert torch.allclose(halved, same, atol=1e-4), "guidance is linear: halving before and after is one"


def test_two_patches_are_applied_once_each(bench: Bench) -> None:
    halves = {
        "h": ("Guide", {"model": ("l", 0), "what": "post", "factor": 0.5}),
        "g": ("Guide", {"model": ("h", 0), "what": "post", "factor": 0.5}),
    }
    quarter = sampled(bench, g=("Guide", {"model": ("l", 0), "what": "post", "factor": 0.25}))
    assert torch.allclose(sampled(bench, **halves), quarter, atol=1e-4)


def test_patches_that_we_cannot_have_are_refused_by_name(bench: Bench) -> None:
    prompt = graph(**LOADER, g=("Guide", {"model": ("l", 0), "what": "bad", "factor": 1.0}))
    assert "model_function_wrapper" in bench.fail(prompt, "g").exception_message


def test_values_travel_through_pipes(bench: Bench) -> None:
    split = {"j": ("Pipe", {"model": ("l", 0), "clip": ("l", 1)}), "u": ("Unpipe", {"pipe": ("j", 0)})}
    outputs = bench.run(graph(**LOADER, **split), "u")
    assert outputs["u"][0][0].backbone is outputs["l"][0][0].backbone
    assert outputs["u"][1][0] is outputs["l"][1][0]


def test_reaching_inside_is_an_error_that_says_so(bench: Bench) -> None:
    failed = bench.fail(graph(**LOADER, r=("Reach", {"clip": ("l", 1)})), "r")
    assert "this CLIP has no 'patcher': it is Nodeloom's own" in failed.exception_message


def test_native_nodes_called_by_hand_take_and_give_facades(bench: Bench) -> None:
    from compat.facade import native_class

    loader = native_class(bench.registry.types["CheckpointLoaderSimple"])()
    model, clip, vae = loader.load_checkpoint("small.safetensors")
    assert all(isinstance(value, Facade) for value in (model, clip, vae))
    assert model.is_clone(model.clone())
    assert (model.load_device, model.offload_device, vae.device, vae.output_device) == (
        torch.device("cpu"),
    ) * 4
    assert model.model_dtype() is vae.vae_dtype is torch.float32
    assert model.model.latent_format.scale_factor == 0.18215
    assert len(clip.tokenize("a", return_word_ids=True)["l"][0][0]) == 3
    plain, framed = clip.tokenize("a cat"), clip.tokenize("cat", llama_template="a {}")
    assert framed == plain
    for option in (
        "t5xxl_min_length",
        "l_min_length",
        "else",
    ):  # no such tower, one of fixed length, no option
        clip.set_tokenizer_option(option, 90)
    assert len(clip.tokenize("a")["l"][0]) == 77
    assert clip.encode("a").shape[-1] == 32
    image = native_class(bench.registry.types["EmptyImage"])().generate(width=64, height=64)[0]
    latent = native_class(bench.registry.types["VAEEncode"])().encode(vae, image)[0]
    assert latent["samples"].shape == (1, 4, 8, 8)


def test_everything_else_passes_as_it_is() -> None:
    for value in (1, None, [1, 2], {"samples": 1}, object(), torch.zeros(1), [torch.zeros(1)]):
        assert shown(value) is value
        assert own(value) is value
