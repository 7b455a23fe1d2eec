"""What a sampler is: a generator of steps from one noisy latent to a clean one.

Letters, in every file here: x is the latent, sigma a noise level (a scalar tensor), sigmas the falling
schedule, denoised the model's clean estimate at (x, sigma), noise a source of fresh Gaussian noise for the
stretch between two sigmas, eta how much of the removed noise is put back, s_noise a factor on what is put
back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process, RectifiedFlow

Denoiser = Callable[[Tensor, Tensor], Tensor]  # (x, sigma) → denoised
Noise = Callable[[Tensor, Tensor], Tensor]  # (sigma, sigma_next) → unit Gaussian noise shaped like x


class Step(NamedTuple):
    """One move of a sampler: the latent after it, and the estimate that led there from `sigma`."""

    x: Tensor
    denoised: Tensor
    sigma: Tensor


Steps = Iterator[Step]


class PairDenoiser(Protocol):
    """A guided denoiser that also tells its negative part, which CFG++ needs."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The guided clean estimate."""

    def pair(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The guided estimate and the unguided (negative) one."""


class Descent(NamedTuple):
    """An ancestral step: go down to `down`, scale x by `scale`, add noise of size `up`."""

    down: Tensor
    scale: Tensor
    up: Tensor


def slope(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability-flow ODE (Karras et al. 2022, equation 3)."""
    return (x - denoised) / sigma


def descent(sigma: Tensor, sigma_next: Tensor, eta: float, process: Process = EXPLODING) -> Descent:
    """How far an ancestral step goes below sigma_next, so that the noise put back brings it up again.

    Where alpha < 1 (flows) x is rescaled in between so that both marginals stay right. From an infinite sigma
    (no signal at all) everything that is removed can be put back.
    """
    if isinstance(process, RectifiedFlow):
        return _descent_with_signal(sigma, sigma_next, eta, process)
    up = eta * sigma_next * (1 - (sigma_next / sigma) ** 2).sqrt()
    up = up.minimum(sigma_next)
    return Descent((sigma_next**2 - up**2).sqrt(), up.new_ones(()), up)


def _descent_with_signal(sigma: Tensor, sigma_next: Tensor, eta: float, process: Process) -> Descent:
    down = sigma_next * (1 + (sigma_next / sigma - 1) * eta)
    scale = process.alpha(sigma_next) / process.alpha(down)
    return Descent(down, scale, (sigma_next**2 - (scale * down) ** 2).clamp(min=0).sqrt())


def halfway(sigma: Tensor, sigma_next: Tensor, r: float = 0.5, process: Process = EXPLODING) -> Tensor:
    """The sigma at share r of the way in lambda, the variable of the exponential solvers."""
    start, end = process.half_log_snr(sigma), process.half_log_snr(sigma_next)
    return process.sigma(start + r * (end - start))


def no_noise(sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """The noise of deterministic samplers, which never ask for it."""
    raise AssertionError("a deterministic sampler drew noise")
