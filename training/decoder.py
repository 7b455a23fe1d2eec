"""Go on with the decoder alone: `python -m training.decoder --latents FOLDER --run FOLDER`.

The encoder stays as it is, so the denoiser can be trained at the same time. With `--painter STATE` half of
the latents are what the denoiser makes of noisy ones: the decoder learns to forgive its small errors.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.residency.precision import multiplies_bfloat16
from training.compositions import Composition, caption, render
from training.denoiser import Painter, alphas
from training.latents import SCALE, load, load_autoencoder
from training.learner import Learner
from training.optimizer import Optimizer, split
from training.sprites import DEFAULT_FOLDER, Sprites, contact_sheet
from training.vae import ADAM_ONLY, psnr, reconstruction_loss, sample_pictures, to_pixels, to_tensor
from training.words import Words, clip_encode


@dataclass(frozen=True)
class Plan:
    """How long and how fast; `blur` is the usual size of the noise laid on clean latents."""

    steps: int = 8000
    batch: int = 4
    seed: int = 4
    warm_up: int = 30
    decay_from: float = 0.5
    muon_rate: float = 0.01
    adam_rate: float = 1e-3
    blur: float = 0.05


class Forgiving:
    """Latents as the denoiser would leave them: noised to a late timestep and cleaned in one move."""

    def __init__(self, painter: Painter, words: Words) -> None:
        self.painter, self.words = painter.eval(), words

    @torch.no_grad()
    def __call__(self, clean: Tensor, texts: list[str], random: np.random.Generator) -> Tensor:
        timesteps = torch.from_numpy(random.integers(20, 420, len(clean)))
        signal = alphas()[timesteps].view(-1, 1, 1, 1)
        noise = torch.from_numpy(random.standard_normal(clean.shape, dtype=np.float32))
        x = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        predicted = self.painter(x, timesteps, self.words.rows(texts))
        restored: Tensor = (x - (1 - signal).sqrt() * predicted) / signal.sqrt()
        return restored


class Training(Learner):
    """The decoder as it learns; the encoder stays."""

    def __init__(self, plan: Plan, sprites: Sprites, autoencoder: Path, forgiving: Forgiving | None) -> None:
        self.plan, self.sprites, self.forgiving = plan, sprites, forgiving
        self.vae = load_autoencoder(autoencoder)
        self.vae.encoder.requires_grad_(False)
        self.vae.quant_conv.requires_grad_(False)
        matrices, others = split(self.vae, ADAM_ONLY)
        super().__init__(self.vae, Optimizer(matrices, others, plan.muon_rate, plan.adam_rate), plan, 0.998)

    def advance(self, latents: Tensor, shown: list[Composition]) -> float:
        """One step; returns the loss."""
        random = np.random.default_rng([self.plan.seed, self.step])
        chosen = random.integers(len(latents), size=self.plan.batch)
        x = to_tensor([render(shown[index], self.sprites) for index in chosen])
        latent = self.soiled(latents, shown, chosen, random) / SCALE
        with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
            decoded = self.vae.decode(latent)
        loss = self.descend(reconstruction_loss(x, decoded.float()))
        self.average.update(self.vae)
        return loss

    def soiled(
        self, latents: Tensor, shown: list[Composition], chosen: np.ndarray, random: np.random.Generator
    ) -> Tensor:
        """The chosen latents with a little noise, or from the denoiser's hand."""
        clean = latents[torch.from_numpy(chosen)]
        if self.forgiving is not None and random.random() < 0.5:
            return self.forgiving(clean, [caption(shown[index], random) for index in chosen], random)
        size = np.abs(random.standard_normal((len(clean), 1, 1, 1), dtype=np.float32)) * self.plan.blur
        return clean + torch.from_numpy(size * random.standard_normal(clean.shape, dtype=np.float32))

    def save(self, path: Path) -> None:
        """Write the state for resuming, and the averaged autoencoder beside it."""
        super().save(path)
        save_file(self.average.weights, path.with_name("autoencoder.safetensors"))


def load_painter(state: Path, words: Words) -> Painter:
    """The averaged denoiser of a training state."""
    painter = Painter(len(words))
    painter.load_state_dict(torch.load(state, weights_only=True)["average"])
    return painter.eval()


def main() -> None:
    """Parse, resume, train, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--latents", type=Path, required=True, help="folder written by training.latents")
    parser.add_argument("--run", type=Path, required=True, help="folder for states, sheets and the log")
    parser.add_argument("--painter", type=Path, help="state of training.denoiser, for latents from its hand")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--decay-from", type=float, default=Plan.decay_from)
    parser.add_argument("--muon", type=float, default=Plan.muon_rate)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.run.mkdir(parents=True, exist_ok=True)
    forgiving = None
    if given.painter:
        words = Words(clip_encode())
        forgiving = Forgiving(load_painter(given.painter, words), words)
    plan = Plan(given.steps, decay_from=given.decay_from, muon_rate=given.muon)
    training = Training(plan, Sprites(given.data), given.latents / "autoencoder.safetensors", forgiving)
    state = given.run / "decoder.pt"
    if state.exists():
        training.load(state)
    train(training, given.latents, state)


def train(training: Training, folder: Path, state: Path, every: int = 200) -> None:
    """Run to the end of the plan; a line, a sheet and a state every so many steps."""
    x = sample_pictures(training.sprites)
    losses: list[float] = []
    started = time.time()
    latents, shown = load(sorted(folder.glob("latents-*.safetensors")))
    while training.step < training.plan.steps:
        losses.append(training.advance(latents, shown))
        if training.step % every == 0 or training.step == training.plan.steps:
            training.save(state)
            vae = load_autoencoder(state)
            figures = f"step {training.step} loss {np.mean(losses):.4f} psnr {psnr(vae, x):.2f}"
            print(f"{figures} wall {time.time() - started:.0f}s", flush=True)
            losses.clear()
            with torch.no_grad():
                contact_sheet(to_pixels(torch.cat([x[:8], vae(x[:8])])), 8).save(
                    state.with_name("decoder.png")
                )


if __name__ == "__main__":
    main()
