"""ComfyUI's `comfy.model_management`: which device, how much memory, and whether to stop.

Where weights are is decided by our own residency (`diffusion.residency`), so the calls that move or free
models do nothing here beyond emptying the device's cache; they exist because packs call them around their own
work.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import torch

from compat.current import current_run
from compat.host import Host
from execution.errors import Cancelled


class VRAMState(Enum):
    """How scarce ComfyUI takes device memory to be."""

    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


class CPUState(Enum):
    """Which kind of device computes."""

    GPU = 0
    CPU = 1
    MPS = 2


def computing_device(host: Host) -> torch.device:
    """The device that our residency computes on, or the machine's best one."""
    from diffusion.residency.budget import Residency

    residency = host.providers.get(Residency)
    return residency.device if isinstance(residency, Residency) else get_torch_device()


def get_torch_device() -> torch.device:
    """The machine's best device."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


def cpu(*_args: Any, **_kwargs: Any) -> torch.device:
    """Where pictures, latents and waiting weights are kept."""
    return torch.device("cpu")


def get_total_memory(dev: torch.device | None = None, torch_total_too: bool = False) -> Any:
    """The bytes a device has."""
    dev = dev or get_torch_device()
    total = (
        torch.cuda.get_device_properties(dev).total_memory if dev.type == "cuda" else _memory("SC_PHYS_PAGES")
    )
    return (total, total) if torch_total_too else total


def get_free_memory(dev: torch.device | None = None, torch_free_too: bool = False) -> Any:
    """The bytes a device has left."""
    dev = dev or get_torch_device()
    free = torch.cuda.mem_get_info(dev)[0] if dev.type == "cuda" else _memory("SC_AVPHYS_PAGES")
    return (free, free) if torch_free_too else free


def _memory(pages: str) -> int:
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf(pages)


def soft_empty_cache(force: bool = False) -> None:
    """Give memory that torch keeps for later back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def nothing(*_args: Any, **_kwargs: Any) -> None:
    """For calls that move or free models: our residency does that by itself."""


def should_use_fp16(device: torch.device | None = None, **_kwargs: Any) -> bool:
    """Whether half precision pays on a device; never on a CPU."""
    return (device or get_torch_device()).type == "cuda"


def should_use_bf16(device: torch.device | None = None, **_kwargs: Any) -> bool:
    """Whether a device computes bfloat16 natively."""
    return (device or get_torch_device()).type == "cuda" and torch.cuda.is_bf16_supported()


def unet_dtype(device: torch.device | None = None, **_kwargs: Any) -> torch.dtype:
    """The type models are kept in."""
    if should_use_bf16(device):
        return torch.bfloat16
    return torch.float16 if should_use_fp16(device) else torch.float32


def float32(*_args: Any, **_kwargs: Any) -> torch.dtype:
    """The type pictures, masks, latents and text are computed in."""
    return torch.float32


def dtype_size(dtype: torch.dtype) -> int:
    """Bytes of one number."""
    return dtype.itemsize


def cast_to_device(
    tensor: torch.Tensor, device: torch.device, dtype: torch.dtype | None, copy: bool = False
) -> torch.Tensor:
    """A tensor on a device in a type."""
    return tensor.to(device=device, dtype=dtype, copy=copy)


def cast_to(
    weight: torch.Tensor,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    stream: object = None,
) -> torch.Tensor:
    """A tensor in a type on a device."""
    return weight.to(device=device, dtype=dtype, non_blocking=non_blocking, copy=copy)


def is_device_type(device: Any, kind: str) -> bool:
    """Whether a device, or its name, is of a kind."""
    return torch.device(device).type == kind if device is not None else False


def processing_interrupted() -> bool:
    """Whether the running job was cancelled."""
    run = current_run()
    return run is not None and run.cancel.cancelled


def throw_exception_if_processing_interrupted() -> None:
    """Raise when the running job was cancelled."""
    run = current_run()
    if run is not None:
        run.check()


def interrupt_current_processing(value: bool = True) -> None:
    """Cancel the running job."""
    run = current_run()
    if run is not None and value:
        run.cancel.cancel()


def _devices(device: torch.device) -> Mapping[str, Any]:
    computing = ("text_encoder_device", "vae_device", "get_torch_device", "unet_inital_load_device")
    waiting = (
        "unet_offload_device",
        "text_encoder_offload_device",
        "vae_offload_device",
        "intermediate_device",
    )
    return {**dict.fromkeys(computing, lambda *_args, **_kwargs: device), **dict.fromkeys(waiting, cpu)}


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    ours = (
        CPUState, VRAMState, cast_to, cast_to_device, dtype_size, get_free_memory, get_total_memory,
        interrupt_current_processing, processing_interrupted, should_use_bf16, should_use_fp16,
        soft_empty_cache, throw_exception_if_processing_interrupted, unet_dtype,
    )  # fmt: skip
    idle = (
        "cleanup_models",
        "cleanup_models_gc",
        "free_memory",
        "load_model_gpu",
        "load_models_gpu",
        "unload_all_models",
    )
    device = computing_device(host)
    on_cpu = device.type == "cpu"
    return {
        **{each.__name__: each for each in ours},
        **dict.fromkeys(idle, nothing),
        **_devices(device),
        "InterruptProcessingException": Cancelled,
        "OOM_EXCEPTION": torch.cuda.OutOfMemoryError,
        "cpu_state": CPUState.CPU if on_cpu else CPUState.GPU,
        "current_loaded_models": [],
        "device_supports_non_blocking": lambda device: False,
        "device_should_use_non_blocking": lambda device: False,
        "extra_reserved_memory": lambda: 0,
        "force_channels_last": lambda: False,
        "get_autocast_device": lambda device: torch.device(device).type,
        "get_torch_device_name": lambda device: str(device),
        "intermediate_dtype": float32,
        "is_amd": lambda: torch.version.hip is not None,
        "is_device_cpu": lambda device: is_device_type(device, "cpu"),
        "is_device_cuda": lambda device: is_device_type(device, "cuda"),
        "is_device_mps": lambda device: is_device_type(device, "mps"),
        "is_intel_xpu": lambda: False,
        "is_nvidia": lambda: torch.cuda.is_available() and torch.version.hip is None,
        "loaded_models": lambda only_currently_used=False: [],
        "maximum_vram_for_weights": lambda device=None: get_total_memory(device) * 0.88,
        "minimum_inference_memory": lambda: 1 << 30,
        "mps_mode": lambda: device.type == "mps",
        "pick_weight_dtype": lambda dtype, fallback_dtype, device=None: dtype or fallback_dtype,
        "supports_dtype": lambda device, dtype: True,
        "supports_fp8_compute": lambda device=None: False,
        "text_encoder_dtype": float32,
        "torch": torch,
        "total_ram": get_total_memory(cpu()) / 2**20,
        "total_vram": get_total_memory() / 2**20,
        "unet_manual_cast": lambda weight_dtype, inference_device, supported_dtypes=(): None,
        "vae_dtype": float32,
        "vram_state": VRAMState.DISABLED if on_cpu else VRAMState.NORMAL_VRAM,
        "xformers_enabled": lambda: False,
        "xformers_enabled_vae": lambda: False,
        "pytorch_attention_enabled": lambda: True,
        "get_supported_float8_types": lambda: [torch.float8_e4m3fn, torch.float8_e5m2],
    }
