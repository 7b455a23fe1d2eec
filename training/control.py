"""Train a ControlNet on edges: `python -m training.control --checkpoint FILE --run FOLDER`.

Run again to go on where it stopped. The checkpoint stays as it is; a copy of its way down learns to move what
it draws to where the edges are (Zhang et al. 2023, https://arxiv.org/abs/2302.05543).
`--export FILE` writes the averaged network, original key names, half precision.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion.control.controlnet import ControlUNet
from diffusion.networks.backbone import Control
from training.denoiser import UNET_SIZES, Painter, loss_of, spread_timesteps
from training.edges import Placed, caption, read, thickened, write
from training.export import METADATA, take_apart, take_autoencoder
from training.latents import load_autoencoder
from training.learner import Learner
from training.optimizer import Optimizer, split
from training.sprites import DEFAULT_FOLDER, Sprites
from training.words import Words, clip_encode

HINT_CONVOLUTIONS = [(3, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 96), (96, 64)]
ADAM_ONLY = (
    "zero_convs",
    "middle_block_out",
    "input_hint_block.0.",
    "input_hint_block.14.",
    "input_blocks.0.",
)


@dataclass(frozen=True)
class Plan:
    """How long and how fast; many texts are dropped, so that the edges must tell what they show."""

    steps: int = 2000
    batch: int = 48
    seed: int = 6
    warm_up: int = 50
    decay_from: float = 0.3
    muon_rate: float = 0.01
    adam_rate: float = 1e-3
    captions_dropped: float = 0.4
    positions: int = 32
    pictures: int = 12_000


class Guided(nn.Module):
    """A finished painter, which learns nothing, and the control network beside it."""

    def __init__(self, painter: Painter) -> None:
        super().__init__()
        self.painter = painter.requires_grad_(False)
        self.control = ControlUNet(UNET_SIZES, HINT_CONVOLUTIONS)
        start(self.control, painter)
        self.control.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it

    def forward(self, x: Tensor, timesteps: Tensor, rows: Tensor, hints: Tensor) -> Tensor:
        """The noise in x [B, 4, h, w], with edges [B, 3, 8h, 8w] of 0 and 1."""
        context = self.painter.text(rows).hidden
        seen = self.control.input_hint_block(hints)
        skips, middle = self.control(x, seen, timesteps, context)
        control = Control(middle=middle, skips=dict(enumerate(skips)))
        noise: Tensor = self.painter.unet(x, timesteps, context, control=control)
        return noise


def start(control: ControlUNet, painter: Painter) -> None:
    """Begin as a copy of the painter's way down that adds nothing."""
    own = control.state_dict()
    copied = {name: value for name, value in painter.unet.state_dict().items() if name in own}
    control.load_state_dict({**own, **copied})
    for part in (*control.zero_convs, control.middle_block_out, control.input_hint_block[-1:]):
        for parameter in part.parameters():
            nn.init.zeros_(parameter)


class Training(Learner):
    """The control network as it learns; the painter stays."""

    def __init__(self, plan: Plan, words: Words, painter: Painter) -> None:
        self.plan, self.words = plan, words
        self.guided = Guided(painter)
        matrices, others = split(self.guided.control, ADAM_ONLY)
        optimizer = Optimizer(matrices, others, plan.muon_rate, plan.adam_rate, every=2)
        super().__init__(self.guided.control, optimizer, plan, 0.995)

    def advance(self, latents: Tensor, hints: Tensor, shown: list[Placed]) -> float:
        """One step; returns the loss."""
        loss = self.descend(self.loss(latents, hints, shown))
        self.average.update(self.module)
        return loss

    def loss(self, latents: Tensor, hints: Tensor, shown: list[Placed]) -> Tensor:
        """The loss of this step's batch, the same for the same step."""
        plan, random = self.plan, np.random.default_rng([self.plan.seed, self.step])
        chosen = torch.from_numpy(random.integers(len(shown), size=plan.batch))
        dropped = random.random(plan.batch) < plan.captions_dropped
        texts = [
            "" if drop else caption(shown[i], random)
            for i, drop in zip(chosen.tolist(), dropped, strict=True)
        ]
        timesteps = spread_timesteps(random, plan.batch)
        clean = latents[chosen]
        noise = torch.from_numpy(random.standard_normal(clean.shape, dtype=np.float32))
        seen = pictures(thickened(hints[chosen].float(), random))

        def predict(x: Tensor, timesteps: Tensor, rows: Tensor) -> Tensor:
            predicted: Tensor = self.guided(x, timesteps, rows, seen)
            return predicted

        return loss_of(predict, clean, self.words.rows(texts)[:, : plan.positions], timesteps, noise)


def pictures(hints: Tensor) -> Tensor:
    """Edges B×H×W as pictures B×3×H×W."""
    return hints[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def finished_painter(checkpoint: Path, words: Words) -> Painter:
    """The finished painter of a checkpoint."""
    painter = Painter(len(words))
    painter.load_state_dict(take_apart(checkpoint, words))
    painter.unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
    return painter.eval()


def export(weights: dict[str, Tensor], path: Path) -> None:
    """Write the network under the original names, with what shapes do not reveal."""
    shared = {key: value for key, value in METADATA.items() if key.startswith(("nodeloom.unet", "modelspec"))}
    titled: dict[str, Any] = {**shared, "modelspec.title": "nodeloom-emoji-edges"}
    tensors = {f"control_model.{name}": value.half().contiguous() for name, value in weights.items()}
    save_file(tensors, path, titled)


def main() -> None:
    """Prepare pictures once, resume, train, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--checkpoint", type=Path, required=True, help="the finished default checkpoint")
    parser.add_argument("--run", type=Path, required=True, help="folder for pictures, state and log")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--pictures", type=int, default=Plan.pictures)
    parser.add_argument("--positions", type=int, default=Plan.positions)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--export", type=Path, help="only write the averaged network of the state")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.run.mkdir(parents=True, exist_ok=True)
    state = given.run / "control.pt"
    if given.export:
        export(torch.load(state, weights_only=True)["average"], given.export)
        print(f"{given.export}: {given.export.stat().st_size / 1e6:.1f} MB")
        return
    plan = Plan(given.steps, given.batch, positions=given.positions, pictures=given.pictures)
    words = Words(clip_encode())
    training = Training(plan, words, finished_painter(given.checkpoint, words))
    if state.exists():
        training.load(state)
    train(training, *prepared(given, plan), state)


def prepared(given: argparse.Namespace, plan: Plan) -> tuple[Tensor, Tensor, list[Placed]]:
    """Latents, edges and what they show; encoded at the first call."""
    path = given.run / "pictures.safetensors"
    if not path.exists():
        autoencoder = given.run / "autoencoder.safetensors"
        save_file(take_autoencoder(given.checkpoint), autoencoder)
        write(path, load_autoencoder(autoencoder), Sprites(given.data), plan.pictures, plan.seed)
    return read(path, plan.seed)


def train(
    training: Training, latents: Tensor, hints: Tensor, shown: list[Placed], state: Path, every: int = 100
) -> None:
    """Run to the end of the plan; a line and a state every so many steps."""
    losses: list[float] = []
    started = time.time()
    while training.step < training.plan.steps:
        losses.append(training.advance(latents, hints, shown))
        if training.step % every == 0 or training.step == training.plan.steps:
            print(
                f"step {training.step} loss {np.mean(losses):.4f} wall {time.time() - started:.0f}s",
                flush=True,
            )
            losses.clear()
            training.save(state)


if __name__ == "__main__":
    main()
