"""Images held against each other: shown side by side, and one in the colours of the other."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from execution.declare.node import Branches, Options, Range, Run, Socket, Tip, Ui, node
from execution.files.folders import Folders
from nodes.image.encoding import Embedding
from nodes.image.files import shown_for_a_while
from nodes.image.transfer import colours_moved
from nodes.names import ExtraPngInfo, PromptGraph
from nodes.sockets import Image

View = Annotated[
    object, Socket("IMAGECOMPARE"), Options(socketless=True), Tip("Where the line between both is moved.")
]


@dataclass(frozen=True)
class PerFrame:
    """Each image is matched by itself."""

    def groups(self, count: int) -> list[slice]:
        """For each image, the images whose colours are measured."""
        return [slice(number, number + 1) for number in range(count)]


@dataclass(frozen=True)
class Uniform:
    """All images are measured together and changed alike."""

    def groups(self, count: int) -> list[slice]:
        """For each image, the images whose colours are measured."""
        return [slice(0, count)] * count


@dataclass(frozen=True)
class TargetFrame:
    """One image is measured, and all are changed like it."""

    target_index: Annotated[
        int, Range(0, 10_000), Tip("The number of the image that is measured, from 0.")
    ] = 0

    def groups(self, count: int) -> list[slice]:
        """For each image, the images whose colours are measured."""
        number = min(self.target_index, count - 1)
        return [slice(number, number + 1)] * count


@node(
    "ImageCompare",
    category="image",
    v3=True,
    output_node=True,
    search_aliases=("compare", "before after", "slider"),
)
def compare(
    image_a: Annotated[Image | None, Tip("What is shown on the left.")] = None,
    image_b: Annotated[Image | None, Tip("What is shown on the right.")] = None,
    compare_view: View | None = None,
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Compare Images.

    Shows two images over each other, with a line between them that can be moved.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    sides = {"a_images": image_a, "b_images": image_b}
    shown = {
        name: shown_for_a_while(images, f"comfy.compare.{name[0]}", texts, run, folders)
        for name, images in sides.items()
        if images is not None
    }
    return Ui(shown)


@node("ColorTransfer", category="image", v3=True, search_aliases=("color match", "match colors", "reinhard"))
def colour_transfer(
    image_target: Annotated[Image, Tip("The images whose colours change.")],
    image_ref: Annotated[Image | None, Tip("The images whose colours are taken.")] = None,
    *,
    method: Annotated[
        Literal["reinhard_lab", "mkl_lab", "histogram"],
        Tip("By mean and spread, by how channels move together, or by the whole distribution."),
    ],
    source_stats: Annotated[
        PerFrame | Uniform | TargetFrame,
        Branches({"per_frame": PerFrame, "uniform": Uniform, "target_frame": TargetFrame}),
        Tip("Which images are measured."),
    ],
    strength: Annotated[float, Range(0.0, 10.0, step=0.01), Tip("1 takes the colours over fully.")] = 1.0,
) -> Annotated[Image, Tip("The images in other colours.")]:
    """Transfer Color.

    Gives images the colours of another.
    """
    if image_ref is None or strength == 0:
        return image_target
    target, reference = image_target[..., :3], image_ref[..., :3]
    per_frame = isinstance(source_stats, PerFrame)
    moved = []
    for number, group in enumerate(source_stats.groups(len(target))):
        like = reference[min(number, len(reference) - 1)][None] if per_frame else reference
        moved.append(colours_moved(target[number], target[group], like, method))
    changed = torch.lerp(target, torch.stack(moved), strength).clamp(0, 1)
    return _with_rest(changed, image_target)


def _with_rest(changed: Tensor, original: Tensor) -> Tensor:
    """The changed colours with the transparency that was there."""
    return torch.cat([changed, original[..., 3:]], dim=-1) if original.shape[-1] > 3 else changed
