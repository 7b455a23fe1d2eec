"""In which number type each part of a model computes, decided in one place.

`auto` takes bfloat16 where the processor or GPU multiplies it natively, else float32 on processors and
float16 on GPUs. A processor never computes in float16: it would be emulated, slow and inexact.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

Policy = Literal["auto", "fp32", "bf16", "fp16"]
Part = Literal["backbone", "text", "vae", "control", "vision", "upscaler"]

POLICIES: tuple[Policy, ...] = ("auto", "fp32", "bf16", "fp16")
NATIVE_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True)
class Precision:
    """A policy, and what it means on a device."""

    policy: Policy = "auto"

    def dtype(self, device: torch.device, part: Part) -> torch.dtype:
        """The type a part computes in. Autoencoders and upscalers overflow float16, so they never get it."""
        chosen = self._chosen(device)
        if chosen is torch.float16 and part in ("vae", "upscaler"):
            return (
                torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
            )
        if part == "text" and self.policy == "auto" and device.type == "cpu":
            return torch.float32  # a thousandth of a run's work, and every step rests on it
        return chosen

    def _chosen(self, device: torch.device) -> torch.dtype:
        if self.policy == "fp32":
            return torch.float32
        if self.policy == "bf16":
            return torch.bfloat16
        if device.type == "cpu":
            return torch.bfloat16 if self.policy == "auto" and multiplies_bfloat16() else torch.float32
        if self.policy == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported(False):
            return torch.bfloat16
        return torch.float16


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor has instructions for bfloat16."""
    if platform.system() != "Linux":
        probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(probe and probe())
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    return any(
        NATIVE_FLAGS & set(line.partition(":")[2].split())
        for line in text.splitlines()
        if line.startswith(("flags", "Features"))
    )
