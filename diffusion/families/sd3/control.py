"""Control networks for SD3 and 3.5: those with blocks of two streams (InstantX), and Stability's for 3.5.

Both add to the picture's tokens behind each block of the model. diffusers' class computes them, but for those
that borrow the model's own embedders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.conditioning import Setting
from diffusion.control.latent_control import Change, Hint, LatentControl, as_it_is
from diffusion.errors import Mismatch
from diffusion.families.sd3.network import HEAD, Sd3Sizes, room_for_places
from diffusion.hooks import Hooks
from diffusion.model import Model
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.places import sines
from diffusion.networks.zoo import Zoo, built, wrapped
from diffusion.residency.budget import Residency, Resident, resident_of
from diffusion.weights.entries import Weights
from diffusion.weights.kinds import unknown
from diffusion.weights.layout import Layout, Rule
from diffusion.weights.loading import on_meta
from diffusion.weights.shapes import Unlike, counted, multiple, shape_of

CLASS = ("controlnets.controlnet_sd3", "SD3ControlNetModel")
PATCH = 2
CANNY, DEPTH = 1, 2
"""What a file for 3.5 says that its pictures show."""
FIRST_OUT, HINT = "controlnet_blocks.0.weight", "pos_embed_input.proj.weight"


@dataclass(frozen=True)
class ControlSizes:
    """Read off a file. `text` None: blocks that look at the picture alone."""

    width: int
    channels: int
    hint: int
    depth: int
    vector: int
    text: int | None = None
    places: int = 0
    normed: bool = False
    own_embedder: bool = False

    @property
    def borrows_sentence(self) -> bool:
        """Whether the sentence is embedded by the model first; then all blocks are shown the same."""
        return self.text is None and self.vector == self.width


def network(sizes: ControlSizes) -> nn.Module:
    """diffusers' network of these sizes."""
    return built(
        *CLASS,
        sample_size=PATCH,
        pos_embed_max_size=1,
        patch_size=PATCH,
        in_channels=sizes.channels,
        extra_conditioning_channels=sizes.hint - sizes.channels,
        num_layers=sizes.depth,
        attention_head_dim=HEAD,
        num_attention_heads=multiple(sizes.width, HEAD),
        joint_attention_dim=sizes.text,
        caption_projection_dim=sizes.width,
        pooled_projection_dim=sizes.vector,
        qk_norm="rms_norm" if sizes.normed else None,
        use_pos_embed=sizes.text is not None,
    )


# Blocks of two streams


def joint_sizes(weights: Weights) -> ControlSizes:
    """The sizes of a network that reads the text. Unlike if they cannot be read."""
    width, channels, _, _ = shape_of(weights, "pos_embed.proj.weight", 4)
    return ControlSizes(
        width=width,
        channels=channels,
        hint=shape_of(weights, HINT, 4)[1],
        depth=counted(weights, "controlnet_blocks.{}.weight"),
        vector=shape_of(weights, "time_text_embed.text_embedder.linear_1.weight", 2)[1],
        text=shape_of(weights, "context_embedder.weight", 2)[1],
        places=isqrt(shape_of(weights, "pos_embed.pos_embed", 3)[1]),
        normed="transformer_blocks.0.attn.norm_q.weight" in weights,
    )


class JointControl(Zoo):
    """The network; it is given no sentence."""

    def __init__(self, sizes: ControlSizes) -> None:
        self.sizes = sizes
        super().__init__(network(sizes))
        room_for_places(self.get_submodule("pos_embed"), sizes.places, sizes.width)

    def forward(self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor) -> Sequence[Tensor]:
        """x and hint [B, C, H, W], timesteps [B], context [B, T, K] → what each block gives [B, N, W]."""
        dtype = hint.dtype
        with self.visited(x, Inputs(context), Hooks()):
            (found,) = self.called(
                hidden_states=wrapped(x).to(dtype),
                controlnet_cond=wrapped(hint),
                encoder_hidden_states=context.to(dtype),
                pooled_projections=x.new_zeros(len(x), self.sizes.vector, dtype=dtype),
                timestep=timesteps.float(),
                return_dict=False,
            )
        return list(found)


