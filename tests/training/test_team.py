"""A team of processes ends up with one set of weights."""

from __future__ import annotations

from pathlib import Path

import torch

from training.team import Team, gather_team


def leave_average(team: Team, folder: Path) -> None:
    """Work of one member: bring a number, take the mean home."""
    values = [torch.full((2, 2), float(team.rank)), torch.tensor([10.0 * team.rank])]
    team.average(values)
    torch.save(values, folder / f"{team.rank}.pt")


def test_every_member_of_a_team_leaves_with_the_mean(tmp_path: Path) -> None:
    gather_team(2, leave_average, tmp_path)
    for rank in range(2):
        square, single = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.equal(square, torch.full((2, 2), 0.5))
        assert torch.equal(single, torch.tensor([5.0]))


def test_a_team_of_one_works_here_and_changes_nothing(tmp_path: Path) -> None:
    gather_team(1, leave_average, tmp_path)
    square, _ = torch.load(tmp_path / "0.pt", weights_only=True)
    assert torch.equal(square, torch.zeros(2, 2))
