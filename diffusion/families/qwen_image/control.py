"""ControlNets of Qwen-Image, such as InstantX's: a few of its blocks beside the latent of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.control.chain import in_a_row
from diffusion.control.latent_control import Change, Hint, LatentControl
from diffusion.errors import Mismatch
from diffusion.families.qwen_image.network import (
    AXES,
    HEAD,
    PATCH,
    QwenSizes,
    places,
    still,
    told_places_and_time,
)
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.zoo import Blocks, Zoo, built, patches, wrapped
from diffusion.residency.budget import Residency, Resident, resident_of
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

SIGNS = ("controlnet_x_embedder.weight", "controlnet_blocks.0.weight", "txt_norm.weight")


@dataclass(frozen=True)
class ControlSizes:
    """Read off a file. `seen` are the numbers of a picture's token; more than the latent's with a mask."""

    width: int
    channels: int
    text: int
    depth: int
    seen: int

    @property
    def takes_mask(self) -> bool:
        """Whether it is told where the picture is kept."""
        return self.seen > self.channels * PATCH**2


def control_sizes(weights: Weights) -> ControlSizes:
    """The sizes of a file's network."""
    width, tokens = weights["img_in.weight"].shape
    return ControlSizes(
        width=width,
        channels=tokens // PATCH**2,
        text=weights["txt_norm.weight"].shape[0],
        depth=counted(weights, "controlnet_blocks.{}.weight"),
        seen=weights[SIGNS[0]].shape[1],
    )


class QwenControl(Zoo):
    """The network."""

    blocks = (Blocks("double", "transformer_blocks"),)

    def __init__(self, sizes: ControlSizes) -> None:
        super().__init__(
            built(
                "controlnets.controlnet_qwenimage",
                "QwenImageControlNetModel",
                in_channels=sizes.channels * PATCH**2,
                num_layers=sizes.depth,
                attention_head_dim=HEAD,
                num_attention_heads=sizes.width // HEAD,
                joint_attention_dim=sizes.text,
                axes_dims_rope=AXES,
                extra_condition_channels=sizes.seen - sizes.channels * PATCH**2,
            )
        )
        told_places_and_time(self)

    def added(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hint: Tensor) -> Sequence[Tensor]:
        """What its blocks give [B, N, W] for x [B, C, H, W], beside a picture's latent [B, C', H, W]."""
        padded = wrapped(x, PATCH)
        with self.visited(x, inputs, Hooks(), time=timesteps.float(), placed=places(padded, (), "")):
            found: Sequence[Tensor] = self.called(
                hidden_states=patches(padded, PATCH).to(hint),
                controlnet_cond=patches(wrapped(hint, PATCH), PATCH),
                encoder_hidden_states=inputs.context.to(hint),
                timestep=timesteps,
                return_dict=False,
            )
        return found


@dataclass(eq=False)
class Looking:
    """A control network in one run of a model of so many blocks."""

    resident: Resident[QwenControl]
    hint: Hint
    depth: int

    def __call__(self, x: Tensor, timesteps: Tensor, inputs: Inputs, strength: float) -> Control:
        """What it adds behind the model's blocks, to as many in a row as it takes to reach them all."""
        own = Inputs(inputs.context)
        with self.resident.use() as module:
            picture = still(x)
            hint = self.hint.like(picture).to(self.resident.device, self.resident.dtype)
            found = module.added(picture, timesteps, own, hint)
        return Control(input=in_a_row([each * strength for each in found], self.depth))


def control_network(weights: Weights, residency: Residency) -> LatentControl | None:
    """The control network of a file, if it is one of Qwen-Image's."""
    if any(name not in weights for name in SIGNS):
        return None
    sizes = control_sizes(weights)
    resident = resident_of(residency, "control", weights, lambda: QwenControl(sizes))

    def begin(hint: Hint, setting: Setting) -> Looking:
        model = setting.model
        if not isinstance(model.sizes, QwenSizes):
            problem = f"{weights.path.name} is made for Qwen-Image, and the model is {model.family.title}."
            raise Mismatch(problem, "Choose a control network made for the model's family.")
        if model.sizes.width != sizes.width:
            problem = f"{weights.path.name} is {sizes.width} wide, and the model {model.sizes.width}."
            raise Mismatch(problem, "Choose the control network that was made for this size of the model.")
        return Looking(resident, hint, model.sizes.depth)

    def scaled(setting: Setting) -> Change:
        return lambda latent: still(setting.model.latent_format.into(latent))

    return LatentControl(weights.path.name, begin, scaled, takes_mask=sizes.takes_mask)
