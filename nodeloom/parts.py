"""Everything that computes, joined from the options: folders, weights, node types, packs, cache, engine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compat.host import Host, Send, nowhere
from compat.packs import Packs, load_packs
from diffusion.residency.budget import Residency
from diffusion.residency.memory import is_out_of_memory, memory_budget
from diffusion.residency.precision import Precision
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.events import Emit
from execution.files.folders import Folders
from execution.run.cache import Cache, cache_for
from nodeloom.places import BadOption, build_folders, make_folders, pack_folders
from nodes.program import build_registry
from nodes.replacements import REPLACEMENTS
from nodes.values import memory, storages

CACHE_SHARE = 4
"""Results may take this part of the machine's memory, unless `--cache-memory` says otherwise."""


@dataclass
class Parts:
    """What runs workflows in this process."""

    folders: Folders
    residency: Residency
    registry: Registry
    packs: Packs
    cache: Cache
    engine: Engine

    @property
    def replacements(self) -> list[dict[str, Any]]:
        """What takes the place of node types that have gone: the program's, then what packs say."""
        return [*REPLACEMENTS, *self.packs.host.replacements]

    def close(self) -> None:
        """Give back the memory, and the module names that packs needed."""
        self.packs.close()
        self.cache.free()
        self.residency.close()


def build_parts(
    options: argparse.Namespace,
    *,
    emit: Emit,
    previews_wanted: Callable[[], bool],
    send: Send = nowhere,
    notice: Callable[[str], None] = lambda text: None,
) -> Parts:
    """Join the parts. `send` delivers packs' own messages, `notice` what was done about memory.

    Raises:
        BadOption: an option cannot be followed.
    """
    folders = build_folders(options)
    make_folders(folders)
    residency = build_residency(options, notice)
    registry = build_registry(
        folders,
        residency,
        previews=options.preview_method or "auto",
        preview_size=options.preview_size,
        embed_workflow=not options.disable_metadata,
        decoded_memory=options.decoded_memory,
    )
    packs = add_packs(options, folders, registry, send)
    cache = cache_for(options.cache, options.cache_memory or system_memory() // CACHE_SHARE, storages)
    engine = Engine(
        registry,
        cache,
        emit=emit,
        memory=lambda: memory(residency.device),
        rescue=lambda error: make_room(error, residency, cache, notice),
        previews=previews_wanted,
        shown_files=folders.shown_files,
    )
    return Parts(folders, residency, registry, packs, cache, engine)


def build_residency(options: argparse.Namespace, notice: Callable[[str], None]) -> Residency:
    """The weights' keeper, on the device that the options choose."""
    if options.cuda_device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(options.cuda_device)
    fixed = options.device_memory
    budget = memory_budget if fixed is None else (lambda device: fixed)
    device = "cpu" if options.cpu else None
    try:
        return Residency(Precision(options.precision), device, budget, notice)
    except ValueError as error:
        raise BadOption(f"--precision {options.precision}: {error}") from error


def make_room(
    error: BaseException, residency: Residency, cache: Cache, notice: Callable[[str], None]
) -> bool:
    """After a node ran out of memory: give up what is idle; says whether to try once more.

    The error gets a note of what a person can do, for when that does not help either.
    """
    if not is_out_of_memory(error):
        return False
    freed = residency.free() + cache.free()
    error.add_note("Take a smaller size or batch, decode in tiles, or give the program more memory.")
    notice(
        f"A node ran out of memory; {freed / 2**20:.0f} MB of idle models and results were given up to retry."
    )
    return True


def add_packs(options: argparse.Namespace, folders: Folders, registry: Registry, send: Send) -> Packs:
    """Load the packs that the options allow, and add their node types to the registry."""
    host = Host(folders=folders, types=registry.types, send=send, providers=registry.provide)
    only = options.whitelist_custom_nodes if options.disable_all_custom_nodes else None
    packs = load_packs(pack_folders(options, folders), host, only)
    for node_type in packs.node_types:
        registry.add(node_type)
    return packs


def system_memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
