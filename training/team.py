"""Several processes that train one model: each takes a part of the batch and a part of the optimizer's work.

On a shared machine this is steadier than threads, which wait for each other after every small operation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor


@dataclass(frozen=True)
class Team:
    """Who this process is among how many. A team of one never communicates."""

    rank: int = 0
    size: int = 1

    def part(self, values: Tensor) -> Tensor:
        """This member's share of a batch."""
        return values[self.rank :: self.size]

    def owns(self, index: int) -> bool:
        """Whether this member does the work with that number."""
        return index % self.size == self.rank

    @torch.no_grad()
    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Make each tensor the sum over all members, in place, in one exchange."""
        if self.size == 1 or not tensors:
            return
        joined = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(joined)
        for tensor, piece in zip(tensors, joined.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(piece.view_as(tensor))


def gather_team(size: int, work: Callable[..., None], *arguments: Any, port: int = 29571) -> None:
    """Call `work(team, *arguments)` in so many processes; in this one if it is just one."""
    if size == 1:
        work(Team(), *arguments)
        return
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    mp.spawn(_member, (size, work, arguments), nprocs=size)  # type: ignore[no-untyped-call]  # torch's own


def _member(rank: int, size: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    dist.init_process_group("gloo", rank=rank, world_size=size)
    try:
        work(Team(rank, size), *arguments)
    finally:
        dist.destroy_process_group()
