"""ComfyUI's `comfy.samplers`: the names of samplers and schedulers, as our own KSampler node offers them.

The sampling code itself is not ComfyUI's; names that would call into it are placeholders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host


def choices(host: Host, name: str) -> list[str]:
    """What the native KSampler offers for one of its inputs; nothing when that node is not there."""
    node = host.types.get("KSampler")
    return list(node.spec.by_name[name].choices or ()) if node else []


def names(host: Host) -> Mapping[str, Any]:
    """What packs import. The lists are the same objects everywhere, because packs append to them."""
    samplers, schedulers = choices(host, "sampler_name"), choices(host, "scheduler")
    ksampler: Any = host.placeholder("comfy.samplers.KSampler")
    ksampler.SAMPLERS, ksampler.SCHEDULERS = samplers, schedulers
    ksampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS = {"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"}
    return {
        "KSampler": ksampler,
        "KSAMPLER_NAMES": [name for name in samplers if name not in ("ddim", "uni_pc", "uni_pc_bh2")],
        "SAMPLER_NAMES": samplers,
        "SCHEDULER_HANDLERS": dict.fromkeys(schedulers),
        "SCHEDULER_NAMES": schedulers,
    }
