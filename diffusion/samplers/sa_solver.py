"""SA-Solver (Xue et al. 2023, arXiv 2309.05019): stochastic Adams predictor and corrector in lambda.

tau is the size of the noise (eta within a span of the run, else 0); the coefficients b integrate the
polynomial through past estimates against the exponential of the data prediction.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from diffusion.noise.prediction import Prediction, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps


def sa_solver(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    prediction: Prediction,
    *,
    eta: float = 1.0,
    sde_start_percent: float = 0.2,
    sde_end_percent: float = 0.8,
    s_noise: float = 1.0,
    predictor_order: int = 3,
    corrector_order: int = 4,
    use_pece: bool = False,
    simple_order_2: bool = False,
) -> Steps:
    """Algorithm 1: predict, evaluate, correct; with `use_pece` the corrected point is evaluated again."""
    sigmas = prediction.process.solvable(sigmas)
    span = [prediction.clock.sigma_at(p) for p in (sde_start_percent, sde_end_percent)]
    adams = _Adams(prediction.process, sigmas, simple_order_2)
    estimates: list[Tensor] = []
    keep = max(predictor_order, corrector_order)
    tau, drawn, base = 0.0, sigmas.new_zeros(()), x
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        estimates = [*estimates[-(keep - 1) :], denoised] if keep > 1 else [denoised]
        left = len(sigmas) - 1 - i if sigmas[-1] == 0 else keep + 1  # orders fall towards a final 0
        if i > 0 and corrector_order > 0 and (sigma_next > 0 or use_pece):
            x = adams.moved(base, estimates[-min(corrector_order, left) :], i, i - 1, tau) + drawn
            if use_pece:
                denoised = estimates[-1] = denoise(x, sigma)
        base = x
        if sigma_next == 0:
            x = denoised
        else:
            tau = eta if span[0] >= sigma_next >= span[1] else 0.0
            x = adams.moved(base, estimates[-min(predictor_order, left - 1) :], i, i, tau)
            if tau and s_noise:
                spread = (-(-2 * tau**2 * adams.h(i)).expm1()).sqrt()
                drawn = noise(sigma, sigma_next) * sigma_next * spread * s_noise
                x = x + drawn
            else:
                drawn = sigmas.new_zeros(())
        yield Step(x, denoised, sigma)


class _Adams:
    """The linear multistep formulas over one schedule."""

    def __init__(self, process: Process, sigmas: Tensor, simple_order_2: bool) -> None:
        self.sigmas, self.simple = sigmas, simple_order_2
        self.lambdas, self.alphas = process.half_log_snr(sigmas), process.alpha(sigmas)

    def h(self, i: int) -> Tensor:
        return self.lambdas[i + 1] - self.lambdas[i]

    def moved(self, x: Tensor, estimates: list[Tensor], newest: int, start: int, tau: float) -> Tensor:
        """x taken from level `start` to the next by estimates of which the last is at level `newest`."""
        decay = self.sigmas[start + 1] / self.sigmas[start] * (-(tau**2) * self.h(start)).exp()
        weights = self.weights(len(estimates), newest, start, tau)
        terms = torch.stack([b * e for b, e in zip(weights, estimates, strict=True)])
        return decay * x + terms.sum(0)

    def weights(self, order: int, newest: int, start: int, tau: float) -> Tensor:
        """b_j of equation 14, oldest first: (1 + tau²) alpha ∫ exp((1 + tau²)(l - end)) L_j(l) dl."""
        rate, h = 1 + tau**2, self.h(start).double()
        alpha = self.alphas[start + 1]
        places = (self.lambdas[newest + 1 - order : newest + 1] - self.lambdas[start + 1]).double()
        total = -(-rate * h).expm1()
        if self.simple and order == 2:
            one = rate * h / 2 if newest > start else rate * h**2 / 2 / (places[0] - places[1])
            pair = torch.stack([total - one, one] if newest > start else [one, total - one])
            return pair.to(alpha.dtype) * alpha
        moments = [total]
        for k in range(1, order):
            moments.append(-((-h) ** k) * (-rate * h).exp() - k / rate * moments[-1])
        powers = torch.vander(places, order, increasing=True).T
        weights: Tensor = torch.linalg.solve(powers, torch.stack(moments))
        return weights.to(alpha.dtype) * alpha
