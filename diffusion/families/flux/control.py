"""ControlNets of FLUX: its blocks, fewer of them, beside a picture; what they give is added to the model's.

Three sorts, told by their names. Those of InstantX (also for several kinds of pictures, and alimama's for
inpainting) see the picture's latent. Those of XLabs and of MistoLine see its pixels through convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.conditioning import Setting
from diffusion.control.chain import Applied, fitted, in_a_row
from diffusion.denoising import Controller
from diffusion.errors import Mismatch
from diffusion.families.flux.layout import LAYOUT
from diffusion.families.flux.network import AXES, HEAD, PATCH, THOUSAND, FluxSizes, embedded, guided, pooled
from diffusion.hooks import Hooks
from diffusion.images import resize, to_batch
from diffusion.latents.autoencoder import VAE
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.spots import Spot
from diffusion.networks.zoo import Blocks, Zoo, built, patches, wrapped
from diffusion.residency.budget import Residency, Resident, resident_of
from diffusion.weights.entries import Weights
from diffusion.weights.layout import SAME, Layout, Rule

Convolutions = tuple[tuple[int, int, int], ...]  # (channels in, channels out, width of the kernel) of each
XLABS_HALVING, MISTOLINE_HALVING = (2, 4, 6), (3, 5, 7)
NATIVE = "double_blocks.0.img_attn.norm.key_norm.scale"

XLABS = Layout(
    *LAYOUT.rules,
    Rule("pos_embed_input", "controlnet_x_embedder"),
    Rule("input_hint_block", "hint"),
)
MISTOLINE = Layout(
    *LAYOUT.rules,
    Rule("pos_embed_input", "controlnet_x_embedder"),
    Rule("input_cond_block.encoder", "hint"),
    Rule("controlnet_blocks.*.linear", "controlnet_blocks.*"),
    Rule("single_controlnet_blocks.*.linear", "controlnet_single_blocks.*"),
)


@dataclass(frozen=True)
class ControlSizes:
    """Read off a file. Without `convolutions` the picture's latent is seen, of `seen` numbers a token.

    `halving` are those convolutions that halve the size. `smooth` nets pass what they give through SiLU;
    `cycled` ones give it to the model's blocks in turn, others to as many in a row as it takes.
    """

    width: int
    channels: int
    text: int
    vector: int
    doubles: int
    singles: int
    guidance: bool
    modes: int | None = None
    seen: int = 0
    convolutions: Convolutions = ()
    halving: tuple[int, ...] = ()
    smooth: bool = False
    cycled: bool = False


class FluxControl(Zoo):
    """The network."""

    blocks = (Blocks("double", "transformer_blocks"), Blocks("single", "single_transformer_blocks"))
    constant = ("pos_embed",)

    def __init__(self, sizes: ControlSizes) -> None:
        network = built(
            "controlnets.controlnet_flux",
            "FluxControlNetModel",
            in_channels=sizes.channels * PATCH**2,
            num_layers=sizes.doubles,
            num_single_layers=sizes.singles,
            attention_head_dim=HEAD,
            num_attention_heads=sizes.width // HEAD,
            joint_attention_dim=sizes.text,
            pooled_projection_dim=sizes.vector,
            guidance_embeds=sizes.guidance,
            axes_dims_rope=list(AXES),
            num_mode=sizes.modes,
        )
        network.controlnet_x_embedder = nn.Linear(sizes.seen, sizes.width, device="meta")
        if sizes.convolutions:
            network.hint = hint(sizes.convolutions, sizes.halving)
        self.sizes = sizes
        super().__init__(network)
        self.instead("time_text_embed", embedded)
        if sizes.guidance:
            self.instead("time_text_embed.guidance_embedder", guided)

    def added(
        self, x: Tensor, timesteps: Tensor, inputs: Inputs, seen: Tensor, mode: int | None
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """What its double and its single blocks give for x [B, C, H, W], beside tokens of the picture."""
        padded = wrapped(x[:, : self.sizes.channels], PATCH)
        spot = Spot(padded.shape[-2] // PATCH, padded.shape[-1] // PATCH)
        text, guidance = inputs.context.to(seen), inputs.tensor("guidance")
        facts = {} if guidance is None else {"guidance": guidance.float() * THOUSAND}
        self.network.union = mode is not None  # type: ignore[assignment]  # else it asks for a mode
        with self.visited(x, inputs, Hooks(), time=timesteps.float() * THOUSAND, **facts):
            doubles, singles = self.called(
                hidden_states=patches(padded).to(seen),
                controlnet_cond=seen,
                controlnet_mode=None if mode is None else torch.full((len(x), 1), mode, device=x.device),
                encoder_hidden_states=text,
                pooled_projections=pooled(inputs, len(x), self.sizes.vector, text),
                timestep=timesteps,
                img_ids=spot.ids(x.device),
                txt_ids=torch.zeros(text.shape[1], len(AXES), device=x.device),
                guidance=timesteps if self.sizes.guidance else None,
                return_dict=False,
            )
        smooth = F.silu if self.sizes.smooth else nn.Identity()
        return [smooth(each) for each in doubles or ()], [smooth(each) for each in singles or ()]


def hint(convolutions: Convolutions, halving: Sequence[int]) -> nn.Sequential:
    """Convolutions with SiLU between them, without memory."""
    layers: list[nn.Module] = []
    for number, (channels, out, kernel) in enumerate(convolutions):
        stride = 2 if number in halving else 1
        layers += [nn.Conv2d(channels, out, kernel, stride, kernel // 2, device="meta"), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


# On a link and in a run


@dataclass(frozen=True, eq=False)
class FluxControlNet:
    """A control network on a link; `kind` is that of the picture, for networks of several."""

    resident: Resident[FluxControl]
    sizes: ControlSizes
    kind: int | None = None
    vae: VAE | None = None

    @property
    def takes_mask(self) -> bool:
        """Whether it is told where the picture is kept."""
        return not self.sizes.convolutions and self.sizes.seen > self.sizes.channels * PATCH**2

    def with_kind(self, kind: int | None) -> FluxControlNet:
        """Told what kind of picture it will see."""
        return replace(self, kind=kind)

    def with_vae(self, vae: VAE | None) -> FluxControlNet:
        """Given the VAE that makes the latents it sees."""
        return replace(self, vae=vae)

    def masked(self, image: Tensor, kept: Tensor) -> Tensor:
        """The picture B×H×W×C without what is not kept (B×H×W, 1 where it is), and that behind it."""
        if not self.takes_mask:
            return image
        kept = kept[..., None]
        rows = max(len(kept), len(image))
        image, kept = to_batch(image[..., :3], rows), to_batch(kept, rows)
        return torch.cat([image * kept.round(), kept], dim=-1)

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""
        picture = image[..., : 3 + self.takes_mask].movedim(-1, 1)
        return Applied(self, picture, strength, start, end, previous)

    def started(self, image: Tensor, setting: Setting) -> Looking:
        """The network looking at pictures B×C×H×W, for a model of FLUX's kind."""
        sizes = setting.model.sizes
        if not isinstance(sizes, FluxSizes):
            problem = f"This control network is for FLUX, and the model is {setting.model.family.title}."
            raise Mismatch(problem, "Choose a control network made for the model's family.")
        if not self.sizes.convolutions and self.vae is None:
            problem = "This control network looks at the latent of its picture, and has no VAE to make it."
            raise Mismatch(problem, "Connect the model's VAE to the node that applies it.")
        return Looking(self, image, setting, (sizes.doubles, sizes.singles))


