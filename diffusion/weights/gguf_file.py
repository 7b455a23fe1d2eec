"""GGUF files as named tensors: packed ones stay packed, under the names of the files they were made from."""

from __future__ import annotations

import mmap
from pathlib import Path

import torch
from torch import Tensor

from diffusion.weights.entries import Entry, Weights, let_go, mapped, require_whole, view
from diffusion.weights.ggml import FORMATS, PLAIN
from diffusion.weights.gguf_header import Block, GgufHeader, read_gguf_header
from diffusion.weights.gguf_names import published
from diffusion.weights.quantised import Piece, Quantised

LOGICAL = torch.bfloat16
"""The number type that a packed weight has where nobody asks for another."""


def open_gguf(path: Path) -> Weights:
    """The tensors of a GGUF file. FileProblem says what is wrong with it."""
    memory = mapped(path)
    header = read_gguf_header(path, memoryview(memory))
    entries = {}
    for name, block in header.tensors.items():
        entries[name] = _entry(path, memory, block, _shape(name, block, header))
    facts = {name: str(fact) for name, fact in header.facts.items()}
    return Weights(path, published(entries, header.facts), facts)


def _shape(name: str, block: Block, header: GgufHeader) -> tuple[int, ...]:
    """A tensor's shape; those that had to be laid out otherwise to be packed say how they were."""
    stated = header.facts.get(f"comfy.gguf.orig_shape.{name}")
    if isinstance(stated, tuple):
        shape = tuple(int(each) for each in stated)
        if torch.Size(shape).numel() == torch.Size(block.shape).numel():
            return shape
    return block.shape


def _entry(path: Path, memory: mmap.mmap, block: Block, shape: tuple[int, ...]) -> Entry:
    plain = PLAIN.get(block.kind)

    def read() -> Tensor:
        require_whole(memory, path)
        if plain is not None:
            return view(memory, block.start, (block.end - block.start) // plain.itemsize, plain).view(shape)
        return _packed(view(memory, block.start, block.end - block.start, torch.uint8), block.kind, shape)

    packed = 0 if plain is not None else block.end - block.start
    return Entry(shape, plain or LOGICAL, read, lambda: let_go(memory, block.start, block.end), packed)


def _packed(data: Tensor, kind: int, shape: tuple[int, ...]) -> Quantised:
    """Rows of blocks; where the rows of a shape are not whole blocks, every block counts as a row."""
    form = FORMATS[kind]
    columns = torch.Size(shape[1:]).numel()
    if columns % form.numbers:
        columns = form.numbers
    rows = data.view(-1, columns // form.numbers * form.size)
    return Quantised([Piece(form.kind, columns, {"blocks": rows})], shape, LOGICAL)
