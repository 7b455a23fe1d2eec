"""Control networks from files: ControlNets for one or several kinds of pictures, and T2I adapters.

In the original and diffusers' layouts; written out, as differences to a model, or as low-rank changes of it.
"""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from torch import Tensor

from diffusion.control.chain import ControlNetwork, unet_of
from diffusion.control.control_union import union_named, union_sizes
from diffusion.control.controlnet import ControlNet, ControlUNet
from diffusion.control.t2i_adapter import adapter_from, adapter_weights
from diffusion.errors import FileProblem
from diffusion.model import Model
from diffusion.networks.unet_names import ldm_unet
from diffusion.networks.unet_sizes import unet_sizes
from diffusion.residency.budget import Identity, Residency, Resident
from diffusion.weights.entries import Entry
from diffusion.weights.files import Weights, identity, open_weights
from diffusion.weights.kinds import unknown
from diffusion.weights.loading import build_empty
from diffusion.weights.shapes import Unlike

LOW_RANK = "lora_controlnet"
DIFFERENCE = "difference"
DIFFUSERS_NAMES = (
    (r"^controlnet_cond_embedding\.conv_in\.", "input_hint_block.0."),
    (r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0."),
    (r"^controlnet_mid_block\.", "middle_block_out.0."),
)


def load_controlnet(
    path: Path | str, residency: Residency | None = None, model: Model | None = None
) -> ControlNetwork:
    """The control network of a file. `model` is what a file of differences is added to.

    Raises:
        UnknownModel: there is none in it.
        FileProblem: it holds differences, and no model is given.
    """
    opened, residency = open_weights(path), residency or Residency()
    adapter = adapter_weights(opened)
    if adapter is not None:
        return adapter_from(adapter, residency)
    weights = control_weights(opened)
    if LOW_RANK in weights:
        return low_rank_control(weights, residency)
    if DIFFERENCE in weights:
        if model is None:
            problem = "It holds differences to a model."
            raise FileProblem(weights.path, problem, "Load it with DiffControlNetLoader and its model.")
        sums = summed(weights, model.backbone.weights)
        return control_from(sums, residency, _identity(model.backbone.weights))
    return control_from(weights, residency)


def control_from(weights: Weights, residency: Residency, of: Identity = ()) -> ControlNet:
    """The network of tensors under their original names; `of` tells apart what else they come from."""
    try:
        sizes, hints = unet_sizes(weights, downward_only=True), hint_sizes(weights)
        union = union_sizes(weights)
    except Unlike as error:
        raise unknown(weights, f"No ControlNet was found in it: {error}") from None

    def build() -> ControlUNet:
        return ControlUNet(sizes, hints, union)

    identity = (*_identity(weights), *of)
    resident = Resident(residency, "control", weights, build, identity, channels_last=True)
    return ControlNet(lambda model: resident, channels=hints[0][0])


def low_rank_control(weights: Weights, residency: Residency) -> ControlNet:
    """A network whose weights are a model's own, changed: made once the model is known (Control-LoRA)."""
    try:
        hints = hint_sizes(weights)
    except Unlike as error:
        raise unknown(weights, f"No ControlNet was found in it: {error}") from None

    def network(model: Model) -> Resident[ControlUNet]:
        base = model.backbone.weights
        sizes = unet_of(model)

        def build() -> ControlUNet:
            return ControlUNet(sizes, hints)

        joined = borrowed(weights, base)
        build_empty(build, joined)
        identity = (*_identity(weights), *_identity(base))
        return Resident(residency, "control", joined, build, identity, channels_last=True)

    return ControlNet(network, channels=hints[0][0], borrows=True)


def borrowed(weights: Weights, base: Weights) -> Weights:
    """A file's own tensors; a model's where it has none, changed where it has two factors of a change."""
    entries = {name: entry for name, entry in base.items() if not name.startswith(("output_blocks.", "out."))}
    for name, entry in list(entries.items()):
        stem = name.removesuffix(".weight")
        if f"{stem}.up" in weights and f"{stem}.down" in weights:
            entries[name] = _changed(entry, weights[f"{stem}.up"], weights[f"{stem}.down"])
    own = {name: entry for name, entry in weights.items() if not name.endswith((".up", ".down"))}
    return weights.having({**entries, **own})


def _changed(entry: Entry, up: Entry, down: Entry) -> Entry:
    def change(weight: Tensor) -> Tensor:
        difference = up.read().float().flatten(1) @ down.read().float().flatten(1)
        return weight.float() + difference.reshape(weight.shape)

    return entry.taking(entry.shape, change)


def summed(weights: Weights, base: Weights) -> Weights:
    """A file's tensors, those that a model has too as differences to them."""

    def plus(entry: Entry, other: Entry) -> Entry:
        return entry.taking(entry.shape, lambda difference: difference.float() + other.read().float())

    return weights.having(
        {
            name: plus(entry, base[name]) if base.shape(name) == entry.shape else entry
            for name, entry in weights.items()
        }
    )


def _identity(weights: Weights) -> Identity:
    return identity(weights, "control")


def control_weights(weights: Weights) -> Weights:
    """The tensors of a control network under the original names."""
    for prefix in ("control_model.", ""):
        inner = weights.under(prefix)
        if "input_hint_block.0.weight" in inner:
            return union_named(inner)
    between = weights.under("controlnet_cond_embedding.blocks.")
    last = 2 * (1 + sum(name.endswith(".weight") for name in between))
    named = weights.having({_original_name(name, last): weights[name] for name in weights})
    return ldm_unet(union_named(named))


def _original_name(name: str, last: int) -> str:
    """One diffusers name in the original layout; `last` numbers the last convolution on the picture."""
    for pattern, replacement in DIFFUSERS_NAMES:
        name = re.sub(pattern, replacement, name)
    name = name.replace("controlnet_cond_embedding.conv_out.", f"input_hint_block.{last}.")
    found = re.match(r"^controlnet_cond_embedding\.blocks\.(\d+)\.(.*)$", name)
    return f"input_hint_block.{2 * (int(found[1]) + 1)}.{found[2]}" if found else name


def hint_sizes(weights: Weights) -> list[tuple[int, int]]:
    """Channels in and out of the convolutions that read the picture. Unlike if there are none."""
    found = []
    for number in count(0, 2):
        shape = weights.shape(f"input_hint_block.{number}.weight")
        if shape is None:
            break
        found.append((shape[1], shape[0]))
    if len(found) < 2:
        raise Unlike("input_hint_block.0.weight is missing")
    return found
