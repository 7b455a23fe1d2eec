"""Control networks: pictures that steer the composition."""

from typing import Annotated, Any

from diffusion.control.chain import OfKinds, SeesLatents, TakesMask
from diffusion.control.control_union import KINDS
from diffusion.denoising import Controller
from diffusion.families.controls import load_control
from diffusion.residency.budget import Residency
from execution.declare.node import Choice, Folder, Range, Run, Tip, node
from execution.files.folders import Folders
from nodes.mask.masking import resized
from nodes.sample.sampling import Negative, Positive, SomeModel, present
from nodes.sockets import Conditioning, ControlNet, Image, Mask, Vae
from nodes.text.conditioning import AnyConditioning, Pair, with_values
from nodes.text.text import Encoder, encoded, text_files
from nodes.text.text import present as present_clip
from nodes.widgets import Prompt

OwnVae = Annotated[Vae, Tip("The model's VAE, for networks that look at latents.")]
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
    return load_control(folders.resolve("controlnet", control_net_name), residency)


@node("DiffControlNetLoader", category="loaders")
def load_difference_control_net(
    model: SomeModel,
    control_net_name: Annotated[str, Folder("controlnet"), Tip("A file in models/controlnet.")],
    folders: Folders,
    residency: Residency,
) -> ControlNet:
    """Load ControlNet Model (diff).

    Opens a control network whose file holds only what differs from a model.
    """
    return load_control(folders.resolve("controlnet", control_net_name), residency, present(model))


@node("SetUnionControlNetType", category="conditioning/controlnet")
def set_union_type(
    control_net: Network,
    type: Annotated[
        str, Choice(["auto", *KINDS]), Tip("What the picture shows; auto leaves it to the network.")
    ],
) -> ControlNet:
    """SetUnionControlNetType.

    Tells a control network for several kinds of pictures which kind it will see.
    """
    return control_net.with_kind(KINDS.get(type)) if isinstance(control_net, OfKinds) else control_net


@node("ControlNetApplyAdvanced", category="conditioning/controlnet")
def apply_control_net(
    positive: Positive,
    negative: Negative,
    control_net: Network,
    image: Seen,
    strength: Strength = 1.0,
    start_percent: Start = 0.0,
    end_percent: End = 1.0,
    vae: OwnVae | None = None,
) -> Pair:
    """Apply ControlNet.

    Lets a picture steer both conditionings. Several can follow one another.
    """
    if strength == 0:
        return Pair(positive, negative)
    return controlled(
        positive, negative, seeing(control_net, vae), image, (strength, start_percent, end_percent)
    )


@node("ControlNetApplySD3", category="conditioning/controlnet", deprecated=True)
def apply_control_net_with_vae(
    positive: Positive,
    negative: Negative,
    control_net: Network,
    vae: OwnVae,
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
    return controlled(
        positive, negative, seeing(control_net, vae), image, (strength, start_percent, end_percent)
    )


@node("ControlNetInpaintingAliMamaApply", category="conditioning/controlnet")
def apply_inpainting_control_net(
    positive: Positive,
    negative: Negative,
    control_net: Network,
    vae: OwnVae,
    image: Seen,
    mask: Annotated[Mask, Tip("Where the picture is painted anew.")],
    strength: Strength = 1.0,
    start_percent: Start = 0.0,
    end_percent: End = 1.0,
) -> Pair:
    """ControlNetInpaintingAliMamaApply.

    Shows a picture to a control network for inpainting, without what the mask covers. Networks that take no
    mask are shown the whole picture.
    """
    if isinstance(control_net, TakesMask):
        image = control_net.masked(image, 1.0 - resized(mask, *image.shape[1:3]))
    if strength == 0:
        return Pair(positive, negative)
    return controlled(
        positive, negative, seeing(control_net, vae), image, (strength, start_percent, end_percent)
    )


@node(
    "CLIPTextEncodeControlnet",
    category="_for_testing/conditioning",
    display_name=None,
    experimental=True,
    fingerprint=text_files,
)
def encode_text_for_control(
    clip: Encoder,
    conditioning: AnyConditioning,
    text: Annotated[Prompt, Tip("What control networks read instead of the conditioning's own text.")],
    run: Run,
) -> Conditioning:
    """CLIP Text Encode (ControlNet).

    Gives control networks another text than the model's.
    """
    clip = present_clip(clip, run)
    embedding, options = encoded(clip, clip.tokenize(text), run)[0]
    pooled = options.get("pooled_output")
    return with_values(conditioning, cross_attn_controlnet=embedding, pooled_output_controlnet=pooled)


def seeing(network: ControlNet, vae: Vae | None) -> ControlNet:
    """The network, with the VAE if it may look at latents."""
    return network.with_vae(vae) if isinstance(network, SeesLatents) and vae is not None else network


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
