"""Controls that several nodes share."""

from typing import Annotated, Literal

from execution.declare.node import Multiline, Options, Range, Tip

MAX_SIDE = 16384
"""The longest side a picture may have, in pixels."""

Pixels = Annotated[int, Range(1, MAX_SIDE, step=1)]
Place = Annotated[int, Range(0, MAX_SIDE, step=1)]
Batch = Annotated[int, Range(1, 4096)]
Seed = Annotated[
    int,
    Range(0, 0xFFFFFFFFFFFFFFFF),
    Options(control_after_generate=True),
    Tip("The number the random noise is drawn from. The same seed gives the same picture."),
]
Colour = Annotated[int, Range(0, 0xFFFFFF, step=1), Options(display="color")]
Prompt = Annotated[str, Multiline(dynamic_prompts=True)]
ScaleMethod = Annotated[
    Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos"],
    Tip("How pixels in between are found: area is best for shrinking, lanczos or bicubic for enlarging."),
]
Crop = Annotated[
    Literal["disabled", "center"], Tip("Stretch to the new proportions, or cut the sides away evenly.")
]
Flip = Annotated[
    Literal["x-axis: vertically", "y-axis: horizontally"], Tip("Upside down, or left and right exchanged.")
]
Turn = Annotated[
    Literal["none", "90 degrees", "180 degrees", "270 degrees"], Tip("How far to turn, clockwise.")
]


def quarter_turns(rotation: str) -> int:
    """The number of quarter turns that a `Turn` names."""
    return 0 if rotation == "none" else int(rotation.split(" ")[0]) // 90
