"""How much memory there is, and how running out of it is recognised."""

from pathlib import Path

import torch

from diffusion.residency.memory import best_device, is_out_of_memory, memory_budget, system_memory


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("123456789\n")
    assert system_memory((limit,)) == 123456789
    limit.write_text("max\n")
    assert system_memory((limit, tmp_path / "absent")) == system_memory(())
    assert system_memory(()) > 1 << 28


def test_the_budget_leaves_room_for_the_work() -> None:
    assert memory_budget(torch.device("cpu")) == int(system_memory() * 0.75)


def test_there_is_always_a_device() -> None:
    assert best_device().type in ("cpu", "cuda", "mps")


def test_out_of_memory_is_told_from_other_errors() -> None:
    ran_out = (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("MPS backend out of memory"),
    )
    assert all(is_out_of_memory(error) for error in ran_out)
    assert not any(is_out_of_memory(error) for error in (ValueError("out of memory"), RuntimeError("shape")))