@dataclass(eq=False)
class Looking:
    """A control network in one run; what it made of its picture is kept by the size it was asked for."""

    network: FluxControlNet
    image: Tensor
    setting: Setting
    depths: tuple[int, int]
    seen: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    kept: dict[tuple[int, ...], dict[Any, Any]] = field(default_factory=dict)

    def __call__(self, x: Tensor, timesteps: Tensor, inputs: Inputs, strength: float) -> Control:
        """What the network adds behind double and single blocks, `strength` times."""
        own = replace(inputs, kept=self.kept.setdefault(tuple(x.shape), {}))
        with self.network.resident.use() as module:
            tokens = to_batch(self._tokens(module, (x.shape[-2], x.shape[-1])), len(x))
            mode = self.network.kind if module.sizes.modes is not None else None
            doubles, singles = module.added(x, timesteps, own, tokens, mode)
        share = cycled if module.sizes.cycled else in_a_row
        return Control(
            input=share([each * strength for each in doubles], self.depths[0]),
            output=share([each * strength for each in singles], self.depths[1]),
        )

    def _tokens(self, module: FluxControl, size: tuple[int, int]) -> Tensor:
        if size not in self.seen:
            resident = self.network.resident
            picture = fitted(self.image[:, :3], len(self.setting.latent), size)
            if module.sizes.convolutions:
                features = module.hint((picture * 2 - 1).to(resident.device, resident.dtype))  # type: ignore[operator]
            else:
                features = self._latent(picture, size)
            self.seen[size] = patches(wrapped(features, PATCH)).to(resident.device, resident.dtype)
        return self.seen[size]

    def _latent(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """The picture's latent as the model sees latents, and where it is kept behind it."""
        assert self.network.vae is not None, "asked before"
        latent = self.network.vae.encode(picture.movedim(1, -1))
        latent = self.setting.model.latent_format.into(latent)
        if not self.network.takes_mask:
            return latent
        if self.image.shape[1] > 3:
            kept = resize(self.image[:, 3:], size[1], size[0], "nearest-exact", "center")
        else:
            kept = self.image.new_ones(1, 1, *size)
        return torch.cat([latent, to_batch(kept, len(latent)).to(latent)], dim=1)


def cycled(given: Sequence[Tensor], depth: int) -> dict[int, Tensor]:
    """By the model's block, one after the other and again from the first."""
    return {block: given[block % len(given)] for block in range(depth)} if given else {}


# In files


def control_network(weights: Weights, residency: Residency) -> FluxControlNet | None:
    """The control network of a file, if it is one of FLUX's."""
    for sort in (of_latents, of_xlabs, of_mistoline):
        found = sort(weights)
        if found is not None:
            return _made(weights, *found, residency)
    return None


def _made(weights: Weights, sizes: ControlSizes, layout: Layout, residency: Residency) -> FluxControlNet:
    shapes = {name: tuple(each.shape) for name, each in FluxControl(sizes).state_dict().items()}
    own = layout.read(weights, shapes)
    return FluxControlNet(resident_of(residency, "control", own, lambda: FluxControl(sizes)), sizes)


Found = tuple[ControlSizes, Layout]


def of_latents(weights: Weights) -> Found | None:
    """InstantX's, under diffusers' names."""
    embedder = "controlnet_x_embedder.weight"
    pooled_by = "time_text_embed.text_embedder.linear_1.weight"
    if embedder not in weights or pooled_by not in weights or "context_embedder.weight" not in weights:
        return None
    modes = weights.shape("controlnet_mode_embedder.weight")
    sizes = ControlSizes(
        *_ends(weights, "x_embedder", "context_embedder", pooled_by),
        doubles=_count(weights, "transformer_blocks."),
        singles=_count(weights, "single_transformer_blocks."),
        guidance="time_text_embed.guidance_embedder.linear_1.weight" in weights,
        modes=modes[0] if modes else None,
        seen=weights[embedder].shape[1],
    )
    return sizes, SAME


def of_xlabs(weights: Weights) -> Found | None:
    """XLabs', under FLUX's names."""
    if NATIVE not in weights or "controlnet_blocks.0.weight" not in weights:
        return None
    return _native(weights, "input_hint_block.", XLABS_HALVING), XLABS


def of_mistoline(weights: Weights) -> Found | None:
    """MistoLine's, under FLUX's names."""
    if NATIVE not in weights or "controlnet_blocks.0.linear.weight" not in weights:
        return None
    sizes = _native(weights, "input_cond_block.encoder.", MISTOLINE_HALVING)
    return replace(sizes, smooth=True), MISTOLINE


def _native(weights: Weights, hints: str, halving: tuple[int, ...]) -> ControlSizes:
    numbers = sorted(int(name[len(hints) :].split(".")[0]) for name in weights if name.startswith(hints))
    kernels = [weights[f"{hints}{number}.weight"].shape for number in dict.fromkeys(numbers)]
    return ControlSizes(
        *_ends(weights, "img_in", "txt_in", "vector_in.in_layer.weight"),
        doubles=_count(weights, "double_blocks."),
        singles=_count(weights, "single_blocks."),
        guidance="guidance_in.in_layer.weight" in weights,
        seen=weights["pos_embed_input.weight"].shape[1],
        convolutions=tuple((shape[1], shape[0], shape[2]) for shape in kernels),
        halving=halving,
        cycled=True,
    )


def _ends(weights: Weights, first: str, text: str, vector: str) -> tuple[int, int, int, int]:
    """Width, channels of the latent, width of the text and of the sentence."""
    width, tokens = weights[f"{first}.weight"].shape
    return width, tokens // PATCH**2, weights[f"{text}.weight"].shape[1], weights[vector].shape[1]


def _count(weights: Mapping[str, Any], prefix: str) -> int:
    return len({name[len(prefix) :].partition(".")[0] for name in weights if name.startswith(prefix)})
