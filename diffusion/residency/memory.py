"""How much memory a device may hold in weights, and how running out of it shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

SHARE = 0.75
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


def best_device() -> torch.device:
    """The device a worker computes on if nobody says otherwise."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def memory_budget(device: torch.device) -> int:
    """Bytes of weights a device should hold: three quarters of its memory, the rest is for the work."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * SHARE)
    return int(system_memory() * SHARE)


def system_memory(limits: Sequence[Path] = CGROUP_LIMITS) -> int:
    """Bytes of memory of this machine, or of the container that holds us."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        total = 8 << 30
    for limit in limits:
        try:
            total = min(total, int(limit.read_text()))
        except (OSError, ValueError):
            continue
    return total


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in OUT_OF_MEMORY)
