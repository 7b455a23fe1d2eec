"""The weights of the linear multistep samplers against integrals taken another way."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from diffusion.noise.prediction import EXPLODING
from diffusion.noise.schedules import karras
from diffusion.samplers.deis import VPTime
from diffusion.samplers.ipndm import EVEN, uneven
from diffusion.samplers.lms import lagrange_integrals
from diffusion.samplers.sa_solver import _Adams

SIGMAS = karras(8, 0.1, 10.0).double()


def lagrange(nodes: list[float], j: int, t: float) -> float:
    """The polynomial that is 1 at nodes[j] and 0 at the others."""
    return math.prod((t - node) / (nodes[j] - node) for k, node in enumerate(nodes) if k != j)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_lms_integrates_the_lagrange_polynomials(order: int) -> None:
    places = SIGMAS[4 - order + 1 : 5].flip(0)
    weights = lagrange_integrals(places, SIGMAS[4], SIGMAS[5])
    for j, weight in enumerate(weights):
        expected, _ = integrate.quad(lambda s, j=j: lagrange(places.tolist(), j, s), SIGMAS[4], SIGMAS[5])
        assert weight.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("order", [2, 3])
def test_deis_integrates_them_in_vp_time(order: int) -> None:
    time, places = VPTime(), SIGMAS[4 - order + 1 : 5].flip(0)
    nodes = time.of(places).tolist()
    weights = time.integrals(places, SIGMAS[5])
    assert weights.sum().item() == pytest.approx((SIGMAS[5] - SIGMAS[4]).item(), rel=2e-4)
    for j, weight in enumerate(weights):
        expected, _ = integrate.quad(
            lambda s, j=j: lagrange(nodes, j, time.of(torch.tensor(s)).item()), SIGMAS[4], SIGMAS[5]
        )
        assert weight.item() == pytest.approx(expected, rel=1e-3)


def test_vp_time_knows_how_fast_sigma_grows() -> None:
    time, t = VPTime(), torch.tensor(0.4, dtype=torch.float64)
    grown = (time.beta_d * t**2 / 2 + time.beta_min * t).expm1().sqrt()
    assert time.of(grown).item() == pytest.approx(0.4)
    step = 1e-6
    later = (time.beta_d * (t + step) ** 2 / 2 + time.beta_min * (t + step)).expm1().sqrt()
    assert time.rate(t).item() == pytest.approx(((later - grown) / step).item(), rel=1e-4)


@pytest.mark.parametrize("order", [1, 2, 3])  # the authors' fourth order is their own
def test_even_steps_give_ipndm_v_the_textbook_weights(order: int) -> None:
    assert [float(w) for w in uneven(torch.full((order,), -0.5))] == pytest.approx(EVEN[order - 1], rel=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_adams_bashforth_weights_sum_to_one(order: int) -> None:
    assert sum(EVEN[order - 1]) == pytest.approx(1.0)
    inexact = 2e-3 if order == 4 else 1e-6
    assert sum(map(float, uneven(SIGMAS.diff()[:order].flip(0)))) == pytest.approx(1.0, rel=inexact)


@pytest.mark.parametrize("tau", [0.0, 1.0])
@pytest.mark.parametrize(("order", "newest"), [(1, 3), (2, 3), (3, 3), (2, 4), (4, 4)])
def test_sa_solver_integrates_against_its_exponential(order: int, newest: int, tau: float) -> None:
    adams = _Adams(EXPLODING, SIGMAS, simple_order_2=False)
    lambdas = (-SIGMAS.log()).tolist()
    nodes, start, end, rate = lambdas[newest + 1 - order : newest + 1], lambdas[3], lambdas[4], 1 + tau**2
    for j, weight in enumerate(adams.weights(order, newest, 3, tau)):
        expected, _ = integrate.quad(
            lambda s, j=j: rate * math.exp(rate * (s - end)) * lagrange(nodes, j, s), start, end
        )
        assert weight.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("newest", [3, 4])
def test_the_simple_second_order_of_sa_solver_keeps_the_total(newest: int) -> None:
    simple, exact = (_Adams(EXPLODING, SIGMAS, flag).weights(2, newest, 3, 1.0) for flag in (True, False))
    assert simple.sum().item() == pytest.approx(exact.sum().item(), rel=1e-9)
    assert np.sign(simple.tolist()).tolist() == np.sign(exact.tolist()).tolist()
