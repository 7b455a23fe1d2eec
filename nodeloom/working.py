"""The worker process: says hello, loads everything, serves its engine at the channel it was given."""

from __future__ import annotations

import argparse
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from execution.wire.channel import Channel
from execution.wire.messages import Broadcast, Hello
from nodeloom.looking import looked_at

if TYPE_CHECKING:
    from execution.wire.worker import Service
    from nodeloom.parts import Parts


def work(options: argparse.Namespace) -> int:
    """Serve until the server says so or is gone; returns the exit code."""
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    channel = Channel(socket.socket(fileno=options.channel))
    channel.send(Hello(os.getpid(), "cpu" if options.cpu else "auto"))
    started = time.monotonic()

    from execution.wire.worker import Worker  # after hello: the server knows a worker is on its way
    from nodeloom.parts import build_parts

    worker = Worker(channel)

    def send(event: str | int, data: object, client: str | None) -> None:
        payload = b""
        if isinstance(event, int) and isinstance(data, bytes | bytearray | memoryview):
            payload = bytes(data)
        channel.send(Broadcast(str(event), None if payload else data, client, payload))

    parts = build_parts(
        options,
        emit=worker.emit,
        previews_wanted=lambda: worker.previews_wanted,
        send=send,
        notice=logging.getLogger("nodeloom.memory").warning,
    )
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look through it again in every run
    failures = {
        report.name: "; ".join(each.reason for each in report.problems)
        for report in parts.packs.reports
        if report.state == "failed"
    }
    worker.serve(
        parts.engine,
        parts.registry,
        services(parts),
        folders=parts.folders,
        failures=failures,
        seconds=time.monotonic() - started,
        replacements=parts.replacements,
    )
    return 0


def die_with_parent() -> None:
    """On Linux: have the kernel end this process with the server, even while a node holds the interpreter."""
    if sys.platform == "linux":
        kill_on_parent_death = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(kill_on_parent_death, signal.SIGKILL)


def services(parts: Parts) -> dict[str, Service]:
    """What the server may ask beside what every worker answers."""
    return {
        "stats": lambda: device_stats(parts),
        "cache": lambda: {
            "results": parts.cache.stats(),
            "weights": [vars(each) for each in parts.residency.report()],
        },
        "free": lambda **wanted: free(parts, **wanted),
        "value": lambda prompt, node, output: looked_at(parts.engine.kept(prompt), prompt, node, output),
        "packs": lambda: [report.to_json() for report in parts.packs.reports],
    }


def free(parts: Parts, unload_models: bool = False, free_memory: bool = False) -> dict[str, int]:
    """Unload idle models, or everything that is kept; gives the bytes that were given back."""
    results = parts.cache.free() if free_memory else 0
    weights = parts.residency.free() if unload_models or free_memory else 0
    return {"results": results, "weights": weights}


def device_stats(parts: Parts) -> dict[str, Any]:
    """The device in the words of ComfyUI's `/system_stats`; all sizes in bytes."""
    import torch

    device = parts.residency.device
    total = free_bytes = used = 0
    name = str(device)
    if device.type == "cuda":
        free_bytes, total = torch.cuda.mem_get_info(device)
        used = torch.cuda.memory_reserved(device)
        name = f"{device} {torch.cuda.get_device_name(device)}"
    else:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free_bytes = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
        used = total - free_bytes
    return {
        "devices": [
            {
                "name": name,
                "type": device.type,
                "index": device.index,
                "vram_total": total,
                "vram_free": free_bytes,
                "torch_vram_total": used,
                "torch_vram_free": free_bytes,
            }
        ],
        "pytorch_version": torch.__version__,
    }
