"""The sizes of a UNet read off the shapes of its tensors, so that any width and depth of a family loads.

What shapes do not reveal (norm groups, heads) comes from the file's metadata, key `nodeloom.unet.…`, or from
what the families have in common: 32 groups; 8 heads where projections are convolutions, else heads of 64
channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from diffusion.networks.unet import UNetSizes
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import Unlike, counted, multiple, shape_of, stated


def unet_sizes(weights: Weights, *, downward_only: bool = False) -> UNetSizes:
    """The sizes of a UNet given under its own names, or of a ControlNet, which is one without its way up.

    Unlike says what does not fit.
    """
    first = shape_of(weights, "input_blocks.0.0.weight", 4)
    channels = first[0]
    levels = list(_levels(weights))
    multipliers = tuple(multiple(blocks[0].channels, channels) for blocks in levels)
    transformers = [block for blocks in levels for block in blocks]
    linear, context = _projections(weights)
    facts = stated(weights, "unet")
    head_channels = facts.number("head_channels")
    heads = facts.number("heads") if head_channels is None else None
    if heads is None and head_channels is None:
        classes_only = "label_emb.weight" in weights
        heads, head_channels = (None, 64) if linear and not classes_only else (8, None)
    vector = weights.shape("label_emb.0.0.weight")
    classes = weights.shape("label_emb.weight")
    return UNetSizes(
        in_channels=first[1],
        out_channels=first[1] if downward_only else shape_of(weights, "out.2.weight", 4)[0],
        channels=channels,
        multipliers=multipliers,
        blocks=tuple(len(blocks) for blocks in levels),
        input_depths=tuple(block.depth for block in transformers),
        middle_depth=_middle_depth(weights),
        output_depths=tuple(_output_depths(weights)),
        context=context,
        heads=heads,
        head_channels=head_channels,
        linear_projections=linear,
        vector=vector[1] if vector else None,
        classes=classes[0] if classes else None,
        norm_groups=facts.number("norm_groups") or 32,
        self_attention=tuple(_looks_at_itself(weights, blocks) for blocks in levels),
        video="input_blocks.1.0.time_stack.in_layers.2.weight" in weights,
    )


@dataclass(frozen=True, slots=True)
class InputBlock:
    """One residual block on the way down."""

    number: int
    channels: int
    depth: int


def _levels(weights: Weights) -> Iterator[list[InputBlock]]:
    """The residual blocks of each resolution; a downsampling block ends one."""
    level: list[InputBlock] = []
    for number in count(1):
        shape = weights.shape(f"input_blocks.{number}.0.out_layers.3.weight")
        if shape is not None:
            depth = counted(weights, f"input_blocks.{number}.1.transformer_blocks.{{}}.norm1.weight")
            level.append(InputBlock(number, shape[0], depth))
            continue
        if not level:
            raise Unlike(f"input_blocks.{number}.0.out_layers.3.weight is missing")
        yield level
        level = []
        if f"input_blocks.{number}.0.op.weight" not in weights:
            return


def _projections(weights: Weights) -> tuple[bool, int]:
    """Whether transformers are entered by linear layers, and the width of the text they look at."""
    for name in weights:
        if name.endswith(".transformer_blocks.0.attn2.to_k.weight"):
            outer = name.removesuffix(".transformer_blocks.0.attn2.to_k.weight")
            return len(weights.shape(f"{outer}.proj_in.weight") or ()) == 2, shape_of(weights, name, 2)[1]
    raise Unlike("no attention to text (…transformer_blocks.0.attn2.to_k.weight) was found")


def _looks_at_itself(weights: Weights, blocks: list[InputBlock]) -> bool:
    name = f"input_blocks.{blocks[0].number}.1.transformer_blocks.0.attn1.to_k.weight"
    query = weights.shape(name.replace("to_k", "to_q"))
    key = weights.shape(name)
    return query is None or key is None or key[1] == query[1]


def _middle_depth(weights: Weights) -> int | None:
    if "middle_block.0.in_layers.2.weight" not in weights:
        return None
    return counted(weights, "middle_block.1.transformer_blocks.{}.norm1.weight")


def _output_depths(weights: Weights) -> Iterator[int]:
    for number in range(counted(weights, "output_blocks.{}.0.out_layers.3.weight")):
        yield counted(weights, f"output_blocks.{number}.1.transformer_blocks.{{}}.norm1.weight")
