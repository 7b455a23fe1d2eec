"""Classes told by number, for models that read no text."""

from typing import Annotated

import torch

from execution.declare.node import Range, Tip, node
from nodes.sockets import Conditioning

MOST = 1_000_000


@node("ClassLabel", category="conditioning")
def class_label(
    label: Annotated[
        int,
        Range(-1, MOST),
        Tip("The number of the class, of ImageNet's for DiT. -1 is no class, for the negative conditioning."),
    ] = 207,
) -> Conditioning:
    """Class Label.

    What a model that was trained on classes shall show, such as DiT.
    """
    return [[torch.zeros(1, 1, 1), {"class_label": label}]]
