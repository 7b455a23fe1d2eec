"""ComfyUI's `comfy.cli_args`: the command line's options as packs read them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from enum import Enum
from typing import Any

from compat.host import Host


class LatentPreviewMethod(Enum):
    """How sampling shows what it has so far."""

    NoPreviews = "none"
    Auto = "auto"
    Latent2RGB = "latent2rgb"
    TAESD = "taesd"

    @classmethod
    def from_string(cls, value: str) -> LatentPreviewMethod | None:
        """The method of a name, or None."""
        return next((method for method in cls if method.value == value), None)


def arguments(host: Host) -> Namespace:
    """ComfyUI's options with the values that are true here."""
    return Namespace(
        listen="127.0.0.1",
        port=8188,
        cpu=False,
        base_directory=str(host.base),
        output_directory=str(host.folders.output),
        input_directory=str(host.folders.input),
        temp_directory=str(host.folders.temp),
        user_directory=str(host.folders.user),
        extra_model_paths_config=None,
        disable_metadata=False,
        disable_all_custom_nodes=False,
        preview_method=LatentPreviewMethod.Auto,
        preview_size=512,
        multi_user=False,
        verbose="INFO",
        force_fp16=False,
        force_fp32=False,
        fp16_unet=False,
        bf16_unet=False,
        fp8_e4m3fn_unet=False,
        fp8_e5m2_unet=False,
        lowvram=False,
        novram=False,
        highvram=False,
        gpu_only=False,
        use_sage_attention=False,
        use_flash_attention=False,
        fast=set(),
        deterministic=False,
        dont_print_server=True,
        enable_cors_header=None,
        tls_keyfile=None,
        tls_certfile=None,
        windows_standalone_build=False,
        front_end_version="",
        front_end_root=None,
        quick_test_for_ci=False,
        auto_launch=False,
        dont_upcast_attention=False,
        force_upcast_attention=False,
        directml=None,
        cuda_device=None,
        default_device=None,
        reserve_vram=None,
        cache_classic=False,
        cache_lru=0,
        cache_none=False,
        disable_smart_memory=False,
        disable_cuda_malloc=False,
        disable_xformers=True,
        disable_api_nodes=True,
    )


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        "LatentPreviewMethod": LatentPreviewMethod,
        "args": arguments(host),
        "enables_dynamic_vram": lambda: False,
    }
