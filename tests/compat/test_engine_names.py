"""ComfyUI's sampling, loading and layers by name: the results are those of our own nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compat.host import Host
from compat.importing import PackImporter
from compat.modules.comfy import clip_vision, latent_formats, model_base, ops, sample, samplers, sd
from compat.modules.comfy.ldm.modules import attention
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.program import build_registry
from tests.nodes.conftest import models

__all__ = ["models"]


@pytest.fixture(scope="module")
def registry(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folders = Folders(tmp_path_factory.mktemp("base"), models=models)
    return build_registry(folders, Residency(Precision("fp32"), "cpu"))


@pytest.fixture
def host(registry: Registry) -> Host:
    return Host(registry.provide[Folders], registry.types, providers=registry.provide)


@pytest.fixture
def loaded(host: Host, models: Path) -> tuple[Any, Any, Any, None]:
    load = sd.names(host)["load_checkpoint_guess_config"]
    return load(str(models / "checkpoints" / "small.safetensors"))


@pytest.fixture
def inputs(loaded: tuple[Any, ...]) -> dict[str, Any]:
    clip = loaded[1]
    texts = {
        name: clip.encode_from_tokens_scheduled(clip.tokenize(text))
        for name, text in (("positive", "cat"), ("negative", ""))
    }
    return {"model": loaded[0], **texts}


def test_checkpoints_are_loaded_in_the_parts_asked_for(
    host: Host, models: Path, loaded: tuple[Any, ...]
) -> None:
    names = sd.names(host)
    assert [value and value.kind for value in loaded] == ["MODEL", "CLIP", "VAE", None]
    path = str(models / "checkpoints" / "small.safetensors")
    only_vae = names["load_checkpoint_guess_config"](path, output_clip=False, output_model=False)
    assert [value and value.kind for value in only_vae] == [None, None, "VAE", None]
    assert (
        names["load_diffusion_model"](str(models / "diffusion_models" / "unet.safetensors")).kind == "MODEL"
    )
    files = [str(models / "text_encoders" / "text.safetensors")]
    assert names["load_clip"](files).encode("a").shape == (1, 77, 32)
    assert names["load_clip"](files, clip_type=sd.CLIPType.SD3).encode("a").shape == (1, 77, 4096)
    styled = loaded[1].encode("a embedding:style")
    assert not torch.equal(styled, loaded[1].encode("a"))


PARTS = [
    # steps to start and end with, whether the end is to be clean, denoise
    (None, None, False, 1.0),
    (None, None, False, 0.5),
    (2, None, True, 1.0),
    (0, 2, False, 1.0),
    (1, 3, True, 1.0),
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("sampler", ["euler", "uni_pc"])
def test_runs_equal_those_of_our_nodes(
    registry: Registry, inputs: dict[str, Any], part: tuple[Any, ...], sampler: str
) -> None:
    from compat.facade import native_class

    start, end, clean, denoise = part
    latent = torch.zeros(2, 4, 8, 8)
    shared = {"steps": 4, "cfg": 3.0, "sampler_name": sampler, "scheduler": "karras"}
    theirs = sample.sample(
        noise=sample.prepare_noise(latent, 7), latent_image=latent, start_step=start, last_step=end,
        force_full_denoise=clean, denoise=denoise, seed=7, **shared, **inputs,
    )  # fmt: skip
    shared |= {**inputs, "latent_image": {"samples": latent}}
    if denoise < 1.0 or (start, end) == (None, None):
        ours = native_class(registry.types["KSampler"])().sample(seed=7, denoise=denoise, **shared)
    else:
        ours = native_class(registry.types["KSamplerAdvanced"])().sample(
            noise_seed=7, add_noise="enable", start_at_step=start, end_at_step=10000 if end is None else end,
            return_with_leftover_noise="disable" if clean else "enable", **shared,
        )  # fmt: skip
    assert torch.allclose(theirs, ours[0]["samples"], atol=1e-5)


def test_common_ksampler_is_both_nodes(host: Host, inputs: dict[str, Any]) -> None:
    from compat.modules.nodes import common_ksampler

    latent = {"samples": torch.zeros(1, 4, 8, 8), "kept": 1}
    arguments = (
        inputs["model"],
        5,
        3,
        2.0,
        "euler",
        "normal",
        inputs["positive"],
        inputs["negative"],
        latent,
    )
    run = common_ksampler(host)
    whole = run(*arguments)[0]
    parts = run(*arguments, start_step=0, last_step=2)[0]
    rest = run(*arguments[:-1], parts, start_step=2, disable_noise=True, force_full_denoise=True)[0]
    assert whole["kept"] == 1
    assert torch.allclose(rest["samples"], whole["samples"], atol=1e-4)


def test_the_sampler_class_runs_and_tells_its_callback(host: Host, inputs: dict[str, Any]) -> None:
    kind = samplers.names(host)["KSampler"]
    told: list[tuple[int, int, torch.Size]] = []
    sampler = kind(inputs["model"], 3, "cpu", sampler="nothing", scheduler="karras", denoise=1.0)
    assert (sampler.sampler, sampler.scheduler, len(sampler.sigmas)) == (kind.SAMPLERS[0], "karras", 4)
    noise = sample.prepare_noise(torch.zeros(1, 4, 8, 8), 1)
    made = sampler.sample(
        noise, inputs["positive"], inputs["negative"], 2.0, seed=1,
        callback=lambda step, x0, x, total: told.append((step, total, x0.shape)),
    )  # fmt: skip
    assert made.shape == (1, 4, 8, 8)
    assert told == [(step, 3, torch.Size([1, 4, 8, 8])) for step in range(3)]


def test_schedules_and_samplers_are_ours_by_name(host: Host, inputs: dict[str, Any]) -> None:
    levels = inputs["model"].get_model_object("model_sampling")
    sigmas = samplers.calculate_sigmas(levels, "karras", 5)
    assert (len(sigmas), sigmas[-1]) == (6, 0)
    assert sigmas[0] == pytest.approx(float(levels.sigma_max))
    assert samplers.sampler_object("euler") is samplers.sampler_object("euler")
    empty = torch.zeros(1, 16, 8, 8)
    assert sample.fix_empty_latent_channels(inputs["model"], empty).shape == (1, 4, 8, 8)
    indexed = sample.prepare_noise(torch.zeros(2, 4, 8, 8), 3, [1, 1])
    assert torch.equal(indexed[0], indexed[1])


def test_a_cancelled_job_ends_a_packs_sampling(inputs: dict[str, Any]) -> None:
    from compat.current import calling
    from execution.errors import Cancelled

    run = Run()
    run.cancel.cancel()
    latent = torch.zeros(1, 4, 8, 8)
    with calling(run), pytest.raises(Cancelled):
        sample.sample(
            noise=latent,
            steps=2,
            cfg=1.0,
            sampler_name="euler",
            scheduler="normal",
            latent_image=latent,
            **inputs,
        )


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "GroupNorm", "LayerNorm"])
def test_layers_cast_their_weights_for_the_call_only(host: Host, name: str) -> None:
    sizes = {"Linear": (4, 3), "Conv2d": (4, 3, 1), "GroupNorm": (2, 4), "LayerNorm": (4,)}[name]
    layer = getattr(ops.names(host)["manual_cast"], name)(*sizes)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.5)
    shape = (2, 4, 5, 4) if name != "Linear" else (2, 4)
    result = layer(torch.ones(shape, dtype=torch.float64))
    assert result.dtype == torch.float64
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float32}
    assert isinstance(layer, getattr(nn, name))


def test_layers_without_initialisation_are_torchs(host: Host) -> None:
    plain = ops.names(host)["disable_weight_init"]
    with torch.device("meta"):
        assert isinstance(plain.conv_nd(2, 3, 4, 1), nn.Conv2d)

    class Own(plain.Linear):  # type: ignore[misc, name-defined]
        pass

    assert Own(2, 2).weight.shape == (2, 2)
    weight, bias = ops.cast_bias_weight(nn.Linear(2, 2, bias=False), torch.ones(1, dtype=torch.float16))
    assert (weight.dtype, bias) == (torch.float16, None)


def test_latent_formats_and_kinds_have_their_numbers(host: Host) -> None:
    names = latent_formats.names(host)
    sd15 = names["SD15"]()
    latent = torch.ones(1)
    assert torch.allclose(sd15.process_out(sd15.process_in(latent)), latent)
    assert (sd15.scale_factor, names["SDXL"].scale_factor, len(sd15.latent_rgb_factors)) == (
        0.18215,
        0.13025,
        4,
    )
    assert model_base.names(host)["ModelType"].V_PREDICTION.value == 2


def test_pictures_are_prepared_for_vision_encoders() -> None:
    image = torch.rand(2, 300, 200, 4)
    for crop in (True, False):
        assert clip_vision.clip_preprocess(image, crop=crop).shape == (2, 3, 224, 224)
    grey = clip_vision.clip_preprocess(torch.full((1, 224, 224, 3), 0.5), mean=[0.5] * 3, std=[0.5] * 3)
    assert grey.abs().max() < 0.01


def test_attention_takes_every_shape() -> None:
    q, k, v = torch.rand(3, 2, 5, 8)
    plain = attention.optimized_attention(q, k, v, 2)
    split = [each.unflatten(2, (2, 4)).movedim(2, 1) for each in (q, k, v)]
    assert torch.allclose(attention.optimized_attention(*split, 2, skip_reshape=True), plain, atol=1e-6)
    kept = attention.optimized_attention(*split, 2, skip_reshape=True, skip_output_reshape=True)
    assert torch.allclose(kept.movedim(1, 2).flatten(2), plain, atol=1e-6)
    for mask in (torch.zeros(5, 5), torch.zeros(2, 5, 5), torch.zeros(2, 1, 5, 5)):
        assert torch.allclose(attention.optimized_attention(q, k, v, 2, mask=mask), plain, atol=1e-6)


CENSUS = Path(__file__).with_name("census.txt")
"""What packs ask for most often: a line a module."""


def test_the_names_that_packs_use_most_are_real(host: Host, tmp_path: Path) -> None:
    from compat.placeholders import PlaceholderType, read_table

    importer = PackImporter(host, [tmp_path])
    with importer:
        for module, members in read_table(CENSUS.read_text()).items():
            found = importer._import(module, {}, {}, ("x",))
            for member in members:
                value = getattr(found, member)
                assert not (isinstance(value, PlaceholderType) and "stands_for" in vars(value)), (
                    f"{module}.{member}"
                )