@dataclass(eq=False)
class Joint:
    """A network that reads the text, in one run."""

    resident: Resident[JointControl]
    hint: Hint

    def __call__(self, x: Tensor, timesteps: Tensor, inputs: Inputs, strength: float) -> Control:
        """What it adds, in a row for as many blocks as its width tells; nothing behind the last."""
        with self.resident.use() as module:
            hint = self.hint.like(x).to(self.resident.dtype)
            outs = module(x, hint, timesteps, inputs.context)
        times = module.sizes.width // HEAD // len(outs)
        spread = [out for out in outs for _ in range(times)][:-1]
        return Control(input={number: out * strength for number, out in enumerate(spread)})


def joint(weights: Weights, residency: Residency) -> LatentControl:
    """The network of a file for SD3. UnknownModel if its sizes are of none."""
    sizes = _read(joint_sizes, weights)
    resident = resident_of(residency, "control", weights, lambda: JointControl(sizes))

    def begin(hint: Hint, setting: Setting) -> Joint:
        fitting(setting.model, sizes, weights)
        return Joint(resident, hint)

    def scaled(setting: Setting) -> Change:
        scale = setting.model.latent_format.scale
        assert isinstance(scale, float)
        return lambda latent: latent * scale  # these were trained without the shift

    return LatentControl(weights.path.name, begin, scaled, takes_mask=sizes.hint > sizes.channels)


# Blocks that look at the picture alone

ALONE = Layout(
    Rule("transformer_blocks.*.attn.qkv", tuple(f"transformer_blocks.*.attn.to_{key}" for key in "qkv")),
    Rule("transformer_blocks.*.attn.proj", "transformer_blocks.*.attn.to_out.0"),
    Rule("transformer_blocks.*.mlp.fc1", "transformer_blocks.*.ff.net.0.proj"),
    Rule("transformer_blocks.*.mlp.fc2", "transformer_blocks.*.ff.net.2"),
    Rule("transformer_blocks.*.adaLN_modulation.1", "transformer_blocks.*.norm1.linear"),
    Rule("pos_embed.proj", "x_embedder"),
    Rule("control_type", ()),
)


def alone_sizes(weights: Weights) -> ControlSizes:
    """The sizes of a network for 3.5. Unlike if they cannot be read."""
    width, hint, _, _ = shape_of(weights, HINT, 4)
    return ControlSizes(
        width=width,
        channels=hint,
        hint=hint,
        depth=counted(weights, "controlnet_blocks.{}.weight"),
        vector=shape_of(weights, "time_text_embed.text_embedder.linear_1.weight", 2)[1],
        own_embedder="pos_embed.proj.weight" in weights,
    )


class AloneControl(Zoo):
    """The network. The latent is embedded by itself, where a file has that, or by the model."""

    def __init__(self, sizes: ControlSizes) -> None:
        self.sizes = sizes
        super().__init__(network(sizes))
        if sizes.own_embedder:
            self.x_embedder = nn.Conv2d(sizes.channels, sizes.width, PATCH, PATCH)

    def forward(self, tokens: Tensor, hint: Tensor, timesteps: Tensor, pooled: Tensor) -> Sequence[Tensor]:
        """tokens [B, N, W] of the latent, hint [B, C, H, W] → what each block gives [B, N, W]."""
        embedded = self.get_submodule("time_text_embed")(timesteps.float(), pooled)
        tokens = tokens + self.get_submodule("pos_embed_input")(wrapped(hint))
        blocks = zip(self._listed("transformer_blocks"), self._listed("controlnet_blocks"), strict=True)
        outs = []
        for block, last in blocks:
            out = block(tokens, embedded)
            outs.append(last(out))
            if not self.sizes.borrows_sentence:
                tokens = out
        return outs

    def embedded(self, x: Tensor) -> Tensor:
        """The latent [B, C, H, W] by the network's own embedder: [B, W, H/2, W/2]."""
        out: Tensor = self.x_embedder(x)
        return out

    def _listed(self, name: str) -> list[nn.Module]:
        return list(self.get_submodule(name).children())


