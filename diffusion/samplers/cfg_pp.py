"""CFG++ (Chung et al. 2024, arXiv 2406.08070): step to the guided estimate, renoise by the unguided one.

Guidance then stays on the data manifold, so small scales (around 1) do what 7 does otherwise.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Noise, PairDenoiser, Step, Steps, descent, halfway, no_noise, slope


def euler_ancestral_cfg_pp(
    denoise: PairDenoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    process: Process = EXPLODING,
) -> Steps:
    """DDIM with noise (CFG++, algorithm 2); eta = 0 is the deterministic sampler."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised, unguided = denoise.pair(x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            alpha, alpha_next = process.alpha(sigma), process.alpha(sigma_next)
            direction = slope(x, sigma, alpha * unguided)
            down, _, up = descent(sigma / alpha, sigma_next / alpha_next, eta)
            x = alpha_next * (denoised + down * direction)
            if eta and s_noise:
                x = x + alpha_next * noise(sigma, sigma_next) * s_noise * up
        yield Step(x, denoised, sigma)


def euler_cfg_pp(denoise: PairDenoiser, x: Tensor, sigmas: Tensor, *, process: Process = EXPLODING) -> Steps:
    """DDIM (CFG++, algorithm 1)."""
    return euler_ancestral_cfg_pp(denoise, x, sigmas, no_noise, eta=0.0, process=process)


def euler_cfg_pp_alternative(denoise: PairDenoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """The correction folded into the slope, so that it is scaled by the step."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised, unguided = denoise.pair(x, sigma)
        d = slope(x - denoised + unguided, sigma, denoised)
        x = x + d * (sigma_next - sigma)
        yield Step(x, denoised, sigma)


def dpmpp_2s_ancestral_cfg_pp(
    denoise: PairDenoiser, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Steps:
    """DPM-Solver++(2S), x corrected before each half by the newest unguided estimate."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised, unguided = denoise.pair(x, sigma)
        down, _, up = descent(sigma, sigma_next, eta)
        if down == 0:
            x = denoised
        else:
            middle = halfway(sigma, down)
            x_2 = middle / sigma * (x + denoised - unguided) + (1 - middle / sigma) * denoised
            denoised_2, unguided_2 = denoise.pair(x_2, middle)
            x = down / sigma * (x + denoised - unguided_2) + (1 - down / sigma) * denoised_2
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * s_noise * up
        yield Step(x, denoised, sigma)


def dpmpp_2m_cfg_pp(denoise: PairDenoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """DPM-Solver++(2M) whose memory is the last unguided estimate."""
    last = h_last = None
    for sigma, sigma_next in pairwise(sigmas):
        denoised, unguided = denoise.pair(x, sigma)
        ratio, h = sigma_next / sigma, (sigma / sigma_next).log()
        change = -ratio * unguided
        if last is not None and h_last is not None and sigma_next > 0:
            change = change + (1 - ratio) * h / (2 * h_last) * (denoised - last)
        x = denoised + change + ratio * x
        last, h_last = unguided, h
        yield Step(x, denoised, sigma)
