"""Hints for ControlNets, drawn from pictures without a network."""

from typing import Annotated, Literal

from execution.declare.node import Range, Tip, node
from nodes.control import hints
from nodes.image.pictures import channels_first, channels_last
from nodes.sockets import Image, Picture

CATEGORY = "image/preprocessors"
Depth = Annotated[Image, Tip("A depth picture, near things white.")]


@node("ScribbleHint", category=CATEGORY, search_aliases=("scribble", "sketch", "controlnet", "preprocessor"))
def scribble(
    image: Picture,
    threshold: Annotated[
        float, Range(0.01, 1.0, step=0.01), Tip("How much darker than around a stroke has to be.")
    ] = 0.13,
    thickness: Annotated[int, Range(1, 31), Tip("How wide strokes are drawn, in pixels.")] = 3,
) -> Image:
    """Scribble Hint.

    Draws bold strokes where a picture has dark lines, white on black.
    """
    return hints.scribble(image, threshold, thickness)


@node("LineArtHint", category=CATEGORY, search_aliases=("lineart", "lines", "controlnet", "preprocessor"))
def line_art(
    image: Picture,
    sigma: Annotated[
        float, Range(0.5, 50.0, step=0.1), Tip("How wide lines may be; more finds broader ones.")
    ] = 6.0,
    threshold: Annotated[
        float, Range(0.0, 1.0, step=0.01), Tip("Fainter lines do not count when the contrast is set.")
    ] = 0.03,
) -> Image:
    """Line Art Hint.

    Draws the lines of a picture softly, white on black.
    """
    return hints.line_art(image, sigma, threshold)


@node("TileHint", category=CATEGORY, search_aliases=("tile", "controlnet", "preprocessor"))
def tile(
    image: Picture,
    halvings: Annotated[int, Range(1, 8), Tip("How often the picture is halved: 3 leaves an eighth.")] = 3,
) -> Image:
    """Tile Hint.

    Takes the fine detail out of a picture, for a ControlNet to put new detail in.
    """
    return hints.tile(image, halvings)


@node("BlurHint", category=CATEGORY, search_aliases=("blur", "gaussian", "controlnet", "preprocessor"))
def blur(
    image: Picture,
    sigma: Annotated[float, Range(0.1, 100.0, step=0.1), Tip("How far it smooths, in pixels.")] = 9.0,
) -> Image:
    """Blur Hint.

    Smooths a picture as far as you like.
    """
    return channels_last(hints.smooth(channels_first(image), sigma))


@node("RecolourHint", category=CATEGORY, search_aliases=("recolor", "grey", "controlnet", "preprocessor"))
def recolour(
    image: Picture,
    measure: Annotated[
        Literal["luminance", "intensity"], Tip("As bright as the eye sees it, or as its strongest colour.")
    ] = "luminance",
    gamma: Annotated[float, Range(0.1, 4.0, step=0.01), Tip("Above 1 darkens, below 1 brightens.")] = 1.0,
) -> Image:
    """Recolour Hint.

    Takes the colours out of a picture, for a ControlNet to put new ones in.
    """
    return hints.lightness(image, measure, gamma)


@node("DepthHint", category=CATEGORY, search_aliases=("depth", "controlnet", "preprocessor"))
def depth(
    depth: Annotated[Image, Tip("A depth picture: from a renderer, a camera, or drawn.")],
    near: Annotated[Literal["white", "black"], Tip("How near things are in this picture.")] = "white",
    cut: Annotated[
        float, Range(0.0, 0.4, step=0.01), Tip("The part of outliers that is cut off at either end.")
    ] = 0.0,
) -> Image:
    """Depth Hint.

    Stretches a depth picture over all greys, near things white, as ControlNets have learned it.
    """
    return hints.depth(depth, near == "white", cut)


@node("NormalHint", category=CATEGORY, search_aliases=("normal", "bump", "controlnet", "preprocessor"))
def normal(
    depth: Depth,
    strength: Annotated[float, Range(0.01, 10.0, step=0.01), Tip("How deep the relief is.")] = 0.5,
    smoothing: Annotated[
        float, Range(0.0, 20.0, step=0.1), Tip("Smooths the depth first, in pixels, against steps.")
    ] = 1.0,
    green: Annotated[
        Literal["up", "down"], Tip("What green means: up as in OpenGL, down as in DirectX.")
    ] = "up",
) -> Image:
    """Normal Hint.

    Finds from a depth picture where surfaces face: right is red, up is green, to the viewer is blue.
    """
    return hints.normals(depth, strength, smoothing, green == "up")
