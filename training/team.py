"""Several processes that train one model: each on its own batches, their weights averaged now and then.

On a shared machine this is steadier than threads, which wait for each other after every small operation, and
cheaper than adding gradients at each step (Stich 2019, https://arxiv.org/abs/1805.09767).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn


@dataclass(frozen=True)
class Team:
    """Who this process is among how many. A team of one never communicates."""

    rank: int = 0
    size: int = 1

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Make each tensor the mean over all members, in place, in one exchange."""
        if self.size == 1 or not tensors:
            return
        joined = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(joined)
        joined /= self.size
        for tensor, piece in zip(tensors, torch.split(joined, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(piece.view_as(tensor))


def gather_team(size: int, work: Callable[..., None], *arguments: Any, port: int = 29571) -> None:
    """Call `work(team, *arguments)` in so many processes; in this one if it is just one."""
    if size == 1:
        work(Team(), *arguments)
        return
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    spawn(_member, (size, work, arguments), nprocs=size)  # type: ignore[no-untyped-call]  # torch's own


def _member(rank: int, size: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    dist.init_process_group("gloo", rank=rank, world_size=size)
    try:
        work(Team(rank, size), *arguments)
    finally:
        dist.destroy_process_group()
