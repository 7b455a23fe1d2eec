"""The sizes of a model read off the shapes of its tensors, so that any width and depth of a family loads.

What shapes do not reveal (norm groups, heads, activation) comes from the file's metadata, key `nodeloom.…`,
or from what the families have in common: 32 groups; 8 heads where projections are convolutions, else heads of
64 channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from diffusion.errors import FileProblem
from diffusion.latents.vae import VAESizes
from diffusion.networks.unet import UNetSizes
from diffusion.text.clip import TextSizes
from diffusion.weights.files import Weights


class Unlike(ValueError):
    """Why these tensors are not the network they were taken for; names what was missing."""


@dataclass(frozen=True)
class Stated:
    """What a file's metadata states about a part, such as `nodeloom.unet.norm_groups`."""

    path: Path
    metadata: Mapping[str, str]
    part: str

    def number(self, name: str) -> int | None:
        """A positive whole number, None if nothing is stated. FileProblem if it is nonsense."""
        text = self.metadata.get(f"nodeloom.{self.part}.{name}")
        if text is None:
            return None
        if not text.isdecimal() or not 0 < int(text) < 1 << 20:
            raise FileProblem(self.path, f"Its metadata says nodeloom.{self.part}.{name} = {text!r:.40}.")
        return int(text)

    def text(self, name: str, default: str) -> str:
        """A word, or the default."""
        return self.metadata.get(f"nodeloom.{self.part}.{name}", default)


def stated(weights: Weights, part: str) -> Stated:
    """The metadata of a file concerning one part."""
    return Stated(weights.path, weights.metadata, part)


def unet_sizes(weights: Weights, *, downward_only: bool = False) -> UNetSizes:
    """The sizes of a UNet given under its own names, or of a ControlNet, which is one without its way up.

    Unlike says what does not fit.
    """
    first = _shape(weights, "input_blocks.0.0.weight", 4)
    channels = first[0]
    levels = list(_levels(weights))
    multipliers = tuple(_whole(blocks[0].channels, channels) for blocks in levels)
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
        out_channels=first[1] if downward_only else _shape(weights, "out.2.weight", 4)[0],
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


def vae_sizes(weights: Weights) -> VAESizes:
    """The sizes of an autoencoder given under its own names. Unlike says what does not fit."""
    first = _shape(weights, "encoder.conv_in.weight", 4)
    levels = _count(weights, "encoder.down.{}.block.0.conv1.weight")
    if not levels:
        raise Unlike("encoder.down.0.block.0.conv1.weight is missing")
    widths = [_shape(weights, f"encoder.down.{level}.block.0.conv1.weight", 4)[0] for level in range(levels)]
    before, behind = "quant_conv.weight" in weights, "post_quant_conv.weight" in weights
    return VAESizes(
        image_channels=first[1],
        latent_channels=_shape(weights, "decoder.conv_in.weight", 4)[1],
        channels=first[0],
        multipliers=tuple(_whole(width, first[0]) for width in widths),
        blocks=_count(weights, "encoder.down.0.block.{}.conv1.weight"),
        norm_groups=stated(weights, "vae").number("norm_groups") or 32,
        quantised=before,
        dequantised=behind if behind != before else None,
        video="decoder.mid.block_1.time_stack.in_layers.2.weight" in weights,
    )


def text_sizes(weights: Weights, part: str = "text", open_clip: bool = False) -> TextSizes:
    """The sizes of a text tower given under our names. Unlike says what does not fit."""
    vocabulary, width = _shape(weights, "text_model.embeddings.token_embedding.weight", 2)
    facts = stated(weights, part)
    projection = weights.shape("text_projection.weight")
    usual = "gelu" if open_clip or width > 768 else "quick_gelu"
    return TextSizes(
        width=width,
        layers=_count(weights, "text_model.encoder.layers.{}.mlp.fc1.weight"),
        heads=facts.number("heads") or max(width // 64, 1),
        inner=_shape(weights, "text_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        positions=_shape(weights, "text_model.embeddings.position_embedding.weight", 2)[0],
        vocabulary=vocabulary,
        activation=facts.text("activation", usual),
        projection=projection[0] if projection else None,
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
            depth = _count(weights, f"input_blocks.{number}.1.transformer_blocks.{{}}.norm1.weight")
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
            return len(weights.shape(f"{outer}.proj_in.weight") or ()) == 2, _shape(weights, name, 2)[1]
    raise Unlike("no attention to text (…transformer_blocks.0.attn2.to_k.weight) was found")


def _looks_at_itself(weights: Weights, blocks: list[InputBlock]) -> bool:
    name = f"input_blocks.{blocks[0].number}.1.transformer_blocks.0.attn1.to_k.weight"
    query = weights.shape(name.replace("to_k", "to_q"))
    key = weights.shape(name)
    return query is None or key is None or key[1] == query[1]


def _middle_depth(weights: Weights) -> int | None:
    if "middle_block.0.in_layers.2.weight" not in weights:
        return None
    return _count(weights, "middle_block.1.transformer_blocks.{}.norm1.weight")


def _output_depths(weights: Weights) -> Iterator[int]:
    for number in range(_count(weights, "output_blocks.{}.0.out_layers.3.weight")):
        yield _count(weights, f"output_blocks.{number}.1.transformer_blocks.{{}}.norm1.weight")


def _count(weights: Weights, pattern: str) -> int:
    """How many names there are for 0, 1, 2, … in a pattern."""
    return next(number for number in count() if pattern.format(number) not in weights)


def _shape(weights: Weights, name: str, dimensions: int) -> tuple[int, ...]:
    shape = weights.shape(name)
    if shape is None:
        raise Unlike(f"{name} is missing")
    if len(shape) != dimensions or 0 in shape:
        raise Unlike(f"{name} has the shape {shape}, not {dimensions} dimensions")
    return shape


def _whole(channels: int, base: int) -> int:
    if channels % base:
        raise Unlike(f"{channels} channels are no multiple of {base}")
    return channels // base
