"""Pictures that models look at while they draw: as further latents, laid beside the one that is drawn."""

from typing import Annotated

from diffusion.images import resize
from execution.declare.node import Choice, Tip, node
from nodes.sockets import Conditioning, Image, Latent, Picture
from nodes.text.conditioning import AnyConditioning, with_values

SIZES = tuple(
    (width, height)
    for side, other in (
        *((672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328)),
        *((832, 1248), (880, 1184), (944, 1104), (1024, 1024)),
    )
    for width, height in dict.fromkeys(((side, other), (other, side)))
)
"""Width and height of the pictures that Kontext was trained on."""


@node("ReferenceLatent", category="advanced/conditioning/edit_models", display_name=None)
def look_at(
    conditioning: AnyConditioning,
    latent: Annotated[Latent | None, Tip("The picture to look at; several are looked at in order.")] = None,
) -> Conditioning:
    """Reference Latent.

    Lets a model that edits pictures look at one more.
    """
    if latent is None:
        return conditioning
    return [
        [
            embedding,
            {**options, "reference_latents": [*options.get("reference_latents", ()), latent["samples"]]},
        ]
        for embedding, options in conditioning
    ]


@node(
    "FluxKontextMultiReferenceLatentMethod",
    category="advanced/conditioning/flux",
    display_name=None,
    experimental=True,
    v3=True,
)
def lay_references(
    conditioning: AnyConditioning,
    reference_latents_method: Annotated[
        str,
        Choice(["offset", "index", "uxo/uno"]),
        Tip("Beside each other; each on a layer of its own; along a diagonal, as UNO and USO learned it."),
    ],
) -> Conditioning:
    """Flux Kontext Multi Reference Latent Method.

    Where the pictures lie that a model looks at, as it was trained to find them.
    """
    method = "uxo" if reference_latents_method == "uxo/uno" else reference_latents_method
    return with_values(conditioning, reference_latents_method=method)


@node("FluxKontextImageScale", category="advanced/conditioning/flux", display_name=None)
def scale_for_kontext(image: Picture) -> Image:
    """Flux Kontext Image Scale.

    Brings a picture to the nearest shape, and to the size, that Kontext was trained on.
    """
    aspect = image.shape[2] / image.shape[1]
    width, height = min(SIZES, key=lambda size: (abs(aspect - size[0] / size[1]), size[0]))
    return resize(image.movedim(-1, 1), width, height, "lanczos", "center").movedim(1, -1)
