"""Adapters trained on latents: the network stays as it is and learns small changes of its layers.

LoRA (arXiv 2106.09685) for diffusion models: a latent is noised to a random level of the model's clock, and
the changes are moved so that the network names the noise better (Ho et al. 2020, arXiv 2006.11239).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from diffusion.conditioning import Conditioning, Part, Setting, prepare
from diffusion.errors import Mismatch
from diffusion.model import Model
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.noise.prediction import like
from diffusion.patches.weights import adapters
from diffusion.patches.weights.adapter_names import diffusers_name, diffusers_places, flat
from diffusion.sampling import set_out
from diffusion.weights.entries import Weights
from diffusion.weights.writing import entry_of

Tensors = dict[str, Tensor]
Progress = Callable[[int, int, float], None]  # (steps done, steps in all, the loss of the last)

OPTIMIZERS: Mapping[str, type[torch.optim.Optimizer]] = {
    "AdamW": torch.optim.AdamW,
    "Adam": torch.optim.Adam,
    "SGD": torch.optim.SGD,
    "RMSprop": torch.optim.RMSprop,
}
LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "MSE": F.mse_loss,
    "L1": F.l1_loss,
    "Huber": F.huber_loss,
    "SmoothL1": F.smooth_l1_loss,
}
FIXED = (".alpha",)  # tensors of an adapter that are not learnt


@dataclass(frozen=True)
class Course:
    """How an adapter is trained."""

    steps: int
    batch_size: int = 1
    accumulation: int = 1
    rate: float = 5e-4
    rank: int = 8
    optimizer: str = "AdamW"
    loss: str = "MSE"
    seed: int = 0
    dtype: torch.dtype = torch.float32
    stored: torch.dtype = torch.float32
    algorithm: str = "LoRA"
    checkpointing: bool = False


def train(
    model: Model,
    latents: Tensor,
    conditioning: Conditioning,
    course: Course,
    beginning: Mapping[str, Tensor] | None = None,
    progress: Progress = lambda done, total, loss: None,
) -> tuple[Tensors, list[float]]:
    """An adapter's tensors, under kohya's names, and the loss of each step.

    `conditioning` holds one entry for all latents or one for each. `beginning` are tensors to go on from.
    Mismatch if the model's network is no UNet.
    """
    if not isinstance(model.sizes, UNetSizes):
        problem = f"Adapters are trained for UNets, and {model.family.title} has none."
        raise Mismatch(problem, "Choose a model of Stable Diffusion's kin.")
    with torch.inference_mode(False), torch.enable_grad():
        resident = model.backbone.computing_in(course.dtype)
        with resident.use(patches=model.weight_patches) as unet:
            lesson = Lesson(model, latents, conditioning, course)
            tensors = {**untrained(unet, course), **(beginning or {})}
            tensors = {name: each.detach().clone().to(latents.device) for name, each in tensors.items()}
            learnt = [each.requires_grad_() for name, each in tensors.items() if not name.endswith(FIXED)]
            optimizer = OPTIMIZERS[course.optimizer](learnt, lr=course.rate)  # type: ignore[call-arg]
            losses = []
            with changed(unet, tensors, course.checkpointing):
                for step in range(course.steps):
                    losses.append(lesson.step(unet, optimizer))
                    progress(step + 1, course.steps, losses[-1])
        return {name: each.detach() for name, each in tensors.items()}, losses


class Lesson:
    """The latents and texts of a training, and the random draws that are its own."""

    def __init__(self, model: Model, latents: Tensor, conditioning: Conditioning, course: Course) -> None:
        if len(conditioning) not in (1, len(latents)):
            counts = f"{len(latents)} latents and {len(conditioning)} conditionings"
            raise ValueError(f"there are {counts}; give one conditioning for all, or one for each")
        self.model, self.course = model, course
        self.latents = set_out(model, latents.clone()).latent
        self.parts: Sequence[Part] = [
            prepare({"positive": [line]}, Setting(model, self.latents[:1]))["positive"][0]
            for line in conditioning
        ]
        self.draws = torch.Generator().manual_seed(course.seed)

    def step(self, unet: UNet, optimizer: torch.optim.Optimizer) -> float:
        """One move of the weights that are learnt; the loss before it."""
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for _ in range(self.course.accumulation):
            loss = self.loss(unet) / self.course.accumulation
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        optimizer.step()
        return total

    def loss(self, unet: UNet) -> Tensor:
        """How wrong the noise is that the network names, on a random batch at random noise levels."""
        rows = torch.randperm(len(self.latents), generator=self.draws)[: self.course.batch_size]
        clean, prediction = self.latents[rows], self.model.prediction
        noise = torch.randn(clean.shape, generator=self.draws).to(clean)
        level = torch.randint(len(prediction.sigmas), (len(rows),), generator=self.draws)
        sigma = prediction.sigmas[level].to(clean)
        x = prediction.process.noised(clean, noise, sigma)
        named = (x - self._denoised(unet, x, sigma, rows.tolist())) / like(sigma, x)
        wanted = (x - clean) / like(sigma, x)
        return LOSSES[self.course.loss](named, wanted)

    def _denoised(self, unet: UNet, x: Tensor, sigma: Tensor, rows: list[int]) -> Tensor:
        prediction, parts = self.model.prediction, [self.parts[row % len(self.parts)] for row in rows]
        shown = prediction.scaled(x, sigma)
        beside = [part.channels for part in parts if part.channels is not None]
        if beside:
            shown = torch.cat([shown, torch.cat(beside)], dim=1)
        vectors = [y for part in parts if isinstance(y := part.tensors.get("y"), Tensor)]
        y = torch.cat(vectors).clone() if vectors else None
        context = torch.cat([part.context for part in parts]).clone()
        output = unet(shown, prediction.clock.timestep(sigma).float(), context, y)
        return prediction.denoised(output, x, sigma)


def layers_of(unet: UNet) -> dict[str, nn.Linear | nn.Conv2d]:
    """What learns, by kohya's name: linear layers and convolutions."""
    places = diffusers_places(
        Weights(Path("the network"), {k: entry_of(v) for k, v in unet.state_dict().items()})
    )
    found = {}
    for name, module in unet.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            found[f"lora_unet_{flat(diffusers_name(name, places))}"] = module
    return found


