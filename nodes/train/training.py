"""LoRAs trained inside the program, and how their loss fell."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image as PIL
from PIL import ImageDraw
from torch import Tensor

from diffusion.patches.weights import adapters
from diffusion.patches.weights.adapter_names import unet_targets
from diffusion.training.lora import LOSSES, OPTIMIZERS, STARTS, Course, train
from diffusion.weights.entries import Weights
from diffusion.weights.files import open_weights
from diffusion.weights.writing import entry_of
from execution.declare.node import Choice, Folder, Options, Range, Run, Socket, Tip, Ui, node
from execution.files.folders import Folders, atomic_write
from nodes.image.encoding import Embedding, write_png
from nodes.load.model_files import LoraModel
from nodes.names import ExtraPngInfo, PromptGraph, prefix_of
from nodes.sample.sampling import SomeModel, present
from nodes.sockets import Conditioning, Latent, Model

NO_LORA = "[None]"
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
LossMap = Annotated[Mapping[str, Sequence[float]], Socket("LOSS_MAP")]
"""`{"loss": one number for each step}`."""
Count = Annotated[int, Range(1, 1024, step=1)]


class Trained(NamedTuple):
    """What a training gives."""

    model_with_lora: Model
    lora: LoraModel
    loss: LossMap
    steps: int


@node("TrainLoraNode", category="training", experimental=True)
def train_lora(
    model: SomeModel,
    latents: Annotated[Latent, Tip("The pictures to learn, encoded by the VAE.")],
    positive: Annotated[Conditioning, Tip("The text of all pictures, or a text for each.")],
    batch_size: Annotated[int, Range(1, 10000, step=1), Tip("How many pictures are seen at once.")] = 1,
    grad_accumulation_steps: Annotated[Count, Tip("How many batches make one step.")] = 1,
    steps: Annotated[int, Range(1, 100000), Tip("How many steps; hundreds to thousands for a style.")] = 16,
    learning_rate: Annotated[
        float, Range(0.0000001, 1.0, step=0.000001), Tip("How far each step goes.")
    ] = 0.0005,
    rank: Annotated[int, Range(1, 128), Tip("How much the LoRA can hold; more is a larger file.")] = 8,
    optimizer: Annotated[str, Choice(OPTIMIZERS), Tip("How steps follow from gradients.")] = "AdamW",
    loss_function: Annotated[str, Choice(LOSSES), Tip("How errors are weighed.")] = "MSE",
    seed: Annotated[
        int, Range(0, 2**64 - 1), Tip("Of the noise, the order of pictures and the first weights.")
    ] = 0,
    training_dtype: Annotated[
        Literal["bf16", "fp32"], Tip("The number type that the model computes in meanwhile.")
    ] = "bf16",
    lora_dtype: Annotated[
        Literal["bf16", "fp32"], Tip("The number type of the LoRA; fp32 learns from small steps too.")
    ] = "bf16",
    algorithm: Annotated[str, Choice(STARTS), Tip("The kind of change that is learnt.")] = "LoRA",
    gradient_checkpointing: Annotated[bool, Tip("Needs less memory and more time.")] = True,
    existing_lora: Annotated[
        str, Folder("loras", (NO_LORA,)), Tip("A LoRA in models/loras to go on from.")
    ] = NO_LORA,
    *,
    folders: Folders,
    run: Run,
) -> Trained:
    """Train LoRA.

    Teaches a model your pictures as a small file beside it. Save the result with Save LoRA Weights.
    """
    model = present(model)
    course = Course(
        steps, batch_size, grad_accumulation_steps, learning_rate, rank, optimizer, loss_function, seed,
        DTYPES[training_dtype], DTYPES[lora_dtype], algorithm, gradient_checkpointing,
    )  # fmt: skip
    beginning, before = begun(existing_lora, folders)
    tensors, losses = train(
        model,
        latents["samples"],
        positive,
        course,
        beginning,
        lambda done, total, loss: run.progress(done, total),
    )
    weights = Weights(Path("the trained LoRA"), {name: entry_of(each) for name, each in tensors.items()})
    patches = adapters.patches(weights, unet_targets(model.backbone.weights), 1.0)
    return Trained(model.with_patches(patches), tensors, {"loss": losses}, before + steps)


def begun(name: str, folders: Folders) -> tuple[Mapping[str, Tensor] | None, int]:
    """The tensors of a LoRA to go on from, and after how many steps its name says it was saved."""
    if name == NO_LORA:
        return None, 0
    weights = open_weights(folders.resolve("loras", name))
    said = re.search(r"_(\d+)_steps", name)
    return {key: weights.tensor(key) for key in weights}, int(said[1]) if said else 0


@node("LossGraphNode", category="training", output_node=True, experimental=True)
def plot_loss(
    loss: Annotated[LossMap, Options(default={}), Tip("The losses of a training.")],
    filename_prefix: Annotated[
        str, Tip("The start of the picture's name in the temporary folder.")
    ] = "loss_graph",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
) -> Ui:
    """Plot Loss Graph.

    Draws how the loss fell while a LoRA was trained.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    place = folders.save_place(prefix, "temp")
    with atomic_write(place.path(".png")) as file:
        write_png(file, graph(loss.get("loss", [])), texts)
    return Ui(images=[{"filename": place.name(".png"), "subfolder": place.subfolder, "type": "temp"}])


SIZE, EDGE = (800, 500), 50


def graph(values: Sequence[float]) -> Any:
    """Values as a line from left to right, H×W×3 pixels: low at the bottom, with their bounds written."""
    picture = PIL.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = EDGE, EDGE, SIZE[0] - EDGE, SIZE[1] - EDGE
    draw.line([(left, top), (left, bottom), (right, bottom)], fill="black", width=2)
    if values:
        low, high = min(values), max(values)
        across = (right - left) / max(len(values) - 1, 1)
        upward = (bottom - top) / ((high - low) or 1.0)
        points = [(left + i * across, bottom - (value - low) * upward) for i, value in enumerate(values)]
        draw.line(points if len(points) > 1 else points * 2, fill="blue", width=2)
        draw.text((4, top), f"{high:.4f}", fill="black")
        draw.text((4, bottom - 12), f"{low:.4f}", fill="black")
        draw.text((right - 60, bottom + 8), f"step {len(values)}", fill="black")
    return np.asarray(picture)
