"""DPM-Solver++ for the diffusion SDE (arXiv 2211.01095, section 6), with noise from one Brownian path.

eta scales the noise: 1 is the reverse SDE, 0 the ODE.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps, descent, halfway


def dpmpp_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r: float = 0.5,
    process: Process = EXPLODING,
) -> Steps:
    """The singlestep solver of second order, its inner point at share r of h."""
    for sigma, sigma_next in pairwise(process.solvable(sigmas)):
        denoised = denoise(x, sigma)
        if sigma_next == 0:
            x = denoised
            yield Step(x, denoised, sigma)
            continue
        middle = halfway(sigma, sigma_next, r, process)
        x_2 = _lowered(process, x, sigma, middle, denoised, noise, eta, s_noise)
        denoised_2 = denoise(x_2, middle)
        ahead = denoised + (denoised_2 - denoised) / (2 * r)
        x = _lowered(process, x, sigma, sigma_next, ahead, noise, eta, s_noise)
        yield Step(x, denoised, sigma)


def _lowered(
    process: Process,
    x: Tensor,
    sigma: Tensor,
    to: Tensor,
    denoised: Tensor,
    noise: Noise,
    eta: float,
    s_noise: float,
) -> Tensor:
    """x taken down to the level `to`, too far at first and up again by noise."""
    alpha, alpha_to = process.alpha(sigma), process.alpha(to)
    down, _, up = descent(sigma / alpha, to / alpha_to, eta)
    ratio = down * alpha / sigma
    x = alpha_to / alpha * ratio * x + alpha_to * (1 - ratio) * denoised
    return x + alpha_to * noise(sigma, to) * s_noise * up if eta and s_noise else x


def dpmpp_2m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver_type: Literal["midpoint", "heun"] = "midpoint",
    process: Process = EXPLODING,
) -> Steps:
    """The multistep solver of second order."""
    last = h_last = None
    for sigma, sigma_next in pairwise(process.solvable(sigmas)):
        denoised = denoise(x, sigma)
        if sigma_next == 0:
            x = denoised
            yield Step(x, denoised, sigma)
            continue
        alpha = process.alpha(sigma_next)
        h = process.half_log_snr(sigma_next) - process.half_log_snr(sigma)
        h_eta = h * (eta + 1)
        phi_1 = -(-h_eta).expm1()
        x = sigma_next / sigma * (-h * eta).exp() * x + alpha * phi_1 * denoised
        if last is not None and h_last is not None:
            change = (denoised - last) * h / h_last
            x = x + alpha * (0.5 * phi_1 if solver_type == "midpoint" else 1 - phi_1 / h_eta) * change
        x = x + renoise(noise, sigma, sigma_next, h, eta, s_noise)
        last, h_last = denoised, h
        yield Step(x, denoised, sigma)


def dpmpp_3m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    process: Process = EXPLODING,
) -> Steps:
    """The multistep solver of third order: divided differences over the last three estimates."""
    past: list[tuple[Tensor, Tensor]] = []  # newest first: (denoised, h of the step that followed it)
    for sigma, sigma_next in pairwise(process.solvable(sigmas)):
        denoised = denoise(x, sigma)
        if sigma_next == 0:
            x = denoised
            yield Step(x, denoised, sigma)
            continue
        alpha = process.alpha(sigma_next)
        h = process.half_log_snr(sigma_next) - process.half_log_snr(sigma)
        h_eta = h * (eta + 1)
        phi_2 = (-h_eta).expm1() / h_eta + 1
        x = sigma_next / sigma * (-h * eta).exp() * x - alpha * (-h_eta).expm1() * denoised
        if past:
            r0 = past[0][1] / h
            d1 = d1_0 = (denoised - past[0][0]) / r0
        if len(past) == 2:
            r1 = past[1][1] / h
            d1_1 = (past[0][0] - past[1][0]) / r1
            d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1)
            d2 = (d1_0 - d1_1) / (r0 + r1)
            x = x - alpha * (phi_2 / h_eta - 0.5) * d2
        if past:
            x = x + alpha * phi_2 * d1
        x = x + renoise(noise, sigma, sigma_next, h, eta, s_noise)
        past = [(denoised, h), *past[:1]]
        yield Step(x, denoised, sigma)


def renoise(noise: Noise, sigma: Tensor, sigma_next: Tensor, h: Tensor, eta: float, s_noise: float) -> Tensor:
    """What the reverse SDE puts back over a step of size h in lambda."""
    if not (eta and s_noise):
        return sigma.new_zeros(())
    return noise(sigma, sigma_next) * sigma_next * (-(-2 * h * eta).expm1()).sqrt() * s_noise
