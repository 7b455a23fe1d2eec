"""Train UNet and text tower: `python -m training.denoiser --latents FOLDER --text FILE --run FOLDER`.

Run again to go on where it stopped; `--resume CHECKPOINT` starts from the weights of a finished checkpoint.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from diffusion.networks.unet import UNet, UNetSizes
from diffusion.residency.precision import multiplies_bfloat16
from diffusion.text.clip import ClipText
from training import text as text_tower
from training.compositions import Composition, caption
from training.latents import load
from training.learner import Learner
from training.optimizer import Average, Optimizer, split
from training.team import Team, gather_team
from training.words import Words, clip_encode

UNET_SIZES = UNetSizes.even(
    (1, 2, 3), (0, 1, 1), blocks=1, channels=64, context=text_tower.WIDTH, heads=8, norm_groups=8
)
ADAM_ONLY = ("embedding", "input_blocks.0.", "out.2")


Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(noisy latents, timesteps, caption rows) → predicted noise."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast; `batch` is shared by the team, whose members meet every so many steps.

    Captions are cut to `positions` tokens (none has more than 26, the rest is padding): fewer are faster, but
    the last part of a run should see all 77, as the finished model will. `large` is the least share of
    pictures with one large object, the easiest to learn from.
    """

    steps: int = 4000
    batch: int = 32
    seed: int = 3
    warm_up: int = 50
    decay_from: float = 0.5
    muon_rate: float = 0.02
    adam_rate: float = 2e-3
    captions_dropped: float = 0.1
    meet_every: int = 6
    large: float = 0.0
    positions: int = 77


def alphas() -> Tensor:
    """The cumulative signal share of Stable Diffusion's 1000 timesteps."""
    beta = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return (1 - beta).cumprod(0).float()


class Painter(nn.Module):
    """UNet and text tower side by side, so that one state dict and one average hold both."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.unet = UNet(UNET_SIZES)
        self.text = ClipText(text_tower.sizes(vocabulary))

    def forward(self, x: Tensor, timesteps: Tensor, rows: Tensor) -> Tensor:
        noise: Tensor = self.unet(x, timesteps, self.text(rows).hidden)
        return noise


def build(words: Words, pretrained: Path | None, seed: int) -> Painter:
    """An untrained UNet whose branches start at nothing, and the pretrained text tower."""
    torch.manual_seed(seed)
    painter = Painter(len(words))
    for name, parameter in painter.unet.named_parameters():
        if any(part in name for part in ("out_layers.3", "proj_out", "out.2.")):
            nn.init.zeros_(parameter)
    if pretrained is not None:
        painter.text.load_state_dict(load_file(pretrained))
    painter.unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
    return painter


def loss_of(painter: Predict, clean: Tensor, rows: Tensor, timesteps: Tensor, noise: Tensor) -> Tensor:
    """Squared error of the predicted noise, weighed so that the hidden end, where text matters, counts.

    Plain attention is asked for because the fused one took half of a step's time on its way back.
    """
    signal = alphas()[timesteps].view(-1, 1, 1, 1)
    x = signal.sqrt() * clean + (1 - signal).sqrt() * noise
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()), sdpa_kernel(SDPBackend.MATH):
        predicted = painter(x, timesteps, rows)
    error = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
    ratio = (signal / (1 - signal)).flatten()
    return (error * ratio.clamp(0.5, 5) / ratio).mean()


@dataclass(frozen=True)
class Example:
    """One batch: latents, caption rows, timesteps, noise."""

    clean: Tensor
    rows: Tensor
    timesteps: Tensor
    noise: Tensor


def example(
    step: int,
    plan: Plan,
    latents: Tensor,
    shown: list[Composition],
    words: Words,
    team: Team | None = None,
) -> Example:
    """The batch of one step for one member of the team; the same for the same step."""
    team = team or Team()
    batch = plan.batch // team.size
    random = np.random.default_rng([plan.seed, step, team.rank])
    chosen = choose(random, shown, batch, plan.large)
    texts = [
        "" if random.random() < plan.captions_dropped else caption(shown[index], random) for index in chosen
    ]
    timesteps = spread_timesteps(random, batch)
    noise = torch.from_numpy(random.standard_normal((batch, *latents.shape[1:]), dtype=np.float32))
    return Example(
        latents[torch.from_numpy(chosen)], words.rows(texts)[:, : plan.positions], timesteps, noise
    )


def spread_timesteps(random: np.random.Generator, batch: int) -> Tensor:
    """One timestep [B] from each part of the way, rather late ones: there the text decides."""
    strata = (random.permutation(batch) + random.random(batch)) / batch
    return torch.from_numpy((1000 * strata**0.8).astype(np.int64)).clamp(max=999)


def choose(random: np.random.Generator, shown: list[Composition], number: int, large: float) -> np.ndarray:
    """Places in the list; a share of `large` comes from the pictures of one large object."""
    of_large = np.array([i for i, composition in enumerate(shown) if composition.layout == "large"])
    anywhere = random.integers(len(shown), size=number)
    if not len(of_large):
        return anywhere
    return np.where(
        random.random(number) < large, of_large[random.integers(len(of_large), size=number)], anywhere
    )


class Training(Learner):
    """UNet and text tower as they learn, perhaps as one of a team."""

    def __init__(self, plan: Plan, words: Words, pretrained: Path | None, team: Team | None = None) -> None:
        self.plan, self.words, self.team = plan, words, team or Team()
        self.painter = build(words, pretrained, plan.seed)
        matrices, others = split(self.painter, ADAM_ONLY)
        if plan.muon_rate == 0:
            matrices, others = [], others + matrices
        optimizer = Optimizer(matrices, others, plan.muon_rate, plan.adam_rate, every=2)
        super().__init__(self.painter, optimizer, plan, 0.999)
        self.predict: Predict = self.painter

    def advance(self, latents: Tensor, shown: list[Composition]) -> float:
        """One step; returns the loss."""
        e = example(self.step, self.plan, latents, shown, self.words, self.team)
        loss = self.descend(loss_of(self.predict, e.clean, e.rows, e.timesteps, e.noise))
        if self.step % self.plan.meet_every == 0:
            self.team.average(list(self.painter.parameters()))
        self.average.update(self.painter)
        return loss

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin anew from finished weights (`export.take_apart` reads them from a checkpoint)."""
        self.painter.load_state_dict(weights)
        self.average = Average(self.painter, self.average.decay)