def untrained(unet: UNet, course: Course) -> Tensors:
    """Tensors of an adapter that changes nothing yet."""
    draws = torch.Generator().manual_seed(course.seed)
    make = STARTS[course.algorithm]
    return {
        base + ending: tensor.to(course.stored)
        for base, layer in layers_of(unet).items()
        for ending, tensor in make(tuple(layer.weight.shape), course.rank, draws).items()
    }


@contextmanager
def changed(unet: UNet, tensors: Tensors, checkpointing: bool) -> Iterator[None]:
    """The network with the adapter's changes, as long as the block lasts."""
    weights = Weights(Path("the adapter"), {name: entry_of(each) for name, each in tensors.items()})
    layers = layers_of(unet)
    patches = adapters.patches(weights, {name: name for name in layers}, 1.0)
    with ExitStack() as stack:
        for name, patch in patches.items():
            if name in layers:
                hook = layers[name].register_forward_hook(_adding(patch[0]))
                stack.callback(hook.remove)
        if checkpointing:
            for block in (*unet.input_blocks, *unet.output_blocks):
                block.forward = _recomputed(block.forward)
                stack.callback(block.__dict__.pop, "forward")
        yield


def _adding(patch: adapters.Patch) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor]:
    """A hook that adds what a change of the weight adds to a layer's output."""

    def add(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        weight = layer.weight.float()
        difference = (patch(weight) - weight).to(output.dtype)
        if isinstance(layer, nn.Linear):
            return output + F.linear(inputs[0], difference)
        return output + F.conv2d(inputs[0], difference, None, layer.stride, layer.padding)

    return add


def _recomputed(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def again(*inputs: Any) -> Tensor:
        out: Tensor = checkpoint(forward, *inputs, use_reentrant=False)
        return out

    return again


# How each kind of adapter begins: with factors of which one is zero


def _lora(shape: tuple[int, ...], rank: int, draws: torch.Generator) -> Tensors:
    outer, inner, window = shape[0], shape[1], shape[2:]
    down = _spread((rank, inner, *window), draws)
    up = torch.zeros(outer, rank, *(1 for _ in window))
    return {".lora_up.weight": up, ".lora_down.weight": down, ".alpha": torch.tensor(float(rank))}


def _loha(shape: tuple[int, ...], rank: int, draws: torch.Generator) -> Tensors:
    outer, inner = shape[0], math.prod(shape[1:])
    return {
        ".hada_w1_a": torch.zeros(outer, rank),
        ".hada_w1_b": torch.randn(rank, inner, generator=draws),
        ".hada_w2_a": torch.randn(outer, rank, generator=draws) * 0.1,
        ".hada_w2_b": torch.randn(rank, inner, generator=draws),
        ".alpha": torch.tensor(float(rank)),
    }


def _lokr(shape: tuple[int, ...], rank: int, draws: torch.Generator) -> Tensors:
    outer, inner = (_divisor(side, rank) for side in shape[:2])
    second = _spread((shape[0] // outer, shape[1] // inner, *shape[2:]), draws)
    return {".lokr_w1": torch.zeros(outer, inner), ".lokr_w2": second}


def _oft(shape: tuple[int, ...], rank: int, draws: torch.Generator) -> Tensors:
    side = _divisor(shape[0], rank)
    return {".oft_blocks": torch.zeros(shape[0] // side, side, side)}


STARTS: Mapping[str, Callable[[tuple[int, ...], int, torch.Generator], Tensors]] = {
    "LoRA": _lora,
    "LoHa": _loha,
    "LoKr": _lokr,
    "OFT": _oft,
}


def _spread(shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
    """Uniform numbers as layers begin with, by the number of their inputs."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return (torch.rand(shape, generator=draws) * 2 - 1) * bound


def _divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is not above `most`."""
    return max(each for each in range(1, min(number, most) + 1) if number % each == 0)
