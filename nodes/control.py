"""Control networks: pictures that steer the composition."""

from typing import Annotated, Any

from diffusion.controlnet import load_controlnet
from diffusion.denoising import Controller
from diffusion.residency import Residency
from execution.folders import Folders
from execution.node import Folder, Range, Tip, node
from nodes.conditioning import Pair
from nodes.sampling import Negative, Positive
from nodes.sockets import Conditioning, ControlNet, Image, Vae

UnusedVae = Annotated[Vae, Tip("For networks that look at latents; none of those here does.")]
Network = Annotated[ControlNet, Tip("The control network.")]
Seen = Annotated[Image, Tip("The picture it looks at, such as edges or depth, as the network was trained.")]
Strength = Annotated[float, Range(0.0, 10.0, step=0.01), Tip("How strongly it steers.")]
Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]
Start = Annotated[Percent, Tip("From when on, as a share of the way from noise to picture.")]
End = Annotated[Percent, Tip("Until when, as a share of the way from noise to picture.")]


@node("ControlNetLoader", category="loaders")
def load_control_net(
    control_net_name: Annotated[str, Folder("controlnet"), Tip("A file in models/controlnet.")],
    folders: Folders,
    residency: Residency,
) -> ControlNet:
    """Load ControlNet Model.

    Opens a control network.
    """
    return load_controlnet(folders.resolve("controlnet", control_net_name), residency)


@node("ControlNetApplyAdvanced", category="conditioning/controlnet")
def apply_control_net(
    positive: Positive,
    negative: Negative,
    control_net: Network,
    image: Seen,
    strength: Strength = 1.0,
    start_percent: Start = 0.0,
    end_percent: End = 1.0,
    vae: Annotated[Vae, Tip("Only for networks that look at latents; none of those here does.")]
    | None = None,
) -> Pair:
    """Apply ControlNet.

    Lets a picture steer both conditionings. Several can follow one another.
    """
    if strength == 0:
        return Pair(positive, negative)
    return controlled(positive, negative, control_net, image, (strength, start_percent, end_percent))


@node("ControlNetApplySD3", category="conditioning/controlnet", deprecated=True)
def apply_control_net_with_vae(
    positive: Positive,
    negative: Negative,
    control_net: Network,
    vae: UnusedVae,
    image: Seen,
    strength: Strength = 1.0,
    start_percent: Start = 0.0,
    end_percent: End = 1.0,
) -> Pair:
    """Apply Controlnet with VAE.

    Lets a picture steer both conditionings.
    """
    if strength == 0:
        return Pair(positive, negative)
    return controlled(positive, negative, control_net, image, (strength, start_percent, end_percent))


def controlled(
    positive: Conditioning,
    negative: Conditioning,
    network: ControlNet,
    image: Image,
    how: tuple[float, float, float],
) -> Pair:
    """Both conditionings with the control after what controls them already; equal ones share it."""
    shared: dict[int, Controller] = {}

    def with_control(conditioning: Conditioning) -> list[Any]:
        entries = []
        for embedding, options in conditioning:
            before = options.get("control")
            if id(before) not in shared:
                shared[id(before)] = network.applied(image, *how, before)
            added = {"control": shared[id(before)], "control_apply_to_uncond": False}
            entries.append([embedding, {**options, **added}])
        return entries

    return Pair(with_control(positive), with_control(negative))


@node("ControlNetApply", category="conditioning/controlnet", deprecated=True)
def apply_control_net_old(
    conditioning: Annotated[Conditioning, Tip("What goes towards; the negative follows by itself.")],
    control_net: Network,
    image: Seen,
    strength: Strength = 1.0,
) -> Conditioning:
    """Apply ControlNet (OLD).

    Lets a picture steer a conditioning, and whatever it is weighed against.
    """
    if strength == 0:
        return conditioning
    entries = []
    for embedding, options in conditioning:
        control = control_net.applied(image, strength, 0.0, 1.0, options.get("control"))
        entries.append([embedding, {**options, "control": control, "control_apply_to_uncond": True}])
    return entries