@dataclass(eq=False)
class Alone:
    """A network for 3.5 in one run, beside the model whose embedders it borrows."""

    resident: Resident[AloneControl]
    hint: Hint
    model: Model

    def __call__(self, x: Tensor, timesteps: Tensor, inputs: Inputs, strength: float) -> Control:
        """What it adds behind each block of the model, in a row for several."""
        sizes: Sd3Sizes = self.model.sizes
        dtype = self.resident.dtype
        pooled = inputs.tensor("pooled")
        if pooled is None:
            pooled = x.new_zeros(len(x), sizes.vector)
        padded = wrapped(x)
        with self.resident.use() as module:
            own = module.sizes.own_embedder
            with self.model.backbone.use(self.model.weight_patches) as base:
                if module.sizes.borrows_sentence:
                    pooled = _borrowed(base, "time_text_embed.text_embedder", pooled)
                embedded = (
                    module.embedded(padded.to(dtype)) if own else _borrowed(base, "pos_embed.proj", padded)
                )
            tokens = embedded.flatten(2).transpose(1, 2)
            if not own:
                tokens = tokens + places(embedded.shape[-2], embedded.shape[-1], tokens.shape[-1]).to(tokens)
            outs = module(tokens.to(dtype), self.hint.like(x).to(dtype), timesteps, pooled.to(dtype))
        times = -(-sizes.depth // len(outs))
        spread = [out for out in outs for _ in range(times)][: sizes.depth]
        return Control(input={number: out * strength for number, out in enumerate(spread)})


def _borrowed(base: Any, name: str, x: Tensor) -> Tensor:
    """What a module of the model makes of x."""
    module = base.get_submodule(name)
    out: Tensor = module(x.to(next(module.parameters()).dtype))
    return out


def places(rows: int, columns: int, width: int, centre: float = 7.5) -> Tensor:
    """Sines and cosines of each place [1, rows · columns, width], which span the shorter side evenly.

    The first half tells the column, the second the row.
    """
    shorter = min(rows, columns)
    down, right = (
        torch.linspace(centre - reach, centre + reach, side, dtype=torch.float64)
        for side, reach in ((rows, centre * rows / shorter), (columns, centre * columns / shorter))
    )
    return sines(down, right, width)


def alone(weights: Weights, residency: Residency) -> LatentControl:
    """The network of a file for SD 3.5. UnknownModel if its sizes are of none."""
    sizes = _read(alone_sizes, weights)
    parameters = on_meta(lambda: AloneControl(sizes), weights.path).state_dict()
    own = ALONE.read(weights, {name: tuple(each.shape) for name, each in parameters.items()})
    resident = resident_of(residency, "control", own, lambda: AloneControl(sizes))

    def begin(hint: Hint, setting: Setting) -> Alone:
        fitting(setting.model, sizes, weights)
        return Alone(resident, hint, setting.model)

    def scaled(setting: Setting) -> Change:
        return setting.model.latent_format.into

    return LatentControl(
        weights.path.name, begin, scaled, shown=SHOWN.get(kind_of_picture(weights), as_it_is)
    )


def kind_of_picture(weights: Weights) -> int:
    """What the pictures show that a file was trained on; −1 if it does not say."""
    return round(weights.tensor("control_type").item()) if "control_type" in weights else -1


def edges(pixels: Tensor) -> Tensor:
    """Edges as they were shown in training: 0…1 becomes 0.5…128."""
    return pixels * 127.5 + 0.5


def inverted(pixels: Tensor) -> Tensor:
    """Depth as it was shown in training: the near dark."""
    return 1 - pixels


SHOWN = {CANNY: edges, DEPTH: inverted}


# Both


def _read(sizes: Any, weights: Weights) -> ControlSizes:
    try:
        found: ControlSizes = sizes(weights)
    except Unlike as error:
        raise unknown(weights, f"No ControlNet was found in it: {error}") from None
    return found


def fitting(model: Model, sizes: ControlSizes, weights: Weights) -> None:
    """Mismatch if a model is no SD3, or of another width."""
    if not isinstance(model.sizes, Sd3Sizes):
        problem = (
            f"{weights.path.name} is made for Stable Diffusion 3, and the model is {model.family.title}."
        )
        raise Mismatch(problem, "Choose a control network of the same family.")
    if model.sizes.width != sizes.width:
        problem = (
            f"{weights.path.name} has a width of {sizes.width}, and the model one of {model.sizes.width}."
        )
        raise Mismatch(problem, "Choose the control network that was made for this size of the model.")


# In files


def control_network(weights: Weights, residency: Residency) -> LatentControl | None:
    """The control network of a file, if it is one of SD3's or 3.5's."""
    if FIRST_OUT not in weights or HINT not in weights:
        return None
    if "transformer_blocks.0.attn.add_q_proj.weight" in weights:
        return joint(weights, residency)
    if "transformer_blocks.0.adaLN_modulation.1.bias" in weights:
        return alone(weights, residency)
    return None
