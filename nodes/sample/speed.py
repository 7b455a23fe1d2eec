"""Models that sample faster, or compute in another number type."""

from dataclasses import replace
from typing import Annotated, Literal

from diffusion.patches.compiling import compiled
from diffusion.patches.hypertile import in_tiles
from diffusion.patches.step_caching import easily_cached, lazily_cached
from diffusion.residency.precision import Policy, Precision
from execution.declare.node import Range, Tip, node
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import Model

Threshold = Annotated[
    float, Range(0.0, 3.0, step=0.01), Tip("How much error may add up; more is faster and less exact.")
]
Share = Annotated[float, Range(0.0, 1.0, step=0.01)]
From = Annotated[Share, Tip("From when on steps may be saved, as a share of the way.")]
Until = Annotated[Share, Tip("Until when steps may be saved, as a share of the way.")]
Told = Annotated[bool, Tip("Write into the log what was saved.")]


@node("HyperTile", category="model_patches/unet", v3=True, display_name=None)
def hyper_tile(
    model: SomeModel,
    tile_size: Annotated[int, Range(1, 2048), Tip("The least side of a tile, in pixels.")] = 256,
    swap_size: Annotated[
        int, Range(1, 128), Tip("Among how many sizes is chosen at each call, so that no seam stays.")
    ] = 2,
    max_depth: Annotated[
        int, Range(0, 10), Tip("Down to what depth: 0 is full resolution, 1 a half, and so on.")
    ] = 0,
    scale_depth: Annotated[bool, Tip("Larger tiles the deeper, so that they hold as many places.")] = False,
) -> Model:
    """HyperTile.

    Samples large pictures faster by letting self-attention look within tiles only.
    """
    return in_tiles(present(model), tile_size, swap_size, max_depth, scale_depth)


@node("EasyCache", category="advanced/debug/model", v3=True, experimental=True)
def easy_cache(
    model: SomeModel,
    reuse_threshold: Threshold = 0.2,
    start_percent: From = 0.15,
    end_percent: Until = 0.95,
    verbose: Told = False,
) -> Model:
    """EasyCache.

    Saves calls of the model where its answer hardly changes from step to step.
    """
    return easily_cached(present(model), reuse_threshold, start_percent, end_percent, verbose)


@node("LazyCache", category="advanced/debug/model", v3=True, experimental=True)
def lazy_cache(
    model: SomeModel,
    reuse_threshold: Threshold = 0.2,
    start_percent: From = 0.15,
    end_percent: Until = 0.95,
    verbose: Told = False,
) -> Model:
    """LazyCache.

    Saves whole steps, guidance included, where the result hardly changes.
    """
    return lazily_cached(present(model), reuse_threshold, start_percent, end_percent, verbose)


@node("TorchCompileModel", category="_for_testing", v3=True, display_name=None, experimental=True)
def compile_model(
    model: SomeModel,
    backend: Annotated[Literal["inductor", "cudagraphs"], Tip("What compiles. inductor is for any device.")],
) -> Model:
    """Compile Model.

    Compiles the network by torch.compile: the first step of each size takes long, others are faster. Needs a
    C++ compiler.
    """
    return compiled(present(model), backend)


@node("ModelComputeDtype", category="advanced/debug/model")
def compute_in(
    model: SomeModel,
    dtype: Annotated[
        Literal["default", "fp32", "fp16", "bf16"],
        Tip("The number type; default is the program's choice. A processor takes fp32 in place of fp16."),
    ],
) -> Model:
    """ModelComputeDtype.

    Says in which number type a model computes.
    """
    model = present(model)
    chosen: Policy | None = None if dtype == "default" else dtype
    found = Precision(chosen).dtype(model.backbone.device, "backbone") if chosen else None
    return replace(model, backbone=model.backbone.computing_in(found))
