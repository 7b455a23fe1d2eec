"""Muon's update is orthogonal, the rates rise and fall, the average follows."""

from __future__ import annotations

import torch
from torch import nn

from training.optimizer import Average, Optimizer, orthogonal, rate_at, rates, split


def test_an_orthogonal_update_moves_every_direction_about_equally_far() -> None:
    for shape in ((16, 48), (48, 16), (32, 32)):
        values = torch.linalg.svdvals(
            orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0)), 6)
        )
        assert values.max() < 1.4
        assert values.median() > 0.6


def test_rates_rise_stay_and_fall_to_two_percent() -> None:
    shares = list(rates(100, 10, 0.5))
    assert shares[:10] == [(i + 1) / 10 for i in range(10)]
    assert set(shares[10:50]) == {1.0}
    assert shares[50:] == sorted(shares[50:], reverse=True)
    assert 0.02 <= shares[-1] < 0.05
    assert rate_at(1000, 100, 10, 0.5) == 0.02


def test_matrices_go_to_muon_unless_named_and_a_small_problem_is_solved() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 4))
    matrices, others = split(net, ("2.",))
    assert [tuple(p.shape) for p in matrices] == [(32, 8)]
    assert len(others) == 3
    optimizer = Optimizer(matrices, others, 0.02, 1e-2)
    x, y = torch.randn(64, 8), torch.randn(64, 4)
    losses = []
    for _ in range(80):
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimizer.step(1.0)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_the_average_follows_the_weights_fast_at_first() -> None:
    net = nn.Linear(2, 1)
    average = Average(net, 0.999)
    with torch.no_grad():
        net.weight.fill_(3.0)
    for _ in range(40):
        average.update(net)
    assert torch.allclose(average.weights["weight"], torch.full((1, 2), 3.0), atol=0.05)