@torch.no_grad()
def text_gap(painter: Painter, latents: Tensor, shown: list[Composition], words: Words, at: int = 900) -> str:
    """Error of the clean estimate with the right, another's and no text: how much the text decides."""
    random = np.random.default_rng(11)
    chosen = torch.from_numpy(random.integers(len(latents), size=64))
    texts = [caption(shown[i], random) for i in chosen]
    clean, noise = (
        latents[chosen],
        torch.from_numpy(random.standard_normal((64, *latents.shape[1:]), np.float32)),
    )
    signal = alphas()[at]
    x, figures = signal.sqrt() * clean + (1 - signal).sqrt() * noise, []
    for lines in (texts, texts[1:] + texts[:1], [""] * len(texts)):
        predicted = painter(x, torch.full((64,), at), words.rows(lines))
        denoised = (x - (1 - signal).sqrt() * predicted) / signal.sqrt()
        figures.append(float((denoised - clean).square().mean()))
    return " / ".join(f"{figure:.3f}" for figure in figures)


def averaged(training: Training) -> Painter:
    """The painter with averaged weights."""
    painter = Painter(len(training.words))
    painter.load_state_dict(training.average.weights)
    return painter.eval()


def main() -> None:
    """Parse, resume, train, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=Path, required=True, help="folder written by training.latents")
    parser.add_argument("--text", type=Path, help="tower written by training.text")
    parser.add_argument("--run", type=Path, required=True, help="folder for states and the log")
    parser.add_argument("--resume", type=Path, help="a finished checkpoint to start from")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument(
        "--muon", type=float, default=Plan.muon_rate, help="rate of Muon; 0 trains with Adam alone"
    )
    parser.add_argument("--adam", type=float, default=Plan.adam_rate)
    parser.add_argument("--decay-from", type=float, default=Plan.decay_from)
    parser.add_argument("--positions", type=int, default=Plan.positions)
    parser.add_argument("--workers", type=int, default=1, help="processes that share each batch")
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--compile", action="store_true", help="a sixth faster, after a slow minute")
    given = parser.parse_args()
    given.run.mkdir(parents=True, exist_ok=True)
    gather_team(given.workers, work, given)


def work(team: Team, given: argparse.Namespace) -> None:
    """What each member of the team does: resume, train; the first one reports and saves."""
    torch.set_num_threads(given.threads)
    rates = {"muon_rate": given.muon, "adam_rate": given.adam, "decay_from": given.decay_from}
    plan = Plan(given.steps, given.batch, positions=given.positions, **rates)
    training = Training(plan, Words(clip_encode()), given.text, team)
    state = given.run / "denoiser.pt"
    if state.exists():
        training.load(state)
    elif given.resume:
        from training.export import take_apart

        training.start_from(take_apart(given.resume, training.words))
    if given.compile:
        training.predict = torch.compile(training.painter)
    train(training, given.latents, state)


def train(training: Training, folder: Path, state: Path, every: int = 100) -> None:
    """Run to the end of the plan, taking up new latents; a line and a state every so many steps."""
    losses: list[float] = []
    started = time.time()
    latents, shown = load(sorted(folder.glob("latents-*.safetensors")))
    while training.step < training.plan.steps:
        losses.append(training.advance(latents, shown))
        if training.step % every == 0 or training.step == training.plan.steps:
            latents, shown = load(sorted(folder.glob("latents-*.safetensors")))
            if training.team.rank:
                continue
            gap = text_gap(averaged(training), latents, shown, training.words)
            print(
                f"step {training.step} loss {np.mean(losses):.4f} gap at 900: {gap} "
                f"wall {time.time() - started:.0f}s",
                flush=True,
            )
            losses.clear()
            training.save(state)


if __name__ == "__main__":
    main()
