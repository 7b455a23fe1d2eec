"""Train the autoencoder: `python -m training.vae --run FOLDER`; run again to go on where it stopped."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.latents.vae import AutoencoderKL, VAESizes
from training.backgrounds import BACKGROUNDS, SIDE, painted
from training.compositions import draw, render
from training.learner import Learner
from training.optimizer import Optimizer, split
from training.sprites import DEFAULT_FOLDER, Pixels, Sprites, contact_sheet, fit, paste

SIZES = VAESizes(channels=16, multipliers=(1, 2, 4, 8), blocks=1, norm_groups=4)
ADAM_ONLY = ("conv_in", "conv_out", "quant_conv", "norm")
KL_WEIGHT = 5e-4


@dataclass(frozen=True)
class Plan:
    """How long, and on what: crops of 64 pixels first, whole pictures after `whole_from` of the steps."""

    steps: int = 4500
    seed: int = 1
    whole_from: float = 0.7
    crop_batch: int = 8
    whole_batch: int = 3
    other_sprites: float = 0.12
    warm_up: int = 50
    decay_from: float = 0.5
    muon_rate: float = 0.02
    adam_rate: float = 2e-3


def build(seed: int = 0) -> AutoencoderKL:
    """An untrained autoencoder whose residual branches start at nothing."""
    torch.manual_seed(seed)
    vae = AutoencoderKL(SIZES)
    for name, parameter in vae.named_parameters():
        if name.endswith(("conv2.weight", "conv2.bias", "proj_out.weight", "proj_out.bias")):
            nn.init.zeros_(parameter)
    return vae


def picture(random: np.random.Generator, sprites: Sprites, codes: Sequence[str], other: float) -> Pixels:
    """A picture of the objects, or with probability `other` of any sprites anywhere: others survive too."""
    if random.random() >= other:
        return render(draw(random), sprites)
    background = BACKGROUNDS[random.integers(len(BACKGROUNDS))]
    canvas = painted(background.name).copy()
    for _ in range(random.integers(1, 4)):
        side = int(random.integers(36, 112))
        left, top = random.integers(-16, SIDE - side + 16, 2)
        paste(canvas, fit(sprites[codes[int(random.integers(len(codes)))]], side), int(left), int(top))
    return canvas


def crop(random: np.random.Generator, whole: Pixels, side: int) -> Pixels:
    """A square on the latent grid, more often from the middle."""
    if side >= SIDE:
        return whole
    cells = (SIDE - side) // 8
    x, y = (8 * round(v) for v in random.beta(1.5, 1.5, 2) * cells)
    return whole[y : y + side, x : x + side]


def batch(step: int, plan: Plan, sprites: Sprites, codes: Sequence[str]) -> Tensor:
    """The pictures of one step, B×3×H×W in −1…1; the same for the same step."""
    random = np.random.default_rng([plan.seed, step])
    whole = step >= plan.steps * plan.whole_from
    number, side = (plan.whole_batch, SIDE) if whole else (plan.crop_batch, 64)
    pieces = [crop(random, picture(random, sprites, codes, plan.other_sprites), side) for _ in range(number)]
    return to_tensor(pieces)


def to_tensor(pictures: Sequence[Pixels]) -> Tensor:
    """Pictures as B×3×H×W in −1…1, contiguous (channels-last halves the speed of training here)."""
    stacked = torch.from_numpy(np.stack(pictures).astype(np.float32))
    return stacked.permute(0, 3, 1, 2).contiguous() * 2 - 1


def to_pixels(x: Tensor) -> list[Pixels]:
    """The way back."""
    return [p.numpy() for p in ((x.detach().float() + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)]


def reconstruction_loss(x: Tensor, y: Tensor) -> Tensor:
    """L1, squares, and L1 of the slopes at three scales: edges count."""
    loss = (x - y).abs().mean() + F.mse_loss(x, y)
    for scale in (1, 2, 4):
        a, b = (F.avg_pool2d(t, scale) if scale > 1 else t for t in (x, y))
        for axis in (2, 3):
            loss = loss + 0.5 * (a.diff(dim=axis) - b.diff(dim=axis)).abs().mean()
    return loss


def loss_of(vae: AutoencoderKL, x: Tensor, step: int, seed: int) -> Tensor:
    """Reconstruction of a noisy latent plus a little KL."""
    mean, logvar = vae.moments(x)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed * 1_000_003 + step))
    y = vae.decode(mean + torch.exp(0.5 * logvar) * noise)
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return reconstruction_loss(x, y) + KL_WEIGHT * min(1.0, step / 500 + 0.1) * kl


@torch.no_grad()
def psnr(vae: AutoencoderKL, x: Tensor) -> float:
    """Mean over pictures of 10·log10(1 / squared error), pictures in 0…1."""
    y = vae(x).clamp(-1, 1)
    error = ((x - y) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


def sample_pictures(sprites: Sprites, number: int = 24) -> Tensor:
    """The same pictures each time: as the denoiser will see them."""
    random = np.random.default_rng(99)
    return to_tensor([render(draw(random), sprites) for _ in range(number)])


class Training(Learner):
    """The autoencoder as it learns."""

    def __init__(self, plan: Plan, sprites: Sprites) -> None:
        self.plan, self.sprites, self.codes = plan, sprites, list(sprites)
        self.vae = build(plan.seed)
        matrices, others = split(self.vae, ADAM_ONLY)
        if plan.muon_rate == 0:
            matrices, others = [], others + matrices
        super().__init__(self.vae, Optimizer(matrices, others, plan.muon_rate, plan.adam_rate), plan, 0.997)

    def advance(self) -> float:
        """One step; returns the loss."""
        x = batch(self.step, self.plan, self.sprites, self.codes)
        loss = self.descend(loss_of(self.vae, x, self.step, self.plan.seed))
        self.average.update(self.vae)
        return loss

    def averaged(self) -> AutoencoderKL:
        """The autoencoder with averaged weights."""
        vae = AutoencoderKL(SIZES)
        vae.load_state_dict(self.average.weights)
        return vae.eval()


def main() -> None:
    """Parse, resume, train, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--run", type=Path, required=True, help="folder for states, sheets and the log")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument(
        "--muon", type=float, default=Plan.muon_rate, help="rate of Muon; 0 trains with Adam alone"
    )
    parser.add_argument("--adam", type=float, default=Plan.adam_rate)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.run.mkdir(parents=True, exist_ok=True)
    training = Training(Plan(given.steps, muon_rate=given.muon, adam_rate=given.adam), Sprites(given.data))
    state = given.run / "vae.pt"
    if state.exists():
        training.load(state)
    train(training, given.run, state)


def train(training: Training, run: Path, state: Path, every: int = 200) -> None:
    """Run to the end of the plan; a line, a sheet and a state every so many steps."""
    x = sample_pictures(training.sprites)
    started, losses = time.process_time(), []
    while training.step < training.plan.steps:
        losses.append(training.advance())
        if training.step % every == 0 or training.step == training.plan.steps:
            vae = training.averaged()
            figures = f"step {training.step} loss {np.mean(losses):.4f} psnr {psnr(vae, x):.2f}"
            print(f"{figures} cpu {time.process_time() - started:.0f}s", flush=True)
            losses.clear()
            with torch.no_grad():
                contact_sheet(to_pixels(torch.cat([x[:8], vae(x[:8])])), 8).save(run / "vae.png")
            training.save(state)


if __name__ == "__main__":
    main()
