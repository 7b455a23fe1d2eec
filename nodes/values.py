"""What the engine needs to know about values and memory in bytes, and the tensors of outputs by name."""

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion.residency.budget import Resident


def size(value: Any) -> int:
    """The bytes that a value on a link keeps in memory; a storage that several tensors share counts once."""
    return sum(storages(value).values())


def storages(value: Any) -> dict[Hashable, int]:
    """Address → bytes of every tensor storage that a value holds, however deep."""
    found: dict[Hashable, int] = {}
    for tensor in _tensors_in(value):
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
    return found


def _tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in containers and dataclasses, each container looked at once."""
    pending, seen = [value], set()
    while pending:
        each = pending.pop()
        if isinstance(each, Tensor):
            yield each
            continue
        inner = _inner(each)
        if inner and id(each) not in seen:
            seen.add(id(each))
            pending.extend(inner)


def _inner(value: Any) -> Sequence[Any]:
    if isinstance(value, Resident):  # weights are counted where they are kept
        return ()
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, each.name, None) for each in fields(value)]
    return ()


def memory(device: torch.device) -> int:
    """The bytes in use: on the device if it has its own memory, else by this process; 0 if not known."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def named_tensors(outputs: Sequence[Sequence[Any]]) -> dict[str, Tensor]:
    """The tensors and numbers among a node's outputs (slot → values), by `SLOT.PATH`.

    The path is the index in the slot's list of values, then indices and keys: the samples of a latent in
    slot 0 are `0.0.samples`. Everything comes as float32, copied.
    """
    found: dict[str, Tensor] = {}
    pending = [
        (f"{slot}.{i}", value) for slot, values in enumerate(outputs) for i, value in enumerate(values)
    ]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Tensor):
            found[path] = value.detach().to("cpu", torch.float32, copy=True).contiguous()
        elif isinstance(value, bool | int | float):
            found[path] = torch.tensor(float(value))
        elif isinstance(value, Mapping):
            pending += [(f"{path}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list | tuple):
            pending += [(f"{path}.{index}", each) for index, each in enumerate(value)]
    return dict(sorted(found.items()))
